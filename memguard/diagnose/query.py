"""What the user asks about: a pid, a name, a unit, a time, an exit code. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from memguard.diagnose.clues import Clue
from memguard.errors import ConfigError
from memguard.records.diagnosis import Event
from memguard.records.run import RunRecord

__all__ = ["Query", "exit_clue", "parse_since"]

_COMM = 15  # bytes of a name that the kernel keeps (TASK_COMM_LEN - 1)
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s?(s|sec|m|min|h|hour|d|day|w|week)s?(?: ago)?", re.IGNORECASE)
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400, "w": 604800}
_SECONDS["week"] = _SECONDS["w"]

_EXIT_CODES = {
    0: ("exit-0", "not-memory", "0 means that it ended well"),
    75: (
        "exit-75",
        "unclear",
        "75 is what `memguard run` returns when the guard ended the script; its record says why",
    ),
    126: ("exit-126", "not-memory", "126: the command was found but could not be executed"),
    127: ("exit-127", "not-memory", "127: the command was not found"),
    130: ("exit-130", "not-memory", "130 is 128 + 2: ended by Ctrl-C"),
    134: (
        "exit-134",
        "unclear",
        "134 is 128 + 6: the program aborted itself, as Rust and C++ do when memory is refused (and for other reasons)",
    ),
    135: (
        "exit-135",
        "unclear",
        "135 is 128 + 7: a bus error, as when /dev/shm is full or a mapped file is cut (see `df -h /dev/shm`)",
    ),
    137: ("exit-137", "unclear", "137 is 128 + 9: ended by SIGKILL, whoever sent it (docker stop does too)"),
    139: ("segfault", "not-memory", "139 is 128 + 11: a crash, the program touched an address that is not its own"),
    143: (
        "terminated",
        "unclear",
        "143 is 128 + 15: asked to end by SIGTERM, as earlyoom, batch systems and people do",
    ),
}


_NO_KILL = {code for code, (_, cause, _) in _EXIT_CODES.items() if cause == "not-memory"}


@dataclass(frozen=True, slots=True)
class Query:
    """Every part that is given must hold. `since` is Unix time."""

    since: float | None = None
    pid: int | None = None
    task: str | None = None
    unit: str | None = None
    exit_code: int | None = None
    command: str | None = None  # narrows nothing: it names the script and its input

    @property
    def asked(self) -> bool:
        return any(part is not None for part in (self.since, self.pid, self.task, self.unit))

    @property
    def may_be_kill(self) -> bool:
        """Whether the exit code can come from a kill for memory: by SIGKILL, SIGTERM, or of a worker (then 1)."""
        return self.exit_code is None or exit_code_of(self.exit_code) not in _NO_KILL

    @property
    def words(self) -> str:
        """`of pid 12, of a process named python`."""
        parts = [f"of pid {self.pid}"] if self.pid is not None else []
        parts += [f"of a process named {self.task}"] if self.task is not None else []
        parts += [f"in {self.unit}"] if self.unit is not None else []
        parts += ["in the time asked for"] if self.since is not None else []
        return ", ".join(parts)

    def wants(self, event: Event) -> bool:
        """An event whose time the log does not say is never too old."""
        if self.since is not None and event.unix_time is not None and event.unix_time < self.since:
            return False
        if self.pid is not None and self.pid not in {event.pid, *(other.pid for other in event.others)}:
            return False
        names = (event.task, *(other.name for other in event.others))
        if self.task is not None and not any(_same_name(self.task, name) for name in names):
            return False
        return self.unit is None or any(_in_unit(self.unit, path) for path in (event.task_memcg, event.oom_memcg))

    def wants_run(self, run: RunRecord) -> bool:
        """The guarded run, unless something else is asked for."""
        if self.since is not None and run.started + (run.seconds or 0.0) < self.since:
            return False
        if self.pid is not None and self.pid != run.pid:
            return False
        return self.unit is None or _in_unit(self.unit, run.cgroup)


def _same_name(asked: str, name: str | None) -> bool:
    """`python` finds python3 and python3.11; a longer name is compared as far as the kernel keeps it."""
    if not name:
        return False
    short = asked.encode()[:_COMM].decode("utf-8", "ignore").casefold()
    return name.casefold().startswith(short)


def _in_unit(unit: str, path: str | None) -> bool:
    return path is not None and any(
        part == unit or part.split(".")[0] == unit or unit in part for part in path.split("/")
    )


def exit_code_of(code: int) -> int:
    """−N, as Python says it, is the shells' 128 + N."""
    return 128 - code if code < 0 else code


def exit_clue(code: int | None) -> Clue | None:
    """What an exit code says by itself."""
    if code is None:
        return None
    known = _EXIT_CODES.get(exit_code_of(code))
    if known is not None:
        kind, cause, meaning = known
        return Clue(kind, cause, meaning, f"exit code {code}")
    if 128 < code < 193:
        return Clue(
            "exit-signal", "unclear", f"{code} is 128 + {code - 128}: ended by signal {code - 128}", f"exit code {code}"
        )
    meaning = f"{code} is the program's own code: it ended by itself, and what it printed last says why"
    return Clue("exit-own", "unclear", meaning, f"exit code {code}")


def parse_since(text: str, now: float) -> float:
    """`10min`, `3 days ago`, `today`, `9:30`, `2026-05-05 10:00`, `@1790000000` as Unix time (local zone)."""
    word = text.strip()
    if match := _SPAN.fullmatch(word):
        return now - float(match[1]) * _SECONDS[match[2].lower()]
    if re.fullmatch(r"@\d{1,12}", word):
        return float(word[1:])
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    if word in ("today", "yesterday"):
        return midnight.timestamp() - (86400 if word == "yesterday" else 0)
    if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", word):
        word = f"{midnight:%Y-%m-%d} {word.rjust(5 if word.count(':') == 1 else 8, '0')}"
    try:
        return datetime.fromisoformat(word).timestamp()
    except (ValueError, OverflowError):
        raise ConfigError(f"--since: not a time: {text!r}", "write 10min, 2h, today, or 2026-05-05 10:00") from None
