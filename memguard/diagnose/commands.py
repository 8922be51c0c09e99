"""Which script was it, and what did it read? From shell prompts, systemd's descriptions and tracebacks. Pure.

A kill says no more than `python (pid 1234)`; the lines around it often show the command that was typed.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from memguard.diagnose.clues import Clue
from memguard.diagnose.lines import Line

__all__ = ["CommandReader", "split_command"]

# What a shell shows before a command: "$ ", "user@host:~$ ", "(env) user@host dir % ", "❯ ", "PS C:\> ".
_PROMPT = re.compile(r"^(?:[^$#%❯➜]{0,120}?)(?:[$#%❯]|➜\s{1,4}\S{1,60})\s{1,4}(?P<command>\S.{0,400})$")
_PYTHON = re.compile(
    r"^(?:\w{1,40}=\S{0,200}\s{1,4}){0,8}"
    r"(?:(?:sudo|nohup|time|srun|exec|uv run|poetry run|/usr/bin/time(?: -v)?|nice(?: -n ?\d{1,2})?)\s{1,4}){0,4}"
    r"(?:\S{0,200}/)?(?:python|pypy|ipython|torchrun|accelerate)\S{0,12}(?:\s|$)"
)
_BARE_SCRIPT = re.compile(r"^(?:\./|/)?\S{1,200}\.(?:py|sh)(?:\s|$)")
_STARTED = re.compile(r"Started (\S{1,256}\.(?:scope|service))(?: - |: )(\S.{0,400}?)\.?$")
_FRAME = re.compile(r"^\s{0,40}File \"([^\"]{1,300})\", line (\d{1,7})")
_TRACEBACK = "Traceback (most recent call last)"
_LIBRARY = ("site-packages", "dist-packages", "/lib/python", "/lib64/python", "<frozen", "<string>", "<stdin>")
_INPUT = re.compile(
    r"\.(?:txt|text|jsonl?|ndjson|csv|tsv|parquet|arrow|md|xml|html?|bin|npy)(?:\.(?:gz|xz|zst|bz2))?$", re.IGNORECASE
)
_MAX_UNITS = 256


class CommandReader:
    """feed() every line; the commands it has seen last are at hand for the kills that follow."""

    def __init__(self) -> None:
        self.command: str | None = None  # typed last at a prompt
        self.place: str | None = None  # the user's innermost line of the last traceback
        self._units: dict[str, str] = {}

    def feed(self, line: Line) -> None:
        text = line.text
        if 'File "' in text and (match := _FRAME.match(text)):
            if not any(part in match[1] for part in _LIBRARY):
                self.place = f"{match[1]}:{match[2]}"
        elif _TRACEBACK in text:
            self.place = None
        elif "Started " in text and (match := _STARTED.search(text)):
            self._units[match[1]] = match[2]
            if len(self._units) > _MAX_UNITS:
                del self._units[next(iter(self._units))]
        elif line.program is None and line.uptime is None and (match := _PROMPT.match(line.raw.strip())):
            typed = match["command"]
            if _PYTHON.match(typed) or _BARE_SCRIPT.match(typed):
                self.command = typed.strip()

    def complete(self, clue: Clue) -> Clue:
        """The clue with the command and the place that the lines before it told."""
        if self.command is None and self.place is None:
            return clue
        return replace(clue, command=clue.command or self.command, place=clue.place or self.place)

    def of_unit(self, path: str | None) -> str | None:
        """What systemd said it started in the unit at the end of a cgroup's path."""
        return self._units.get(path.rstrip("/").rpartition("/")[2]) if path else None


def split_command(command: str) -> tuple[str | None, tuple[str, ...]]:
    """(the Python script, the files it is given): `python3 -u prepare.py --in a.txt` -> prepare.py, (a.txt,)."""
    try:
        words = shlex.split(command)
    except ValueError:  # an apostrophe that is no quote, or a line that is cut
        words = command.split()
    script = next((n for n, word in enumerate(words) if word.endswith(".py")), None)
    rest = words[script + 1 :] if script is not None else words[1:]
    values = [word.partition("=")[2] if word.startswith("-") and "=" in word else word for word in rest]
    inputs = tuple(value for value in values if not value.startswith("-") and _INPUT.search(value))
    return (words[script] if script is not None else None), tuple(dict.fromkeys(inputs))
