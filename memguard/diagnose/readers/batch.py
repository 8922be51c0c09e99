"""What Slurm prints when a job's memory limit ended it -> events. Pure. Other batch systems: messages/schedulers.py.

Its wordings by version (src/slurmd/common/jobacct…, src/plugins/task/cgroup):
  ≤ 2017     "Exceeded step memory limit at some point." (a clue: the job may have ended well)
  2018       "Detected N oom-kill event(s) in step J.S cgroup."
  2018–2020  the same + "Some of your processes may have been killed by the cgroup out-of-memory handler."
  2020–2022  "in StepId=J.S cgroup." and, later, without "cgroup"
  ≥ 22.05    "Detected N oom_kill event(s) in StepId=J.S. Some of the step tasks have been OOM Killed."
Slurm only reports what the kernel did; where it samples itself, it says "being killed".
"""

from __future__ import annotations

import re

from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.log_reader import LogReader
from memguard.records.diagnosis import Event

__all__ = ["BatchReader"]

_STEP = re.compile(
    r"Detected (\d{1,9}) oom[-_]kill events?(?:\(s\))? in (?:step |StepId=)([\w.+\[\]-]{1,80}?)\.?(?: cgroup|\s|$)"
)
_SRUN = re.compile(r"(?:srun: )?error: (\S{1,64}): tasks? ([\d,-]{1,40}): Out Of Memory")
_EXCEEDED = re.compile(r"(?:Job|[Ss]tep|StepId=)\s{0,2}([\w.]{1,40}) exceeded (?:\w{1,10} )?memory limit")
_BEING_KILLED = re.compile(r"exceeded (?:\w{1,10} )?memory limit \((\d{1,15}) ?> ?(\d{1,15})\), being killed")
_STATE = re.compile(r"\bOUT_OF_ME(?:MORY|\+)|State: OUT_OF_MEMORY|\bOOM\b.{0,20}Exit code 0:125")


class BatchReader(LogReader):
    """One line is one event; several lines about one job are joined later (collection.py)."""

    TRIGGERS = (
        "oom_kill event",
        "oom-kill event",
        "Out Of Memory",
        "emory limit",
        "OUT_OF_ME",
        "Exit code 0:125",
    )
    KILLERS = frozenset({"slurmstepd"})
    REPORTERS = frozenset({"slurm"})

    def feed(self, line: Line) -> list[Event]:
        event = _read(line)
        return [event] if event is not None else []


def _read(line: Line) -> Event | None:
    text = line.text
    if "oom" in text and (match := _STEP.search(text)):
        return event_at(line, "slurm", task_memcg=f"step {match[2]}", note=f"{match[1]} kill(s) in this step")
    if "Out Of Memory" in text and (match := _SRUN.search(text)):
        return event_at(line, "slurm", note=f"task {match[2]} on {match[1]}")
    if "emory limit" in text:
        return _old_slurm(line)
    if ("OUT_OF_ME" in text or "0:125" in text) and _STATE.search(text):
        job = re.match(r"\s{0,8}(\d{1,12}(?:_\d{1,9})?)(?:\.\w{1,12})?\s", text)
        return event_at(line, "slurm", task_memcg=f"step {job[1]}" if job else None, note="job state OUT_OF_MEMORY")
    return None


def _old_slurm(line: Line) -> Event | None:
    """≤ 2017 by sampling; anybody's log may say "memory limit", so Slurm must be named."""
    text = line.text
    match = _EXCEEDED.search(text)
    if match is None or not any(word in line.raw for word in ("slurm", "StepId", "step ", "error: Job ", "Step ")):
        return None
    numbers = _BEING_KILLED.search(text)  # in KB (slurm's jobacct_gather, ≤ 19.05)
    return event_at(
        line,
        "slurmstepd" if numbers else "slurm",
        task_memcg=f"step {match[1]}",
        note="the job exceeded its memory limit",
        usage=int(numbers[1]) * 1024 if numbers else None,
        limit=int(numbers[2]) * 1024 if numbers else None,
    )
