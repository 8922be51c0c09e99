"""Run a script under the guard: before memory runs out it is stopped, and you read which line held the memory.

  memguard run prepare.py train.txt        a script, started as `python prepare.py train.txt`
  memguard run -m datatrove.run --help     a module, as `python -m` would start it
  memguard run -- bash job.sh              any other program
  memguard run --fix prepare.py train.txt  the same, changed by `memguard fix` in memory: the file stays as it is

Options of memguard come before the script; everything after it is the script's own. A good end is one line on stderr.
Its output, its exit code and its signals are passed through; 75 means that the guard ended it.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace

from memguard.cli.guard_arguments import add_guard_arguments, options_from, place_of
from memguard.cli.guarded import check_writable, conclude, note
from memguard.cli.limit_check import check_limit
from memguard.cli.misplaced import misplaced
from memguard.cli.settings import read_settings
from memguard.errors import ConfigError
from memguard.system.proc import require_proc
from memguard.watch.process.fixed import was_served
from memguard.watch.process.launch import Command, plain_command, python_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from memguard.watch.options import Options

__all__ = ["add_arguments", "main"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "memguard run [OPTIONS] (SCRIPT.py | -m MODULE | -- COMMAND) [ARGS …]"
    parser.add_argument("--record", metavar="FILE", help="write what happened to FILE (JSON, memguard.run/1)")
    python = "interpreter for the script (default: the active environment's, else the first on PATH)"
    parser.add_argument("--python", metavar="PATH", help=python)
    agent = "put nothing into the script's Python: then no line is named, and a hung Pool is not noticed"
    parser.add_argument("--no-agent", action="store_true", help=agent)
    fix = "run the script as `memguard fix` would change it; its file stays as it is"
    parser.add_argument("--fix", action="store_true", help=fix)
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="say nothing of a run that ends by itself",
    )
    add_guard_arguments(parser)
    module = "run a module, as python -m does; what follows is the module's own"
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help=module)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def main(arguments: argparse.Namespace) -> int:
    command = _command(arguments)
    if sys.platform == "linux":
        require_proc()
    settings = read_settings(os.getcwd())
    options = options_from(arguments, settings)
    options = replace(options, agent=not arguments.no_agent, progress=not arguments.quiet)
    say = _silent if arguments.quiet else note
    check_limit(options.limit, place_of("limit", arguments, settings), command, agent=options.agent, notify=say)
    record_path = os.path.abspath(arguments.record) if arguments.record else None
    if record_path:
        check_writable(record_path, arguments.record)
    _note_misplaced(arguments, say)
    if arguments.fix:
        options = _fixed(command, options, say)
    if sys.platform == "linux":
        from memguard.watch.run import run_guarded
    else:
        from memguard.watch.portable import run_guarded
    record = run_guarded(command, options, note)
    if options.fixed is not None and record.stack_path and not was_served(os.path.dirname(record.stack_path)):
        say(f"{command.name} has run unchanged after all: no Python with the agent has read it")
    return conclude(record, record_path, quiet=arguments.quiet)


def _fixed(command: Command, options: Options, notify: Callable[[str], None]) -> Options:
    """The options with what is to run in the script's place, where there is anything to fix."""
    if sys.platform != "linux":
        raise ConfigError("--fix needs Linux", "memguard fix SCRIPT -o FILE, and run that")
    if not options.agent:
        raise ConfigError("--fix needs the agent, which hands the fixed script to Python", "leave --no-agent out")
    from memguard.cli.fixed_run import fixed_for, fixer

    return replace(options, fixed=fixed_for(command, fixer(options.limit), notify))


def _silent(line: str) -> None:
    pass


def _note_misplaced(arguments: argparse.Namespace, notify: Callable[[str], None]) -> None:
    """Says it where a script that knows no such option gets one of memguard's."""
    module = arguments.module is not None
    words = arguments.module if module else arguments.command
    if words[0] not in ("-", "--"):
        line = misplaced(words, module=module)
        if line:
            notify(line)


def _command(arguments: argparse.Namespace) -> Command:
    words = list(arguments.command)
    if arguments.module is not None:
        if not arguments.module:
            raise ConfigError("-m needs a module", "memguard run -m MODULE [ARGS …]")
        # argparse ends the module's own arguments at a `--` and puts the rest into `command`.
        words = arguments.module + words
        return python_command(words, module=True, python=arguments.python, environ=os.environ)
    if not words or words == ["--"]:
        raise ConfigError("what shall run?", "memguard run prepare.py   or   memguard run -- COMMAND …")
    if words[0] == "--":
        if arguments.python:
            raise ConfigError("--python has no meaning with `--`", f"memguard run -- {arguments.python} …")
        return plain_command(words[1:])
    return python_command(words, module=False, python=arguments.python, environ=os.environ)
