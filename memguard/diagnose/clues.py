"""Lines that mean something, but do not prove a kill for memory -> clues. Pure.

Here: what a clue is, and those of shells, exit codes, batch systems, machines under pressure. A reader of readers/
brings its own: libraries.py has those of Python and its libraries. Exit code 137 is any SIGKILL, so most of these leave
the question open and say so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from memguard.diagnose.lines import Line

__all__ = ["CAUSES", "PATTERNS", "Clue", "ClueReader", "Pattern", "pattern", "read_size"]

# What a clue may be about, the one that says most first:
# memory      somebody ran out of memory and was killed for it; who and why stands elsewhere
# shm         /dev/shm was full: another limit than RAM
# allocation  memory was refused, the program ended by itself
# thrashing   memory was so short that the machine stood still
# not-memory  something else
# hang        a main process waits for a worker that is gone
# unclear     killed from outside, or died; nothing says by whom or why
CAUSES = ("memory", "shm", "allocation", "thrashing", "not-memory", "hang", "unclear")

_QUOTE = 400
_MAX_OF_A_KIND = 4  # the first few are enough to quote
_MAX_IN_VAIN = 2000  # lines with a needle and no match: the word is an everyday one in this log
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, slots=True)
class Clue:
    """One line that means something. `cause` is one of CAUSES."""

    kind: str
    cause: str
    meaning: str
    raw: str
    size: int | None = None  # bytes that were asked for in vain
    pid: int | None = None
    command: str | None = None  # as the shell names it
    place: str | None = None  # "prepare.py:9": the innermost line of the user's own


@dataclass(frozen=True, slots=True)
class Pattern:
    """The regex may have the groups size, pid and command."""

    needles: tuple[str, ...]  # one of them is in every line that can match
    regex: re.Pattern[str]
    kind: str
    cause: str
    meaning: str


def pattern(kind: str, cause: str, meaning: str, regex: str, *needles: str) -> Pattern:
    return Pattern(needles, re.compile(regex), kind, cause, meaning)


PATTERNS = (
    pattern(
        "segfault",
        "not-memory",
        "a crash: the program touched an address that is not its own (a bug, not a lack of memory)",
        r"segfault at |Segmentation fault|SIGSEGV|[Ee]xit(?:ed)?(?: with)?(?: code| status)?[:= ]{1,8}139\b"
        r"|status=11/SEGV|signal 11\b",
        "segfault at ",
        "Segmentation fault",
        "SIGSEGV",
        "139",
        "11/SEGV",
        "signal 11",
    ),
    pattern(
        "disk-full",
        "not-memory",
        "the disk (or a quota on it) was full",
        r"No space left on device|Disk quota exceeded",
        "No space left on device",
        "Disk quota exceeded",
    ),
    pattern(
        "time-limit",
        "not-memory",
        "the batch system ended it at its time limit",
        r"DUE TO TIME LIMIT|TERM_RUNLIMIT|TERM_CPULIMIT|walltime \d{1,12} exceeded limit|CPU time limit exceeded",
        "DUE TO TIME LIMIT",
        "TERM_RUNLIMIT",
        "TERM_CPULIMIT",
        "walltime ",
        "CPU time limit exceeded",
    ),
    pattern(
        "cancelled",
        "not-memory",
        "somebody cancelled the job, or the batch system took its machine for another one",
        r"CANCELLED AT .{1,40} DUE TO (?:PREEMPTION|NODE FAILURE)|CANCELLED AT [\dT:-]{10,30} ?\*|TERM_OWNER"
        r"|reason\"?:\s{1,8}\"?(?:Evicted|Preempted)\b|DeadlineExceeded",
        "CANCELLED AT",
        "TERM_OWNER",
        "Evicted",
        "Preempted",
        "DeadlineExceeded",
    ),
    pattern(
        "not-oom-killed",
        "not-memory",
        "the container runtime says that this was no out-of-memory kill",
        r"\"?OOMKilled\"?\s{0,8}[:=]\s{0,8}false",
        "OOMKilled",
    ),
    pattern(
        "page-allocation-stall",
        "thrashing",
        "requests for memory had to wait for seconds: the machine was reclaiming and swapping instead of working",
        r"page allocation stalls? for \d{1,9}ms",
        "page allocation stall",
    ),
    pattern(
        "pressure",
        "thrashing",
        "the kernel counts most of the time as lost to waiting for memory (memory pressure)",
        r"^full avg10=(?:[2-9]\d|100)\.\d\d avg60=(?:[1-9]\d|100)\.\d\d ",
        "full avg10=",
    ),
    pattern(
        "pressure-unrelieved",
        "thrashing",
        "systemd-oomd saw the memory pressure pass its limit",
        r"Memory pressure for \S{1,300} is [\d.]{1,8}% > [\d.]{1,8}% for",
        "emory pressure for ",
    ),
    pattern(
        "killed",
        "unclear",
        "somebody sent SIGKILL; a shell prints the same for the out-of-memory killer and for kill -9",
        r"^\s{0,20}Killed(?:: 9)?\s{0,20}$|^zsh: killed\s{1,8}(?P<command>\S.{0,300})"
        r"|(?:^|\s)(?P<pid>\d{1,10}) Killed(?:: 9)?(?:\s{1,40}(?P<command2>\S.{0,300})|\s|$)"
        r"|\]\S?\s{1,4}Killed(?:: 9)?(?:\s{1,40}(?P<command3>\S.{0,300})|\s|$)"
        r"|terminated by signal 9\b|killed by signal 9\b|status=9/KILL",
        "Killed",
        "killed",
        "signal 9",
        "9/KILL",
    ),
    pattern(
        "exit-137",
        "unclear",
        "137 is 128 + 9: ended by SIGKILL, whoever sent it (docker stop does too)",
        r"[Ee]xit(?:ed)?[ _]?(?:with )?(?:[Cc]ode|[Ss]tatus)?[\"']?[\s:=(]{1,12}(?:137|-9)\b|status=137\b"
        r"|returned 137\b"
        r"|[Rr]eturn code:? -9\b|^137$",
        "137",
        "eturn code",
        "tatus -9",
    ),
    pattern(
        "terminated",
        "unclear",
        "143 is 128 + 15: asked to end by SIGTERM, as docker stop, a batch system's limits, earlyoom and people do",
        r"^\s{0,20}Terminated\s{0,20}$|(?:^|\s)\d{1,10} Terminated\s|^zsh: terminated\s"
        r"|[Ee]xit(?:ed)?[ _]?(?:with )?(?:[Cc]ode|[Ss]tatus)?[\"']?[\s:=(]{1,12}143\b|status=143\b|status=15/TERM",
        "Terminated",
        "zsh: terminated",
        "143",
        "15/TERM",
    ),
    pattern(
        "bus-error",
        "unclear",
        "Bus error: a page of a mapped file could not be had, because /dev/shm is full or the file was cut meanwhile",
        r"^\s{0,20}Bus error|(?:^|\s)\d{1,10} Bus error\s|^zsh: bus error\s",
        "Bus error",
        "zsh: bus error",
    ),
)


class ClueReader:
    """The first few clues of each kind. A kind is `done` after enough of them, or after too many lines in vain."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.done: set[str] = set()
        self._patterns = tuple(patterns)
        self._found = dict.fromkeys((known.kind for known in patterns), 0)
        self._missed = dict.fromkeys((known.kind for known in patterns), 0)

    def triggers(self) -> tuple[str, ...]:
        """Substrings of every line that can hold a clue that is still looked for."""
        return tuple(needle for known in self._patterns for needle in known.needles)

    def read(self, line: Line) -> Clue | None:
        """The first clue in this line."""
        text = line.text
        for known in self._patterns:
            if not any(needle in text for needle in known.needles):
                continue
            if match := known.regex.search(text):
                self._count(self._found, known, _MAX_OF_A_KIND)
                return _clue(known, match, line)
            self._count(self._missed, known, _MAX_IN_VAIN)
        return None

    def _count(self, counts: dict[str, int], known: Pattern, most: int) -> None:
        counts[known.kind] += 1
        if counts[known.kind] >= most:
            self.done.add(known.kind)
            self._patterns = tuple(other for other in self._patterns if other.kind not in self.done)


def _clue(known: Pattern, match: re.Match[str], line: Line) -> Clue:
    groups = {key.rstrip("23"): value for key, value in match.groupdict().items() if value}
    return Clue(
        known.kind,
        known.cause,
        known.meaning,
        line.raw.strip()[:_QUOTE],
        size=read_size(groups["size"]) if "size" in groups else None,
        pid=int(groups["pid"]) if "pid" in groups else None,
        command=groups["command"].strip() if "command" in groups else None,
    )


_SIZE = re.compile(r"(\d{1,20}(?:\.\d{1,6})?)\s?([KMGT]?)i?B?", re.IGNORECASE)


def read_size(text: str) -> int | None:
    """`58.0 GiB`, `2.09GB`, `33554432kb`, `512Mi`, `2141384704` as bytes; every unit counts 1024, as there."""
    match = _SIZE.match(text.strip())
    return None if match is None else round(float(match[1]) * _UNITS[match[2].upper()])
