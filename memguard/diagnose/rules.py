"""Events + the last guarded run + kernel counters + the machine's state -> the verdict. Pure.

Its principles: the process that invoked the killer is not the victim. Exit code 137 alone proves nothing. A log that is
given by name is judged alone. A counter says how many, never whom. A report about a kill is not a second kill.

Verdicts: oom-kill (the machine was full), memcg-oom (a cgroup's limit was reached), userspace-killer (earlyoom,
systemd-oomd, Ray, LSF, …), guard (memguard stopped the run), allocation-failure (memory was refused, nothing was
killed), shm-full (/dev/shm, another limit than RAM), thrashing (nothing was killed, but memory was so short that the
machine stood still), hang (something waits for a worker that is gone), not-memory, unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from memguard.diagnose import hints, kill_wording, wording
from memguard.diagnose.choice import CLOCK_SLACK, choose_clue, choose_event, match_run, other_meanings
from memguard.diagnose.collection import LogFindings
from memguard.diagnose.commands import split_command
from memguard.diagnose.query import Query, exit_clue
from memguard.diagnose.readers import KILLERS, REPORTERS
from memguard.records.diagnosis import Counter, Diagnosis, Event
from memguard.records.run import RunRecord
from memguard.records.visible import shows

__all__ = ["MACHINE_COUNTER", "MEMORY_VERDICTS", "Evidence", "Pressure", "decide"]

MEMORY_VERDICTS = frozenset(
    {"oom-kill", "memcg-oom", "userspace-killer", "guard", "allocation-failure", "shm-full", "thrashing"}
)

_NO_QUERY = Query()
_ANY_LIMIT = {
    "systemd",
    "colab",
    "kaggle",
    "system-oom",
}  # what they report may have been the machine's memory or a limit
_SHOWN_EVENTS = 20
MACHINE_COUNTER = "/proc/vmstat"  # its oom_kill counts every kill since boot, whichever limit it was for
_EXIT_GUARD = 75  # of `memguard run`, whenever the guard ended the run (EX_TEMPFAIL of sysexits.h)
# Percent of the last minute in which every task waited for memory ("full" of the kernel's accounting/psi): above it,
# work has all but stopped.
_THRASHING = 20.0
_FULL_SHM = 0.97
_CLUE_VERDICTS = {
    "memory": ("oom-kill", "likely"),
    "shm": ("shm-full", "likely"),
    "allocation": ("allocation-failure", "likely"),
    "thrashing": ("thrashing", "likely"),
    "not-memory": ("not-memory", "likely"),
    "hang": ("hang", "weak"),
    "unclear": ("unknown", "weak"),
}


@dataclass(frozen=True, slots=True)
class Pressure:
    """The machine now: percent of the last minute in which all tasks waited for memory, swap and /dev/shm in bytes."""

    full_avg60: float | None = None
    swap_total: int | None = None
    swap_free: int | None = None
    shm_used: int | None = None
    shm_total: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was gathered. `run`, `counters` and `pressure` stay empty for a log that was given by name."""

    log: LogFindings | None  # None: no log could be read
    named: bool  # the user said which log
    run: RunRecord | None = None
    counters: tuple[Counter, ...] = ()
    sources: tuple[str, ...] = ()
    now: float | None = None
    query: Query = _NO_QUERY
    pressure: Pressure | None = None
    uid: int | None = None  # of the user who asks; None for root, who may ask about everybody
    runs_since: int = 0  # guarded runs that ended well after `run`


def decide(evidence: Evidence, *, every_event: bool = False) -> Diagnosis:
    """The one Diagnosis; with `every_event` it lists all events instead of the last few."""
    run = None if evidence.named else evidence.run
    run = run if run is not None and evidence.query.wants_run(run) else None
    evidence = replace(evidence, run=run)
    events = tuple(filter(evidence.query.wants, evidence.log.events)) if evidence.log else ()
    if not evidence.query.may_be_kill:
        events = ()
    matched = match_run(run, events) if run else None
    own = tuple(event for event in events if _may_be_own(evidence, event))
    if run is not None and matched is None and _ended_by_guard(run) and not _newer(own, run):
        return _guard(evidence, run)
    if run is not None and run.watcher_death and not run.kernel_kills and not _since(events, run):
        return _clean_run(evidence, run)
    if run is not None and matched is None and not own and events and (run.exit_signal == 9 or run.kernel_kills):
        return _killed_run(evidence, run)
    chosen = choose_event(own or events)
    if matched is not None or chosen is not None:
        event, storm = (matched, 1) if matched is not None or chosen is None else chosen
        assert event is not None
        return _kill(evidence, event, events, run if matched else None, every_event, storm)
    if run is not None and (run.exit_signal == 9 or run.kernel_kills):
        return _killed_run(evidence, run)
    if evidence.pressure is not None and (verdict := _state(evidence.pressure)):
        return _machine_state(evidence, evidence.pressure, verdict)
    if evidence.log is not None and evidence.log.events and evidence.query.asked and evidence.query.may_be_kill:
        return _others(evidence, evidence.log)
    counters = [counter for counter in evidence.counters if counter.oom_kill > 0 and counter.path != MACHINE_COUNTER]
    if counters and evidence.log is None:
        return _counted(evidence, counters)
    if run is not None and evidence.query.exit_code is None:
        return _clean_run(evidence, run)
    return _clues(evidence) if evidence.log is not None else _no_evidence(evidence)


def _may_be_own(evidence: Evidence, event: Event) -> bool:
    """A victim of another user is somebody else's. Where the log says no user, it may be one's own."""
    return evidence.named or None in (evidence.uid, event.uid) or evidence.uid == event.uid


def _ended_by_guard(run: RunRecord) -> bool:
    return run.exit_code == _EXIT_GUARD and run.termination_reason in ("memory", "forecast", "hang")


def _since(events: tuple[Event, ...], run: RunRecord) -> bool:
    """Whether there was a kill during the run, its watcher's perhaps, or after it."""
    return any(event.unix_time is not None and event.unix_time >= run.started - CLOCK_SLACK for event in events)


def _newer(events: tuple[Event, ...], run: RunRecord) -> bool:
    """Whether a kill came after the run had ended. Without a time of its own an event counts as older."""
    end = run.started + (run.seconds or 0.0)
    return any(event.unix_time is not None and event.unix_time > end for event in events[-1:])


def _kill(
    evidence: Evidence, event: Event, events: tuple[Event, ...], run: RunRecord | None, every_event: bool, storm: int
) -> Diagnosis:
    log = evidence.log
    verdict, confidence = _judge(event)
    others = tuple(other for other in reversed(events) if other is not event)
    last = event is events[-1] if events else True
    hidden = log.event_count - len(log.events) if log else 0
    count = len(events) + (0 if evidence.query.asked else hidden)
    # A command that was typed in the same text belongs to the kill; the machine's log knows none.
    typed = log.command if log and evidence.named else None
    command = evidence.query.command or event.command or typed or _run_command(run)
    script, inputs = _names(command, run)
    if run is None and command is not None:
        event = replace(event, command=command)
    workers_left = any(clue.cause == "hang" for clue in log.clues) if log else False
    return Diagnosis(
        verdict=verdict,
        confidence=confidence,
        events=(event, *(others if every_event else others[: _SHOWN_EVENTS - 1])),
        explanation=shows(kill_wording.explain_kill)(
            event,
            verdict,
            events,
            count,
            run,
            evidence.now,
            last=last,
            hang=workers_left,
            storm=storm,
            foreign=run is None and not _may_be_own(evidence, event),
        ),
        advice=hints.for_kill(event, verdict, script, inputs, run),
        sources=evidence.sources,
        run_id=run.id if run else None,
        evidence=event.evidence,
        event_count=count,
        counters=evidence.counters,
        command=command,
        script=script,
        inputs=inputs,
        place=_place(run),
    )


def _names(command: str | None, run: RunRecord | None) -> tuple[str | None, tuple[str, ...]]:
    script, inputs = split_command(command) if command else (None, ())
    if run is not None:
        return run.script or script, run.inputs or inputs
    return script, inputs


def _run_command(run: RunRecord | None) -> str | None:
    return " ".join(run.command) if run is not None else None


def _place(run: RunRecord | None) -> str | None:
    culprit = run.culprit if run is not None else None
    return f"{culprit.file}:{culprit.line}" if culprit and culprit.file and culprit.line else None


def _judge(event: Event) -> tuple[str, str]:
    """(verdict, confidence) of one kill."""
    if event.killer in KILLERS:
        return "userspace-killer", "certain"
    if event.killer == "jetsam":
        return "oom-kill", "certain" if event.pid is not None else "likely"
    if event.killer in REPORTERS:
        return ("oom-kill", "likely") if event.killer in _ANY_LIMIT else ("memcg-oom", "certain")
    memcg = event.constraint == "CONSTRAINT_MEMCG" or (event.constraint is None and event.oom_memcg is not None)
    stated = event.constraint is not None or event.oom_memcg is not None
    return "memcg-oom" if memcg else "oom-kill", "certain" if stated and event.pid is not None else "likely"


def _beside(evidence: Evidence, run: RunRecord) -> str:
    """What else there is to know beside a run of one's own: later runs, and kills that are not the run's."""
    events = evidence.log.events if evidence.log else ()
    later = [event for event in events if event.unix_time is not None and event.unix_time >= run.started]
    return shows(wording.explain_beside)(evidence.runs_since, later[-1] if later else None)


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
        explanation=shows(wording.explain_guard)(run, evidence.now) + _beside(evidence, run),
        advice=hints.for_run(run),
        sources=evidence.sources,
        run_id=run.id,
        evidence=tuple(f"{d.time:.1f} s  {d.action}: {d.reason}" for d in run.decisions[-6:]),
        event_count=1 + (log.event_count if log else 0),
        counters=evidence.counters,
        command=_run_command(run),
        script=run.script,
        inputs=run.inputs,
        place=_place(run),
    )


def _killed_run(evidence: Evidence, run: RunRecord) -> Diagnosis:
    """SIGKILL, but no kill in the log: it may have been memory only where a counter moved or the log was hidden."""
    if run.kernel_kills:
        steps = (*hints.for_run(run), *hints.for_counters())
        words = shows(wording.explain_counted_run)(run) + _beside(evidence, run)
        return _plain(evidence, "oom-kill", "likely", words, steps, run)
    return _plain(
        evidence,
        "unknown",
        "weak",
        shows(wording.explain_sigkill)(run, log_read=evidence.log is not None, counters=evidence.counters)
        + _beside(evidence, run),
        hints.for_unknown(run, log_read=evidence.log is not None),
        run,
    )


def _state(pressure: Pressure) -> str | None:
    if pressure.shm_total and (pressure.shm_used or 0) >= pressure.shm_total * _FULL_SHM:
        return "shm-full"
    if pressure.full_avg60 is not None and pressure.full_avg60 >= _THRASHING:
        return "thrashing"
    return None


def _machine_state(evidence: Evidence, pressure: Pressure, verdict: str) -> Diagnosis:
    explanation = shows(wording.explain_state)(
        verdict, pressure.full_avg60, pressure.swap_total, pressure.swap_free, pressure.shm_used, pressure.shm_total
    )
    return _plain(evidence, verdict, "likely", explanation, hints.for_state(verdict), evidence.run)


def _counted(evidence: Evidence, counters: list[Counter]) -> Diagnosis:
    return _plain(
        evidence, "memcg-oom", "weak", shows(wording.explain_counters)(counters), hints.for_counters(), evidence.run
    )


def _no_evidence(evidence: Evidence) -> Diagnosis:
    """No log could be read, and nothing else says anything: it does not follow that nothing happened."""
    kills = next((counter.oom_kill for counter in evidence.counters if counter.path == MACHINE_COUNTER), None)
    return _plain(evidence, "unknown", "weak", shows(wording.explain_no_evidence)(kills), hints.for_counters(), None)


def _others(evidence: Evidence, log: LogFindings) -> Diagnosis:
    """There are kills, but none that was asked for."""
    last = log.events[-1]
    explanation = shows(wording.explain_others)(evidence.query.words, last, log.event_count)
    clue = exit_clue(evidence.query.exit_code)
    quotes = (clue.raw,) if clue else ()
    return _plain(evidence, "unknown", "weak", explanation, hints.for_others(last), None, quotes)


def _clean_run(evidence: Evidence, run: RunRecord) -> Diagnosis:
    failed = run.exit_code not in (0, None) and run.watcher_death is None
    return _plain(
        evidence,
        "not-memory" if failed and evidence.log is not None else "unknown",
        "likely" if failed else "weak",
        shows(wording.explain_clean_run)(run, evidence.log.lines if evidence.log else None),
        hints.for_unknown(run, log_read=evidence.log is not None),
        run,
    )


def _clues(evidence: Evidence) -> Diagnosis:
    """No event at all: what the clues alone allow to say."""
    log = evidence.log
    clues = list(log.clues) if log else []
    asked = exit_clue(evidence.query.exit_code)
    if asked is not None:
        # In a machine's own log, old clues of other programs say nothing about this exit code.
        clues = [*(clues if evidence.named else ()), asked]
    chosen = choose_clue(clues)
    verdict, confidence = _CLUE_VERDICTS[chosen.cause] if chosen else ("unknown", "weak")
    if not evidence.named and asked is None and chosen is not None and chosen.cause != "memory":
        verdict, confidence, chosen = "unknown", "weak", None
    typed = next((clue.command for clue in reversed(clues) if clue.command), log.command if log else None)
    command = evidence.query.command or typed
    script, inputs = _names(command, None)
    quoted = tuple(dict.fromkeys(clue.raw for clue in clues if chosen and clue.cause == chosen.cause))[:6]
    lines = log.lines if log else None
    also = other_meanings(clues, chosen)
    prose = evidence.named and log is not None and log.prose
    kills = next((counter.oom_kill for counter in evidence.counters if counter.path == MACHINE_COUNTER), 0)
    diagnosis = _plain(
        evidence,
        verdict,
        confidence,
        shows(wording.explain_clues)(
            chosen, lines, named=evidence.named, command=command, prose=prose, kills=kills, also=also
        ),
        hints.for_clues(chosen, script, inputs, named=evidence.named),
        None,
        quoted,
    )
    place = chosen.place if chosen else None
    return replace(diagnosis, command=command, script=script, inputs=inputs, place=place)


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
        command=_run_command(run),
        script=run.script if run else None,
        inputs=run.inputs if run else (),
        place=_place(run),
    )
