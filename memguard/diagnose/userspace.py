"""What everybody but the kernel prints: other killers (-> events) and signs that prove less (-> signs). Pure.

Covers systemd-oomd, earlyoom, Slurm, Kubernetes and Docker as killers or their reporters; shells, exit codes, Python,
Rust and C++ as signs. A sign never makes an out-of-memory verdict by itself: exit code 137 is any SIGKILL.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from memguard.diagnose.lines import Line
from memguard.records.diagnosis import Event

__all__ = ["Sign", "read_event", "read_sign", "triggers"]


@dataclass(frozen=True, slots=True)
class Sign:
    """One line that means something. `cause`: memory | allocation | not-memory | unclear."""

    kind: str
    cause: str
    meaning: str
    raw: str


@dataclass(frozen=True, slots=True)
class _Pattern:
    needles: tuple[str, ...]  # one of them is in every line that can match
    regex: re.Pattern[str]
    kind: str
    cause: str
    meaning: str


def _sign(kind: str, cause: str, meaning: str, pattern: str, *needles: str) -> _Pattern:
    return _Pattern(needles, re.compile(pattern), kind, cause, meaning)


_SIGNS = (
    _sign(
        "unit-oom",
        "memory",
        "systemd says that the out-of-memory killer ended a process of this unit",
        r"has been killed by the OOM killer|Failed with result 'oom-kill'|Result: oom-kill",
        "killed by the OOM killer",
        "oom-kill",
    ),
    _sign(
        "memory-error",
        "allocation",
        "Python was refused memory and said so itself; nothing was killed from outside",
        r"(?:^|\W)_?(?:Array)?MemoryError\b(?!Limit)|Unable to allocate [\d.]{1,12} [KMGT]i?B for an array",
        "MemoryError",
        "Unable to allocate",
    ),
    _sign(
        "allocation-failed",
        "allocation",
        "a request for memory was refused by the system; nothing was killed from outside",
        r"memory allocation of \d{1,20} bytes failed|std::bad_alloc|Cannot allocate memory"
        r"|enough memory for the allocation",
        "memory allocation of",
        "std::bad_alloc",
        "Cannot allocate memory",
        "enough memory for the allocation",
    ),
    _sign(
        "segfault",
        "not-memory",
        "a crash: the program touched an address that is not its own (a bug, not a lack of memory)",
        r"segfault at |Segmentation fault|SIGSEGV|[Ee]xit(?:ed)?(?: with)?(?: code| status)?[:= ]{1,8}139\b",
        "segfault at ",
        "Segmentation fault",
        "SIGSEGV",
        "139",
    ),
    _sign(
        "disk-full",
        "not-memory",
        "the disk (or a quota on it) was full",
        r"No space left on device|Disk quota exceeded",
        "No space left on device",
        "Disk quota exceeded",
    ),
    _sign(
        "time-limit",
        "not-memory",
        "the batch system ended it at its time limit",
        r"DUE TO TIME LIMIT|TERM_RUNLIMIT|walltime \d{1,12} exceeded limit",
        "DUE TO TIME LIMIT",
        "TERM_RUNLIMIT",
        "walltime",
    ),
    _sign(
        "not-oom-killed",
        "not-memory",
        "the container runtime says that this was no out-of-memory kill",
        r"\"?OOMKilled\"?\s{0,8}[:=]\s{0,8}false",
        "OOMKilled",
    ),
    _sign(
        "worker-killed",
        "unclear",
        "a worker process was killed from outside; the message does not say by whom",
        r"BrokenProcessPool|TerminatedWorkerError|process pool was terminated abruptly|subprocesses has abruptly died"
        r"|is killed by signal: Killed|terminated with signal SIGKILL",
        "BrokenProcessPool",
        "TerminatedWorkerError",
        "terminated abruptly",
        "abruptly died",
        "killed by signal",
        "signal SIGKILL",
    ),
    _sign(
        "killed",
        "unclear",
        "somebody sent SIGKILL; a shell prints the same for the out-of-memory killer and for kill -9",
        r"^\s{0,20}Killed(?:: 9)?\s{0,20}$|^zsh: killed\s|(?:^|\s)\d{1,10} Killed(?:\s|$)|\]\S?\s{1,4}Killed(?:\s|$)"
        r"|Signals\.SIGKILL|terminated by signal 9\b|status=9/KILL",
        "Killed",
        "killed",
        "SIGKILL",
        "signal 9",
        "9/KILL",
    ),
    _sign(
        "exit-137",
        "unclear",
        "137 is 128 + 9: ended by SIGKILL, whoever sent it (docker stop does too)",
        r"[Ee]xit(?:ed)?[ _]?(?:with )?(?:[Cc]ode|[Ss]tatus)?[\"']?[\s:=(]{1,12}137\b|status=137\b|returned 137\b",
        "137",
    ),
)

_OOMD = re.compile(r"(?:Killed|Marked) (/\S{0,1024}?)(?: for killing)? due to (memory (?:pressure for|used) .{1,300})")
_EARLYOOM = re.compile(
    r"sending (SIGTERM|SIGKILL) to process (\d{1,10})(?: uid (\d{1,10}))? \"(.{0,80}?)\": "
    r".{0,80}?VmRSS (\d{1,12}) MiB"
)
_EARLYOOM_2018 = re.compile(
    r"Killing process '(.{0,80}?)' with signal (\d{1,2}), pid: (\d{1,10}), .{0,40}VmRSS: (\d{1,12}) MiB"
)
_SLURM = re.compile(
    r"Detected (\d{1,9}) oom[-_]kill events?(?:\(s\))? in (?:step |StepId=)([\w.+\[\]-]{1,80}?)\.?(?: cgroup|\s|$)"
)
_SLURM_OLD = re.compile(r"(?:Exceeded (?:step|job) memory limit|exceeded memory limit|hit memory limit at least once)")
_OOM_KILLED = re.compile(r"(?:[Rr]eason\"?:\s{1,12}\"?OOMKilled\b|\"?OOMKilled\"?\s{0,4}:\s{0,4}true\b)")

_EVENT_TRIGGERS = (
    "due to memory ",
    "sending SIG",
    "Killing process '",
    "oom_kill event",
    "oom-kill event",
    "emory limit",
    "OOMKilled",
)


def triggers(without: Collection[str] = ()) -> tuple[str, ...]:
    """Substrings of every line that can hold an event, or a sign of a kind that is not in `without`."""
    wanted = [needle for pattern in _SIGNS if pattern.kind not in without for needle in pattern.needles]
    return tuple(dict.fromkeys((*_EVENT_TRIGGERS, *wanted)))


def read_event(line: Line) -> Event | None:
    """The kill that this line reports, if it reports one by somebody else than the kernel's own log."""
    text = line.text
    if "due to memory " in text and (match := _OOMD.search(text)):
        return _event(line, "systemd-oomd", memcg=match[1], note=match[2])
    if "sending SIG" in text and (match := _EARLYOOM.search(text)):
        uid = int(match[3]) if match[3] else None
        return _event(line, "earlyoom", int(match[2]), match[4], int(match[5]) << 20, uid, note=match[1])
    if "Killing process '" in text and (match := _EARLYOOM_2018.search(text)):
        signal = "SIGTERM" if match[2] == "15" else f"signal {match[2]}"
        return _event(line, "earlyoom", int(match[3]), match[1], int(match[4]) << 20, note=signal)
    if "oom" in text and (match := _SLURM.search(text)):
        return _event(line, "slurm", memcg=f"step {match[2]}", note=f"{match[1]} kill(s) in this step")
    if (
        "emory limit" in text
        and ("slurm" in line.raw or "StepId" in text or "step" in text)
        and _SLURM_OLD.search(text)
    ):
        return _event(line, "slurm", note="memory limit exceeded")
    if "OOMKilled" in text and _OOM_KILLED.search(text):
        return _event(line, "docker" if "true" in text else "kubernetes")
    return None


def read_sign(line: Line, without: Collection[str] = ()) -> Sign | None:
    """The first sign in this line whose kind is not in `without`."""
    text = line.text
    for pattern in _SIGNS:
        if (
            pattern.kind not in without
            and any(needle in text for needle in pattern.needles)
            and pattern.regex.search(text)
        ):
            return Sign(pattern.kind, pattern.cause, pattern.meaning, line.raw.strip()[:400])
    return None


def _event(
    line: Line,
    killer: str,
    pid: int | None = None,
    task: str | None = None,
    rss: int | None = None,
    uid: int | None = None,
    *,
    memcg: str | None = None,
    note: str | None = None,
) -> Event:
    return Event(
        time=line.time,
        killer=killer,
        pid=pid,
        task=task,
        anon_rss=rss,
        task_memcg=memcg,
        uid=uid,
        evidence=(line.raw.strip()[:400],),
        uptime=line.uptime,
        host=line.host,
        note=note,
    )
