"""A kill in plain words: the first line is the answer, the others are the facts behind it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from memguard.diagnose.cgroups import find_owner
from memguard.diagnose.messages import MEANINGS
from memguard.diagnose.readers import REPORTERS
from memguard.records.diagnosis import Event, TaskRow
from memguard.records.run import RunRecord
from memguard.units import format_count, format_duration, format_size

__all__ = ["explain_kill", "run_name", "victim_name"]

_REPORTER_NAMES = {
    "slurm": "Slurm",
    "kubernetes": "Kubernetes",
    "docker": "Docker",
    "systemd": "systemd",
}
_CONSTRAINTS = {
    "CONSTRAINT_CPUSET": "the NUMA nodes that its cpuset allows were out of memory",
    "CONSTRAINT_MEMORY_POLICY": "the NUMA nodes that its memory policy allows were out of memory",
}


def victim_name(event: Event) -> str:
    if event.task is None:
        return f"process {event.pid}" if event.pid is not None else "a process"
    name = event.task or "a process without a name"
    return f"{name} (pid {event.pid})" if event.pid is not None else name


def explain_kill(
    event: Event,
    verdict: str,
    events: tuple[Event, ...],
    count: int,
    run: RunRecord | None,
    now: float | None,
    *,
    last: bool = True,
    hang: bool = False,
    storm: int = 1,
    foreign: bool = False,
) -> str:
    """`last`: the event is the latest of `events`; `hang`: the text shows a process that waits for its pool;
    `storm`: so many kills belong to its moment; `foreign`: the victim is another user's.
    """
    lines = [_headline(event, verdict)]
    if foreign:
        lines.append(f"It belonged to another user of this machine (uid {event.uid}), not to you.")
    lines += _held(event)
    lines += _neighbours(event)
    lines += _whose_limit(event, verdict)
    if run is not None:
        lines.append(_of_run(run))
    if hang:
        lines.append("The main process went on waiting: multiprocessing.Pool never notices that a worker was killed.")
    lines += _when(event, events, count, now, last=last, storm=storm)
    return "\n".join(lines)


def _headline(event: Event, verdict: str) -> str:
    if event.killer in REPORTERS:
        return _reported(event)
    if verdict == "userspace-killer":
        return _userspace_headline(event)
    if event.killer == "jetsam":
        return _jetsam_headline(event)
    if event.pid is None and event.task is not None:
        return f"The kernel killed {victim_name(event)}: {_cause(event, verdict)}."
    if event.pid is None and event.note is not None and event.note.endswith("no process was killed"):
        asked = f", after {event.invoker} asked for memory" if event.invoker else ""
        return f"Memory ran out{asked}, and {event.note}."
    if event.pid is None:
        limit = f" (its limit is {format_size(event.limit)})" if event.limit else ""
        group = f" for {find_owner(event.oom_memcg).words}{limit}" if event.oom_memcg else limit
        group = group or (" because a memory cgroup had reached its limit" if verdict == "memcg-oom" else "")
        called = f"{group}, after {event.invoker} asked for memory" if event.invoker else group
        end = event.note or "the log is cut before it names the victim"
        return f"The kernel's out-of-memory killer was called{called}; {end}."
    return f"The kernel killed {victim_name(event)}: {_cause(event, verdict)}."


def _jetsam_headline(event: Event) -> str:
    if event.pid is None:
        largest = f"; the largest process was {event.task}" if event.task else ""
        return f"macOS reports that memory was short, but names no process that it killed for that{largest}."
    held = f", which held {format_size(event.anon_rss)}" if event.anon_rss else ""
    return f"macOS killed {victim_name(event)}{held}, because memory ran out ({event.note})."


def _cause(event: Event, verdict: str) -> str:
    if verdict == "memcg-oom":
        owner = find_owner(event.oom_memcg).words if event.oom_memcg else "its memory cgroup"
        if event.limit is None:
            return f"{owner} had reached its memory limit"
        kind = " of memory and swap together" if event.limit_name == "memory.memsw.limit_in_bytes" else ""
        kind = " of kernel memory" if event.limit_name == "memory.kmem.limit_in_bytes" else kind
        return f"{owner} had reached its limit of {format_size(event.limit)}{kind}"
    if event.constraint in _CONSTRAINTS:
        return _CONSTRAINTS[event.constraint]
    if event.note is not None and event.note.startswith("asked for by hand"):
        return event.note
    if event.constraint is None:
        return "memory ran out (whether the machine's or a group's, the log does not say)"
    return f"the whole machine was out of memory{_machine(event)}"


def _machine(event: Event) -> str:
    parts = [f"{format_size(event.memory_total)} of RAM"] if event.memory_total else []
    if event.swap_total:
        parts.append(f"{format_size(event.swap_total)} of swap, {format_size(event.swap_free)} of it free")
    elif event.swap_total == 0:
        parts.append("no swap")
    return f" ({', '.join(parts)})" if parts else ""


def _reported(event: Event) -> str:
    where = find_owner(event.task_memcg).words if event.task_memcg else ""
    if event.killer == "systemd":
        unit = f" a process of the unit {event.task_memcg}" if event.task_memcg else " a process of a unit"
        return f"systemd reports that the out-of-memory killer ended{unit}."
    if event.killer in MEANINGS:
        return _told(event)
    what = f"the container {event.task}" + (f" of {where}" if where else "") if event.task else where
    limit = f" of {format_size(event.limit)}" if event.limit else ""
    inside = f" in {what}" if what else ""
    name = _REPORTER_NAMES.get(event.killer, event.killer)
    return f"{name} reports an out-of-memory kill{inside}: its memory limit{limit} was reached."


def _told(event: Event) -> str:
    """The words of messages/, with the names and sizes that the line has."""
    meaning = MEANINGS[event.killer]
    whom = f" {victim_name(event)}" if event.task else f" {event.task_memcg}" if event.task_memcg else ""
    sizes = ""
    if event.usage and event.limit:
        what = f" of {event.note}" if event.note else ""
        sizes = f" ({format_size(event.usage)} of {format_size(event.limit)}{what})"
    elif event.usage or event.limit:
        sizes = f" ({format_size(event.usage or event.limit)})"
    whom = f", {whom.strip()}" if whom and not meaning.endswith(("process", "unit")) else whom
    return f"{meaning[0].upper()}{meaning[1:]}{whom}{sizes}."


def _userspace_headline(event: Event) -> str:
    killer, held = event.killer, f", which held {format_size(event.anon_rss)}" if event.anon_rss else ""
    if killer in ("systemd-oomd", "oomd"):
        return f"{killer}, not the kernel, killed everything in {event.task_memcg}: {event.note}."
    if killer == "ray":
        whom = f"the worker of task {event.task} (pid {event.pid}){held}" if event.task else "a worker"
        return f"Ray, not the kernel, killed {whom}: {event.note}."
    if killer == "dask":
        limit = f" of {format_size(event.limit)}" if event.limit else ""
        whom = f"the worker {event.task} (pid {event.pid})" if event.task else "a worker"
        return f"Dask's nanny, not the kernel, killed {whom}: {event.note}{limit}."
    if killer in MEANINGS:
        return _told(event)
    if killer == "slurmstepd":
        sizes = f" ({format_size(event.usage)} of {format_size(event.limit)})" if event.usage and event.limit else ""
        return f"{killer}, not the kernel, killed the job: {event.note}{sizes}."
    if killer in ("earlyoom", "nohang"):
        held = f" while it held {format_size(event.anon_rss)}" if event.anon_rss else ""
        return f"{killer}, not the kernel, stopped {victim_name(event)} with {event.note}{held}: memory was low."
    return f"{killer}, not the kernel, killed {victim_name(event)}{held}: {event.note or 'memory was low'}."


def _held(event: Event) -> list[str]:
    lines = []
    if event.anon_rss is not None and event.killer == "kernel":
        part = event.limit or event.memory_total
        share = f", {_percent(event.anon_rss, part)} of what was allowed" if part and event.limit else ""
        share = f", {_percent(event.anon_rss, part)} of the RAM" if part and not event.limit else share
        lines.append(f"It held {format_size(event.anon_rss)} of its own data (lists, strings, arrays){share}.")
    shmem = (event.categories or {}).get("shmem", 0)
    whole = event.usage or event.memory_total
    if whole and shmem > whole / 4:
        lines.append(
            f"{format_size(shmem)} lay in shared memory or tmpfs (/dev/shm): that counts, and it outlives the process."
        )
    if event.killer in ("systemd", "systemd-oomd") and event.usage and not event.memory_total:
        lines.append(f"Its memory peak, as systemd counted it, was {format_size(event.usage)}.")
    if event.killer in ("systemd-oomd", "ray", "earlyoom") and event.memory_total:
        used = f"{format_size(event.usage)} of " if event.usage else ""
        swap = f", swap {format_size(event.swap_total)}" if event.swap_total else ""
        lines.append(f"The machine: {used}{format_size(event.memory_total)} of RAM{swap}.")
    if event.note and event.pid is not None and event.killer == "kernel":
        lines.append(f"The log adds: {event.note}.")
    return lines


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}"


def _neighbours(event: Event) -> list[str]:
    lines = []
    if event.others:
        names = _summary(event.others)
        lines.append(f"Killed along with it: {names}.")
    killed = {event.pid, *(task.pid for task in event.others)}
    rest = [task for task in event.tasks if task.pid not in killed]
    own = next((task.rss for task in event.tasks if task.pid == event.pid), event.anon_rss or 0)
    if rest and sum(task.rss for task in rest) > own / 4:
        held = "Others held memory too" if event.pid is not None else "The largest processes held"
        lines.append(f"{held}: {_summary(rest)}.")
    if event.invoker_pid is not None and event.pid is not None and event.invoker_pid != event.pid:
        lines.append(
            f"{event.invoker} (pid {event.invoker_pid}) only asked for memory at that moment; "
            "the kernel picks the largest, not the one that asks."
        )
    return lines


def _summary(tasks: Iterable[TaskRow]) -> str:
    """`4 × python 537 MiB, mysqld 120 MiB`: resident sizes by name, largest first, at most five names."""
    sizes: dict[str, list[int]] = {}
    for task in tasks:
        sizes.setdefault(task.name, []).append(task.rss)
    ranked = sorted(sizes.items(), key=lambda item: sum(item[1]), reverse=True)
    words = []
    for name, held in ranked[:5]:
        many = f"{len(held)} × " if len(held) > 1 else ""
        words.append(f"{many}{name} {format_size(sum(held))}")
    more = len(ranked) - len(words)
    return ", ".join(words) + (f" and {more} more" if more else "")


def _whose_limit(event: Event, verdict: str) -> list[str]:
    if verdict != "memcg-oom" or not event.oom_memcg:
        return []
    lines = []
    owner = find_owner(event.oom_memcg)
    if event.task_memcg and event.task_memcg != event.oom_memcg:
        lines.append(f"The limit belongs to {event.oom_memcg}; the process ran below it, in {event.task_memcg}.")
    lines.append("The limit is this group's own: the machine itself may have had memory left.")
    if find_owner(event.task_memcg or event.oom_memcg).container or owner.container:
        lines.append("The pid is the host's; inside the container the process had another one.")
    return lines


def run_name(run: RunRecord) -> str:
    return run.script or " ".join(run.command)


def _of_run(run: RunRecord) -> str:
    name = run_name(run)
    peak = f" (peak seen by the guard: {format_size(run.peak)})" if run.peak else ""
    return f"It belonged to the guarded run {run.id} of {name}{peak}."


def _when(
    event: Event, events: tuple[Event, ...], count: int, now: float | None, *, last: bool, storm: int
) -> list[str]:
    lines = []
    if event.unix_time is not None and now is not None and now >= event.unix_time:
        lines.append(f"That was {format_duration(now - event.unix_time)} ago.")
    elif event.time:
        since_boot = " s after boot" if event.uptime is not None and event.time == f"{event.uptime:.6f}" else ""
        lines.append(f"Time in the log: {event.time}{since_boot}.")
    if event.command:
        lines.append(f"Its command: {event.command}")
    if count > 1:
        same = sum(1 for other in events if other.task == event.task and other.oom_memcg == event.oom_memcg)
        which = "the last" if last and storm == 1 else "one"
        under = " under the same limit" if event.oom_memcg else ""
        alike = f", {'all' if same == count else same} of them {event.task}{under}" if event.task and same > 1 else ""
        if storm > 1:
            lines.append(f"It was one storm of {format_count(storm)} kills within seconds; this one held the most.")
        lines.append(f"It is {which} of {format_count(count)} kills{alike} (--all lists them).")
    return lines
