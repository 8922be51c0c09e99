"""What a tree writes into /dev/shm, against real files of this very process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from memguard.system.proc import read_process
from memguard.units import MIB
from memguard.watch.launch import Command
from memguard.watch.options import Options
from memguard.watch.run import run_guarded
from memguard.watch.shared_memory import SharedMemory

pytestmark = pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no /dev/shm")


def test_the_trees_files_count_and_stay_counted_when_closed() -> None:
    own = read_process(os.getpid())
    assert own is not None
    path = Path(f"/dev/shm/memguard-test-{os.getpid()}")
    shared = SharedMemory()
    try:
        with path.open("wb") as file:
            file.write(b"x" * (3 * MIB))
            file.flush()
            assert shared.growth() >= 3 * MIB
            assert shared.size([own]) == 3 * MIB
        assert shared.size([own]) == 3 * MIB
    finally:
        path.unlink()
    assert shared.size([own]) == 0


def test_other_peoples_files_do_not() -> None:
    path = Path(f"/dev/shm/memguard-test-{os.getpid()}")
    shared = SharedMemory()
    try:
        path.write_bytes(b"x" * (3 * MIB))  # closed again: nobody's of those looked at
        own = read_process(os.getpid())
        assert own is not None and shared.size([own]) == 0
    finally:
        path.unlink()


def test_without_a_place_there_is_nothing() -> None:
    assert SharedMemory("/nonexistent").size([]) == 0


WRITES = """
import os, sys, time
with open(sys.argv[1], "wb") as file:
    for _ in range(200):
        file.write(b"x" * (1 << 20))
        file.flush()
        time.sleep(0.005)
"""


def test_a_script_that_fills_it_is_stopped_without_a_cgroup(tmp_path: Path) -> None:
    script, path = tmp_path / "script.py", Path(f"/dev/shm/memguard-test-{os.getpid()}")
    script.write_text(WRITES)
    command = Command(sys.executable, (sys.executable, str(script), str(path)), str(script))
    try:
        record = run_guarded(command, Options(limit=64 * MIB, backstop="none"))
        assert record.exit_code == 75 and record.termination_reason == "memory"
        assert record.decisions[-1].used < 72 * MIB
        assert list(record.left) == [str(path)]
    finally:
        path.unlink()


def test_the_script_is_the_kernels_first_choice(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys; sys.exit(int(open('/proc/self/oom_score_adj').read()) // 10)")
    before = int(Path("/proc/self/oom_score_adj").read_text())
    record = run_guarded(Command(sys.executable, (sys.executable, str(script)), str(script)), Options())
    assert record.exit_code == min(1000, max(before, 0) + 300) // 10
