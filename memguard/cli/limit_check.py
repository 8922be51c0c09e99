"""Whether a --limit makes sense, said before the start: not below what Python itself takes, not above the machine.

check_limit(options.limit, "--limit", command, notify=note)      # raises ConfigError

What a bare Python takes is asked of the interpreter that will run the script. That costs one start of it (12 ms), so it
is asked only below 32 MiB, where it matters.
"""

from __future__ import annotations

import os

from memguard.cli.ask_python import ask_python
from memguard.errors import ConfigError
from memguard.system.limits import LimitsReader, describe
from memguard.system.proc import parse_status
from memguard.units import MIB, format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from memguard.watch.process.launch import Command

__all__ = ["check_limit", "least_limit"]

# Anonymous memory of `python -c pass`: 2.6–3.1 MiB (CPython 3.8–3.13), 6.9 where a .pth file imports something.
_ASK_BELOW = 32 * MIB
_BARE = 3 * MIB  # where it cannot be asked
# The agent takes 1.0 MiB more, and 1.2 while it answers; measured with CPython 3.11 and 3.13: a limit of 5 MiB stops a
# script that only sleeps, one of 6 MiB does not.
_AGENT = 3 * MIB
_SHELL = 1 * MIB  # what a program needs that is not Python: dash 0.2 MiB, bash 0.4
_STOPS_AT = 0.97  # of the limit: policy.LADDER
_PROGRAM = "print(open('/proc/self/status').read())"


def check_limit(
    limit: int | None,
    place: str,
    command: Command | None,
    *,
    agent: bool = True,
    pid: int | str = "self",
    notify: Callable[[str], None] = lambda line: None,
) -> None:
    """`place` is where the limit was set; `command` what will run; None: it runs already, as `pid`.

    Raises ConfigError for a limit in which it could not even start; `notify` is told of one that other limits undercut.
    """
    if limit is None:
        return
    if limit < _ASK_BELOW:
        _refuse_too_little(limit, place, command, agent)
    reader = LimitsReader(pid, rlimits=False)
    try:
        lower = min(reader.read(0), key=lambda constraint: constraint.limit, default=None)
    finally:
        reader.close()
    if lower is not None and lower.limit < limit:
        machine = lower.name == "MemAvailable"
        what = "this machine has" if machine else f"{describe(lower)} allows"
        own = "the machine's own limit decides" if machine else "that limit decides"
        notify(f"{place} {format_size(limit)} is more than {what} ({format_size(lower.limit)}): {own}")


def least_limit(memory: int) -> int:
    """The limit, in whole MiB, under which `memory` bytes are not yet stopped."""
    return -(-int(memory / _STOPS_AT) // MIB) * MIB


def _refuse_too_little(limit: int, place: str, command: Command | None, agent: bool) -> None:
    python = command is not None and os.path.basename(command.executable).startswith(("python", "pypy"))
    if command is None or not (python or command.script):
        if limit < _SHELL:
            raise ConfigError(f"{place} {format_size(limit)}: no program starts in that", "a size such as 512M or 8GiB")
        return
    own = _AGENT if agent else 0
    bare = _bare_python(command.executable) if python else None
    least = least_limit((_BARE if bare is None else bare) + own)
    if limit >= least:
        return
    hint = f"the least is {_short(least)}"
    libraries, memory = _imports(command.script)
    if libraries:
        names = " and ".join(filter(None, (", ".join(libraries[:-1]), libraries[-1])))
        hint = f"{hint}; with {names}, which {command.name} imports, {_short(least_limit(memory + own))}"
    raise ConfigError(f"{place} {format_size(limit)}: Python alone needs {format_size(least)} here", hint)


def _short(size: int) -> str:
    return f"{size // MIB}M"


def _bare_python(executable: str) -> int | None:
    """Anonymous and shared memory of that interpreter with an empty program, in bytes; None where it does not say."""
    text = ask_python(executable, _PROGRAM)
    if text is None:
        return None
    status = parse_status(text)
    if status is None or status.rss_anon is None:
        return None
    return status.rss_anon + (status.rss_shmem or 0)


def _imports(script: str | None) -> tuple[list[str], int]:
    """Which heavy libraries the script imports, and what Python takes with them."""
    from memguard.cli.misplaced import imported
    from memguard.estimate.script.report import import_memory

    try:
        with open(script or "", "rb") as file:
            names = {name.split(".")[0] for name in imported(file.read(1 << 20))}
    except OSError:
        return [], 0
    return import_memory(names)
