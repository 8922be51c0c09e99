"""Whole runs whose end is the fence's, or the user's at the terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from memguard.records.run import RunRecord
from memguard.units import GIB, MIB
from memguard.watch.options import Options
from memguard.watch.process.launch import Command
from memguard.watch.run import run_guarded

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


def run(tmp_path: Path, source: str, *arguments: str, notes: list[str] | None = None, **options: object) -> RunRecord:
    script = tmp_path / "script.py"
    script.write_text(source)
    command = Command(sys.executable, (sys.executable, str(script), *arguments), str(script))
    chosen = Options(**{"backstop": "none", **options})  # type: ignore[arg-type]
    return run_guarded(command, chosen, (notes if notes is not None else []).append)


ONE_BURST = """
import time
def build():
    time.sleep(0.5)
    return bytearray(2 << 30)
try:
    build()
finally:
    open("cleaned", "w").close()
"""


def test_a_burst_larger_than_all_that_is_left_fails_on_its_own_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = run(tmp_path, ONE_BURST, limit=512 * MIB)
    assert (record.exit_code, record.termination_reason, record.script_exit_code) == (75, "memory", 1)
    assert record.culprit is not None and (record.culprit.line, record.culprit.function) == (5, "build")
    assert record.decisions[-1].rule == "a MemoryError at the fence"
    assert (
        "--fence off" in record.warnings[0]
    )  # it came at a few MiB of 512: nobody knows whether it would have touched
    assert Path("cleaned").exists()
    assert record.peak is not None and record.peak < 100 * MIB


SPARSE = "import mmap, time\ntime.sleep(0.3)\nheld = [bytearray(0), mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE)]\n"


def test_reserved_memory_needs_the_fence_off(tmp_path: Path) -> None:
    assert run(tmp_path, SPARSE, limit=512 * MIB, fence="off").exit_code == 0
    assert run(tmp_path, SPARSE, limit=8 * GIB).exit_code == 0


def test_a_memory_error_of_the_scripts_own_is_the_scripts_own(tmp_path: Path) -> None:
    record = run(tmp_path, "raise MemoryError('mine')", limit=512 * MIB, fence="off")
    assert (record.exit_code, record.termination_reason) == (1, None)


def test_pause_without_a_terminal_is_an_abort(tmp_path: Path) -> None:
    notes: list[str] = []
    source = "ids = []\nwhile True: ids.extend(range(1000, 100_000))"
    pid = os.fork()
    if pid == 0:  # a session of its own has no terminal
        os.setsid()
        record = run(tmp_path, source, notes=notes, limit=64 * MIB, on_limit="pause")
        os._exit(0 if record.exit_code == 75 and "no terminal" in " ".join(notes) else 1)
    assert os.waitpid(pid, 0)[1] == 0
