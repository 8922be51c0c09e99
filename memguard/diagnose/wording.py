"""Every verdict but a kill in plain words: the first line is the answer, the others are the facts behind it. Pure."""

from __future__ import annotations

from memguard.diagnose.clues import Clue
from memguard.diagnose.kill_wording import run_name, victim_name
from memguard.records.diagnosis import Counter, Event
from memguard.records.run import RunRecord
from memguard.units import format_count, format_duration, format_size

__all__ = [
    "explain_beside",
    "explain_clean_run",
    "explain_clues",
    "explain_counted_run",
    "explain_counters",
    "explain_guard",
    "explain_no_evidence",
    "explain_others",
    "explain_sigkill",
    "explain_state",
]

_NO_END = frozenset(
    {"slurm-limit-met", "dask-pauses", "tensorflow-warning", "not-oom-killed", "task-failed"}
)  # clues that do not say that it ended
_GUARD_REASONS = {"forecast": "it was going to pass its memory limit", "hang": "it had stood still"}


def explain_guard(run: RunRecord, now: float | None) -> str:
    name = run_name(run)
    limit = f" of the {format_size(run.limit.value)} allowed by {run.limit.source}" if run.limit else ""
    used = run.decisions[-1].used if run.decisions else run.peak
    why = _GUARD_REASONS.get(run.termination_reason or "", "memory was running out")
    lines = [f"memguard stopped {name}: {why}, {format_size(used)}{limit} in use. The kernel killed nothing."]
    culprit = run.culprit
    if culprit and culprit.file:
        place = f"{culprit.file}:{culprit.line}" if culprit.line else culprit.file
        lines.append(
            f"The script was at {place}" + (f": {culprit.source_text.strip()}" if culprit.source_text else ".")
        )
    if culprit and culprit.variable:
        length = f", {format_count(culprit.length)} items" if culprit.length else ""
        packed = f"; as uint16 it would be {format_size(culprit.bytes_as_uint16)}" if culprit.bytes_as_uint16 else ""
        lines.append(f"{culprit.variable} ({culprit.type}{length}) held {format_size(culprit.bytes)}{packed}.")
    if run.holders and len(run.holders) > 1:
        held = ", ".join(f"{holder.name} ({holder.pid}) {format_size(holder.bytes)}" for holder in run.holders[:4])
        lines.append(f"The processes of the run held: {held}.")
    if run.forecast:
        lines.append(f"Forecast for the whole of {run.forecast.input}: {format_size(run.forecast.peak)}.")
    if now is not None and run.seconds is not None and now >= run.started + run.seconds:
        lines.append(f"That was {format_duration(now - run.started - run.seconds)} ago (run {run.id}).")
    return "\n".join(lines)


def explain_sigkill(run: RunRecord, *, log_read: bool, counters: tuple[Counter, ...]) -> str:
    lines = [f"{run_name(run)} was ended by SIGKILL, and nothing here proves that it was memory."]
    if log_read:
        lines.append("The kernel log shows no kill for memory during the run: more likely somebody sent kill -9.")
    else:
        lines.append("The kernel log could not be read; it would tell who was killed and why.")
    counted = [counter for counter in counters if counter.oom_kill]
    if counted:
        lines.append(f"The counter of {counted[0].path} shows {counted[0].oom_kill} kill(s) for memory, but not when.")
    return "\n".join([*lines, *_peak(run)])


def explain_counted_run(run: RunRecord) -> str:
    lines = [
        f"The kernel killed {format_count(run.kernel_kills)} process(es) for memory during the run of {run_name(run)}.",
        "That is the kernel's own counter; which process, and under which limit, its log would say.",
    ]
    return "\n".join([*lines, *_peak(run)])


def explain_counters(counters: list[Counter]) -> str:
    first = counters[0]
    limit = f" (limit {format_size(first.limit)})" if first.limit else ""
    return (
        f"The kernel has killed {format_count(first.oom_kill)} process(es) for memory in {first.path}{limit}.\n"
        "That is a counter: it does not say which process, or when. The kernel log would, but cannot be read here."
    )


def explain_no_evidence(kills: int | None) -> str:
    """Without the kernel log; `kills` is the machine's counter since boot."""
    lines = ["The kernel log cannot be read by this user, so a kill for memory can be neither shown nor ruled out."]
    if kills is not None:
        many = f"{format_count(kills)} process(es)" if kills else "nothing"
        lines.append(f"By its own counter the kernel has killed {many} for memory on this machine since it booted.")
    return "\n".join(lines)


def explain_clean_run(run: RunRecord, lines: int | None) -> str:
    """The last guarded run was neither killed nor stopped by the guard."""
    searched = f"no kill for memory in the {format_count(lines)} lines of the kernel log"
    searched = searched if lines is not None else "the kernel log could not be read"
    if run.watcher_death is not None:
        first = f"The guard of the last run, {run_name(run)}, was itself ended by SIGKILL; {searched}."
        return "\n".join([first, f"As for the script: {run.watcher_death}.", *_peak(run)])
    if run.exit_code is None:
        first = f"The last guarded run, {run_name(run)}, has no end on record; {searched}."
        return "\n".join([first, "It still runs, or its guard was ended along with it.", *_peak(run)])
    if run.exit_code == 0:
        first = f"Nothing was killed: the last guarded run, {run_name(run)}, ended well; {searched}."
    else:
        how = f"signal {run.exit_signal}" if run.exit_signal else f"exit code {run.exit_code}"
        doubt = "Not memory" if lines is not None else "Probably not memory"
        first = f"{doubt}: the last guarded run, {run_name(run)}, ended with {how}; {searched}."
    return "\n".join([first, *_peak(run)])


def _peak(run: RunRecord) -> list[str]:
    if run.peak is None:
        return []
    allowed = f" of the {format_size(run.limit.value)} allowed" if run.limit else ""
    return [f"Its peak memory was {format_size(run.peak)}{allowed}."]


def explain_beside(runs_since: int, other: Event | None) -> str:
    """What belongs to a run's answer without being about it; empty, or lines that begin with a line end."""
    text = ""
    if runs_since:
        many = "one guarded run" if runs_since == 1 else f"{format_count(runs_since)} guarded runs"
        text += f"\nAfter it {many} ended well."
    if other is not None:
        text += (
            f"\nNot of this run: {other.killer} killed {victim_name(other)} on this machine"
            + (f" at {other.time}" if other.time else "")
            + " (--all lists every kill)."
        )
    return text


def explain_clues(
    clue: Clue | None,
    lines: int | None,
    *,
    named: bool,
    command: str | None,
    prose: bool = False,
    kills: int = 0,
    also: tuple[str, ...] = (),
) -> str:
    """`also`: what other clues of this cause mean; `prose`: the text does not look like a log; `kills`: the machine's
    counter since boot.
    """
    where = "" if lines is None else f" in the {format_count(lines)} lines of the kernel log"
    where = f" in this text ({format_count(lines)} lines)" if named and lines is not None else where
    counted = (
        f"\nThe kernel's own counter shows {format_count(kills)} kill(s) for memory since boot: a kill leaves no line "
        "when its victim was already exiting, and old lines are forgotten."
        if kills and not named
        else ""
    )
    if clue is None:
        no_log = "\nThis text does not look like a log: hand over the lines that the program or the kernel printed."
        return f"No kill for memory is recorded{where}." + (no_log if prose else "") + counted
    facts = (
        [f"It was at {clue.place}."] if clue.place and clue.cause in ("allocation", "shm", "not-memory", "hang") else []
    )
    facts += [f"It asked for {format_size(clue.size)} at once."] if clue.size else []
    facts += [f"The command: {command}"] if command else []
    nothing = f"No kill by the kernel or by another guard of memory is recorded{where}.{counted}"
    meaning = clue.meaning[0].upper() + clue.meaning[1:] + "."
    head = {
        "memory": f"A process was killed because memory ran out: {clue.meaning}.",
        "allocation": f"Memory was refused: {clue.meaning}.",
        "shm": f"Shared memory ran out, not RAM: {clue.meaning}.",
        "thrashing": f"Memory was so short that work all but stopped: {clue.meaning}.",
        "hang": f"It stood still: {clue.meaning}.",
        "not-memory": f"Not an out-of-memory kill: {clue.meaning}.",
    }.get(clue.cause)
    facts = [f"{other[0].upper()}{other[1:]}." for other in also] + facts
    if head is not None:
        rest = [nothing] if clue.cause in ("thrashing", "hang") else []
        return "\n".join([head, *facts, *rest])
    if clue.kind.startswith("exit-own") or clue.kind in _NO_END:
        return "\n".join([meaning, *facts, nothing])
    return "\n".join(
        ["Ended from outside or by a crash, but nothing here says by whom or why.", meaning, *facts, nothing]
    )


def explain_state(
    verdict: str,
    full_avg60: float | None,
    swap_total: int | None,
    swap_free: int | None,
    shm_used: int | None,
    shm_total: int | None,
) -> str:
    """What the machine shows now, where nothing was killed."""
    if verdict == "shm-full":
        return (
            f"/dev/shm is full now: {format_size(shm_used)} of {format_size(shm_total)}.\n"
            "The kernel killed nothing, as far as its log tells. Who writes to a full /dev/shm gets a Bus error."
        )
    lines = [
        f"The machine is thrashing: for {full_avg60:.0f}% of the last minute every task waited for memory.",
        "Nothing was killed, as far as the logs tell; work has all but stopped.",
    ]
    if swap_total:
        used = swap_total - (swap_free or 0)
        lines.append(f"Swap: {format_size(used)} of {format_size(swap_total)} in use.")
    return "\n".join(lines)


def explain_others(words: str, last: Event, count: int) -> str:
    return (
        f"No kill {words} is recorded.\n"
        f"Other kills for memory: {format_count(count)}; the last is of {victim_name(last)} by {last.killer}"
        + (f" at {last.time}" if last.time else "")
        + ".\nA pid from inside a container is not the one in the host's log, and the kernel keeps 15 bytes of a name."
    )
