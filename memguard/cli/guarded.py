"""What the commands that guard have in common: notes while it runs, its record, and its end, on standard error."""

from __future__ import annotations

import contextlib
import os
import sys

from memguard.cli import output
from memguard.errors import ConfigError, InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.records.run import RunRecord

__all__ = ["check_writable", "note", "report", "write_record"]


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


def write_record(record: RunRecord, path: str) -> None:
    from memguard.watch.journal import write_record as write

    try:
        write(record, path, 0o666)  # less the umask, as any file that a user asks for
    except OSError as error:
        raise InputError(f"--record {path}: {error.strerror}", "the run itself is over", path=path) from None


def note(line: str) -> None:
    output.note(f"memguard: {line}")


def report(record: RunRecord, *, quiet: bool) -> None:
    """How it ended: in full where the guard had a part in it, else one line, and that on a terminal only."""
    # Loaded now, not while the script ran: the watcher stays small.
    from memguard.report.run import render, summary

    eventful = record.termination_reason in ("memory", "hang", "forecast") or record.left or record.warnings
    if quiet:
        text = summary(record) + "\n" if eventful else ""
    elif eventful or record.exit_signal == 9:
        text = render(record, width=output.terminal_width(sys.stderr), color=output.use_color(sys.stderr))
    else:  # a log file gets the script's own words alone
        text = summary(record) + "\n" if sys.stderr.isatty() else ""
    with contextlib.suppress(OSError):  # nobody reads it any more
        output.write_report(text)
