"""What to do about a verdict, cheapest first: a smaller plan, fewer workers, this limit, a bigger machine. Pure.

Commands stand in backquotes. The user's own file names are used where the guarded run knows them.
"""

from __future__ import annotations

import shlex

from memguard.diagnose.cgroups import find_owner, raise_limit
from memguard.diagnose.userspace import Sign
from memguard.records.diagnosis import Event
from memguard.records.run import RunRecord
from memguard.units import GIB, format_size

__all__ = ["for_counters", "for_kill", "for_run", "for_signs", "for_unknown"]

_MACHINES = tuple(size * GIB for size in (4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024))  # RAM as it is sold
_HEADROOM = 1.25  # room above the memory a job needs: the system, the page cache, the error of a forecast
_PYTHON = ("python", "pt_", "jupyter", "ipython", "ray::")

_ASK_KERNEL = "hand over the kernel log: `sudo dmesg | memguard diagnose -`"
_GET_RIGHT = "get the right to the journal: `sudo usermod -aG systemd-journal $USER`, then log in again"
_ASK_OLD_BOOT = "after a reboot the journal may still know: `journalctl -k -b -1 | memguard diagnose -`"
_ASK_HOST = "in a container, ask its host: kills are written to the host's kernel log only"
_NEXT_TIME = "next time start it as `memguard run prepare.py`: then the line and the size are on record"


def for_kill(event: Event, verdict: str, run: RunRecord | None) -> tuple[str, ...]:
    steps = _smaller_plan(event, run)
    workers = _workers(event)
    if workers > 2:
        steps.append(
            f"fewer workers: {workers} processes named {event.task} shared this memory; "
            f"{workers // 2} of them need about half"
        )
    shmem = (event.categories or {}).get("shmem", 0)
    if shmem > (event.usage or event.memory_total or shmem * 4) / 4:
        steps.append("remove what was left in shared memory: `ls -lhS /dev/shm` shows it")
    if verdict == "memcg-oom":
        steps += _raise_limit(event, run)
    elif verdict == "userspace-killer":
        steps += _userspace(event)
    elif event.constraint in ("CONSTRAINT_CPUSET", "CONSTRAINT_MEMORY_POLICY"):
        steps.append("let it use every node: without `numactl --membind`, and in a wider cpuset (cpuset.mems)")
    else:
        steps += _bigger_machine(event, run)
    return tuple(steps)


def for_run(run: RunRecord) -> tuple[str, ...]:
    """After the guard has stopped a run."""
    steps = [run.culprit.advice] if run.culprit and run.culprit.advice else []
    steps += _smaller_plan(None, run)
    if run.limit is not None and run.forecast is not None:
        need, allowed = format_size(int(run.forecast.peak * _HEADROOM)), format_size(run.limit.value)
        steps.append(f"or give it room: about {need} by the forecast; {run.limit.source} allows {allowed}")
    return tuple(steps)


def for_counters() -> tuple[str, ...]:
    return _ASK_KERNEL, _GET_RIGHT, _ASK_HOST, _NEXT_TIME


def for_unknown(run: RunRecord | None, *, log_read: bool) -> tuple[str, ...]:
    steps = []
    if not log_read:
        steps.append(_ASK_KERNEL)
    elif run is not None and run.exit_signal == 9:
        steps.append("ask who sends kill -9 here: a supervisor, a time limit, `docker stop`, another user")
        steps.append(_ASK_HOST)
    if run is not None and run.inputs:
        steps.append(f"see what the input needs: `memguard estimate {shlex.quote(run.inputs[0])}`")
    return tuple(steps)


def for_signs(sign: Sign | None, *, named: bool) -> tuple[str, ...]:
    kind = sign.kind if sign is not None else None
    if kind == "disk-full":
        return ("free space where it writes (`df -h`); `memguard estimate FILE` says how much disk each plan takes",)
    if kind == "time-limit":
        return ("ask for more time, or take the faster way: `memguard tokenize FILE -o DIR`",)
    if kind == "segfault":
        return ("find the crash: `python -X faulthandler prepare.py`, and read the last frames",)
    if sign is not None and sign.cause == "allocation":
        return (
            "see what the input needs, and what is allowed here: `memguard estimate FILE`",
            "write the tokens without ever holding them: `memguard tokenize FILE -o DIR`",
            "look for limits that refuse memory: `ulimit -v`, `ulimit -d`, `memguard doctor`",
        )
    if named:
        return "ask the machine where it happened: `memguard diagnose`", _ASK_KERNEL, _ASK_OLD_BOOT, _NEXT_TIME
    return _ASK_OLD_BOOT, _ASK_HOST, _NEXT_TIME


def _smaller_plan(event: Event | None, run: RunRecord | None) -> list[str]:
    """Only where the victim can be a script of the user's: how to tokenise is no help for a killed browser."""
    task = event.task if event else None
    if run is None and task is not None and not task.lower().startswith(_PYTHON):
        return [f"see what grows, and be stopped in time: `memguard run -- {shlex.quote(task)} …`"]
    file = shlex.quote(run.inputs[0]) if run and run.inputs else "FILE"
    steps = [
        f"see which plan fits, before the next hour: `memguard estimate {file}`",
        f"write the tokens without ever holding them: `memguard tokenize {file} -o DIR`",
    ]
    if run is None:
        steps.append("or keep your script, guarded: `memguard run prepare.py` stops it in time and names the line")
    return steps


def _workers(event: Event) -> int:
    """Processes of the victim's name that each held at least a quarter as much."""
    own = next((task.rss for task in event.tasks if task.pid == event.pid), 0)
    return sum(1 for task in event.tasks if task.name == event.task and own and task.rss >= own / 4)


def _raise_limit(event: Event, run: RunRecord | None) -> list[str]:
    path = event.oom_memcg or event.task_memcg
    if path is None:
        ways = "`resources.limits.memory` (Kubernetes), `docker run --memory` (Docker), `sbatch --mem` (Slurm)"
        return [f"raise the limit: {ways}"]
    if event.limit is None:
        return [f"raise the memory limit of {find_owner(path).words}; `memguard estimate FILE` says how far"]
    size, why = 2 * event.limit, "twice as much, while no estimate says better"
    if run is not None and run.forecast is not None:
        size, why = max(int(run.forecast.peak * _HEADROOM), event.limit), "by the forecast of the run"
    return [f"raise this limit ({why}): {raise_limit(path, size, event.cgroup_version)}"]


def _userspace(event: Event) -> list[str]:
    if event.killer == "systemd-oomd":
        command = "systemd-run --user --scope -p ManagedOOMPreference=avoid COMMAND"
        return [f"keep systemd-oomd away from this job: `{command}`"]
    return [f"keep {event.killer} away from this job: its `--avoid` takes a regular expression of process names"]


def _bigger_machine(event: Event, run: RunRecord | None) -> list[str]:
    if run is not None and run.forecast is not None:
        need, why = int(run.forecast.peak * _HEADROOM), "by the forecast of the run"
    elif event.memory_total is not None:
        need, why = 2 * event.memory_total, "twice this one's; `memguard estimate FILE` says it exactly"
    else:
        return ["last and dearest: a machine with more RAM; `memguard estimate FILE` says how much"]
    size = next((size for size in _MACHINES if size >= need), need)
    return [f"last and dearest: a machine with {format_size(size)} of RAM ({why})"]
