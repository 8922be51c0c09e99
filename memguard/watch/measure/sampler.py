"""The measuring eye: what the tree and its constraints hold now, as often as needed and as cheaply as possible.

Two depths. `tick` reads kept descriptors only (1.3 µs each): the usage of each cgroup that has a limit and, unless that
has stood still, each known process's statm and the pid that the machine gave out last. Only when one of the sums has
grown by an eighth of the headroom, or the period is over, does `measure` follow: tree walk, per-process counters, every
constraint (0.2–0.4 ms). Ticks come at

    interval = headroom ÷ (10 GB/s × cores), within 2–100 ms

10 GB/s is what one core was measured to touch at most (huge pages); the cores are those that the machine keeps busy
now, at most the tree's threads. So a tree that writes at full speed is seen again before the headroom is used up.

A tree's own memory is Σ (anonymous + shmem). After a fork that counts shared pages once per process. So a tree of
several processes is measured by PSS when it comes near a limit of its own and at new peaks, and the difference is
subtracted from then on: measured again when a process has come or gone, and a few times a second while near, since
writing to a shared page moves the truth but not the sum. Page cache and mapped files never count; files in memory
(/dev/shm, memfd) do, which are in no process: a cgroup of the tree's own is charged for them, else shared_memory.py
finds them.
"""

from __future__ import annotations

import contextlib
import os
import time

from memguard.records.limits import Constraint
from memguard.system.cgroup import charges_v1, charges_v2, parse_flat
from memguard.system.kernel_file import KeptFile
from memguard.system.limits import LimitsReader
from memguard.system.proc import Process, read_rollup, read_status, read_tree
from memguard.system.run_mark import find_marked
from memguard.units import MIB
from memguard.watch.decide.policy import Sample
from memguard.watch.measure.shared_memory import SharedMemory, started_at
from memguard.watch.process.root import excluded_pids, members_of

__all__ = ["Sampler"]

TOUCH_RATE = 10e9  # bytes per second and core
SHORTEST, LONGEST = 0.002, 0.1  # seconds between ticks
SHORTEST_THROTTLED = 0.005  # the kernel puts to sleep, or slows down, what is faster: no need to be first
_MEASURE_PERIODS = 20  # ticks between measurements of a tree that does not grow
_SHORTEST_PERIOD, _LONGEST_PERIOD = 0.05, 0.25  # seconds between them
_PEAK_RATIO = 1.02  # a new peak of this ratio is measured, too
_STILL = MIB // 4  # bytes of change in a cgroup's usage that are none; its counters lag by up to 256 KiB per core
_ROOMY = 0.9  # of the limit: above it a cgroup's page cache may give way to what grows, and the usage stands still
_WALK_PERIOD = 1.0  # seconds between tree walks when the machine starts no process
_WALK_GAP = 0.25  # and at least, when it starts many
_STRAYS_PERIOD, _STRAYS_PERIOD_NEAR = 2.0, 0.25  # seconds between searches for processes that left the tree
_MARKED_PERIOD, _MARKED_COST = 0.1, 500  # and between those for the mark alone; 500 × what the last one took: 0.2 %
_KEPT_DESCRIPTORS = 200  # statm descriptors kept open at most; the soft limit is often 1024
_NEAR = 0.8  # of a limit: from here on a tree of several processes is measured by PSS, and strays are looked for
_PSS_PERIOD = 0.25  # seconds between PSS readings while near, and 20 × what the last one took: at most 5 % of a core
_PSS_COST = 20
_PEAK_STEP, _PEAK_PERIOD = 1.1, 0.5  # a peak of several processes is measured by PSS at each step, seconds apart


class _Member:
    """One process of the tree."""

    __slots__ = ("process", "resident", "shared", "shared_then", "shmem", "statm")

    def __init__(self, process: Process, proc: str) -> None:
        self.process = process
        self.statm = KeptFile(f"{proc}/{process.pid}/statm")
        self.resident = self.shared = 0
        self.shmem = 0
        self.shared_then = 0  # `shared` when shmem was read

    @property
    def own(self) -> int:
        return max(0, self.resident - self.shared) + self.shmem


class Sampler:
    """Measures the tree below `root`. `times` passed in are seconds since the start of the run.

    A process that has left the tree by a double fork is found in the own cgroup, or by `mark`, which is a variable of
    its environment and that one's value, the run's directory (system/run_mark.py).
    `throttles`: the kernel holds what grows faster than it is looked at.
    `own_cgroup` is the directory of a memory cgroup that holds this tree and nothing else.
    `proc` is another root of /proc, for tests.
    """

    def __init__(
        self,
        root: Process,
        limits: LimitsReader,
        *,
        mark: tuple[str, str] | None = None,
        own_cgroup: str | None = None,
        throttles: bool = False,
        proc: str = "/proc",
    ) -> None:
        self.peak = 0
        self.most_processes = 1
        self.samples = 0
        self._root, self._limits, self._mark, self._proc = root, limits, mark, proc
        self._shortest, self._rate = (SHORTEST_THROTTLED, TOUCH_RATE / 2) if throttles else (SHORTEST, TOUCH_RATE)
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._cpus = len(os.sched_getaffinity(0))
        self._loadavg = KeptFile(f"{proc}/loadavg")
        self._members: dict[int, _Member] = {root.pid: _Member(root, proc)}
        self._threads = self._running = 1
        self._newest_pid = self._last_pid = self._strays_pid = b""
        self._strays_at = self._marked_due = 0.0
        self._unlisted = 0  # looks at a loadavg that is not there
        self._near = False
        self._walked = self._measured = -1e9
        self._tree = 0  # at the last measurement
        self._base = 0  # Σ resident then
        self._own_cgroup = own_cgroup
        # A cgroup of its own is charged for it.
        self._shared = None if own_cgroup else SharedMemory(started_at(root), proc)
        self._own_stat = KeptFile(f"{own_cgroup}/memory.stat") if own_cgroup else None
        self._usage: dict[str, KeptFile] = {}  # by cgroup directory: everything that counts there, page cache too
        self._usage_base = self._usage_last = 0
        self._usage_tells = False  # whether whatever grows there shows, none of it in place of page cache
        self._headroom = 0
        self._shared_twice = self._shmem_twice = 0  # Σ − PSS when last measured, and of shared memory alone
        self._pss_fresh = False  # no process has come or gone since
        self._pss_at, self._pss_took = -1e9, 0.0

    @property
    def processes(self) -> tuple[Process, ...]:
        return tuple(member.process for member in self._members.values())

    @property
    def interval(self) -> float:
        """Seconds until the next tick is due."""
        cores = max(1, min(self._cpus, self._threads, self._running))
        return min(LONGEST, max(self._shortest, self._headroom / (self._rate * cores)))

    def set_limit(self, limit: int | None) -> None:
        """--limit, in bytes, from now on."""
        self._limits.set_limit(limit)

    def tick(self, now: float) -> Sample | None:
        """A cheap look; a Sample when it is time for one, or when the tree has grown."""
        period = min(_LONGEST_PERIOD, max(_SHORTEST_PERIOD, _MEASURE_PERIODS * self.interval))
        usage, before = self._read_usage(), self._usage_last
        self._usage_last = usage
        if self._usage_tells and abs(usage - before) < _STILL and now - self._measured < period:
            return None
        resident, changed = self._read_members()
        # What a newcomer takes shows in the cgroup's usage at once, so that there the walk may wait a little.
        hurry = self._near or not self._usage or now - self._walked >= _WALK_GAP
        if (self._read_loadavg() and hurry) or changed:
            self._walk(now)
            resident, _ = self._read_members()
        growth = max(resident - self._base, usage - self._usage_base, self._shared.growth() if self._shared else 0)
        due = now - self._measured >= period or growth >= max(MIB, self._headroom // 8)
        peak = self._tree + resident - self._base > self.peak * _PEAK_RATIO + MIB
        return self.measure(now) if due or peak else None

    def measure(self, now: float, *, exact: bool = False) -> Sample:
        """The whole look. `exact` asks for PSS, whatever it costs (25–31 ms per few GiB), and for a fresh tree walk."""
        strays = self._find_strays(now)
        if exact or strays or now - self._walked >= _WALK_PERIOD:
            self._walk(now, strays)
        self._base, _ = self._read_members()
        summed = self._sum()
        if exact or self._is_new_peak(summed, now):
            self._read_pss(summed, now)
        charged, written = self._read_charged(), self._read_written()
        tree = max(charged, self._without_double(summed) + written)
        constraints = self._limits.read(tree)
        if not exact and self._is_worth_pss(constraints, now):
            self._read_pss(summed, now)
            tree = max(charged, self._without_double(summed) + written)
            constraints = self._limits.read(tree)
        self._near = any(constraint.fraction >= _NEAR for constraint in constraints)
        self._headroom = min((max(0, c.headroom) for c in constraints), default=0)
        self._keep_usage(constraints)
        self._usage_base = self._usage_last = self._read_usage()
        room = min((c.limit for c in constraints if c.kernel), default=0)
        self._usage_tells = bool(self._usage) and self._usage_base < _ROOMY * room
        self._measured, self._tree = now, tree
        self.samples += 1
        self.peak = max(self.peak, tree)
        certain = exact or len(self._members) == 1
        return Sample(now, tree, constraints, exact=certain, processes=len(self._members))

    def resident(self, process: Process) -> int:
        """Bytes of `process` when it was last looked at, mapped files included."""
        member = self._members.get(process.pid)
        return member.resident if member is not None else 0

    def held_by(self, process: Process) -> int:
        """Bytes of anonymous and shared memory of one process, by PSS where it may be read."""
        return sum(self._read_held(process))

    def close(self) -> None:
        for member in self._members.values():
            member.statm.close()
        for file in (*self._usage.values(), self._loadavg, self._own_stat, self._shared):
            if file is not None:
                file.close()
        self._limits.close()

    def _read_held(self, process: Process) -> tuple[int, int]:
        """(anonymous, shared)"""
        rollup = read_rollup(process.pid, self._proc)
        if rollup is not None and rollup.pss_anon is not None:
            return rollup.pss_anon, rollup.pss_shmem or 0
        status = read_status(process.pid, self._proc)
        return (0, 0) if status is None else (status.rss_anon or 0, status.rss_shmem or 0)

    def _read_loadavg(self) -> bool:
        """Whether the machine has started a process or thread since the last walk.

        /proc/loadavg is `0.20 0.18 0.12 3/456 11206`: 3 threads run now, this one among them; 11206 is the newest pid.
        """
        data = self._loadavg.read()
        if data is None:  # a /proc with processes alone (subset=pid): then there may always be a new one
            self._running, self._newest_pid, self._unlisted = self._cpus, b"%d" % self._unlisted, self._unlisted + 1
            return True
        load, _, self._newest_pid = data.rpartition(b" ")
        running = load.rpartition(b" ")[2].partition(b"/")[0]
        self._running = int(running) - 1 if running.isdigit() else self._cpus
        return self._newest_pid != self._last_pid

    def _keep_usage(self, constraints: tuple[Constraint, ...]) -> None:
        # A limit that only memory.stat tells (an ancestor's, above a container's mount) has that file as its source.
        directories = {
            constraint.source.removesuffix("/memory.stat") for constraint in constraints if constraint.kernel
        }
        if self._own_cgroup:
            directories.add(self._own_cgroup)
        if directories == self._usage.keys():
            return
        for file in self._usage.values():
            file.close()
        self._usage = {}
        for directory in directories:
            v1 = f"{directory}/memory.usage_in_bytes"
            self._usage[directory] = KeptFile(v1 if os.path.exists(v1) else f"{directory}/memory.current")

    def _read_usage(self) -> int:
        """Σ usage of the cgroups with a limit: it grows with what the tree's own counters do not show."""
        return sum(int(data) for file in self._usage.values() if (data := file.read()))

    def _read_charged(self) -> int:
        """Anonymous and shared memory of the tree's own cgroup, each page once; 0 where it has none."""
        stat = parse_flat((self._own_stat.read() if self._own_stat else None) or b"")
        charges = charges_v1(stat, None) if "total_rss" in stat else charges_v2(stat)
        return (charges.anon or 0) + (charges.shmem or 0)

    def _find_strays(self, now: float) -> tuple[Process, ...]:
        """What has left the tree: looked for now and then, and only while the machine starts processes."""
        period = _STRAYS_PERIOD_NEAR if self._near else _STRAYS_PERIOD
        if self._strays_pid == self._last_pid:
            return ()
        if self._own_cgroup:
            inside = members_of(self._own_cgroup, known=self._members, proc=self._proc)
            if inside:
                return inside
        whole = now - self._strays_at >= period
        if self._mark is None or not (whole or (now >= self._marked_due and not self._own_cgroup)):
            return ()
        before = time.perf_counter()
        found = find_marked(*self._mark, self._proc, quick=not whole)
        if whole:
            self._strays_pid, self._strays_at = self._last_pid, now
        self._marked_due = now + max(_MARKED_PERIOD, _MARKED_COST * (time.perf_counter() - before))
        return found

    def _walk(self, now: float, strays: tuple[Process, ...] = ()) -> None:
        self._read_loadavg()
        self._last_pid, self._walked = self._newest_pid, now
        found = read_tree(self._root, (*self.processes, *strays), self._proc, without=excluded_pids())
        alive = {process.pid: process for process in found}
        for pid, member in list(self._members.items()):
            if alive.get(pid) != member.process:
                member.statm.close()
                del self._members[pid]
                self._pss_fresh = False
        threads = 0
        for pid, process in alive.items():
            if pid not in self._members:
                self._members[pid] = _Member(process, self._proc)
                self._pss_fresh = False
            with contextlib.suppress(OSError):
                threads += os.stat(f"{self._proc}/{pid}/task").st_nlink - 2
        self._threads = threads
        self.most_processes = max(self.most_processes, len(self._members))

    def _read_members(self) -> tuple[int, bool]:
        """(Σ resident, whether one of the processes has ended)."""
        total, ended = 0, False
        for position, member in enumerate(self._members.values()):
            data = member.statm.read()
            if position >= _KEPT_DESCRIPTORS:
                member.statm.close()
            fields = data.split(None, 3) if data else ()
            if len(fields) < 4:
                ended = True
                continue
            member.resident, member.shared = int(fields[1]) * self._page, int(fields[2]) * self._page
            total += member.resident
        return total, ended

    def _sum(self) -> int:
        """Σ anonymous + shmem. statm has shmem and mapped files in one figure, so where that grows, status is read."""
        for member in self._members.values():
            if abs(member.shared - member.shared_then) > MIB:
                status = read_status(member.process.pid, self._proc)
                member.shmem = (status.rss_shmem or 0) if status else 0
                member.shared_then = member.shared
        return sum(member.own for member in self._members.values())

    def _read_written(self) -> int:
        """Bytes of the tree's files in memory that are in none of its processes."""
        if self._shared is None:
            return 0
        shmem = {member.process: member.shmem for member in self._members.values()}
        return self._shared.unmapped(shmem, self._shmem_twice if len(shmem) > 1 else 0)

    def _without_double(self, summed: int) -> int:
        return max(0, summed - self._shared_twice) if len(self._members) > 1 else summed

    def _is_new_peak(self, summed: int, now: float) -> bool:
        peak = self._without_double(summed) > self.peak * _PEAK_STEP + MIB
        return peak and len(self._members) > 1 and now - self._pss_at >= _PEAK_PERIOD

    def _is_worth_pss(self, constraints: tuple[Constraint, ...], now: float) -> bool:
        """Whether a limit on the tree itself is near and the difference is not known, or no longer."""
        if len(self._members) == 1 or not any(_counts_tree(c) and c.fraction >= _NEAR for c in constraints):
            return False
        return not self._pss_fresh or now - self._pss_at >= max(_PSS_PERIOD, _PSS_COST * self._pss_took)

    def _read_pss(self, summed: int, now: float) -> None:
        before = time.perf_counter()
        held = [self._read_held(process) for process in self.processes]
        self._shared_twice = summed - sum(anon + shmem for anon, shmem in held)
        self._shmem_twice = sum(member.shmem for member in self._members.values()) - sum(shmem for _, shmem in held)
        self._pss_at, self._pss_fresh = now, True
        self._pss_took = time.perf_counter() - before


def _counts_tree(constraint: Constraint) -> bool:
    """--limit and Slurm's count the tree alone; a cgroup's and the machine's own counters know no double pages."""
    return not constraint.kernel and not constraint.source.startswith("/")
