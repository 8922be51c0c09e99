"""What has left the tree, environment and all, is still the guard's: by the backstop's cgroup, or by its mark."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.records.run import RunRecord
from memguard.system.cgroup import read_processes
from memguard.system.own_cgroup import Place, find_place
from memguard.system.proc import read_cmdline
from memguard.system.run_mark import find_marked, marked_limit, name_of
from memguard.units import MIB
from memguard.watch.agents.culprit import find_culprit
from memguard.watch.options import Options
from memguard.watch.process.launch import Command
from memguard.watch.process.root import members_of
from memguard.watch.run import run_guarded
from tests.boxes import MemoryBox
from tests.people import ROOT
from tests.waiting import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
PROGRAM = str(ROOT / "tests/programs/guard_clean_environment.py")
BACKSTOPS = [
    "none",
    pytest.param(
        "auto", marks=pytest.mark.skipif(not isinstance(find_place("auto"), Place), reason="no cgroup can be made here")
    ),
]


def daemons(word: str) -> list[int]:
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if word in (words := read_cmdline(pid)) and "DAEMON" in words]


def run(backstop: str, megabytes: int, seconds: float, word: str) -> RunRecord:
    """`word` tells this test's daemon from another's."""
    command = Command(sys.executable, (sys.executable, PROGRAM, str(megabytes), str(seconds), word), PROGRAM)
    return run_guarded(command, Options(limit=96 * MIB, backstop=backstop))


@pytest.mark.parametrize("backstop", BACKSTOPS)
def test_a_daemon_that_passes_the_limit_is_ended_and_blamed(backstop: str, tmp_path: Path) -> None:
    record = run(backstop, 300, 20, str(tmp_path))
    assert record.exit_code == 75 and daemons(str(tmp_path)) == []
    largest = record.holders[0]
    assert "DAEMON" in largest.command and largest.bytes > 60 * MIB
    if record.culprit is None:
        assert str(largest.pid) in (record.stack_missing or "")
    else:  # read from outside
        assert record.culprit.pid == largest.pid and record.culprit.line in range(11, 17)


@pytest.mark.parametrize("backstop", BACKSTOPS)
def test_after_a_normal_end_it_is_named_and_left_alone(backstop: str, tmp_path: Path) -> None:
    record = run(backstop, 20, 0.7, str(tmp_path))
    (daemon,) = daemons(str(tmp_path))
    try:
        assert record.exit_code == 0 and any(str(daemon) in left for left in record.left), record.left
        groups = Path(f"/proc/{daemon}/cgroup").read_text()
        assert backstop == "none" or "memguard-" not in groups
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_the_mark_is_inherited_without_the_environment() -> None:
    name = f"/runs/{os.getpid()}"

    def mark() -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_RSS)
        resource.setrlimit(resource.RLIMIT_RSS, (marked_limit(soft, name), hard))

    with subprocess.Popen(["sleep", "60"], preexec_fn=mark, env={}) as marked:
        try:
            for quick in (True, False):
                assert [process.pid for process in find_marked("NO_SUCH", name, quick=quick)] == [marked.pid]
            assert find_marked("NO_SUCH", name + "x") == ()
        finally:
            marked.kill()


def test_a_mark_names_the_run_and_the_one_around_it() -> None:
    outer = marked_limit(resource.RLIM_INFINITY, "/runs/outer")
    inner = marked_limit(outer, "/runs/inner")
    assert inner & (1 << 30) - 1 == name_of("/runs/inner") and inner >> 30 & (1 << 30) - 1 == name_of("/runs/outer")
    assert outer >> 62 == 1 and outer >> 30 & (1 << 30) - 1 == 0, "4 EiB and more: no limit for anybody"


def test_a_limit_of_somebodys_own_stays() -> None:
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_RSS)[0])"
    command = [sys.executable, "-m", "memguard", "run", "--", sys.executable, "-c", code]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_RSS, (1 << 40, resource.RLIM_INFINITY))

    result = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, timeout=30)
    assert result.stdout == f"{1 << 40}\n"


@pytest.mark.cgroup
def test_what_is_in_a_cgroup_and_below_it() -> None:
    with MemoryBox(256 * MIB) as box:
        inside = box.start(["sleep", "60"])
        below = box.directory / "below"
        below.mkdir()
        deeper = box.start(["sleep", "60"])
        (below / "cgroup.procs").write_text(str(deeper.pid))
        assert read_processes(str(box.directory)) == {inside.pid, deeper.pid}
        assert {process.pid for process in members_of(str(box.directory))} == {inside.pid, deeper.pid}
        assert {process.pid for process in members_of(str(box.directory), known={inside.pid})} == {deeper.pid}
        for process in (inside, deeper):
            process.kill()
            process.wait()
        until(lambda: removed(below))
    assert read_processes(str(box.directory)) == set(), "it has gone"


def removed(directory: Path) -> bool:
    with contextlib.suppress(OSError):  # a process in it has not been reaped yet
        directory.rmdir()
    return not directory.exists()


def test_a_small_process_that_answers_is_not_blamed_for_a_large_one_that_does_not(tmp_path: Path) -> None:
    from tests.watch.test_culprit import record

    stack = tmp_path / "stack.txt"
    stack.write_text('# process 7\nCurrent thread 0x01 (most recent call first):\n  File "/a.py", line 3 in sleep\n')
    _, found, why = find_culprit(str(stack), record(p8=90 * MIB, p7=5 * MIB), True)
    assert found is None and why == "no process was left to ask"
    _, found, why = find_culprit(str(stack), record(p8=9 * MIB, p7=5 * MIB), True)
    assert found is not None and found.line == 3
