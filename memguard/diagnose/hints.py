"""What to do about a verdict, cheapest first: a smaller plan, fewer workers, this limit, a bigger machine. Pure.

Commands stand in backquotes. The user's own file names are used where the guarded run knows them.
"""

from __future__ import annotations

import shlex

from memguard.diagnose.cgroups import find_owner, raise_limit
from memguard.diagnose.clues import Clue
from memguard.diagnose.messages import ADVICE
from memguard.records.diagnosis import Event
from memguard.records.run import RunRecord
from memguard.units import GIB, MIB, format_size

__all__ = ["for_clues", "for_counters", "for_kill", "for_others", "for_run", "for_state", "for_unknown"]

_MACHINES = tuple(size * GIB for size in (4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024))  # RAM as it is sold
_HEADROOM = 1.25  # room above the memory a job needs: the system, the page cache, the error of a forecast
# Clues of Python's own: their texts are of data preparation, or may be.
_PYTHON_CLUES = frozenset(
    {
        "array-refused",
        "memory-error",
        "rust-refused",
        "fil-stopped",
        "allocation-failed",
        "worker-killed",
        "shm-full",
        "tiktoken-stack",
    }
)
_SLAB_SHARE, _CACHE_SHARE = 4, 2  # a quarter, a half of what was allowed
_PYTHON = ("python", "pypy", "pt_", "jupyter", "ipython", "ray::")

_ASK_KERNEL = "hand over the kernel log: `sudo dmesg | memguard diagnose -`"
_GET_RIGHT = "get the right to the journal: `sudo usermod -aG systemd-journal $USER`, then log in again"
_ASK_OLD_BOOT = "after a reboot the journal may still know: `journalctl -k -b -1 | memguard diagnose -`"
_ASK_HOST = "in a container, ask its host: kills are written to the host's kernel log only"
_MACOS = ("Killed: 9", "/Users/", "/opt/homebrew/")
_ASK_MACOS = "macOS writes no line in a kernel log: `memguard diagnose` on that Mac reads its last JetsamEvent report"
_NEXT_TIME = "next time start it as `memguard run prepare.py`: then the line and the size are on record"


def for_kill(
    event: Event, verdict: str, script: str | None, inputs: tuple[str, ...], run: RunRecord | None
) -> tuple[str, ...]:
    """`script` and `inputs`: the user's own names, where anything tells them."""
    if event.killer in ADVICE:
        own = _smaller_plan("python", script, inputs, guarded=run is not None) if script or inputs or run else []
        return (*own, *ADVICE[event.killer])
    if event.note is not None and event.note.endswith("no process was killed"):
        return _PANIC
    plan = _smaller_plan(event.task or "", script, inputs, guarded=run is not None)
    data = any(map(_about_tokens, plan))  # else it may be any program: its limit comes first
    steps = [*_not_its_data(event), *(plan if data else ())]
    workers = _workers(event)
    if workers > 2:
        steps.append(
            f"fewer workers: {workers} processes named {event.task} shared this memory; "
            f"{workers // 2} of them need about half"
        )
    shmem = (event.categories or {}).get("shmem", 0)
    if workers > 1 and event.task and event.task.lower().startswith(_PYTHON):
        steps.append(
            "let a dead worker be noticed: multiprocessing.Pool waits for it for ever, "
            "concurrent.futures.ProcessPoolExecutor raises BrokenProcessPool"
        )
    if shmem > (event.usage or event.memory_total or shmem * 4) / 4:
        steps.insert(0, "remove what was left in shared memory: `ls -lhS /dev/shm` shows it")
    if verdict == "memcg-oom":
        steps += _raise_limit(event, run)
    elif verdict == "userspace-killer":
        steps += _userspace(event)
    elif event.killer == "systemd":
        unit = f" {event.task_memcg}" if event.task_memcg else " UNIT"
        steps.append(f"see whether it was the unit's own limit: `systemctl show -p MemoryMax -p MemoryPeak{unit}`")
        steps.append(_ASK_KERNEL)
    elif event.note is not None and event.note.startswith("asked for by hand"):
        steps = ["nothing has to be changed: somebody asked the kernel for a kill (SysRq f, or a test)"]
    elif event.constraint in ("CONSTRAINT_CPUSET", "CONSTRAINT_MEMORY_POLICY"):
        steps.append("let it use every node: without `numactl --membind`, and in a wider cpuset (cpuset.mems)")
    else:
        steps += _bigger_machine(event, run)
    if data:
        return tuple(steps)
    return (*steps, *plan) if verdict == "memcg-oom" else (*plan, *steps)


_PANIC = (
    "give the machine, or the virtual machine, more RAM: it had too little even for its first processes",
    "where it happens at boot: a smaller initrd, and no huge pages reserved (`hugepages=`, `crashkernel=`)",
    "let the kernel kill instead of stopping: `sudo sysctl vm.panic_on_oom=0`",
)


def _not_its_data(event: Event) -> list[str]:
    """Where the limit was not full of a program's own data, a smaller plan is not the cure."""
    parts, whole = event.categories or {}, event.usage or 0
    if not whole or event.limit is None:
        return []
    steps = []
    if parts.get("slab", 0) + parts.get("kernel", 0) > whole / _SLAB_SHARE:
        steps.append(
            "the kernel's own objects filled much of this limit (names of files, sockets, page tables): fewer small "
            "files and connections at a time, or a limit that leaves room for them"
        )
    if parts.get("file", 0) > whole / _CACHE_SHARE:
        steps.append(
            "most of it were pages of files that could not be dropped in time: write less at once, and `fsync` as you "
            "go, or use fewer mapped files"
        )
    return steps


def for_run(run: RunRecord) -> tuple[str, ...]:
    """After the guard has stopped a run."""
    steps = [run.culprit.advice] if run.culprit and run.culprit.advice else []
    steps += _smaller_plan("python", run.script, run.inputs, guarded=True)
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


def for_clues(clue: Clue | None, script: str | None, inputs: tuple[str, ...], *, named: bool) -> tuple[str, ...]:
    file = shlex.quote(inputs[0]) if inputs else "FILE"
    program = shlex.quote(script) if script else "prepare.py"
    known = clue.advice or _FOR_CAUSE.get(clue.cause) if clue is not None else None
    if known is not None and clue is not None:
        data = script is not None or bool(inputs) or clue.kind in _PYTHON_CLUES
        steps = [step for step in known if data or not _about_tokens(step)]
        return tuple(step.replace("FILE", file).replace("prepare.py", program) for step in steps)
    if clue is not None and any(sign in clue.raw for sign in _MACOS):
        return (_ASK_MACOS, *((f"see what the input needs: `memguard estimate {file}`",) if inputs else ()))
    again = f"next time start it as `memguard run {program}`: then the line and the size are on record"
    estimate = (f"see what the input needs: `memguard estimate {file}`",) if inputs else ()
    if named:
        return "ask the machine where it happened: `memguard diagnose`", *estimate, _ASK_KERNEL, _ASK_OLD_BOOT, again
    return *estimate, _ASK_OLD_BOOT, _ASK_HOST, again


def _about_tokens(step: str) -> bool:
    return "memguard tokenize" in step or "memguard estimate" in step


def for_state(verdict: str) -> tuple[str, ...]:
    return _FOR_CAUSE["shm" if verdict == "shm-full" else "thrashing"]


def for_others(last: Event) -> tuple[str, ...]:
    about = f" --pid {last.pid}" if last.pid is not None else ""
    return (
        f"ask about that one: `memguard diagnose{about}`, or about all: `memguard diagnose --all`",
        _ASK_HOST,
        _NEXT_TIME,
    )


_FOR_CAUSE: dict[str, tuple[str, ...]] = {
    "shm": (
        "fewer batches in flight: `num_workers=0` (or fewer) in the DataLoader, a smaller prefetch_factor",
        "pass files instead of shared memory: `torch.multiprocessing.set_sharing_strategy('file_system')`",
        "see what lies there, and remove what dead processes left: `df -h /dev/shm`, `ls -lhS /dev/shm`",
        "make it larger: `docker run --shm-size=8g …`; Kubernetes: an emptyDir with `medium: Memory` at /dev/shm; "
        "a machine: `sudo mount -o remount,size=8G /dev/shm` (it is RAM all the same)",
    ),
    "allocation": (
        "see what the input needs, and what is allowed here: `memguard estimate FILE`",
        "write the tokens without ever holding them: `memguard tokenize FILE -o DIR`",
        "learn the line and the variable: `memguard run prepare.py`",
        "look for limits that refuse memory: `ulimit -v`, `ulimit -d`, `memguard doctor`",
    ),
    "thrashing": (
        "stop the largest process before the machine stands still: `ps aux --sort=-rss | head -5`",
        "see which plan fits: `memguard estimate FILE`",
        "let it be stopped in time: `memguard run prepare.py` counts swap as trouble, not as room",
        "fewer workers, or a bigger machine; more swap makes this longer, not better",
    ),
    "hang": (
        "look whether a worker was killed: `memguard diagnose`",
        "let a dead worker be noticed: concurrent.futures.ProcessPoolExecutor instead of multiprocessing.Pool",
        "or guard it: `memguard run prepare.py` reports a dead worker instead of waiting for ever",
    ),
}


def _smaller_plan(task: str, script: str | None, inputs: tuple[str, ...], *, guarded: bool) -> list[str]:
    """Only where the victim can be a script of the user's: how to tokenise is no help for a killed browser."""
    if script is None and not inputs and not guarded and not task.lower().startswith(_PYTHON):
        program = f"{shlex.quote(task)} …" if task else "COMMAND …"
        return [f"see what grows, and be stopped in time: `memguard run -- {program}`"]
    file = shlex.quote(inputs[0]) if inputs else "FILE"
    steps = [
        f"see which plan fits before you start it again: `memguard estimate {file}`",
        f"write the tokens without ever holding them: `memguard tokenize {file} -o DIR`",
    ]
    if script is not None and script.endswith(".py"):
        words = shlex.join(["memguard", "fix", script, *inputs[:1]])
        steps.append(f"or let the script's own lines be changed, with the same output: `{words}`")
    if not guarded:
        program = shlex.quote(script) if script else "prepare.py"
        steps.append(f"or keep your script, guarded: `memguard run {program}` stops it in time and names the line")
    return steps


def _workers(event: Event) -> int:
    """Processes of the victim's name that each held at least a quarter as much."""
    own = next((task.rss for task in event.tasks if task.pid == event.pid), 0)
    return sum(1 for task in event.tasks if task.name == event.task and own and task.rss >= own / 4)


def _raise_limit(event: Event, run: RunRecord | None) -> list[str]:
    path = event.oom_memcg or event.task_memcg
    if path is None or path.startswith("pod "):
        wanted = f": {-(-2 * event.limit // MIB)}Mi" if event.limit else ""
        ways = {
            "kubernetes": f"`resources.limits.memory{wanted}` in the pod's manifest, then apply it again",
            "docker": "`docker update --memory SIZE --memory-swap SIZE CONTAINER`",
            "slurm": "`sbatch --mem=SIZE …` for the next job",
            "kernel": "that of the cgroup, which the whole log would name",
        }
        every = "`resources.limits.memory` (Kubernetes), `docker run --memory` (Docker), `sbatch --mem` (Slurm)"
        return [f"raise the limit: {ways.get(event.killer, every)}"]
    if event.limit is None:
        return [f"raise the memory limit of {find_owner(path).words}; `memguard estimate FILE` says how far"]
    size, why = 2 * event.limit, "twice as much, while no estimate says better"
    if run is not None and run.forecast is not None:
        size, why = max(int(run.forecast.peak * _HEADROOM), event.limit), "by the forecast of the run"
    return [f"raise this limit ({why}): {raise_limit(path, size, event.cgroup_version)}"]


def _userspace(event: Event) -> list[str]:
    return {
        "systemd-oomd": [
            "keep systemd-oomd away from this job: `systemd-run --user --scope -p ManagedOOMPreference=avoid COMMAND`"
        ],
        "ray": [
            "fewer tasks at a time on a node: a larger `num_cpus` for each, `@ray.remote(memory=…)` so that Ray knows",
            "let Ray kill later: `RAY_memory_usage_threshold=0.98 ray start …` (then the kernel may come first)",
        ],
        "dask": ["smaller partitions, or more for each worker: `dask worker --memory-limit SIZE`, fewer `--nworkers`"],
        "slurmstepd": ["ask for more: `sbatch --mem=SIZE …`"],
    }.get(
        event.killer,
        [f"keep {event.killer} away from this job: its settings (`--avoid` of earlyoom) take names of processes"],
    )


def _bigger_machine(event: Event, run: RunRecord | None) -> list[str]:
    if event.killer == "jetsam":
        return ["close other programs, or take a machine with more memory; `memguard estimate FILE` says how much"]
    steps = []
    if "microsoft" in (event.kernel_release or ""):
        ram = f" (now {format_size(event.memory_total)})" if event.memory_total else ""
        steps.append(
            f"give WSL more of the PC's memory{ram}: `[wsl2]` and `memory=24GB` in %UserProfile%\\.wslconfig "
            "(plain ASCII, no UTF-16), then `wsl --shutdown`; without it WSL takes half of the RAM"
        )
    if event.swap_total == 0 or (
        event.swap_total and event.memory_total and event.swap_total < event.memory_total // 4
    ):
        steps.append(
            "swap turns the kill into hours of waiting; for a short peak only: `sudo fallocate -l 8G /swapfile && "
            "sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile`"
        )
    if run is not None and run.forecast is not None:
        need, why = int(run.forecast.peak * _HEADROOM), "by the forecast of the run"
    elif event.memory_total is not None:
        need, why = 2 * event.memory_total, "twice this one's; `memguard estimate FILE` says it exactly"
    else:
        return [*steps, "last and dearest: a machine with more RAM; `memguard estimate FILE` says how much"]
    size = next((size for size in _MACHINES if size >= need), need)
    return [*steps, f"last and dearest: a machine with {format_size(size)} of RAM ({why})"]
