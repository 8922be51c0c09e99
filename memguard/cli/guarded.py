"""What the commands that guard have in common: notes while it runs, its record, and its end, on standard error."""

from __future__ import annotations

import os
import sys

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
    print(f"memguard: {line}", file=sys.stderr, flush=True)


def report(record: RunRecord, *, quiet: bool) -> None:
    """How it ended: in full where the guard had a part in it, else in one line. `quiet`: one line at most, and none
    about a success.
    """
    # Loaded now, not while the script ran: the watcher stays small.
    from memguard.cli.output import terminal_width, use_color
    from memguard.report.run import fitted, render, summary

    stream = sys.stderr
    if stream is None:  # closed before the start
        return
    stopped = record.termination_reason in ("memory", "hang", "forecast")
    killed = record.exit_signal == 9
    if quiet:
        text = summary(record) + "\n" if stopped or killed else ""
    elif stopped or killed or record.left or record.warnings:
        text = render(record, width=terminal_width(stream), color=use_color(stream))
    else:  # a log file gets it in one line, whatever its length
        text = (fitted(record, terminal_width(stream)) if stream.isatty() else summary(record)) + "\n"
    try:
        stream.write(text)
        stream.flush()
    except OSError:  # nobody reads it any more
        pass
