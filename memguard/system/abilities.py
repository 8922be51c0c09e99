"""What this machine lets memguard see, enforce and read: ok, partial or unavailable, each with its reason.

Everything is judged from permissions and from what is there: nothing is made, moved or sent. Abilities that depend on
installed packages (engines, vocabularies) are in cli/doctor.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from memguard.records.doctor import Ability
from memguard.system.cgroup import cgroup_version, find_memory_cgroups, read_memory_cgroup
from memguard.system.kernel_file import read_bytes
from memguard.system.kernel_log import HINT, Refusal, describe, kernel_logs
from memguard.system.own_cgroup import Missing, Place, find_place
from memguard.system.proc import proc_problem, read_meminfo, read_rollup, read_status
from memguard.system.psi import read_pressure

__all__ = ["read_abilities"]

# Daemons that end processes for memory, by their own rules (comm, at most 15 bytes).
_KILLERS = {
    "earlyoom": "it kills the largest process once memory and swap fall below its thresholds (10 % by default)",
    "nohang": "it kills the worst process by memory, swap and pressure",
    "systemd-oomd": "it kills a whole cgroup (terminal and all) once swap is full or pressure stays high",
    "oomd": "it kills a whole cgroup by its rules",
    "slurmstepd": "Slurm ends the job at its memory limit",
}

_CAP_SYS_RESOURCE = 24  # include/uapi/linux/capability.h


def read_abilities(root: str = "/", environ: Mapping[str, str] | None = None) -> tuple[Ability, ...]:
    """The groups see, enforce and diagnose, as far as the machine decides them."""
    environ = os.environ if environ is None else environ
    proc = root.rstrip("/") + "/proc"
    cgroups = find_memory_cgroups(root=root)
    place = find_place("auto", root, environ)
    return (
        _process_memory(proc),
        _shared_pages(proc),
        _cgroup_limits(cgroups),
        _pressure(proc),
        _freeze(proc),
        _first_victim(proc),
        _backstop(place),
        _fence(throttles=isinstance(place, Place)),
        _own_cgroup(cgroups, root, environ),
        _other_killers(proc),
        _kernel_log(),
        _kill_counters(proc, cgroups),
    )


def _process_memory(proc: str) -> Ability:
    name = "memory of every process"
    problem = proc_problem() if proc == "/proc" and sys.platform == "linux" else None
    if problem is not None:
        reason = f"{problem[0]}: nothing can be measured, so neither run nor watch can guard"
        return Ability("see", name, "unavailable", reason, problem[1])
    status = read_status("self", proc)
    if status is not None and status.rss_anon is not None:
        return Ability("see", name, "ok", "anonymous, file and shared memory apart, from /proc")
    if read_meminfo(proc) is not None:
        reason = "this kernel does not tell anonymous memory from mapped files (before Linux 4.5)"
        return Ability("see", name, "partial", reason)
    reason = f"no /proc on {sys.platform}: memory comes from psutil, which nobody has tested here"
    return Ability("see", name, "partial", reason)


def _shared_pages(proc: str) -> Ability:
    name = "shared pages counted once"
    rollup = read_rollup("self", proc)
    if rollup is None or rollup.pss is None:
        reason = "no /proc/PID/smaps_rollup: pages that forked workers share are counted in each of them"
        return Ability("see", name, "unavailable", reason)
    if rollup.pss_anon is None:
        return Ability("see", name, "partial", "PSS in one sum only (before Linux 5.4)")
    return Ability("see", name, "ok", "proportional set size (PSS) of your own processes")


def _cgroup_limits(cgroups: tuple[str, ...]) -> Ability:
    name = "limits of containers and jobs"
    if not cgroups:
        reason = "no memory cgroup is mounted: only the machine's own memory and --limit are known"
        return Ability("see", name, "unavailable", reason)
    version = next((v for c in cgroups if (v := cgroup_version(c)) is not None), None)
    if version is None:
        reason = "cgroup v2 without the memory controller"
        hint = "boot with cgroup_enable=memory (Raspberry Pi: in /boot/firmware/cmdline.txt)"
        return Ability("see", name, "unavailable", reason, hint)
    limited = sum(_is_limited(directory) for directory in cgroups)
    levels = f"cgroup v{version}; {limited or 'none'} of {len(cgroups)} levels up to the mount set a limit"
    # Version 2's true root has no memory.max: a mount whose top has one is a container's own part of the tree.
    if version == 2 and os.path.exists(f"{cgroups[-1]}/memory.max"):
        reason = f"{levels}; inside a container: a tighter limit above it (a pod's) cannot be seen"
        return Ability("see", name, "partial", reason, "give such a limit by hand: --limit 8G")
    return Ability("see", name, "ok", levels)


def _is_limited(directory: str) -> bool:
    cgroup = read_memory_cgroup(directory)
    return cgroup is not None and (cgroup.limit is not None or cgroup.high is not None)


def _pressure(proc: str) -> Ability:
    name = "memory pressure"
    if read_pressure(f"{proc}/pressure/memory") is not None:
        return Ability("see", name, "ok", "PSI from /proc/pressure/memory")
    reason = "this kernel has no PSI; the guard does not need it"
    return Ability("see", name, "unavailable", reason, "boot with psi=1 to have it shown")


def _freeze(proc: str) -> Ability:
    name = "stop a script in time"
    problem = proc_problem() if proc == "/proc" and sys.platform == "linux" else None
    if problem is not None:
        return Ability("enforce", name, "unavailable", problem[0], problem[1])
    if sys.platform != "win32":
        reason = "your own processes can be frozen, asked for their Python line, and ended"
        return Ability("enforce", name, "ok", reason)
    return Ability("enforce", name, "partial", "Windows has no SIGSTOP; nobody has tested the guard here")


def _first_victim(proc: str) -> Ability:
    name = "choose the kernel's victim"
    if not os.access(f"{proc}/self/oom_score_adj", os.W_OK):
        return Ability("enforce", name, "unavailable", "/proc/self/oom_score_adj cannot be written")
    if _capability(proc, _CAP_SYS_RESOURCE):
        return Ability("enforce", name, "ok", "oom_score_adj can be raised and lowered")
    reason = "a script's oom_score_adj can be raised, so that it goes first; lowering takes CAP_SYS_RESOURCE"
    return Ability("enforce", name, "partial", reason)


def _capability(proc: str, number: int) -> bool:
    for line in (read_bytes(f"{proc}/self/status") or b"").split(b"\n"):
        if line.startswith(b"CapEff:"):
            try:
                return bool(int(line[7:], 16) >> number & 1)
            except ValueError:
                return False
    return False


_BACKSTOPS = {
    "scope": "a systemd scope: memory.high slows a script down a little above its limit, before memory.max kills",
    "v2": "a cgroup v2 made in {}: memory.high slows a script down, before memory.max kills",
    "v1": "a cgroup v1 made in {}: what a script needs above its limit sleeps, nothing is killed",
}


def _backstop(place: Place | Missing) -> Ability:
    name = "a backstop for the guard"
    if isinstance(place, Missing):
        return Ability("enforce", name, "unavailable", place.reason, place.hint)
    return Ability("enforce", name, "ok", _BACKSTOPS[place.kind].format(place.parent))


def _fence(*, throttles: bool) -> Ability:
    name = "turn a burst into MemoryError"
    try:
        import resource

        resource.prlimit(0, resource.RLIMIT_DATA)
    except (ImportError, AttributeError, OSError):
        return Ability("enforce", name, "unavailable", "no prlimit(2) on this system")
    when = "used with --fence on, since the backstop brakes bursts" if throttles else "used, since there is no backstop"
    return Ability("enforce", name, "ok", f"RLIMIT_DATA of your own processes can be moved with prlimit; {when}")


def _own_cgroup(cgroups: tuple[str, ...], root: str, environ: Mapping[str, str]) -> Ability:
    name = "a kernel limit for one job"
    if not cgroups or cgroup_version(cgroups[0]) is None:
        return Ability("enforce", name, "unavailable", "no memory cgroup here")
    scope, missing = _systemd_scope(root, environ)
    if scope:
        return Ability("enforce", name, "ok", f"`{scope} -p MemoryMax=8G -p MemorySwapMax=0 COMMAND` sets one")
    own = cgroups[0]
    if os.access(own, os.W_OK | os.X_OK):
        if cgroup_version(own) == 1:
            return Ability("enforce", name, "ok", f"a cgroup can be made under {own}")
        control = (read_bytes(f"{own}/cgroup.subtree_control") or b"").split()
        if b"memory" in control:
            return Ability("enforce", name, "ok", f"{own} is delegated, the memory controller with it")
        reason = f"{own} is ours, but its processes must leave it before a limit below it can be set"
        return Ability("enforce", name, "partial", reason)
    reason, hint = missing or ("only root may make a cgroup here", "memguard's own watcher does without")
    return Ability("enforce", name, "unavailable", reason, hint)


def _systemd_scope(root: str, environ: Mapping[str, str]) -> tuple[str | None, tuple[str, str] | None]:
    """The command that starts a scope of our own, or what is missing for it and how to get it.

    systemd's private socket exists exactly while the manager that would make the scope runs.
    """
    base, uid = root.rstrip("/"), os.geteuid() if hasattr(os, "geteuid") else 0
    directories = environ.get("PATH", os.defpath).split(os.pathsep)
    if not os.path.isdir(f"{base}/run/systemd/system") or not any(
        os.access(f"{directory}/systemd-run", os.X_OK) for directory in directories
    ):
        return None, None
    if uid == 0:
        return "systemd-run --scope", None
    runtime = f"{base}/run/user/{uid}"
    if not os.path.exists(f"{runtime}/systemd/private"):
        reason = "the user's own systemd does not run, so systemd-run --user cannot set one"
        return None, (reason, f"log in on a terminal or by ssh, or `sudo loginctl enable-linger {uid}`")
    if not environ.get("XDG_RUNTIME_DIR"):
        reason = "systemd-run --user needs XDG_RUNTIME_DIR, which `su` and `sudo` drop"
        return None, (reason, f"export XDG_RUNTIME_DIR=/run/user/{uid}")
    service = f"{base}/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service"
    if b"memory" not in (read_bytes(f"{service}/cgroup.controllers") or b"").split():
        reason = "the memory controller is not delegated to users' own systemd"
        return None, (reason, "set Delegate=memory pids in a drop-in of user@.service, then log in again")
    return "systemd-run --user --scope", None


def _other_killers(proc: str) -> Ability:
    name = "nobody else kills first"
    try:
        pids = [entry for entry in os.listdir(proc) if entry.isdigit()]
    except OSError:
        return Ability("enforce", name, "partial", "other processes cannot be listed here")
    names = ((read_bytes(f"{proc}/{pid}/comm") or b"").decode("utf-8", "replace").strip() for pid in pids)
    if proc == "/proc" and str(os.getpid()) not in pids:
        return Ability("enforce", name, "partial", "other processes cannot be listed here")
    running = sorted({comm for comm in names if comm in _KILLERS})
    if not running:
        return Ability("enforce", name, "ok", "no earlyoom, nohang, systemd-oomd or Slurm step daemon runs")
    reason = "; ".join(f"{comm} runs: {_KILLERS[comm]}" for comm in running)
    return Ability("enforce", name, "partial", reason, "keep the job below its thresholds: --limit")


def _kernel_log() -> Ability:
    refused: list[Refusal] = []
    readable = [log.source for log in kernel_logs(refused)]
    if readable:
        return Ability("diagnose", "kernel log", "ok", "readable through " + ", ".join(readable))
    return Ability("diagnose", "kernel log", "unavailable", describe(refused), HINT)


def _kill_counters(proc: str, cgroups: tuple[str, ...]) -> Ability:
    """Readable by everybody: they tell that something was killed, not what."""
    name = "counters of kills"
    places = []
    if b"\noom_kill " in (read_bytes(f"{proc}/vmstat") or b""):
        places.append("/proc/vmstat")
    places += [
        file for c in cgroups[:1] for file in ("memory.events", "memory.oom_control") if os.path.exists(f"{c}/{file}")
    ]
    if places:
        return Ability("diagnose", name, "ok", "oom_kill in " + ", ".join(places))
    old = "this kernel does not count them (before Linux 4.13)"
    reason = old if os.path.exists(f"{proc}/vmstat") else f"there is no {proc}/vmstat"
    return Ability("diagnose", name, "unavailable", reason)
