"""The moving fence: a soft RLIMIT_DATA on every process of the tree, just above what it has and may still take.

    limit = DataLimit("auto", throttles=cgroup.throttles)
    limit.move(processes, headroom)     at each look
    limit.release()                     before last words, and at the end

An allocation that would pass the fence fails: MemoryError, on the line that asked for too much, before a byte of it is
touched. That catches the one burst that is larger than everything left, also where no watcher is fast enough and no
signal gets through (MAP_POPULATE). The kernel counts private writable mappings (VmData), touched or not, so that the
fence cannot tell np.empty from np.ones: `auto` has it only where no cgroup throttles. Shared mappings and
/dev/shm pass it. It holds at the next allocation; what is mapped already may be touched.

    soft limit = VmData now + max(headroom ÷ processes that grow, FLOOR)

FLOOR keeps imports and thread stacks, which map far more than they touch, from failing while little is left: importing
numpy maps 42 MiB, and 40 more for each further BLAS thread (measured: 42.6 at one thread, 82.6 at two; it touches 16);
eight idle threads map 67. A process that stands still has the whole headroom: sharing it among idle workers would
refuse what fits.

A look costs 4.4 µs per process: statm behind a kept descriptor, and prlimit(2). No privilege is needed for processes of
the same user; those of another are left alone. A script's own setrlimit is kept: it is the most that
the fence restores, and the fence never lies above it.

The kernel compares whole pages, so the low 12 bits of a limit are free: they carry MARK. A forked child inherits its
parent's fence, and so is told from a limit that somebody else has set, here and in the sentinel, which knows nothing
else.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterable

from memguard.system.kernel_file import KeptFile
from memguard.system.proc import Process, read_stat
from memguard.system.rlimit import FENCE_MARK, is_fence
from memguard.units import MIB

__all__ = ["MARK", "DataLimit", "floor", "is_fence", "own_data_limit", "release_marked"]

MARK = FENCE_MARK
_PAGE = resource.getpagesize()
_GROWS = MIB  # bytes of VmData between two looks that make a process one that grows
_BLAS_THREADS = 64  # OpenBLAS as numpy ships it starts no more
_FAR = 0.75  # of what may be used: a MemoryError below it was no help
_KEPT_DESCRIPTORS = 100  # one more for each process beyond them is opened at each look
_DATA = resource.RLIMIT_DATA


def floor(cores: int) -> int:
    """Bytes of VmData that are always left: numpy's import on `cores` cores, or eight threads."""
    return 32 * MIB + 40 * MIB * min(cores, _BLAS_THREADS)


def own_data_limit() -> int:
    """This process's own soft limit, which its children start with; under another guard's fence, what lies behind."""
    soft, hard = resource.getrlimit(_DATA)
    return hard if is_fence(soft) else soft


def release_marked(processes: Iterable[Process], soft: int = resource.RLIM_INFINITY) -> int:
    """Takes the fence off every process that carries one, whoever has set it: the soft limit becomes `soft`, at most
    the hard one. Returns how many.
    """
    count = 0
    for process in processes:
        stat = read_stat(process.pid)
        if stat is None or stat.process != process:
            continue
        try:
            found, hard = resource.prlimit(process.pid, _DATA)
            if is_fence(found):
                resource.prlimit(process.pid, _DATA, (_smaller(soft, hard), hard))
                count += 1
        except OSError:
            continue
    return count


class _LimitedProcess:
    """One process, and the soft and hard limits that are its own."""

    __slots__ = ("_checked", "_statm", "data", "hard", "process", "set", "soft")

    def __init__(self, process: Process, soft: int, hard: int) -> None:
        self.process, self.soft, self.hard = process, soft, hard
        self.set: int | None = None  # the fence as it stands
        self.data = 0  # VmData at the last look
        self._statm = KeptFile(f"/proc/{process.pid}/statm")
        self._checked = 0  # the opening of that file which is known to be this very process's

    def read_data(self) -> int | None:
        """VmData and the main thread's stack, statm's sixth field: 132 KiB more, on the safe side. None: it has ended.

        An open descriptor stays with its process, whoever gets the pid; so the start time is compared once.
        """
        fields = (self._statm.read() or b"").split()
        if self._checked != self._statm.opened:
            if not _is_alive(self.process):
                return None
            self._checked = self._statm.opened
        if len(fields) < 6:
            return None
        return int(fields[5]) * _PAGE

    def close(self) -> None:
        self._statm.close()


class DataLimit:
    """`mode` is --fence: auto | on | off. `cores` are those that the tree's libraries may see."""

    def __init__(self, mode: str, *, throttles: bool = False, cores: int | None = None) -> None:
        self.active = mode == "on" or (mode == "auto" and not throttles)
        self._floor = floor(cores or os.cpu_count() or 1)
        self._inherited = own_data_limit()  # what the tree has started with
        self._fenced: dict[Process, _LimitedProcess] = {}
        self._known: set[Process] = set()  # looked at; not all of them can be fenced
        self._ended: set[Process] = set()  # processes that have ended at a fence

    def move(self, processes: Iterable[Process], headroom: int) -> None:
        """Moves every fence. `headroom`: bytes that the tree may still take, by all constraints together."""
        if not self.active:
            return
        processes = tuple(processes)
        self._forget(processes)
        growing, looked = 0, []
        for process in processes:
            fenced = self._fenced.get(process) or self._start(process)
            data = fenced.read_data() if fenced is not None else None
            if fenced is None or data is None:
                continue
            growing += data > fenced.data + _GROWS
            fenced.data = data
            looked.append(fenced)
        share = max(self._floor, headroom // max(1, growing))
        for position, fenced in enumerate(looked):
            self._set(fenced, fenced.data + share)
            if position >= _KEPT_DESCRIPTORS:
                fenced.close()

    def release(self, process: Process | None = None) -> None:
        """Gives `process`, or every process, its own limit back. The next move() sets the fence again."""
        for fenced in list(self._fenced.values()):
            if process not in (None, fenced.process):
                continue
            if not _is_alive(fenced.process):
                self._drop(fenced.process)
            elif fenced.set is not None:
                self._replace(fenced, fenced.soft)
                fenced.set = None

    def close(self) -> bool:
        """Releases every process, and lets the descriptors go. Whether all of them could be released."""
        whole = True
        for fenced in list(self._fenced.values()):
            try:
                self.release(fenced.process)
            except Exception:  # the next one may be possible
                whole = False
            fenced.close()
        return whole

    def caused(self, process: Process) -> bool:
        """Whether a MemoryError that ended `process` was the fence's: it stood when the process was last looked at.

        Without a limit of its own (`ulimit -v`), Linux refuses an allocation otherwise only where it is larger than the
        whole machine, so that this is as good as proof.
        """
        fenced = self._fenced.get(process)
        return process in self._ended or (fenced is not None and fenced.set is not None)

    def misfired(self, process: Process, used: int, usable: int) -> bool:
        """Whether the fence has refused what would probably have been left untouched, or had to be: `used` bytes of
        `usable` were in use when it ended `process`. Then the report names --fence off.
        """
        return self.caused(process) and used < _FAR * usable

    def _forget(self, processes: tuple[Process, ...]) -> None:
        """What is not in the tree any more."""
        for process in self._known - set(processes):
            self._known.discard(process)
            self._drop(process)

    def _drop(self, process: Process) -> None:
        """A fence that stood at the end of its process is remembered, for caused()."""
        fenced = self._fenced.pop(process, None)
        if fenced is not None:
            fenced.close()
            if fenced.set is not None:
                self._ended.add(process)

    def _start(self, process: Process) -> _LimitedProcess | None:
        """None where it has ended, or is another user's."""
        if process in self._known:
            return None
        self._known.add(process)
        try:
            soft, hard = resource.prlimit(process.pid, _DATA)
        except OSError:
            return None
        fenced = _LimitedProcess(process, self._inherited if is_fence(soft) else soft, hard)
        self._fenced[process] = fenced
        return fenced

    def _set(self, fenced: _LimitedProcess, limit: int) -> None:
        limit = limit // _PAGE * _PAGE + MARK
        if fenced.soft != resource.RLIM_INFINITY and fenced.soft <= limit:
            limit = fenced.soft
        found = self._replace(fenced, limit)
        if found is not None and found != fenced.set and not is_fence(found):
            # The script has set a limit since: that one is its own now, and a lower one than ours holds.
            fenced.soft = found
            if fenced.set is not None and found != resource.RLIM_INFINITY and found < limit:
                self._replace(fenced, found)
                limit = found
        fenced.set = limit if is_fence(limit) else None

    def _replace(self, fenced: _LimitedProcess, soft: int) -> int | None:
        """Sets the soft limit; returns the one found. A hard limit that the script has lowered meanwhile stays."""
        pid = fenced.process.pid
        try:
            found, hard = resource.prlimit(pid, _DATA, (_smaller(soft, fenced.hard), fenced.hard))
        except (OSError, ValueError):  # above the hard limit as it is now
            try:
                found, hard = resource.prlimit(pid, _DATA)
            except OSError:
                return None
        if hard != fenced.hard:
            fenced.hard = hard
            with contextlib.suppress(OSError, ValueError):
                resource.prlimit(pid, _DATA, (_smaller(soft, hard), hard))
        return found


def _is_alive(process: Process) -> bool:
    stat = read_stat(process.pid)
    return stat is not None and stat.process == process and stat.alive


def _smaller(soft: int, hard: int) -> int:
    """RLIM_INFINITY is −1."""
    if hard == resource.RLIM_INFINITY:
        return soft
    return hard if soft == resource.RLIM_INFINITY else min(soft, hard)
