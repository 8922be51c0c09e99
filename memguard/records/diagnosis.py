"""diagnosis/1: why a process was "Killed", as far as the evidence goes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Diagnosis", "Event", "TaskRow"]


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
    killer: str  # kernel | memguard | systemd-oomd | …
    pid: int | None  # the victim, as the log's own pid namespace counts
    task: str | None
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


@dataclass(frozen=True, slots=True)
class Diagnosis:
    SCHEMA = "memguard.diagnosis/1"

    verdict: str
    confidence: str  # certain | likely | weak
    events: tuple[Event, ...]
    explanation: str
    advice: tuple[str, ...]
    sources: tuple[str, ...] = ()  # what was read, and what could not be, each with its reason
    run_id: str | None = None  # the guarded run it was matched with
