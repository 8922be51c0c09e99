"""Entry point: finds the command, parses its flags, turns errors into one line and an exit code.

A command's module is imported only when it is asked for, so `memguard --help` and the watcher stay light.
Each has `add_arguments(parser)` and `main(arguments) -> exit code`.
"""

# ruff: noqa: E402  (one import has to come before all others)

from memguard.inject import standard_library

standard_library.go_first()  # a json.py in the directory that PYTHONPATH names is the script's, not this command's

import argparse
import importlib
import os
import signal
import sys

from memguard._version import __version__
from memguard.cli.lean import put_off_inspect
from memguard.errors import ConfigError, MemguardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "estimate": "peak RAM, disk and time of every known prep plan for these files on this machine",
    "run": 'run a script under the guard: never a bare "Killed" again',
    "watch": "guard a job that already runs, by its process number",
    "fix": "change the lines of a script that eat its memory; the same output bytes",
    "tokenize": "stream text into token files: bounded memory, exactly tiktoken's tokens",
    "verify": "prove that token files hold exactly the text they were made from",
    "inspect": "show what a token file holds: layout, counts, the text at both ends, the ids",
    "merge": "join finished tokenize jobs into one directory",
    "diagnose": 'why was my script "Killed"? from a log, stdin, this machine or the last run',
    "doctor": "what this machine lets memguard see and enforce",
    "demo": "the whole story in a minute, on text that ships with Python",
}

_WATCHERS = ("run", "watch")  # they stay in memory beside what they watch

_EPILOG = """\
start here:
  memguard demo                        see it work, inside a small memory limit
  memguard estimate train.txt          before: which plan fits this machine?
  memguard run prepare.py              during: guard your own script
  memguard tokenize train.txt -o data  instead: stream it
  memguard diagnose                    after: why was it "Killed"?

exit codes: 0 done or fits, 1 the answer is "no", 2 usage, 3 cannot measure or read;
`run` passes on the script's own code, 75 where the guard ended it, 125 when memguard itself failed,
126/127 when the command cannot be executed or found.
"""


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code. Never raises for what a user can cause."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = None
    try:
        command = _command(arguments)
        if command is None:
            return 0
        return _run_command(command, arguments[1:])
    except MemguardError as error:
        return _report_error(error, command)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader of our output went away (`memguard … | head`): not an error, and nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _command(arguments: list[str]) -> str | None:
    """The command's name; None when --help or --version was all there was."""
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help", "help"):
        if len(arguments) > 1 and arguments[1] in COMMANDS:
            arguments[:] = [arguments[1], "--help"]
            return arguments[0]
        from memguard.cli.output import write_text

        write_text(_overview())
        return None
    if first in ("-V", "--version"):
        print(f"memguard {__version__}")
        return None
    if first not in COMMANDS:
        what = "option" if first.startswith("-") else "command"
        raise ConfigError(f"no such {what}: {first}", _suggestion(first))
    return first


def _overview() -> str:
    lines = [
        "usage: memguard COMMAND [OPTIONS]",
        "",
        "Prepare text for language-model training without being Killed.",
        "",
    ]
    lines += [f"  {name:<10} {text}" for name, text in COMMANDS.items()]
    lines += ["", "memguard COMMAND --help shows a command's options.", "", _EPILOG]
    return "\n".join(lines)


def _suggestion(word: str) -> str:
    import difflib

    close = difflib.get_close_matches(word, COMMANDS, n=1)
    if close:
        return f"did you mean `memguard {close[0]}`?"
    if word.endswith(".py"):
        return f"to run a script under the guard: memguard run {word}"
    return "`memguard --help` lists the commands"


def _run_command(name: str, arguments: list[str]) -> int:
    if name in _WATCHERS:
        put_off_inspect()
    module = importlib.import_module(f"memguard.cli.{name}")
    parser = _Parser(
        prog=f"memguard {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    try:
        namespace = parser.parse_args(arguments)
    except SystemExit as stop:  # argparse has printed the help (0) or the usage error (2)
        return stop.code if isinstance(stop.code, int) else 2
    code = module.main(namespace)
    if sys.stdout is not None:  # None: closed from the start
        sys.stdout.flush()
    return int(code)


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: "Any" = None) -> None:
        """argparse's one way out: help to stdout, usage to stderr, in letters that these have."""
        from memguard.cli.output import write_report, write_text

        (write_text if file is sys.stdout else write_report)(message)

    def error(self, message: str) -> "NoReturn":
        """The words that are wrong may hold anything."""
        from memguard.records.visible import visible

        super().error(visible(message))


def _report_error(error: MemguardError, command: str | None) -> int:
    from memguard.cli.output import note

    prefix = f"memguard {command}" if command else "memguard"
    note(f"{prefix}: {error.message}")
    if error.hint:
        note(f"  {error.hint}")
    return error.exit_code
