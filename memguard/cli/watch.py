"""Guard a job that already runs: the same limits, and the same end, without a restart.

  memguard watch 4242                      until process 4242 has ended
  memguard watch 4242 --limit 8GiB         it and all it starts may use 8 GiB
  memguard watch --name prepare.py         the newest process of yours whose command line has that word

The job was started without memguard's agent, so no line can be named and nothing be flushed: at the limit it is
stopped, measured exactly, looked at from outside, and ended with SIGTERM and SIGKILL. Ctrl-C ends the watching, not the
job. Exit code 0 when the job has ended by itself, 75 when the guard ended it, 3 when there is no such process or it is
another user's.
"""

from __future__ import annotations

import argparse
import os
import sys

from memguard.cli.guard_arguments import add_guard_arguments, options_from, place_of
from memguard.cli.guarded import check_writable, note, report, write_record
from memguard.cli.limit_check import check_limit
from memguard.cli.settings import read_settings
from memguard.errors import ConfigError, SystemInterfaceError

__all__ = ["add_arguments", "main"]

# What needs the agent in the job's Python, or has to be there when the job starts.
_NOT_HERE = ("reclaim-at", "flush-at", "dump-at", "fence", "backstop", "salvage", "on-watcher-death")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "memguard watch [OPTIONS] (PID | --name WORD)"
    parser.add_argument("pid", nargs="?", metavar="PID", help="the process to guard, with all that it starts")
    parser.add_argument("--name", metavar="WORD", help="instead: your newest process with WORD in its command line")
    parser.add_argument("--record", metavar="FILE", help="write what happened to FILE (JSON, memguard.run/1)")
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="say nothing of a run that ends by itself",
    )
    add_guard_arguments(parser, leave_out=_NOT_HERE)


def main(arguments: argparse.Namespace) -> int:
    if sys.platform != "linux":
        raise SystemInterfaceError("memguard watch reads /proc, which is Linux's", "memguard run SCRIPT", path="/proc")
    if (arguments.pid is None) == (arguments.name is None):
        raise ConfigError("which process?", "memguard watch PID   or   memguard watch --name prepare.py")
    settings = read_settings(os.getcwd())
    for name in _NOT_HERE:
        settings.pop(name, None)  # meant for `run`, and without a meaning here
    options = options_from(arguments, settings)
    record_path = os.path.abspath(arguments.record) if arguments.record else None
    if record_path:
        check_writable(record_path, arguments.record)
    pid = _number(arguments.pid) if arguments.name is None else _find(arguments.name)
    say = _quiet if arguments.quiet else note
    check_limit(options.limit, place_of("limit", arguments, settings), None, pid=pid, notify=say)
    from memguard.watch.foreign import run_watch

    record = run_watch(pid, options, say)
    if record_path:
        write_record(record, record_path)
    report(record, quiet=arguments.quiet)
    assert record.exit_code is not None  # it is None only in a journal that was cut off
    return record.exit_code


def _quiet(line: str) -> None:
    pass


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) < 1 << 22:  # the kernel's PID_MAX_LIMIT
        return int(text)
    raise ConfigError(f"not a process number: {text!r}", f"memguard watch --name {text}")


def _find(word: str) -> int:
    """The newest process of this user's with `word` in one of its arguments; memguard itself and its parents aside."""
    from memguard.system.proc import read_cmdline, read_stat

    aside = {os.getpid()}
    parent = os.getppid()
    while parent > 1 and parent not in aside:
        aside.add(parent)
        stat = read_stat(parent)
        parent = stat.ppid if stat else 0
    mine = [int(name) for name in os.listdir("/proc") if name.isdigit() and _is_mine(name) and int(name) not in aside]
    named = (read_stat(pid) for pid in mine if any(word in part for part in read_cmdline(pid)))
    found = [(stat.start_time, stat.pid) for stat in named if stat is not None and stat.alive]
    if not found:
        raise ConfigError(f"none of your processes has {word!r} in its command line", "ps ux   shows them", exit_code=3)
    return max(found)[1]


def _is_mine(name: str) -> bool:
    try:
        return os.stat(f"/proc/{name}").st_uid == os.geteuid()
    except OSError:  # it has ended meanwhile
        return False
