"""`memguard run --fix`: the script is fixed in memory, and what runs is the fixed source. Its file stays as it is.

    fixed = fixed_for(command, fixer(limit), note)    for watch.options.Options; None: the script runs unchanged

Fixing reads the script and its input, for which numpy is loaded; the watcher has to stay small. So a forked process
does it, hands over the source through a pipe, and is gone before the script starts.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from memguard.cli.ask_python import ask_python
from memguard.errors import MemguardError
from memguard.watch.process.fixed import Fixed
from memguard.watch.process.launch import Command

__all__ = ["Job", "Outcome", "fixed_for", "fixer", "job_of"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OLDEST = (3, 11)  # of the Python that runs a fixed script: it imports memguard
_NEEDED = ("numpy",)  # by what a fixed script calls
_PROGRAM = f"""
import sys
from importlib.util import find_spec
print(sys.implementation.name, *sys.version_info[:2], *[name for name in {_NEEDED!r} if find_spec(name) is None])
"""
_TOLD = 4  # edits that the one line names
_TAKE_A_VALUE = ("-X", "-W", "--check-hash-based-pycs")
_KEEPS_OUT = {"I": "the agent", "E": "the agent", "S": "the agent", "x": "the fixed source"}


@dataclass(frozen=True, slots=True)
class Job:
    """`script` is the path of the file that runs as __main__; `arguments` are its own."""

    script: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`source`: what to run, its line numbers those of the file; None: nothing was fixed. `said`: one line about it."""

    source: bytes | None
    said: str


def fixer(limit: int | None) -> Callable[[Job], Outcome]:
    """`memguard fix` for a job that may use `limit` bytes; None: what the machine leaves."""

    def fix(job: Job) -> Outcome:
        from memguard.estimate.job import read_job_limits
        from memguard.fix.job import fix_script

        limits = read_job_limits(limit=None if limit is None else str(limit))
        # The script waits meanwhile: to choose the edits, a part of the text says enough.
        fixed = fix_script(job.script, arguments=job.arguments, limits=limits, sample=True)
        record, more = fixed.record, f"memguard fix {shlex.quote(job.script)}"
        if not fixed.changed:
            left = f"; {more} says what is left, and why" if record.left else ""
            return Outcome(None, f"there is nothing to fix{left}")
        edits = [f"line {edit.line}: {edit.words}" for edit in record.edits]
        told = [*edits[:_TOLD], *([f"{len(edits) - _TOLD} more"] if len(edits) > _TOLD else [])]
        return Outcome(fixed.fixed_source_in_memory.encode(fixed.encoding), f"{'; '.join(told)} ({more} shows them)")

    return fix


def fixed_for(command: Command, fix: Callable[[Job], Outcome], notify: Callable[[str], None]) -> Fixed | None:
    """Fixes the script of `command`; `notify` gets the one line that says what was fixed, or why nothing is."""
    job = job_of(command)
    if isinstance(job, str):
        notify(f"{command.name} runs unchanged: {job}")
        return None
    outcome = _apart(lambda: fix(job))
    if outcome.source is None:
        notify(f"{command.name} runs unchanged: {outcome.said}")
        return None
    problem = _own_memguard(job.script) or _unable(command.executable)
    if problem:
        notify(f"{command.name} runs unchanged: {problem}")
        return None
    notify(f"{command.name} runs fixed, in memory only: {outcome.said}")
    return Fixed(os.path.realpath(job.script), outcome.source)


def job_of(command: Command) -> Job | str:
    """What `command` runs as __main__; a sentence where that is no source that could be fixed."""
    if not os.path.basename(command.executable).startswith("python"):
        name = os.path.basename(command.executable)
        return f"{name} is not Python, and only a script that memguard starts itself is fixed: run --fix SCRIPT.py"
    words = list(command.argv[1:])
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        letters = "" if word.startswith("--") else word[1:]
        for position, letter in enumerate(letters):
            if letter in "mc":
                rest = letters[position + 1 :]
                if letter == "c":
                    return "a program given with -c is in no file"
                return _module([rest, *words] if rest else words)
            if letter in "XW":
                break
            if letter in _KEEPS_OUT:
                return f"python -{letter} keeps {_KEEPS_OUT[letter]} out"
        if word in _TAKE_A_VALUE and words:
            words.pop(0)
    if not words or words[0] == "-":
        return "a program on standard input is in no file"
    return _file(words[0], words[1:])


def _module(words: list[str]) -> Job | str:
    """The file of a module that lies in the working directory or on PYTHONPATH: others are not the user's own."""
    if not words:
        return "-m needs a module"
    parts = words[0].split(".")
    for directory in ("", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))):
        base = os.path.join(directory, *parts)
        for path in (os.path.join(base, "__main__.py"), f"{base}.py"):
            if os.path.isfile(path):
                return Job(path, tuple(words[1:]))
    return f"{words[0]} is no module of this directory; what is installed is not changed"


def _file(script: str, arguments: list[str]) -> Job | str:
    if os.path.isdir(script):
        script = os.path.join(script, "__main__.py")
    elif script.endswith((".pyc", ".pyz")):
        return "it is no source file"
    return Job(script, tuple(arguments))


def _apart(work: Callable[[], Outcome]) -> Outcome:
    """`work` in a process of its own. What fails in there is a reason to run the script as it is."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            with open(writer, "wb") as pipe:
                pipe.write(_packed(work))
            code = 0
        finally:  # whatever it was, no code of the parent's runs here
            os._exit(code)
    os.close(writer)
    with open(reader, "rb") as pipe:
        head, _, source = pipe.read().partition(b"\n")
    os.waitpid(pid, 0)
    if not head:
        return Outcome(None, "the process that was to fix it ended without an answer")
    fixed, said = json.loads(head)
    return Outcome(source if fixed else None, said)


def _packed(work: Callable[[], Outcome]) -> bytes:
    try:
        outcome = work()
    except MemguardError as error:
        outcome = Outcome(None, error.message)
    except Exception as error:
        outcome = Outcome(None, f"memguard fix failed ({type(error).__name__}: {error})")
    head = json.dumps([outcome.source is not None, outcome.said])
    return head.encode("ascii") + b"\n" + (outcome.source or b"")


def _own_memguard(script: str) -> str | None:
    """A memguard.py beside the script is what the script's `import memguard` has meant so far."""
    base = os.path.join(os.path.dirname(os.path.realpath(script)), "memguard")
    for path in (f"{base}.py", os.path.join(base, "__init__.py")):
        if os.path.exists(path) and os.path.dirname(path) != _PACKAGE:
            return f"{path} has the name of the module that the fix imports"
    return None


def _unable(executable: str) -> str | None:
    """Why that interpreter cannot run what is fixed; None where it can, and where it does not say."""
    words = (ask_python(executable, _PROGRAM) or "").split()
    if len(words) < 3:
        return None
    version = int(words[1]), int(words[2])
    name = os.path.basename(executable)
    if words[0] != "cpython" or version < _OLDEST:
        found = f"{name} is {words[0]} {version[0]}.{version[1]}"
        return f"a fixed script needs CPython {_OLDEST[0]}.{_OLDEST[1]} or later, and {found}"
    if words[3:]:
        return f"{executable} has no {' and no '.join(words[3:])}, which a fixed script needs"
    return None
