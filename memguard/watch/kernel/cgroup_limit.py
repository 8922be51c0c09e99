"""The kernel's own limit around the guarded tree: a memory cgroup of its own, should the guard ever come too late.

    backstop = choose("auto", limit, notify=print)
    fork: backstop.enter(), exec        in the child: from here on its memory counts in the cgroup
    backstop.entered(pid)               in the watcher, which stays outside
    backstop.follow(constraints)        at each look: the outer limits leave more or less by now
    backstop.loosen()                   before the tree is let run for its last words
    backstop.close()                    in every ending

Where its limits lie, `usable` being what all constraints together leave to the tree (100 % of the guard's ladder):

    guard freezes     0.97 × usable
    the brake         usable × 65/64       v2, memory.high: page cache gives way first, then all are slowed down
                                           v1, its only limit: whoever needs more sleeps, since the kernel's OOM killer
                                           is switched off (oom_control)
    memory.max        usable + margin      v2: the kernel kills inside the cgroup, and nowhere else

The margin is kernel_margin of --limit, and half of what is kept free below every other constraint, so that the tree
comes to its own limit before it comes to an outer one: a container's, or the reserve of the machine's memory. Without
--limit those outer ones alone decide, and since others use them too, the limit has to follow them: a cgroup that was
measured once at the start would stop a script that the machine has room for.

memory.high lies above what may be used, so that the guard comes first, and well below memory.max, because the kernel's
penalty grows with the square of the excess (calculate_high_delay in mm/memcontrol.c): measured on Linux 6.1 with
memory.high at 316 MiB, growth of 140 MiB/s fell to 0.6 MiB/s by 4 % above it, and SIGSTOP still took 0.1 s at most.
Not here: where a cgroup can be made (system/own_cgroup.py), how a scope is asked for (scope.py).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable

from memguard.records.limits import Constraint
from memguard.system.cgroup import charges_v1, charges_v2, find_memory_cgroups, parse_flat, parse_limit
from memguard.system.descriptors import open_file
from memguard.system.kernel_file import KeptFile, read_bytes, to_int
from memguard.system.limits import LimitsReader, kernel_margin
from memguard.system.outer_guard import OUTER_LIMIT, brake_above
from memguard.system.own_cgroup import Missing, Place, find_place
from memguard.system.proc import read_stat
from memguard.units import MIB, format_size
from memguard.watch.kernel.scope import busctl_command, enter_scope

__all__ = ["Backstop", "choose", "fit", "hand_over", "remove"]

_SMALLEST = 32 * MIB  # a Python with nothing in it takes 10
_STEP = 4 * MIB  # smaller changes are not written
_SLACK = 16 * MIB  # a limit is lowered only this far above what is in use: the kernel would reclaim, or kill, at once
_REMOVE_WITHIN = 0.5  # seconds; a cgroup is empty as soon as its last process is reaped
_PAGE = 4096


def fit(constraints: Iterable[Constraint], *, used: int = 0, kernel: int = 0) -> tuple[int, int] | None:
    """(memory.high, memory.max) for a cgroup that holds `used` bytes, `kernel` of them the kernel's own; both are 0 for
    one that is still empty. None without any constraint. Pure.

    --limit bounds the tree's own memory; page tables and the like come on top of it in the cgroup.
    """
    usable, maximum = [], []
    for c in constraints:
        if c.name == "--limit":
            usable.append(c.limit + kernel)
            maximum.append(c.limit + kernel + kernel_margin(c.limit))
        else:
            usable.append(used + c.headroom)
            # An outer guard has a backstop of its own, which holds this cgroup, too.
            kept = kernel_margin(c.limit) if c.name == OUTER_LIMIT else c.margin // 2
            maximum.append(used + c.headroom + kept)
    if not maximum:
        return None
    # The nearer of two limits may have the smaller margin: an outer one's counts half.
    low, top = min(usable), min(maximum)
    return min(low + max(0, top - low) // 4, brake_above(low)) // _PAGE * _PAGE, top


def _own(size: tuple[int, int], *, v1: bool) -> tuple[int, int]:
    """Version 1 has one limit, and that is the brake."""
    return (size[0], size[0]) if v1 else size


def choose(
    kind: str,
    limit: int | None,
    *,
    notify: Callable[[str], None],
    reserve: int | None = None,
) -> Backstop:
    """The backstop for --backstop `kind`: auto | scope | v2 | v1 | none. `limit` and `reserve`: --limit and --reserve.

    What cannot be had is a Backstop of kind "none" with its reason; `notify` is told where it was asked for by name.
    """
    chosen = Backstop(reason="switched off") if kind == "none" else _make(kind, limit, reserve)
    if chosen.kind == "none" and kind not in ("auto", "none"):
        notify(f"no {kind} backstop: {chosen.reason}")
    return chosen


def _make(kind: str, limit: int | None, reserve: int | None) -> Backstop:
    place = find_place(kind)
    if isinstance(place, Missing):
        return Backstop(reason=place.reason)
    reader = LimitsReader("self", limit, reserve, rlimits=False)
    size = fit(reader.read(0))
    reader.close()
    if size is None or size[1] < _SMALLEST:
        return Backstop(reason="no limit is known here" if size is None else "hardly any memory is left here")
    high, maximum = _own(size, v1=place.kind == "v1")
    if place.kind == "scope":
        return Backstop(place, f"{place.parent}/memguard-{os.getpid()}-{os.urandom(3).hex()}.scope", high, maximum)
    try:
        path = _make_directory(place.parent)
    except OSError as error:
        return Backstop(reason=f"no cgroup could be made in {place.parent}: {error.strerror}")
    made = Backstop(place, path, high, maximum)
    try:
        made.set_up()
    except OSError as error:
        made.close()
        return Backstop(reason=f"{error.filename} cannot be set: {error.strerror}")
    return made


def _make_directory(parent: str) -> str:
    """A directory of that name is left over from a guard that was killed, and had the same pid."""
    path = f"{parent}/memguard-{os.getpid()}"
    for suffix in ("", *(f".{n}" for n in range(1, 20))):
        with contextlib.suppress(OSError):
            os.rmdir(path + suffix)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path + suffix, 0o755)
            return path + suffix
    raise FileExistsError(17, "too many of its name", path)


class Backstop:
    """One cgroup around one tree, or none (`kind` "none", with the `reason`).

    `limit` is memory.max in bytes as last written. `throttles`: growth past the limit is slowed down or put to sleep,
    not killed. The signals of a process that sleeps in the cgroup arrive once the limit is raised: loosen().
    """

    def __init__(
        self, place: Place | None = None, path: str | None = None, high: int = 0, maximum: int = 0, *, reason: str = ""
    ) -> None:
        self.kind = place.kind if place else "none"
        self.path, self.reason = path, reason
        self.limit: int | None = maximum if place else None
        self.throttles = self.kind in ("scope", "v2")
        self._place, self._high = place, high
        self._v1 = self.kind == "v1"
        self._max_file, self._usage_file = _FILES[self._v1]
        self._home = next(iter(find_memory_cgroups()), None) if place else None  # the watcher's own cgroup
        self._stat: KeptFile | None = KeptFile(f"{path}/memory.stat") if place else None
        self._errors: tuple[int, int] | None = os.pipe() if self.kind == "scope" else None
        self._outside: LimitsReader | None = None
        self._closed = False

    def __str__(self) -> str:
        if self.kind == "none":
            return f"none ({self.reason})"
        return f"{self.kind} {self.path}, {format_size(self.limit or 0)}"

    def set_up(self) -> None:
        """Writes the limits into the new, empty cgroup. Raises OSError where the kernel refuses the one that counts."""
        if self._v1:
            _write(f"{self.path}/memory.limit_in_bytes", self.limit)
            _try(f"{self.path}/memory.memsw.limit_in_bytes", self.limit)  # not there without swap accounting
            _try(f"{self.path}/memory.swappiness", 0)
            self.throttles = _try(f"{self.path}/memory.oom_control", 1)
        else:
            _write(f"{self.path}/memory.max", self.limit)
            _try(f"{self.path}/memory.swap.max", 0)
            _try(f"{self.path}/memory.high", self._high)

    def enter(self) -> None:
        """In the forked child: moves itself. A failure shows in entered(), in the watcher."""
        if self.kind == "scope" and self._place and self._errors:
            unit = os.path.basename(self.path or "")
            command = busctl_command(self._place, unit, os.getpid(), maximum=self.limit or 0, high=self._high)
            enter_scope(command, self._errors[1])
        elif self.kind != "none":
            _try(f"{self.path}/cgroup.procs", 0)

    def entered(self, pid: int) -> None:
        """In the watcher, once the child has executed its command: is it inside, and which directory is that?"""
        if self.kind == "none":
            return None
        words = self._refusal()
        stat = read_stat(pid)
        if stat is not None and stat.alive:
            directory = next(iter(find_memory_cgroups(pid)), None)
            if self.kind == "scope" and directory and directory.endswith(f"/{os.path.basename(self.path or '')}"):
                self._settle(directory)
            if directory != self.path:
                return self._give_up(words or f"the script could not be moved into {self.path}")
        elif words:  # it has ended already, outside
            return self._give_up(words)
        if parse_limit(read_bytes(f"{self.path}/{self._max_file}")) is None and os.path.isdir(self.path or ""):
            return self._give_up(f"no limit could be set in {self.path}")
        self._outside = LimitsReader(pid, rlimits=False, ignore=(self.path or "",))
        return None

    def follow(self, constraints: Iterable[Constraint]) -> None:
        """Moves the limits to where `constraints` (without the backstop's own) put them now. About 45 µs.

        Version 1: what sleeps at the limit while the guard sees room left would sleep for ever; it gets some more. That
        is memory which the guard does not count, and which the kernel could not take back just then: dirty pages, say.
        """
        if self.kind == "none" or self._stat is None:
            return None
        constraints = tuple(constraints)
        if self._v1 and b"under_oom 1" in (read_bytes(f"{self.path}/memory.oom_control") or b""):
            room = min((c.headroom for c in constraints), default=0)
            if room > 0:
                more = self._usage() + min(room, _STEP)
                return self._set(more, more)
        stat = parse_flat(self._stat.read() or b"")
        kmem = to_int(read_bytes(f"{self.path}/memory.kmem.usage_in_bytes")) if self._v1 else None
        charges = charges_v1(stat, kmem) if self._v1 else charges_v2(stat)
        size = fit(constraints, used=charges.used, kernel=charges.kernel or 0)
        size = None if size is None else _own(size, v1=self._v1)
        if size is None or abs(size[1] - (self.limit or 0)) < _STEP:
            return None
        if size[1] > (self.limit or 0) or size[1] >= self._usage() + _SLACK:
            self._set(*size)
        return None

    def loosen(self) -> None:
        """Raises the limit for a dump, last words, or a continued run: as far as the outer limits allow.

        A quarter of the margin to each of them stays. Under version 1 sleeping processes are woken by any higher limit,
        even where there is no room, and see their signals before they try again.
        """
        if self.kind == "none":
            return
        outer = self._outside.read(0) if self._outside else ()
        room = min((c.headroom + c.margin * 3 // 4 for c in outer), default=0)
        top = max((self.limit or 0) + _PAGE, self._usage() + room)
        self._set(top, top)

    def close(self) -> bool:
        """Removes the cgroup. What still lives in it is moved out, or, in a scope, left under the kernel's limit.

        Returns whether nothing of the guard's holds the tree any more; where it does, it may be tried again.
        """
        if self._closed:
            return True
        for file in (self._stat, self._outside):
            if file is not None:
                file.close()
        self._refusal()
        if self.kind == "scope":  # systemd removes it with its last process
            self._closed = hand_over(self.path or "")
        else:
            self._closed = self.kind == "none" or remove(self.path or "", self._home)
        return self._closed

    def _set(self, high: int, maximum: int) -> None:
        before, self.limit, self._high = self.limit or 0, maximum, high
        if self._v1:
            names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")  # the second is never below the first
            for name in reversed(names) if maximum > before else names:
                _try(f"{self.path}/{name}", maximum)
        else:
            _try(f"{self.path}/memory.high", "max" if high >= maximum else high)
            _try(f"{self.path}/memory.max", maximum)

    def _usage(self) -> int:
        """Page cache included."""
        return to_int(read_bytes(f"{self.path}/{self._usage_file}")) or 0

    def _settle(self, directory: str) -> None:
        """A scope may come to lie elsewhere than asked for: in another slice, under another mount."""
        if directory != self.path:
            self.path = directory
            if self._stat is not None:
                self._stat.close()
            self._stat = KeptFile(f"{directory}/memory.stat")

    def _refusal(self) -> str:
        """What busctl said, once; the pipe is closed."""
        if self._errors is None:
            return ""
        reader, writer = self._errors
        self._errors = None
        os.close(writer)
        os.set_blocking(reader, False)  # the child has executed by now; somebody else's copy must not make us wait
        try:
            return os.read(reader, 400).decode("utf-8", "replace").strip()
        except BlockingIOError:
            return ""
        finally:
            os.close(reader)

    def _give_up(self, reason: str) -> None:
        self.close()
        self.kind, self.throttles, self.path, self.limit, self.reason = "none", False, None, None, reason


# (limit, usage) by whether it is version 1
_FILES = {False: ("memory.max", "memory.current"), True: ("memory.limit_in_bytes", "memory.usage_in_bytes")}


def hand_over(path: str) -> bool:
    """Leaves a backstop to the kernel alone: from now on it kills at the limit. Whether that is so.

    Without a watcher nobody would wake a tree that sleeps at its limit, or crawls above memory.high.
    """
    if os.path.exists(f"{path}/memory.oom_control"):
        return _try(f"{path}/memory.oom_control", 0)
    return _try(f"{path}/memory.high", "max") or not os.path.isdir(path)


def remove(path: str, home: str | None = None, within: float = _REMOVE_WITHIN) -> bool:
    """Removes the cgroup `path`, its processes having been moved to `home`; whether it is gone. Never raises."""
    deadline = time.monotonic() + within
    while True:
        try:
            os.rmdir(path)
            return True
        except FileNotFoundError:
            return True
        except OSError:
            if home is not None:
                for name in ("memory.memsw.limit_in_bytes", "memory.limit_in_bytes"):
                    _try(f"{path}/{name}", -1)  # version 1: what sleeps at the limit would sleep on elsewhere
                for pid in (read_bytes(f"{path}/cgroup.procs") or b"").split():
                    _try(f"{home}/cgroup.procs", pid.decode("ascii"))
        if time.monotonic() >= deadline:
            hand_over(path)
            return False
        time.sleep(0.005)


def _write(path: str, value: object) -> None:
    descriptor = open_file(path, os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode("ascii"))
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)


def _try(path: str, value: object) -> bool:
    try:
        _write(path, value)
    except OSError:
        return False
    return True
