"""Guard a job that already runs: the same limits, and the same end, without a restart.

  memguard watch 4242                      until process 4242 has ended
  memguard watch 4242 --limit 8GiB         it and all it starts may use 8 GiB
  memguard watch --name prepare.py         your newest job of that name

The job was started without memguard's agent, so nothing can be flushed: at the limit it is stopped, measured exactly,
looked at from outside, and ended with SIGTERM and SIGKILL. Its line is named where py-spy is installed and may read it
(pip install 'memguard-prep[pyspy]'; memguard doctor tells). Ctrl-C ends the watching, not the job.

init, session managers, shells that somebody types into, terminals and servers that hold them, and the kernel's threads
are refused: they would take more along than the job.

--name WORD looks at your own processes that may be watched at all. Those that WORD names come first: as their program
or as the script or module that an interpreter runs (python prepare.py, python -m pkg.prepare, bash prepare.sh); only if
there is none, those that have WORD anywhere in their command line, editors, pagers and the like left out. Of a job and
its workers, the job is taken; of several jobs the newest, and memguard says which.

Exit code 0 when the job has ended by itself, 75 when the guard ended it, 3 when there is no such process, or it is
another user's or none to be watched.
"""

from __future__ import annotations

import argparse
import os
import sys

from memguard.cli.guard_arguments import add_guard_arguments, options_from, place_of
from memguard.cli.guarded import check_writable, conclude, note
from memguard.cli.limit_check import check_limit
from memguard.cli.settings import read_settings
from memguard.errors import ConfigError, SystemInterfaceError
from memguard.system.proc import require_proc

__all__ = ["add_arguments", "main"]

# What needs the agent in the job's Python, or has to be there when the job starts.
_NOT_HERE = ("reclaim-at", "flush-at", "dump-at", "fence", "backstop", "salvage", "on-watcher-death")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "memguard watch [OPTIONS] (PID | --name WORD)"
    parser.add_argument("pid", nargs="?", metavar="PID", help="the process to guard, with all that it starts")
    parser.add_argument("--name", metavar="WORD", help="instead: your newest job of that name (see above)")
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
    require_proc()
    if (arguments.pid is None) == (arguments.name is None):
        raise ConfigError("which process?", "memguard watch PID   or   memguard watch --name prepare.py")
    settings = read_settings(os.getcwd())
    for name in _NOT_HERE:
        settings.pop(name, None)  # meant for `run`, and without a meaning here
    options = options_from(arguments, settings)
    record_path = os.path.abspath(arguments.record) if arguments.record else None
    if record_path:
        check_writable(record_path, arguments.record)
    say = _quiet if arguments.quiet else note
    from memguard.watch.foreign import run_watch
    from memguard.watch.process.jobs import find_job

    pid, others = (_number(arguments.pid), ()) if arguments.name is None else find_job(arguments.name)
    check_limit(options.limit, place_of("limit", arguments, settings), None, pid=pid, notify=say)
    record = run_watch(pid, options, say, others=others)
    return conclude(record, record_path, quiet=arguments.quiet)


def _quiet(line: str) -> None:
    pass


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) < 1 << 22:  # the kernel's PID_MAX_LIMIT
        return int(text)
    raise ConfigError(f"not a process number: {text!r}", f"memguard watch --name {text}")
