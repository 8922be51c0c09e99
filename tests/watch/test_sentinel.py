"""Each case in a process of its own: it plays the watcher, and is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memguard.records.run import RunRecord
from memguard.system.proc import read_status
from memguard.system.run_mark import find_marked
from memguard.units import MIB
from memguard.watch.journal import read_run
from tests.boxes import MemoryBox
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
root_only = pytest.mark.skipif(bool(MemoryBox.missing()), reason=MemoryBox.missing())

WATCHER = """
import json, os, signal, subprocess, sys, time
from memguard.system.proc import read_process
from memguard.watch.kernel.cgroup_plan import choose
from memguard.watch.kernel.data_limit import DataLimit
from memguard.watch.journal import Journal, open_run
from memguard.watch.kernel.sentinel import start
options = json.loads(sys.argv[1])
directory, _ = open_run(time.time())
journal = Journal(directory)
journal.write("start", 0.0, set={"id": directory.id, "command": ["python", "x.py"], "cwd": "/", "started": time.time()})
plan = choose(options["backstop"], 64 << 20, notify=print)
mark = ("MEMGUARD_RUN_DIR", directory.path)
sentinel = start(directory, mark, plan.path, options["on_death"])
script = subprocess.Popen(
    [sys.executable, "-c", options["code"]], env={**os.environ, mark[0]: mark[1]}, preexec_fn=plan.enter,
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
cgroup = plan.entered(script.pid)
process = read_process(script.pid)
sentinel.tell(process, cgroup.path)
time.sleep(options.get("pause", 0.05))
DataLimit("on").move([process], 200 << 20)
if options.get("freeze"):
    script.send_signal(signal.SIGSTOP)
facts = {"run": directory.path, "sentinel": sentinel.pid, "script": script.pid, "cgroup": cgroup.path}
print(json.dumps(facts), flush=True)
sys.stdin.readline()
if options.get("orderly"):
    sentinel.goodbye()
    print(os.path.exists(f"/proc/{sentinel.pid}"), flush=True)
    script.kill(); script.wait(); cgroup.close()
else:
    os.kill(os.getpid(), signal.SIGKILL)
"""

SLEEPS = "import time; time.sleep(60)"
SPREADS = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
os.wait()
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={})
time.sleep(60)
"""
IGNORES = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
SHORT = "import time; time.sleep(1.5)"
GROWS = "import time; held = []\nwhile True: held.append(bytearray(b'x') * (1 << 20)); time.sleep(0.001)"


def alive(pid: int) -> bool:
    status = read_status(pid)
    return status is not None and status.state not in (None, "Z", "X")


class Watcher:
    """The facts that a watcher tells about itself, and its end."""

    def __init__(self, state: Path, code: str, **options: Any) -> None:
        options = {"code": code, "backstop": "none", "on_death": None, **options}
        environment = {**os.environ, "MEMGUARD_STATE_DIR": str(state), "PYTHONPATH": str(ROOT)}
        self.popen = subprocess.Popen(
            [sys.executable, "-c", WATCHER, json.dumps(options)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, self.popen.communicate()[1]
        facts = json.loads(line)
        self.run, self.sentinel, self.script = facts["run"], facts["sentinel"], facts["script"]
        self.cgroup: str | None = facts["cgroup"]

    def tree(self) -> list[int]:
        return [process.pid for process in find_marked("MEMGUARD_RUN_DIR", self.run)]

    def end(self) -> tuple[str, str]:
        """Killed, or orderly; everything that it and the sentinel have written (stderr ends with the sentinel)."""
        out, err = self.popen.communicate("\n", timeout=20)
        until(lambda: not alive(self.sentinel))
        return out, err

    def record(self) -> RunRecord:
        record = read_run(self.run)
        assert record is not None
        return record


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for run in (tmp_path / "runs").iterdir():
        for process in find_marked("MEMGUARD_RUN_DIR", str(run)):
            os.kill(process.pid, signal.SIGKILL)


def test_goodbye_ends_it_and_leaves_the_script_to_the_watcher(state: Path) -> None:
    watcher = Watcher(state, SLEEPS, orderly=True)
    assert alive(watcher.sentinel)
    out, err = watcher.end()
    assert (out, err) == ("False\n", "")
    assert watcher.record().watcher_death is None


def test_without_a_backstop_the_tree_is_stopped(state: Path) -> None:
    """Also what a double fork has taken out of it, and what has no mark in its environment."""
    watcher = Watcher(state, SPREADS)
    children = Path(f"/proc/{watcher.script}/task/{watcher.script}/children")

    def everybody() -> set[int]:
        return {*watcher.tree(), *map(int, children.read_text().split())}

    # The script and its child, the double fork's grandchild, and a child without the mark.
    until(lambda: len(watcher.tree()) == 3 and len(everybody()) == 4)
    tree = everybody()
    _, err = watcher.end()
    assert not any(alive(pid) for pid in tree)
    assert f"the guard itself (process {watcher.popen.pid}) died; the script was stopped" in err
    record = watcher.record()
    assert (record.watcher_death, record.exit_code, record.termination_reason) == ("it was stopped", 137, None)
    assert record.seconds is not None


def test_a_frozen_script_is_stopped_too(state: Path) -> None:
    watcher = Watcher(state, SLEEPS, freeze=True)
    watcher.end()
    assert not alive(watcher.script)


@pytest.mark.slow
def test_what_ignores_sigterm_is_killed(state: Path) -> None:
    watcher = Watcher(state, IGNORES, pause=0.3)
    started = time.monotonic()
    watcher.end()
    assert not alive(watcher.script) and time.monotonic() - started > 0.9


@pytest.mark.slow
def test_asked_to_it_leaves_the_script_without_its_fence(state: Path) -> None:
    watcher = Watcher(state, SHORT, on_death="leave", freeze=True)
    limits = Path(f"/proc/{watcher.script}/limits")

    def is_free() -> bool:
        status = read_status(watcher.script)
        return "Max data size             unlimited " in limits.read_text() and bool(status and status.state != "T")

    assert not is_free()
    watcher.popen.kill()
    until(is_free)
    _, err = watcher.end()
    assert "the script goes on without a guard" in err
    record = watcher.record()
    assert record.watcher_death == "it was left without a guard" and record.seconds is not None


def test_a_script_that_has_ended_with_its_watcher(state: Path) -> None:
    watcher = Watcher(state, SLEEPS)
    os.kill(watcher.script, signal.SIGKILL)
    until(lambda: not alive(watcher.script))
    _, err = watcher.end()
    assert err == "" and watcher.record().watcher_death == "it had ended already"


def test_a_hangup_and_ctrl_c_pass_it(state: Path) -> None:
    watcher = Watcher(state, SLEEPS)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP):
        os.kill(watcher.sentinel, number)
    assert alive(watcher.sentinel) and os.getsid(watcher.sentinel) == watcher.sentinel
    watcher.end()
    assert not alive(watcher.script)


def test_it_keeps_nothing_open_but_its_pipe_and_stderr(state: Path) -> None:
    watcher = Watcher(state, SLEEPS, orderly=True)
    directory = Path(f"/proc/{watcher.sentinel}/fd")
    until(lambda: len(list(directory.iterdir())) == 4)
    names = {entry.name: os.readlink(entry) for entry in directory.iterdir()}
    assert names.pop("0") == names.pop("1") == "/dev/null"
    names.pop("2")
    (pipe,) = names.values()
    assert pipe.startswith("pipe:")
    watcher.end()


def test_it_takes_little_memory_of_its_own(state: Path) -> None:
    watcher = Watcher(state, SLEEPS, orderly=True)
    rollup = Path(f"/proc/{watcher.sentinel}/smaps_rollup").read_text()
    private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_Dirty"))
    assert private << 10 < 3 * MIB
    watcher.end()


@pytest.mark.cgroup
@root_only
def test_inside_a_backstop_it_is_left_to_the_kernel(state: Path) -> None:
    watcher = Watcher(state, GROWS, backstop="v1")
    if watcher.cgroup is None:
        pytest.skip("no cgroup v1 here")
    _, err = watcher.end()
    assert "the script goes on inside the kernel's limit of 66.0 MiB" in err
    record = watcher.record()
    assert record.watcher_death == "it was left inside the kernel's limit of 66.0 MiB"
    assert record.kernel_kills == 1, "at the limit nobody would wake it: the kernel kills"
    assert not os.path.exists(watcher.cgroup)


@pytest.mark.cgroup
@root_only
def test_inside_a_backstop_it_is_stopped_where_that_is_asked_for(state: Path) -> None:
    """Also a script that sleeps at the kernel's limit."""
    watcher = Watcher(state, GROWS, backstop="v1", on_death="stop", pause=0.5)
    if watcher.cgroup is None:
        pytest.skip("no cgroup v1 here")
    watcher.end()
    assert watcher.record().watcher_death == "it was stopped"
    assert not os.path.exists(watcher.cgroup)
