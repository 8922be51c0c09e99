"""Events + the last guarded run + kernel counters -> the verdict. Pure.

What it holds to: the process that invoked the killer is not the victim; exit code 137 alone proves nothing; a log that
is given by name is judged alone; a counter says how many, never whom.

Verdicts: oom-kill (the machine was full), memcg-oom (a cgroup's limit was reached), userspace-killer (earlyoom,
systemd-oomd), guard (memguard stopped the run), allocation-failure (memory was refused, nothing was killed),
hang (the guard ended a run that
stood still), not-memory, unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from memguard.diagnose import advice, wording
from memguard.diagnose.collection import LogFindings
from memguard.records.diagnosis import Counter, Diagnosis, Event
from memguard.records.run import RunRecord

__all__ = ["MACHINE_COUNTER", "MEMORY_VERDICTS", "Evidence", "decide"]

MEMORY_VERDICTS = frozenset({"oom-kill", "memcg-oom", "userspace-killer", "guard", "allocation-failure"})

_CLOCK_SLACK = 5.0  # seconds that the kernel's clock and the wall clock may be apart
_REPORTERS = {"slurm", "kubernetes", "docker"}  # they report a kill by a cgroup's limit
_SHOWN_EVENTS = 20
MACHINE_COUNTER = "/proc/vmstat"  # its oom_kill counts every kill since boot, whichever limit it was for
_EXIT_GUARD = 75  # of `memguard run`, whenever the guard ended the run (EX_TEMPFAIL of sysexits.h)
_CAUSES = ("memory", "allocation", "not-memory", "unclear")  # the sign that says most first


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was gathered. `run` and `counters` stay empty for a log that was given by name."""

    log: LogFindings | None  # None: no log could be read
    named: bool  # the user said which log
    run: RunRecord | None = None
    counters: tuple[Counter, ...] = ()
    sources: tuple[str, ...] = ()
    now: float | None = None


def decide(evidence: Evidence, *, every_event: bool = False) -> Diagnosis:
    """The one Diagnosis; with `every_event` it lists all events instead of the last few."""
    run = None if evidence.named else evidence.run
    events = evidence.log.events if evidence.log else ()
    matched = _match(run, events) if run else None
    if run is not None and matched is None and _ended_by_guard(run) and not _newer(events, run):
        return _guard(evidence, run)
    event = matched or (events[-1] if events else None)
    if event is not None:
        return _kill(evidence, event, run if matched else None, every_event)
    if run is not None and (run.exit_signal == 9 or run.kernel_kills):
        return _killed_run(evidence, run)
    counters = [counter for counter in evidence.counters if counter.oom_kill > 0 and counter.path != MACHINE_COUNTER]
    if counters and evidence.log is None:
        return _counted(evidence, counters)
    if run is not None:
        return _quiet_run(evidence, run)
    return _signs(evidence) if evidence.log is not None else _blind(evidence)


def _match(run: RunRecord | None, events: tuple[Event, ...]) -> Event | None:
    """The kernel's kill of a process of this run: by cgroup, else by pid, and within the run's time."""
    if run is None:
        return None
    for event in reversed(events):
        if event.killer != "kernel" or not _during(run, event):
            continue
        same_cgroup = run.cgroup is not None and _within(event.task_memcg, run.cgroup)
        same_pid = run.pid is not None and run.pid in {event.pid, *(other.pid for other in event.others)}
        table_pid = run.pid is not None and run.pid in {task.pid for task in event.tasks}
        # In a cgroup of its own every victim is the run's; in a shared one only its own processes are.
        if same_pid or (same_cgroup and (table_pid or run.exit_signal == 9)):
            return event
    return None


def _during(run: RunRecord, event: Event) -> bool:
    if event.unix_time is None:
        return False
    end = run.started + run.seconds if run.seconds is not None else float("inf")
    return run.started - _CLOCK_SLACK <= event.unix_time <= end + _CLOCK_SLACK


def _within(path: str | None, parent: str) -> bool:
    """`parent` may be the whole directory (/sys/fs/cgroup/…/a) where the kernel's log says /a."""
    if not path or path == "/":
        return False
    return parent == path or parent.endswith(path) or path.startswith(parent.rstrip("/") + "/")


def _ended_by_guard(run: RunRecord) -> bool:
    return run.exit_code == _EXIT_GUARD and run.termination_reason in ("memory", "forecast", "hang")


def _newer(events: tuple[Event, ...], run: RunRecord) -> bool:
    """Whether a kill came after the run had ended. Without a time of its own an event counts as older."""
    end = run.started + (run.seconds or 0.0)
    return any(event.unix_time is not None and event.unix_time > end for event in events[-1:])


def _kill(evidence: Evidence, event: Event, run: RunRecord | None, every_event: bool) -> Diagnosis:
    log = evidence.log
    events = log.events if log else (event,)
    verdict = _verdict(event)
    told = event.killer != "kernel" or event.constraint is not None or event.oom_memcg is not None
    certain = told and (event.pid is not None or event.killer in ("systemd-oomd", *_REPORTERS))
    others = tuple(other for other in reversed(events) if other is not event)
    listed = (event, *(others if every_event else others[: _SHOWN_EVENTS - 1]))
    count = log.event_count if log else 1
    return Diagnosis(
        verdict=verdict,
        confidence="certain" if certain else "likely",
        events=listed,
        explanation=wording.explain_kill(event, verdict, events, count, run, evidence.now),
        advice=advice.for_kill(event, verdict, run),
        sources=evidence.sources,
        run_id=run.id if run else None,
        evidence=event.evidence,
        event_count=count,
        counters=evidence.counters,
    )


def _verdict(event: Event) -> str:
    if event.killer in _REPORTERS:
        return "memcg-oom"
    if event.killer != "kernel":
        return "userspace-killer"
    memcg = event.constraint == "CONSTRAINT_MEMCG" or (event.constraint is None and event.oom_memcg is not None)
    return "memcg-oom" if memcg else "oom-kill"


def _guard(evidence: Evidence, run: RunRecord) -> Diagnosis:
    log = evidence.log
    event = Event(
        time=None,
        killer="memguard",
        pid=run.culprit.pid if run.culprit and run.culprit.pid else run.pid,
        task=run.script or (run.command[0] if run.command else None),
        usage=run.peak,
        limit=run.limit.value if run.limit else None,
        limit_name=run.limit.name if run.limit else None,
        unix_time=run.started + run.seconds if run.seconds is not None else None,
    )
    return Diagnosis(
        verdict="hang" if run.termination_reason == "hang" else "guard",
        confidence="certain",
        events=(event, *(reversed(log.events[-_SHOWN_EVENTS:]) if log else ())),
        explanation=wording.explain_guard(run, evidence.now),
        advice=advice.for_run(run),
        sources=evidence.sources,
        run_id=run.id,
        evidence=tuple(f"{d.time:.1f} s  {d.action}: {d.reason}" for d in run.decisions[-6:]),
        event_count=1 + (log.event_count if log else 0),
        counters=evidence.counters,
    )


def _killed_run(evidence: Evidence, run: RunRecord) -> Diagnosis:
    """SIGKILL, but no kill in the log: it may have been memory only where a counter moved or the log was hidden."""
    if run.kernel_kills:
        steps = (*advice.for_run(run), *advice.for_counters())
        return _plain(evidence, "oom-kill", "likely", wording.explain_counted_run(run), steps, run)
    return _plain(
        evidence,
        "unknown",
        "weak",
        wording.explain_sigkill(run, log_read=evidence.log is not None, counters=evidence.counters),
        advice.for_unknown(run, log_read=evidence.log is not None),
        run,
    )


def _counted(evidence: Evidence, counters: list[Counter]) -> Diagnosis:
    return _plain(
        evidence, "memcg-oom", "weak", wording.explain_counters(counters), advice.for_counters(), evidence.run
    )


def _blind(evidence: Evidence) -> Diagnosis:
    """No log could be read, and nothing else says anything: that is no "nothing happened"."""
    kills = next((counter.oom_kill for counter in evidence.counters if counter.path == MACHINE_COUNTER), None)
    return _plain(evidence, "unknown", "weak", wording.explain_blind(kills), advice.for_counters(), None)


def _quiet_run(evidence: Evidence, run: RunRecord) -> Diagnosis:
    failed = run.exit_code not in (0, None)
    return _plain(
        evidence,
        "not-memory" if failed and evidence.log is not None else "unknown",
        "likely" if failed else "weak",
        wording.explain_quiet_run(run, evidence.log.lines if evidence.log else None),
        advice.for_unknown(run, log_read=evidence.log is not None),
        run,
    )


def _signs(evidence: Evidence) -> Diagnosis:
    """No event at all: what the lesser signs allow to say."""
    signs = evidence.log.signs if evidence.log else ()
    lines = evidence.log.lines if evidence.log else None
    chosen = next((sign for cause in _CAUSES for sign in signs if sign.cause == cause), None)
    verdict, confidence = {
        None: ("unknown", "weak"),
        "memory": ("oom-kill", "likely"),
        "allocation": ("allocation-failure", "likely"),
        "not-memory": ("not-memory", "likely"),
        "unclear": ("unknown", "weak"),
    }[chosen.cause if chosen else None]
    return _plain(
        evidence,
        verdict,
        confidence,
        wording.explain_signs(chosen, lines, named=evidence.named),
        advice.for_signs(chosen, named=evidence.named),
        None,
        tuple(dict.fromkeys(sign.raw for sign in signs if chosen and sign.cause == chosen.cause))[:6],
    )


def _plain(
    evidence: Evidence,
    verdict: str,
    confidence: str,
    explanation: str,
    steps: tuple[str, ...],
    run: RunRecord | None,
    quotes: tuple[str, ...] = (),
) -> Diagnosis:
    return Diagnosis(
        verdict=verdict,
        confidence=confidence,
        events=(),
        explanation=explanation,
        advice=steps,
        sources=evidence.sources,
        run_id=run.id if run else None,
        evidence=quotes,
        event_count=0,
        counters=evidence.counters,
    )
