"""Estimates against the guarded runs that followed them: does it predict well here?

`remember` appends each estimate's figures to estimates.jsonl in the state directory. `read_history` goes through the
finished runs on record, reads the plan out of each run's script, and sets the estimate of the run's input beside what
the guard measured. Nothing is run.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

from memguard.errors import MemguardError
from memguard.records.estimate import Comparison, Estimate, History, Range
from memguard.records.run import RunRecord
from memguard.watch.journal import read_run, runs_directory

__all__ = ["compare", "read_history", "remember"]

_FILE = "estimates.jsonl"
_MOST_LINES = 400
_CUT_ABOVE = 4 << 20  # bytes

Remembered = dict[str, Any]


def _path() -> str:
    return os.path.join(os.path.dirname(runs_directory()), _FILE)


def remember(estimate: Estimate) -> None:
    """Appends one line, readable by the owner only; the oldest are dropped. Raises OSError."""
    paths = [os.path.realpath(path) for path in estimate.input.paths if path != "-"]
    if not paths:
        return
    line = {
        "time": time.time(),
        "paths": paths[:100],
        "bytes": estimate.input.bytes,
        "mapped": estimate.mapped,
        "plans": {
            plan.name: [plan.peak.low, plan.peak.expected, plan.peak.high, plan.measure] for plan in estimate.plans
        },
    }
    path = _path()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    if os.path.getsize(path) > _CUT_ABOVE:
        with open(path, encoding="utf-8") as file:
            lines = file.readlines()[-_MOST_LINES:]
        temporary = f"{path}.{os.getpid()}.tmp"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(lines)
        os.replace(temporary, path)


def _remembered() -> Iterator[Remembered]:
    try:
        with open(_path(), encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    found = json.loads(line)
                except ValueError:
                    continue  # cut off by a full disk
                if isinstance(found, dict) and {"time", "paths", "plans", "mapped"} <= found.keys():
                    yield found
    except OSError:
        return


def read_history() -> History:
    directory = runs_directory()
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        names = []
    records = [record for name in names if (record := read_run(os.path.join(directory, name))) is not None]
    estimates = list(_remembered())
    comparisons, unknown = [], 0
    for record in records:
        plan = _plan_of(record)
        if plan is None:
            unknown += record.script is not None
            continue
        found = compare(record, plan, estimates)
        if found is not None:
            comparisons.append(found)
    notes = []
    if unknown:
        notes.append(f"{unknown} runs of scripts whose plan could not be read out of their source")
    return History(tuple(comparisons), len(records), tuple(notes))


def _plan_of(record: RunRecord) -> str | None:
    """The name of the plan that the run's script follows; None where it cannot be read, or is none of them."""
    from memguard.script.read import read_script

    if record.script is None:
        return None
    path = os.path.join(record.cwd, record.script)
    try:
        with open(path, encoding="utf-8") as file:
            name = read_script(file.read(), path).name
    except (OSError, ValueError, MemguardError):
        return None
    return None if name == "unknown" else name


def compare(record: RunRecord, plan: str, estimates: list[Remembered]) -> Comparison | None:
    """The last estimate before the run of files that the run then read; None where there is none."""
    read = {os.path.realpath(path) for path in record.inputs}
    for line in reversed(estimates):
        if line["time"] > record.started or not set(line["paths"]) <= read or plan not in line["plans"]:
            continue
        low, expected, high, measure = line["plans"][plan]
        # The guard counts what the tree itself holds; VmHWM counts the mapped libraries too.
        mapped = line["mapped"] if measure == "VmHWM" else 0
        predicted = Range(max(0, low - mapped), max(0, expected - mapped), max(0, high - mapped))
        measured = record.peak or 0
        finished = record.exit_code == 0 and record.termination_reason is None
        return Comparison(
            run=record.id,
            started=record.started,
            command=" ".join(record.command),
            plan=plan,
            predicted=predicted,
            measured=measured,
            # A run that was stopped says only that it needed at least so much.
            inside=predicted.low <= measured <= predicted.high if finished else measured <= predicted.high,
            finished=finished,
        )
    return None
