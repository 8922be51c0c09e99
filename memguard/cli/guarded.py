"""What the commands that guard have in common: notes while it runs, its record, and its end, on standard error."""

from __future__ import annotations

import contextlib
import os
import sys

from memguard.cli import output
from memguard.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.records.run import RunRecord

__all__ = ["check_writable", "conclude", "note"]


def check_writable(path: str, given: str) -> None:
    """Whether --record can be written, asked before the job starts: an hour later would be too late."""
    directory = os.path.dirname(path)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        return  # a terminal, a pipe, /dev/null
    if os.path.isdir(path):
        raise ConfigError(f"--record {given}: is a directory", "name a file")
    if not os.path.isdir(directory):
        raise ConfigError(f"--record {given}: no such directory: {directory}", f"mkdir -p {directory}")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigError(f"--record {given}: {directory} cannot be written", "name a file in a directory of yours")


def note(line: str) -> None:
    """Never raises: a terminal that has gone, or a reader, must not be what ends a guard."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # gone, closed, or not there from the start
        output.note(f"memguard: {line}")


def conclude(record: RunRecord, record_path: str | None, *, quiet: bool) -> int:
    """Writes the record where --record wants it, reports how the run ended, and returns its exit code.

    The job is over by now: what fails here is said in one line, and the exit code stays what it was.
    """
    assert record.exit_code is not None  # it is None only in a journal that was cut off
    try:
        if record_path:
            from memguard.watch.journal import write_record

            write_record(record, record_path, 0o666)  # less the umask, as any file that a user asks for
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        note(f"--record {record_path} could not be written: {reason}; the run's own is in {_kept(record)}")
    try:
        _report(record, quiet=quiet)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        note(f"how the run ended could not be shown ({problem}); its record is in {_kept(record)}")
    return record.exit_code


def _kept(record: RunRecord) -> str:
    from memguard.watch.journal import runs_directory

    return os.path.dirname(record.stack_path) if record.stack_path else runs_directory()


def _report(record: RunRecord, *, quiet: bool) -> None:
    """How it ended: in full where the guard had a part in it, else in one line. `quiet`: one line at most, and none
    about a success.
    """
    # Loaded now, not while the script ran: the watcher stays small.
    from memguard.report.run import fitted, render, summary

    stream = sys.stderr
    if stream is None:  # closed before the start
        return
    stopped = record.termination_reason in ("memory", "hang", "forecast")
    killed = record.exit_signal == 9
    if quiet:
        text = summary(record) + "\n" if stopped or killed else ""
    elif stopped or killed or record.left or record.warnings:
        text = render(record, width=output.terminal_width(stream), color=output.use_color(stream))
    else:  # a log file gets it in one line, whatever its length
        text = (fitted(record, output.terminal_width(stream)) if stream.isatty() else summary(record)) + "\n"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        output.write_report(text)
