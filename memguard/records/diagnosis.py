"""diagnosis/1: why a process was "Killed", as far as the evidence goes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Counter", "Diagnosis", "Event", "PlanComparison", "PlanPeak", "TaskRow"]


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One row of the kernel's task table, pages turned into bytes."""

    pid: int
    name: str
    rss: int
    swap: int | None = None
    rss_anon: int | None = None
    rss_file: int | None = None
    rss_shmem: int | None = None
    oom_score_adj: int | None = None
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One kill (or refusal). Sizes in bytes; None where the log does not say."""

    time: str | None  # as the log prints it
    killer: str  # kernel | memguard | systemd-oomd | earlyoom | slurm | …
    pid: int | None  # the victim, as the log's own pid namespace counts (the kernel: the host's)
    task: str | None  # None: the log is cut before it names the victim
    anon_rss: int | None = None
    limit: int | None = None
    oom_memcg: str | None = None
    task_memcg: str | None = None
    constraint: str | None = None  # CONSTRAINT_NONE | CONSTRAINT_MEMCG | …
    usage: int | None = None
    total_vm: int | None = None
    file_rss: int | None = None
    shmem_rss: int | None = None
    uid: int | None = None
    oom_score_adj: int | None = None
    invoker: str | None = None
    invoker_pid: int | None = None
    swap_total: int | None = None
    swap_free: int | None = None
    memory_total: int | None = None
    categories: dict[str, int] | None = None  # anon, file, shmem, kernel, … as the kernel counted
    tasks: tuple[TaskRow, ...] = ()
    evidence: tuple[str, ...] = ()  # the log's own lines
    uptime: float | None = None  # seconds, the kernel's own clock
    unix_time: float | None = None  # seconds since 1970, where `time` can be turned into it
    host: str | None = None
    limit_name: str | None = None  # memory.max | memory.limit_in_bytes | memory.memsw.limit_in_bytes | …
    cgroup_version: int | None = None
    others: tuple[TaskRow, ...] = ()  # tasks killed along with the victim (memory.oom.group, shared memory)
    task_count: int | None = None  # rows of the kernel's task table; `tasks` holds the largest of them
    page_size: int | None = None  # bytes; as deduced from the log
    swap_usage: int | None = None  # bytes of the limited cgroup in swap
    note: str | None = None  # what else the log says about this event
    line: int | None = None  # number of the log's line that names the kill, from 1
    command: str | None = None  # the victim's command line, where a log or a shell shows it
    kernel_release: str | None = None  # such as 6.1.0-50-cloud-amd64


@dataclass(frozen=True, slots=True)
class Counter:
    """A kill counter of the kernel's, which needs no right to read: it says how many, never whom or when."""

    path: str  # the cgroup's directory
    oom_kill: int  # since the cgroup was made
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class PlanPeak:
    """What one plan would have needed for the input, by `memguard estimate`; bytes, the interpreter included."""

    name: str
    low: int
    expected: int
    high: int


@dataclass(frozen=True, slots=True)
class PlanComparison:
    """Estimate against fact: what the input needs by each plan, and what was there when it ended."""

    inputs: tuple[str, ...]
    plans: tuple[PlanPeak, ...]  # the script's own plan first, where it could be read out of the script
    script_plan: str | None  # the name of that plan
    held: int | None  # bytes the victim, or the run, held when it ended
    allowed: int | None  # bytes of the limit that was hit
    recommended: str | None = None  # the plan to take


@dataclass(frozen=True, slots=True)
class Diagnosis:
    SCHEMA = "memguard.diagnosis/1"
    LINES = ("explanation",)  # a text of several lines

    # oom-kill | memcg-oom | userspace-killer | allocation-failure | guard | thrashing | shm-full | hang | not-memory
    # | unknown
    verdict: str
    confidence: str  # certain | likely | weak
    events: tuple[Event, ...]  # the one that the verdict is about first
    explanation: str  # the first line is the answer in one sentence
    advice: tuple[str, ...]  # cheapest first
    sources: tuple[str, ...] = ()  # what was read, and what could not be, each with its reason
    run_id: str | None = None  # the guarded run it was matched with
    evidence: tuple[str, ...] = ()  # the lines the verdict rests on
    event_count: int = 0  # all events found, also those that `events` leaves out
    counters: tuple[Counter, ...] = ()
    command: str | None = None  # the command line that was ended, where anything tells it
    script: str | None = None  # the Python script in it
    inputs: tuple[str, ...] = ()  # the files it read, as far as anything tells
    place: str | None = None  # the script's line in the traceback or the guard's evidence: prepare.py:9
    comparison: PlanComparison | None = None
