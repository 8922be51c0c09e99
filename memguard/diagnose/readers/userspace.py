"""Everybody but the kernel who kills for memory, or reports it -> events; lesser lines -> clues. Pure.

Here: systemd and systemd-oomd, earlyoom, nohang, oomd, and the one door to all others: batch.py (Slurm, LSF, PBS),
containers.py (Kubernetes, Docker), jetsam.py (macOS), python.py (Ray, Dask, notebooks), clues.py. A clue never makes an
out-of-memory verdict by itself: exit code 137 is any SIGKILL.
"""

from __future__ import annotations

import re
from dataclasses import replace

from memguard.diagnose import clues
from memguard.diagnose.clues import Clue, ClueReader, read_size
from memguard.diagnose.commands import CommandReader
from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.readers import batch, containers, jetsam, python
from memguard.records.diagnosis import Event

__all__ = ["KILLERS", "REPORTERS", "TRIGGERS", "UserspaceParser"]

# They kill by themselves; the kernel log says nothing about it.
KILLERS = frozenset({"systemd-oomd", "earlyoom", "nohang", "oomd", "ray", "dask", "lsf", "pbs", "slurmstepd"})
# They report what the kernel (or a platform) did.
REPORTERS = frozenset({"slurm", "kubernetes", "docker", "systemd", "colab", "kaggle"})

_CLUES = (*python.PATTERNS, *clues.PATTERNS)

_OOMD = re.compile(r"(?:Killed|Marked) (/\S{0,1024}?)(?: for killing)? due to (memory (?:pressure for|used) .{1,300})")
_OOMD_USED = re.compile(
    r"memory used \((\d{1,18})\) / total \((\d{1,18})\) and swap used \((\d{1,18})\) / total \((\d{1,18})\)"
)
_OOMD_UNIT = re.compile(r"(?:^|\s)(\S{1,256}): systemd-oomd (?:killed|marked) (\d{1,9}) process\(es\) in this unit")
_UNIT_OOM = re.compile(
    r"(?:^|\s)(\S{1,256}): (?:A process of this unit has been killed by the OOM killer|Failed with result 'oom-kill')"
)
_UNIT_STATUS = re.compile(r"Active: failed \(Result: oom-kill\)")
_UNIT_HEAD = re.compile(r"^[●×*○] (\S{1,256}\.(?:service|scope))")
_UNIT_PEAK = re.compile(r"(?:^|\s)(\S{1,256}): Consumed .{0,60}?([\d.]{1,10}[KMGT]?) memory peak")
_EARLYOOM = re.compile(
    r"sending (SIGTERM|SIGKILL) to process (\d{1,10})(?: uid (\d{1,10}))? \"(.{0,80}?)\": "
    r".{0,80}?VmRSS (\d{1,12}) MiB(?:, cmdline \"(.{0,300}?)\"?$)?"
)
_EARLYOOM_2018 = re.compile(
    r"Killing process '(.{0,80}?)' with signal (\d{1,2}), pid: (\d{1,10}), .{0,40}VmRSS: (\d{1,12}) MiB"
)
_MEMORY_TOTAL = re.compile(r"mem total:\s{0,8}(\d{1,12}) MiB, swap total:\s{0,8}(\d{1,12}) MiB")
_NOHANG_VICTIM = re.compile(r"PID: (\d{1,10}), name: (.{1,64}?), badness: \d{1,9}")
_NOHANG_KILL = re.compile(r"Sending (SIGTERM|SIGKILL) to the victim")
_NOHANG_RSS = re.compile(r"\bVmRSS:\s{0,12}(\d{1,12}) MiB")
_FB_OOMD = re.compile(
    r"oomd kill: [\d.]{1,10} [\d.]{1,10} [\d.]{1,10} (/?\S{0,1024}) (\d{1,19}) ruleset:\[(.{0,200}?)\] "
    r"detectorgroup:\[(.{0,200}?)\] (\(dry\) ?)?killer:(\S{1,80})"
)
_MAX_UNITS = 64
_AFTERWARDS = 40  # lines within which systemd tells a unit's memory peak

# Substrings of every line that can hold an event.
TRIGGERS = (
    "due to memory ",
    "systemd-oomd killed ",
    "systemd-oomd marked ",
    "killed by the OOM killer",
    "oom-kill",
    "Started run-",
    "sending SIG",
    "Killing process '",
    "mem total:",
    ", badness: ",
    "to the victim",
    "oomd kill: ",
    *batch.EVENT_TRIGGERS,
    *containers.EVENT_TRIGGERS,
    *jetsam.EVENT_TRIGGERS,
    *python.EVENT_TRIGGERS,
)


class UserspaceParser:
    """feed() lines in order; it returns the events that became complete. close() returns the rest."""

    def __init__(self) -> None:
        self.commands = CommandReader()
        self._batch = batch.BatchReader()
        self._libraries = python.LibraryReader()
        self._containers = containers.ContainerReader()
        self._jetsam = jetsam.JetsamReader()
        self._totals: tuple[int | None, int | None] = (None, None)  # memory and swap, as earlyoom says at its start
        self._nohang: Event | None = None  # the victim that was chosen, until the signal is sent
        self._nohang_age = 0
        self._units: dict[str, None] = {}  # that were said to have run out of memory
        self._status_unit: str | None = None
        self._clues = ClueReader(_CLUES)
        self._patience = 0

    @property
    def active(self) -> bool:
        """True while lines without a trigger belong to a report that is open."""
        return self._patience > 0 or self._jetsam.active or self._nohang is not None

    def clue_triggers(self) -> tuple[str, ...]:
        """Substrings of every line that can hold a clue that is still looked for."""
        return self._clues.triggers()

    def feed(self, line: Line) -> list[Event]:
        self._patience -= 1
        self.commands.feed(line)
        event = self._read_daemon(line)
        if event is not None:
            return [event]
        found = (
            self._batch.feed(line),
            self._libraries.feed(line),
            self._containers.feed(line),
            self._jetsam.feed(line),
        )
        return [event for event in found if event is not None]

    def close(self) -> list[Event]:
        rest = (self._libraries.close(), self._containers.close(), self._jetsam.close())
        return [event for event in rest if event is not None]

    def read_clue(self, line: Line) -> Clue | None:
        """The first clue in this line."""
        clue = self._clues.read(line)
        return self.commands.complete(clue) if clue is not None else None

    # -- daemons that kill -------------------------------------------------------------------------------------------

    def _read_daemon(self, line: Line) -> Event | None:
        text = line.text
        if "due to memory " in text and (match := _OOMD.search(text)):
            return _systemd_oomd(line, match)
        if "sending SIG" in text and (match := _EARLYOOM.search(text)):
            uid = int(match[3]) if match[3] else None
            return self._earlyoom(line, int(match[2]), match[4], int(match[5]), match[1], uid, match[6])
        if "Killing process '" in text and (match := _EARLYOOM_2018.search(text)):
            signal = "SIGTERM" if match[2] == "15" else "SIGKILL" if match[2] == "9" else f"signal {match[2]}"
            return self._earlyoom(line, int(match[3]), match[1], int(match[4]), signal)
        if "mem total:" in text and (match := _MEMORY_TOTAL.search(text)):
            self._totals = int(match[1]) << 20, int(match[2]) << 20
        elif "oomd kill: " in text and (match := _FB_OOMD.search(text)):
            return _facebook_oomd(line, match)
        elif ("badness: " in text or self._nohang is not None) and (event := self._read_nohang(line)):
            return event
        return self._read_systemd(line)

    def _earlyoom(
        self, line: Line, pid: int, task: str, mib: int, signal: str, uid: int | None = None, command: str | None = None
    ) -> Event:
        memory, swap = self._totals
        return event_at(
            line,
            "earlyoom",
            pid=pid,
            task=task,
            anon_rss=mib << 20,
            uid=uid,
            memory_total=memory,
            swap_total=swap,
            note=signal,
            command=command,
        )

    def _read_nohang(self, line: Line) -> Event | None:
        """The victim stands some lines above the signal that is sent to it."""
        text = line.text
        if match := _NOHANG_VICTIM.search(text):
            self._nohang, self._nohang_age = event_at(line, "nohang", pid=int(match[1]), task=match[2]), 0
            return None
        if self._nohang is None:
            return None
        self._nohang_age += 1
        if self._nohang_age > _AFTERWARDS:
            self._nohang = None
        elif match := _NOHANG_RSS.search(text):
            self._nohang = _with(self._nohang, line, anon_rss=int(match[1]) << 20)
        elif match := _NOHANG_KILL.search(text):
            event, self._nohang = _with(self._nohang, line, note=match[1]), None
            return event
        return None

    def _read_systemd(self, line: Line) -> Event | None:
        text = line.text
        if "systemd-oomd " in text and (match := _OOMD_UNIT.search(text)):
            self._remember(match[1])
            return event_at(
                line, "systemd-oomd", task_memcg=match[1], note=f"{match[2]} process(es) of this unit killed"
            )
        if ("OOM killer" in text or "oom-kill'" in text) and (match := _UNIT_OOM.search(text)):
            self._remember(match[1])
            return event_at(line, "systemd", task_memcg=match[1])
        if " memory peak" in text and (match := _UNIT_PEAK.search(text)) and match[1] in self._units:
            return event_at(line, "systemd", task_memcg=match[1], usage=read_size(match[2]))
        if match := _UNIT_HEAD.match(text):
            self._status_unit = match[1]
        elif "oom-kill)" in text and _UNIT_STATUS.search(text):
            return event_at(line, "systemd", task_memcg=self._status_unit)
        return None

    def _remember(self, unit: str) -> None:
        self._patience = _AFTERWARDS
        self._units.pop(unit, None)
        self._units[unit] = None
        if len(self._units) > _MAX_UNITS:
            del self._units[next(iter(self._units))]


def _systemd_oomd(line: Line, match: re.Match[str]) -> Event:
    used = _OOMD_USED.search(match[2])
    if used is None:
        return event_at(line, "systemd-oomd", task_memcg=match[1], note=match[2])
    memory, total, swap, swap_total = (int(number) for number in used.groups())
    return event_at(
        line,
        "systemd-oomd",
        task_memcg=match[1],
        usage=memory,
        memory_total=total,
        swap_total=swap_total,
        swap_free=max(0, swap_total - swap),
        note="memory and swap were used up",
    )


def _facebook_oomd(line: Line, match: re.Match[str]) -> Event | None:
    """A dry run only says what would have been killed."""
    if match[5]:
        return None
    path = match[1] if match[1].startswith("/") else f"/{match[1]}"
    note = f"rule {match[3]}, {match[4]}, {match[6]}"
    return event_at(line, "oomd", task_memcg=path, usage=int(match[2]) or None, note=note)


def _with(event: Event, line: Line, *, anon_rss: int | None = None, note: str | None = None) -> Event:
    evidence = (*event.evidence, line.raw.strip()[:400])[:12]
    return replace(event, evidence=evidence, line=line.number, anon_rss=anon_rss or event.anon_rss, note=note)
