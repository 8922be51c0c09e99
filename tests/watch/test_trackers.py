"""multiprocessing's semaphores and shared memory after the guard has ended a tree: its resource tracker comes last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memguard.system.proc import read_process, read_stat
from memguard.units import MIB
from memguard.watch.options import Options
from memguard.watch.process import actions
from memguard.watch.process.launch import Command
from memguard.watch.process.root import AttachedProcess
from memguard.watch.run import run_guarded
from memguard.watch.timing import Timing

pytestmark = pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="/dev/shm")

PROGRAM = """
import multiprocessing, signal, sys, time
from multiprocessing import shared_memory

def grow(n):
    rows = []
    for i in range(400):
        rows.append(bytearray(b"x" * 1_000_000)); time.sleep(0.003)

def wait(n):
    time.sleep(60)

if __name__ == "__main__":
    method, who, names = sys.argv[1:]
    context = multiprocessing.get_context(method)
    block = shared_memory.SharedMemory(create=True, size=1 << 20)
    lock, queue = context.Lock(), context.Queue()
    with open(names, "w") as file:
        for name in (block.name, lock._semlock.name, queue._rlock._semlock.name):
            print((name or "fork needs no name").strip("/"), file=file)
    if who == "stubborn":  # has to be killed
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            try: grow(0)
            except MemoryError: pass
    elif who == "worker":
        with context.Pool(2) as pool:
            pool.map(grow, [1, 2])
    else:
        workers = [context.Process(target=wait, args=(n,)) for n in range(2)]
        for worker in workers: worker.start()
        grow(0)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "pooled.py"
    path.write_text(PROGRAM)
    return path


def command(script: Path, *words: str) -> Command:
    return Command(sys.executable, (sys.executable, str(script), *words), str(script))


QUICK = [("spawn", "worker"), ("forkserver", "parent"), ("fork", "stubborn")]
ALL = [(method, who) for method in ("spawn", "forkserver", "fork") for who in ("worker", "parent", "stubborn")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "who"), [pytest.param(*one, marks=() if one in QUICK else pytest.mark.slow) for one in ALL]
)
def test_nothing_of_theirs_is_left(method: str, who: str, script: Path, tmp_path: Path) -> None:
    names = tmp_path / "names"
    record = run_guarded(command(script, method, who, str(names)), Options(limit=250 * MIB))
    assert (record.exit_code, record.termination_reason) == (75, "memory")
    made = names.read_text().splitlines()
    assert len(made) == 3
    assert [name for name in made if os.path.exists(f"/dev/shm/{name}") or os.path.exists(f"/dev/shm/sem.{name}")] == []
    assert record.left == ()


TRACKED = """
import multiprocessing, os, sys, time
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    lock = multiprocessing.Lock()
    from multiprocessing import resource_tracker
    if sys.argv[1] == "daemon" and os.fork() == 0:  # holds the tracker's pipe open, outside of the tree
        os.setsid()
        print(lock._semlock.name, resource_tracker._resource_tracker._pid, os.getpid(), flush=True)
        time.sleep(60)
    if sys.argv[1] != "daemon":
        print(lock._semlock.name, resource_tracker._resource_tracker._pid, 0, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("who", ["alone", "daemon"])
def test_a_tracker_is_given_time_but_not_for_ever(who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended by a signal, as by the sentinel: the tracker ignores SIGTERM, and ends once nobody holds its pipe."""
    script = subprocess.Popen(
        [sys.executable, "-c", TRACKED, who], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert script.stdout is not None
    name, tracker, other = script.stdout.readline().split()
    root, held, daemon = (read_process(int(pid)) for pid in (script.pid, tracker, other))
    assert root is not None and held is not None
    if daemon is not None:
        monkeypatch.setattr(actions, "excluded_pids", lambda: {os.getpid(), daemon.pid})
    timing = Timing(tracker_within=0.5)
    start = time.monotonic()
    assert actions.end_tree(AttachedProcess(root), (), lambda: False, timing=timing, grace=0.2) == ()
    took = time.monotonic() - start
    left = os.path.exists(f"/dev/shm/sem.{name.strip('/')}")
    if daemon is None:
        assert not left
    else:  # killed in the end, and its semaphore stays: the daemon uses it
        assert left and took > 0.5
        os.unlink(f"/dev/shm/sem.{name.strip('/')}")
        os.kill(daemon.pid, signal.SIGKILL)
    tracked = read_stat(held.pid)
    assert tracked is None or not tracked.alive  # nobody may have waited for it yet
    script.wait()
    script.stdout.close()
