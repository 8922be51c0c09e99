"""--on-limit pause: the tree stands still, and whoever sits at the terminal says how it goes on.

    ask(summary, usable) -> Answer("resume", limit) | Answer("dump") | Answer("abort")

Asked on /dev/tty, because the script's own standard streams may lead elsewhere. Without a terminal, or in the
background of one, nobody can answer: then it is an abort, with a note that says so. A signal that would end memguard,
and a terminal that goes away, count as abort, too; otherwise it waits for as long as it takes, which costs nothing: a
stopped tree does not grow.
"""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass

from memguard.errors import ConfigError
from memguard.records.visible import printable
from memguard.units import format_size, parse_size
from memguard.watch.process.signals import ENDING

__all__ = ["Answer", "ask", "parse_answer"]

RESUME, DUMP, ABORT = "resume", "dump", "abort"
_LOOK = 200  # milliseconds between looks for signals
_LONGEST = 4096  # bytes of an answer
_CHOICES = """\
  r SIZE  go on with a higher limit, as r {more}
  d       dump: write down where it is and who holds the memory, then ask again
  a       abort: last words, and the end
"""
_PROMPT = "memguard: r SIZE, d or a? "


@dataclass(frozen=True, slots=True)
class Answer:
    """`action` is resume, dump or abort. `limit`: for resume, bytes. `note`: why, where nobody has answered."""

    action: str
    limit: int | None = None
    note: str = ""


def parse_answer(text: str, usable: int) -> Answer:
    """What was typed. Raises ConfigError, whose message says what is wrong, for what is no answer.

    `usable`: the bytes that the tree may use now; a resume with no more than these would stop again at once.
    """
    words = text.replace("=", " ").split()
    action = words[0].lower() if words else ""
    if action in ("a", ABORT, "q", "quit") and len(words) == 1:
        return Answer(ABORT)
    if action in ("d", DUMP) and len(words) == 1:
        return Answer(DUMP)
    if action in ("r", RESUME):
        size = "".join(words[1:])  # "12 GiB" is a size, too
        if not size:
            raise ConfigError("resume with which limit?", f"r {_more(usable)}")
        limit = parse_size(size)
        if limit <= usable:
            raise ConfigError(f"{format_size(limit)} is no more than now ({format_size(usable)})", f"r {_more(usable)}")
        return Answer(RESUME, limit)
    raise ConfigError(f"not an answer: {text.strip()!r}" if action else "nothing typed", "r SIZE, d or a")


def _more(usable: int) -> str:
    """Half as much again, as an example that can be typed."""
    return format_size(usable * 3 // 2).replace(" ", "")


def ask(summary: str, usable: int, *, terminal: str = "/dev/tty") -> Answer:
    """Shows `summary` and asks until there is an answer. Never raises."""
    try:
        descriptor = os.open(terminal, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return Answer(ABORT, note="there is no terminal to ask on")
    try:
        if os.tcgetpgrp(descriptor) != os.getpgrp():
            return Answer(ABORT, note="memguard runs in the background of its terminal and cannot ask there")
        return _converse(descriptor, summary, usable)
    except OSError as error:
        return Answer(ABORT, note=f"the terminal cannot be asked: {error.strerror}")
    finally:
        os.close(descriptor)


def _converse(descriptor: int, summary: str, usable: int) -> Answer:
    _say(descriptor, f"{summary.rstrip()}\n{_CHOICES.format(more=_more(usable))}")
    while True:
        _say(descriptor, _PROMPT)
        typed = _read_line(descriptor)
        if isinstance(typed, Answer):
            _say(descriptor, "\n")
            return typed
        try:
            return parse_answer(typed, usable)
        except ConfigError as error:
            _say(descriptor, f"  {error.message}: {error.hint}\n")


def _say(descriptor: int, text: str) -> None:
    left = printable(text).encode()
    while left:
        left = left[os.write(descriptor, left) :]


def _read_line(descriptor: int) -> str | Answer:
    """A line, or the Answer where none will come. The watcher keeps signals blocked, so they are looked for."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    typed = b""
    while not typed.endswith((b"\n", b"\r")):
        events = waiting.poll(_LOOK)
        if not ENDING.isdisjoint(signal.sigpending()):
            return Answer(ABORT, note="a signal came while it was paused")
        if not events:
            continue
        part = os.read(descriptor, _LONGEST) if events[0][1] & select.POLLIN else b""
        if not part or b"\x04" in part:  # Ctrl-D, or the terminal has gone
            return Answer(ABORT, note="the terminal was closed while it was paused")
        typed = (typed + part)[-_LONGEST:]
    return typed.decode("utf-8", "replace")
