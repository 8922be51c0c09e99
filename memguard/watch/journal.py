"""What a run leaves on disk: runs/<id>/{journal.jsonl, record.json, stack.txt, events.jsonl}.

The journal is written as things happen, one JSON line per event and one plain write() per line, so that SIGKILL loses
at most the last line; nothing is ever fsynced, which would stall the watcher under memory pressure. Each line may carry
`set` (fields of RunRecord that are known from now on), `decision` and `answer`; the RunRecord is the fold of them.
record.json is that fold, written at the end under a temporary name and renamed.

Runs can be read by their owner only, and are pruned by age, number and size.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable

from memguard.errors import MemguardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from memguard.records.run import RunRecord

__all__ = [
    "Journal",
    "RunDirectory",
    "fold",
    "last_ended_run",
    "last_run",
    "open_run",
    "prune",
    "read_run",
    "runs_directory",
    "write_record",
]

_JOURNAL, _RECORD, _STACK, _EVENTS = "journal.jsonl", "record.json", "stack.txt", "events.jsonl"

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)  # not on Windows

_WEEK = 7 * 86400.0
MAX_AGE = 30 * 86400.0
MAX_RUNS = 50
MAX_BYTES = 64 << 20


def runs_directory() -> str:
    """Where runs are kept: MEMGUARD_STATE_DIR/runs, else the platform's state directory.

    On Linux that is $XDG_STATE_HOME or ~/.local/state, which platformdirs would say too, at the cost of its import.
    """
    override = os.environ.get("MEMGUARD_STATE_DIR")
    if override:
        return os.path.join(os.path.abspath(override), "runs")
    if sys.platform == "linux":
        state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        return os.path.join(state, "memguard", "runs")
    import platformdirs

    return os.path.join(platformdirs.user_state_dir("memguard"), "runs")


class RunDirectory:
    """The paths of one run."""

    __slots__ = ("events", "id", "journal", "path", "record", "stack")

    def __init__(self, path: str) -> None:
        self.path, self.id = os.path.realpath(path), os.path.basename(path)
        path = self.path
        self.journal = os.path.join(path, _JOURNAL)
        self.record = os.path.join(path, _RECORD)
        self.stack = os.path.join(path, _STACK)
        self.events = os.path.join(path, _EVENTS)


class Journal:
    """Appends to one run's journal and folds it on the way. A full disk loses lines, never the run."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self._fold = _Fold()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _CLOEXEC
        self._descriptor = os.open(directory.journal, flags, 0o600)

    def write(
        self,
        event: str,
        at: float,
        *,
        set: dict[str, Any] | None = None,
        decision: dict[str, Any] | None = None,
        **details: Any,
    ) -> None:
        """`at` is seconds since the start; `set` holds fields of RunRecord as JSON, `decision` one of its decisions;
        `details` are for people who read the file.
        """
        line: dict[str, Any] = {"event": event, "time": round(at, 4), **details}
        if set:
            line["set"] = set
        if decision:
            line["decision"] = decision
        self._fold.add(line)
        text = json.dumps(line, ensure_ascii=True) + "\n"
        with contextlib.suppress(OSError):
            os.write(self._descriptor, text.encode("ascii"))

    def record(self) -> RunRecord:
        record = self._fold.record()
        assert record is not None  # the first line of every journal sets what a record needs
        return record

    def close(self) -> None:
        with contextlib.suppress(OSError):  # somebody has closed it already
            os.close(self._descriptor)


class _Fold:
    """The records' classes are loaded only at the end: the watcher stays small while the script runs."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._decisions: list[Any] = []
        self._answers: list[Any] = []

    def add(self, line: Any) -> None:
        if not isinstance(line, dict):
            return
        values = line.get("set")
        if isinstance(values, dict):
            self._fields.update(values)
        if isinstance(line.get("decision"), dict):
            self._decisions.append(line["decision"])
        if isinstance(line.get("answer"), dict):
            self._answers.append(line["answer"])

    def record(self) -> RunRecord | None:
        from dataclasses import MISSING, fields

        from memguard.records.codec import from_dict
        from memguard.records.run import RunRecord

        unknown = {field.name: None for field in fields(RunRecord) if field.default is MISSING}
        data = {
            **unknown,
            **self._fields,
            "schema": RunRecord.SCHEMA,
            "decisions": self._decisions,
            "answers": self._answers,
        }
        if data["id"] is None or data["command"] is None:
            return None
        try:
            return from_dict(RunRecord, data)
        except MemguardError:
            return None


def fold(lines: Iterable[str]) -> RunRecord | None:
    """The record that a journal's lines add up to; None where its first line is missing or damaged. Pure.

    A line cut off by a crash, and whatever is not a journal line, is passed over.
    """
    state = _Fold()
    for line in lines:
        try:
            state.add(json.loads(line))
        except ValueError:
            continue
    return state.record()


def open_run(started: float) -> tuple[RunDirectory, str | None]:
    """A new run directory and, where it could not be in its usual place, a warning that says so.

    Raises MemguardError when there is no place to write at all.
    """
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(started))}-{os.getpid()}"
    usual = runs_directory()
    try:
        os.makedirs(usual, mode=0o700, exist_ok=True)
        return _make_run(os.path.join(usual, name)), None
    except OSError as error:
        problem = f"{usual} cannot be written ({error.strerror})"
    temporary = os.environ.get("TMPDIR") or "/tmp"
    # A name that nobody can have prepared, made with mkdir: it cannot be somebody else's directory or link.
    path = os.path.join(temporary, f"memguard-{name}-{os.urandom(6).hex()}")
    try:
        return _make_run(path), f"{problem}; this run is recorded in {path}, where `memguard diagnose` does not look"
    except OSError as error:
        raise MemguardError(
            f"{problem}, and neither can {temporary}: {error.strerror}",
            "set MEMGUARD_STATE_DIR to a directory that can be written",
            exit_code=125,
        ) from None


def _make_run(path: str) -> RunDirectory:
    for suffix in ("", *(f".{n}" for n in range(1, 100))):
        try:
            os.mkdir(path + suffix, 0o700)
        except FileExistsError:  # a second run of the same process within one second
            continue
        directory = RunDirectory(path + suffix)
        for file in (directory.stack, directory.events):  # the agents append to them, and make none themselves
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC, 0o600))
        return directory
    raise FileExistsError(17, "too many runs in one second", path)


def write_record(record: RunRecord, path: str, mode: int = 0o600) -> None:
    """Complete or not at all: a temporary name beside `path`, then a rename. Raises OSError.

    What is no regular file (/dev/stderr, a named pipe) is written to, not replaced.
    """
    from memguard.records.codec import to_json

    text = to_json(record) + "\n"
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return
    path = os.path.realpath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _CLOEXEC, mode)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def read_run(path: str) -> RunRecord | None:
    """The record in a run's directory, folded from the journal where the watcher did not live to write it."""
    from memguard.records.codec import from_json
    from memguard.records.run import RunRecord

    directory = RunDirectory(path)
    try:
        with open(directory.record, encoding="utf-8") as file:
            return from_json(RunRecord, file.read())
    except (OSError, UnicodeDecodeError, MemguardError):
        pass
    try:
        with open(directory.journal, encoding="utf-8", errors="replace") as file:
            return fold(file)
    except OSError:
        return None


def last_run(runs: str | None = None) -> RunRecord | None:
    """The newest run that can be read; None where there is none."""
    for name in reversed(_run_names(runs or runs_directory())):
        record = read_run(os.path.join(runs or runs_directory(), name))
        if record is not None:
            return record
    return None


def last_ended_run(runs: str | None = None) -> tuple[RunRecord | None, int]:
    """The newest run that was stopped by its guard or killed, and how many runs ended well after it.

    Runs more than a week older than the newest one are history: (None, 0) where there is no such run.
    """
    well, newest = 0, None
    for name in reversed(_run_names(runs or runs_directory())):
        record = read_run(os.path.join(runs or runs_directory(), name))
        if record is None:
            continue
        newest = record.started if newest is None else newest
        if newest - record.started > _WEEK:
            break
        if record.termination_reason in ("memory", "forecast", "hang") or record.exit_signal == 9:
            return record, well
        if record.kernel_kills or record.watcher_death is not None:
            return record, well
        well += record.exit_code == 0
    return None, 0


def _run_names(runs: str) -> list[str]:
    """Oldest first: a name begins with the time at which the run started."""
    try:
        return sorted(name for name in os.listdir(runs) if name[:1].isdigit())
    except OSError:
        return []


def prune(
    runs: str, now: float, *, max_age: float = MAX_AGE, max_runs: int = MAX_RUNS, max_bytes: int = MAX_BYTES
) -> None:
    """Removes runs that are too old (seconds), too many or too big, oldest first. A run that is still going on is left
    alone.
    """
    kept_bytes = 0
    for position, name in enumerate(reversed(_run_names(runs))):
        path = os.path.join(runs, name)
        try:
            sizes = [(entry.path, entry.stat()) for entry in os.scandir(path)]
        except OSError:
            continue
        newest = max((stat.st_mtime for _, stat in sizes), default=0.0)
        kept_bytes += sum(stat.st_size for _, stat in sizes)
        surplus = position >= max_runs or kept_bytes > max_bytes or now - newest > max_age
        if surplus and position > 0 and not _going_on(path, name):
            with contextlib.suppress(OSError):
                for file, _ in sizes:
                    os.unlink(file)
                os.rmdir(path)


def _going_on(path: str, name: str) -> bool:
    pid = name.split(".")[0].rpartition("-")[2]
    return not os.path.exists(os.path.join(path, _RECORD)) and pid.isdigit() and os.path.exists(f"/proc/{pid}")
