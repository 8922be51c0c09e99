"""The guard without /proc, run here on Linux."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from memguard.units import MIB
from memguard.watch.journal import last_run
from memguard.watch.options import Options
from memguard.watch.process.launch import Command

pytest.importorskip("psutil")
PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


def test_it_stops_names_the_line_and_leaves_nobody() -> None:
    from memguard.watch.portable import run_guarded

    script = str(PROGRAMS / "guard_list.py")
    record = run_guarded(Command(sys.executable, (sys.executable, script), script), Options(limit=200 * MIB))
    assert (record.exit_code, record.termination_reason) == (75, "memory")
    assert [decision.action for decision in record.decisions][-2:] == ["freeze", "abort"]
    assert record.culprit is not None and (record.culprit.file, record.culprit.line) == (script, 3)
    assert record.pid is not None and not os.path.exists(f"/proc/{record.pid}")
    assert last_run() == record


@pytest.mark.parametrize(
    ("code", "expected"), [("raise SystemExit(4)", 4), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_it_passes_the_end_through(code: str, expected: int) -> None:
    from memguard.watch.portable import run_guarded

    seen = f"import time; time.sleep(0.5); {code}"  # on a busy machine it would end before it was looked at
    record = run_guarded(Command(sys.executable, (sys.executable, "-c", seen)), Options())
    assert (record.exit_code, record.termination_reason) == (expected, None)
    assert record.limit is not None and record.peak is not None
