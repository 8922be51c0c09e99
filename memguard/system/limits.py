"""Which limits hold here, what already counts against each, and how much may still be added.

    headroom = limit − margin − used, and the constraint with the least headroom binds

| constraint                        | used                                 | margin            | at the limit      |
|-----------------------------------|--------------------------------------|-------------------|-------------------|
| --limit                           | the tree's own memory                | 0                 | the guard acts    |
| memory.max, memory.limit_in_bytes | anon + shmem + kernel of that cgroup | max(64 MiB, 10 %) | kernel kills      |
| memory.high                       | the same                             | max(64 MiB, 10 %) | kernel stalls     |
| RLIMIT_AS, RLIMIT_DATA            | VmSize, VmData of the process        | max(64 MiB, 10 %) | kernel refuses    |
| SLURM_MEM_PER_NODE, _PER_CPU      | the tree's own memory                | max(64 MiB, 10 %) | slurmd kills      |
| the outer guard's limit           | the same, of that guard's cgroup     | 0                 | that guard acts   |
| MemAvailable                      | MemTotal − MemAvailable              | default_reserve   | thrashing, a kill |

Swap adds no room: it turns a kill into hours of thrashing. RLIMIT_RSS is ignored by Linux and here. The guard's poll
and `memguard estimate` use the same LimitsReader.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from memguard.records.limits import Constraint, Limits, kernel_margin
from memguard.system.cgroup import (
    Charges,
    cgroup_version,
    charges_v1,
    charges_v2,
    find_memory_cgroups,
    parse_flat,
    parse_limit,
)
from memguard.system.kernel_file import KeptFile, to_int
from memguard.system.outer_guard import OUTER_LIMIT, has_backstop_name, outer_limit, tree_memory, usable_below
from memguard.system.proc import Meminfo, parse_meminfo, parse_status, read_stat
from memguard.system.rlimit import is_fence, read_rlimits
from memguard.units import GIB, MIB

__all__ = ["LimitsReader", "default_reserve", "describe", "kernel_margin", "read_limits", "slurm_limit"]

_LIMIT_FILE = {1: "memory.limit_in_bytes", 2: "memory.max"}


def default_reserve(total: int) -> int:
    """Bytes of MemAvailable that a job should leave to the rest of a machine of `total` bytes.

    10 % of it, at most 2 GiB, at least 256 MiB (or a quarter of a very small machine). MemAvailable counts page cache
    as free, the code pages of running programs among it: once a job takes those, every program reads its own code
    from the disk again, and the machine stands still before the kernel kills. The programs of a desktop session are
    a few hundred MiB: that is the floor. 10 % is where earlyoom steps in by itself. Above 20 GiB the programs do not
    grow with the machine: that is the cap.
    """
    return max(min(256 * MIB, total // 4), min(total // 10, 2 * GIB))


def slurm_limit(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """(variable, bytes) that Slurm grants this job on this node; None outside Slurm or without a memory limit.

    Slurm counts in MiB; SLURM_MEM_PER_NODE=0 asks for all of the node's memory, which is no limit.
    """
    per_node = to_int(environ.get("SLURM_MEM_PER_NODE"))
    if per_node:
        return "SLURM_MEM_PER_NODE", per_node * MIB
    per_cpu = to_int(environ.get("SLURM_MEM_PER_CPU"))
    cpus = to_int(environ.get("SLURM_CPUS_ON_NODE")) or to_int(environ.get("SLURM_CPUS_PER_TASK")) or 1
    return ("SLURM_MEM_PER_CPU", per_cpu * cpus * MIB) if per_cpu else None


def read_limits(
    *,
    limit: int | None = None,
    tree_used: int = 0,
    pid: int | str = "self",
    reserve: int | None = None,
    root: str = "/",
    environ: Mapping[str, str] | None = None,
) -> Limits:
    """Every limit in force for a process tree below `pid` that uses `tree_used` bytes itself.
    `limit` and `reserve`, in bytes, are the user's --limit and --reserve. Where there is no /proc/meminfo (macOS,
    Windows; untested) the machine's memory comes from psutil and no other limit is known. What the calling process
    uses itself counts as used: read early, before large imports, where the question is about a later job.
    """
    environ = os.environ if environ is None else environ
    reader = LimitsReader(pid, limit=limit, reserve=reserve, root=root, environ=environ)
    try:
        around = tree_memory(environ) if outer_limit(environ) is not None and root == "/" else None
        constraints = reader.read(tree_used, around=around)
        memory = reader.read_memory()
    finally:
        reader.close()
    binding = min(constraints, key=lambda constraint: constraint.headroom, default=None)
    return Limits(
        effective=max(0, binding.headroom) if binding else 0,
        source=describe(binding) if binding else "no limit could be read",
        available=memory.available if memory else None,
        total=memory.total if memory else None,
        swap_free=memory.swap_free if memory else None,
        constraints=constraints,
    )


def describe(constraint: Constraint) -> str:
    """A constraint in words: `memory.max of /sys/fs/cgroup/…`."""
    if constraint.name == constraint.source:
        return constraint.name
    return f"{constraint.name} of {constraint.source}"


class LimitsReader:
    """The constraints in force for the tree below `pid`, again and again, at the guard's poll rate.

    Keeps its descriptors open and follows the process into another cgroup. Single-threaded; `close()` when done.
    One read takes about 0.1 ms: half of it for /proc/meminfo, 25 µs for each memory.stat of a limited cgroup.
    `rlimits=False` leaves RLIMIT_AS and RLIMIT_DATA out, for a caller that moves them itself; `ignore` names cgroup
    directories whose limits are left out: the guard's own backstop, which lies above what the tree may use. Another
    guard's is OUTER_LIMIT (outer_guard.py).
    """

    def __init__(
        self,
        pid: int | str = "self",
        limit: int | None = None,
        reserve: int | None = None,
        root: str = "/",
        *,
        rlimits: bool = True,
        ignore: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._pid, self._limit, self._reserve, self._root = pid, limit, reserve, root
        self._ignore = ignore
        self._proc = root.rstrip("/") + "/proc"
        environ = os.environ if environ is None else environ
        self._slurm, self._outer = slurm_limit(environ), outer_limit(environ)
        self._meminfo = KeptFile(f"{self._proc}/meminfo")
        self._membership = KeptFile(f"{self._proc}/{pid}/cgroup")
        self._status = KeptFile(f"{self._proc}/{pid}/status")
        self._rlimits = _soft_memory_limits(read_rlimits(pid, self._proc)) if rlimits else {}
        self._place: bytes | None = None  # the content of /proc/PID/cgroup that _cgroups belong to
        self._cgroups: tuple[_CgroupReader, ...] = ()

    def set_limit(self, limit: int | None) -> None:
        """--limit, in bytes, from now on."""
        self._limit = limit

    def read(self, tree_used: int, *, around: int | None = None) -> tuple[Constraint, ...]:
        """What holds now, the tree itself using `tree_used` bytes: --limit, the cgroups upwards, then the rest.

        `around`: what the tree of an outer guard uses that has no cgroup; at least `tree_used`.
        """
        memory = self.read_memory()
        constraints: list[Constraint] = []
        if self._limit is not None:
            constraints.append(Constraint("--limit", "--limit", self._limit, tree_used, 0, False))
        enforced = self._read_cgroups(memory.kernel_unreclaimable if memory else None)
        constraints += enforced
        if self._outer is not None and not any(c.name == OUTER_LIMIT for c in enforced):
            used = max(tree_used, around or 0)
            constraints.append(Constraint(OUTER_LIMIT, "MEMGUARD_LIMIT", self._outer, used, 0, False))
        if self._slurm and not any(c.limit <= self._slurm[1] for c in enforced):
            name, granted = self._slurm
            margin = kernel_margin(granted)
            constraints.append(Constraint(name, "the environment", granted, tree_used, margin, False))
        if self._rlimits:
            constraints += self._read_rlimits()
        if memory and memory.total and memory.available is not None:
            reserve = default_reserve(memory.total) if self._reserve is None else self._reserve
            used = max(0, memory.total - memory.available)
            source = self._meminfo.path
            constraints.append(Constraint("MemAvailable", source, memory.total, used, reserve, False))
        return tuple(constraints)

    def read_memory(self) -> Meminfo | None:
        data = self._meminfo.read()
        return parse_meminfo(data.decode("ascii", "replace")) if data else _memory_elsewhere()

    @property
    def cgroups(self) -> tuple[str, ...]:
        """The directories that the last read looked at, the process's own first."""
        return tuple(cgroup.path for cgroup in self._cgroups)

    def close(self) -> None:
        for file in (self._meminfo, self._membership, self._status):
            file.close()
        self._close_cgroups()

    def _close_cgroups(self) -> None:
        for cgroup in self._cgroups:
            cgroup.close()
        self._cgroups = ()

    def _read_cgroups(self, kernel_bound: int | None) -> list[Constraint]:
        place = self._membership.read()
        if place is not None and place != self._place and (self._place is None or self._alive()):
            self._resolve(place)
        constraints, whole = self._read_resolved(kernel_bound)
        if not whole:  # a cgroup was removed under us
            self._resolve(place)
            constraints, _ = self._read_resolved(kernel_bound)
        return constraints

    def _alive(self) -> bool:
        """An ended process has no membership any more, or is shown in version 1's root while it waits for its parent.

        Its last cgroups still hold for its children.
        """
        stat = read_stat(self._pid, self._proc)
        return stat is not None and stat.alive

    def _resolve(self, place: bytes | None) -> None:
        self._close_cgroups()
        self._place = place
        found = ((path, cgroup_version(path)) for path in find_memory_cgroups(self._pid, root=self._root))
        # Version 2's true root has no limit file, nor has a directory where the memory controller is off.
        readers = [
            _CgroupReader(path, version)
            for path, version in found
            if version is not None and os.path.exists(f"{path}/{_LIMIT_FILE[version]}")
        ]
        # Elsewhere than at the bottom, an ignored one is read: version 1's smallest limit may be its own.
        while readers and readers[0].path in self._ignore:
            del readers[0]
        self._cgroups = tuple(readers)

    def _read_resolved(self, kernel_bound: int | None) -> tuple[list[Constraint], bool]:
        """The constraints, and whether every cgroup was still there."""
        constraints: list[Constraint] = []
        for cgroup in self._cgroups:
            found = cgroup.read(kernel_bound)
            if found is None:
                return constraints, False
            constraints += found
        if self._cgroups and self._cgroups[0].version == 1:
            own, top = self._cgroups[0], self._cgroups[-1]
            hierarchical = own.charges(kernel_bound).hierarchical_limit
            constraints = _reconcile(constraints, hierarchical, lambda: top.charges(kernel_bound).used, own.path)
        guards = {cgroup.path for cgroup in self._cgroups if cgroup.guarded}
        return [seen for c in constraints if (seen := self._as_seen(c, guards)) is not None], True

    def _as_seen(self, found: Constraint, guards: set[str]) -> Constraint | None:
        """None for the guard's own backstop, and all but the throttle of another guard's."""
        if found.source in self._ignore:
            return None
        if found.source not in guards:
            return found
        if found.name == "memory.max":
            return None
        return Constraint(OUTER_LIMIT, found.source, usable_below(found.limit), found.used, 0, False)

    def _read_rlimits(self) -> list[Constraint]:
        data = self._status.read()
        status = parse_status(data.decode("ascii", "replace")) if data else None
        if status is None:  # it ended
            return []
        used = {"RLIMIT_AS": status.vm_size, "RLIMIT_DATA": status.vm_data}
        source = f"/proc/{self._pid}/limits"
        return [
            Constraint(name, source, limit, used[name] or 0, kernel_margin(limit), True)
            for name, limit in self._rlimits.items()
        ]


class _CgroupReader:
    """One cgroup directory behind kept descriptors; memory.stat, the dearest, is read only where a limit is set."""

    __slots__ = ("_high", "_kmem", "_limit", "_oom", "_stat", "guarded", "path", "version")

    def __init__(self, path: str, version: int) -> None:
        self.path, self.version = path, version
        self._limit = KeptFile(f"{path}/{_LIMIT_FILE[version]}")
        self._high = KeptFile(f"{path}/memory.high") if version == 2 else None
        self._stat = KeptFile(f"{path}/memory.stat")
        self._kmem = KeptFile(f"{path}/memory.kmem.usage_in_bytes") if version == 1 else None
        self._oom = KeptFile(f"{path}/memory.oom_control") if version == 1 and has_backstop_name(path) else None
        self.guarded = False  # another guard's backstop, at the last read

    def read(self, kernel_bound: int | None) -> list[Constraint] | None:
        """The limits set here; None where the directory vanished."""
        raw = self._limit.read()
        if raw is None:
            return None
        limits = [(_LIMIT_FILE[self.version], parse_limit(raw))]
        if self._high is not None:
            limits.append(("memory.high", parse_limit(self._high.read())))
        in_force = [(name, limit) for name, limit in limits if limit is not None]
        self.guarded = self._is_guarded(in_force)
        if not in_force:
            return []
        used = self.charges(kernel_bound).used
        return [Constraint(name, self.path, limit, used, kernel_margin(limit), True) for name, limit in in_force]

    def _is_guarded(self, in_force: list[tuple[str, int]]) -> bool:
        """A guard that has gone takes its throttle along: the kernel may kill again, memory.high is `max`."""
        if self._oom is not None:
            return parse_flat(self._oom.read() or b"").get("oom_kill_disable") == 1
        return self.version == 2 and has_backstop_name(self.path) and any(name == "memory.high" for name, _ in in_force)

    def charges(self, kernel_bound: int | None) -> Charges:
        stat = parse_flat(self._stat.read() or b"")
        if self._kmem is not None:
            return charges_v1(stat, parse_limit(self._kmem.read()), kernel_bound)
        return charges_v2(stat)

    def close(self) -> None:
        for file in (self._limit, self._high, self._stat, self._kmem, self._oom):
            if file is not None:
                file.close()


def _reconcile(
    constraints: list[Constraint], hierarchical: int | None, hidden_used: Callable[[], int], path: str
) -> list[Constraint]:
    """Version 1's own word on which limit holds: the smallest of a cgroup and the ancestors that count its memory.

    An ancestor's limit below it does not hold (memory.use_hierarchy=0, kernels before 5.11). Where it is below every
    limit seen, it is that of an ancestor hidden above the container's mount, and of that one's memory at least the
    visible part is used.
    """
    held = [c for c in constraints if hierarchical is None or c.limit >= hierarchical]
    if hierarchical is None or any(c.limit == hierarchical for c in held):
        return held
    name, margin = "hierarchical_memory_limit", kernel_margin(hierarchical)
    return [*held, Constraint(name, f"{path}/memory.stat", hierarchical, hidden_used(), margin, True)]


def _soft_memory_limits(rlimits: Mapping[str, tuple[int | None, int | None]]) -> dict[str, int]:
    """A guard's moving fence does not count: it leaves whatever its guard leaves."""
    soft = {name: rlimits.get(name, (None, None))[0] for name in ("RLIMIT_AS", "RLIMIT_DATA")}
    return {name: limit for name, limit in soft.items() if limit is not None and not is_fence(limit)}


def _memory_elsewhere() -> Meminfo | None:
    """The machine's memory where there is no /proc: macOS, Windows. Untested."""
    if sys.platform == "linux":
        return None
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Meminfo(
        total=memory.total,
        free=memory.free,
        available=memory.available,
        buffers=None,
        cached=None,
        shmem=None,
        swap_total=swap.total,
        swap_free=swap.free,
        anon_pages=None,
        slab_reclaimable=None,
        kernel_unreclaimable=None,
    )
