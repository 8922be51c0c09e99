"""Runs made by hand, for tests of what reads a record: each names only the fields that it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memguard.records.run import RunRecord

__all__ = ["run_record"]

_ENDED_WELL = RunRecord(
    id="20260505-1",
    command=("python", "prepare.py"),
    cwd="/home/u",
    started=1000.0,
    seconds=60.0,
    pid=500,
    exit_code=0,
    exit_signal=None,
    termination_reason=None,
    peak=300 << 20,
    limit=None,
    overhead=None,
)


def run_record(**fields: Any) -> RunRecord:
    """A run of `python prepare.py` in /home/u that took a minute and ended well, but for `fields`."""
    return replace(_ENDED_WELL, **fields)
