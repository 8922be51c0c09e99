"""The kernel's own limit around the guarded tree: a memory cgroup of its own, should the guard ever come too late.

    limit = plan.entered(pid)         cgroup_plan.py: the tree is inside; a CgroupLimit, or NoCgroup
    limit.follow(constraints)         at each look: the outer limits leave more or less by now
    limit.loosen()                    before the tree is let run for its last words
    limit.close()                     in every ending

Where its limits lie, `usable` being what all constraints together leave to the tree (100 % of the guard's ladder):

    guard freezes     0.97 × usable
    throttles         usable × 65/64       v2, memory.high: page cache gives way first, then all are slowed down
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
Not here: how the tree gets in (cgroup_plan.py), the files (cgroup_files.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from memguard.records.limits import Constraint
from memguard.system.kernel_file import read_bytes
from memguard.system.limits import LimitsReader, kernel_margin
from memguard.system.outer_guard import OUTER_LIMIT, throttle_above
from memguard.units import MIB, format_size
from memguard.watch.kernel.cgroup_files import CgroupFiles, try_write

__all__ = ["CgroupLimit", "NoCgroup", "fit", "hand_over", "remove"]

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
            # An outer guard has a cgroup of its own, which holds this cgroup, too.
            kept = kernel_margin(c.limit) if c.name == OUTER_LIMIT else c.margin // 2
            maximum.append(used + c.headroom + kept)
    if not maximum:
        return None
    # The nearer of two limits may have the smaller margin: an outer one's counts half.
    low, top = min(usable), min(maximum)
    return min(low + max(0, top - low) // 4, throttle_above(low)) // _PAGE * _PAGE, top


class NoCgroup:
    """No cgroup, and the `reason`: what a plan and a limit are where there is none."""

    kind, path, limit, throttles = "none", None, None, False

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return f"none ({self.reason})"

    def enter(self) -> None:
        pass

    def entered(self, pid: int) -> NoCgroup:
        return self

    def follow(self, constraints: Iterable[Constraint]) -> None:
        pass

    def loosen(self) -> None:
        pass

    def close(self) -> bool:
        return True


class CgroupLimit:
    """The limit of one cgroup with one tree in it. `kind`: scope | v2 | v1.

    `limit` is memory.max in bytes as last written. `throttles`: growth past the limit is slowed down or put to sleep,
    not killed. The signals of a process that sleeps in the cgroup arrive once the limit is raised: loosen().
    `home` is the cgroup that close() moves to what still lives in this one; without it, in a scope, that is left under
    the kernel's limit.
    """

    def __init__(
        self, kind: str, files: CgroupFiles, limit: int, *, throttles: bool, pid: int, home: str | None = None
    ) -> None:
        self.kind, self.path, self.limit, self.throttles = kind, files.path, limit, throttles
        self._files, self._home = files, home
        self._outside = LimitsReader(pid, rlimits=False, ignore=(files.path,))
        self._closed = False

    def __str__(self) -> str:
        return f"{self.kind} {self.path}, {format_size(self.limit)}"

    def follow(self, constraints: Iterable[Constraint]) -> None:
        """Moves the limits to where `constraints` (without the cgroup's own) put them now. About 45 µs.

        Version 1: what sleeps at the limit while the guard sees room left would sleep for ever; it gets some more. That
        is memory which the guard does not count, and which the kernel could not take back just then: dirty pages, say.
        """
        constraints = tuple(constraints)
        if self._files.is_starved():
            room = min((c.headroom for c in constraints), default=0)
            if room > 0:
                more = self._files.usage() + min(room, _STEP)
                return self._set(more, more)
        charges = self._files.charges()
        size = fit(constraints, used=charges.used, kernel=charges.kernel or 0)
        if size is None:
            return None
        high, maximum = self._files.limits(*size)
        if abs(maximum - self.limit) < _STEP:
            return None
        if maximum > self.limit or maximum >= self._files.usage() + _SLACK:
            self._set(high, maximum)
        return None

    def loosen(self) -> None:
        """Raises the limit for a dump, last words, or a continued run: as far as the outer limits allow.

        A quarter of the margin to each of them stays. Under version 1 sleeping processes are woken by any higher limit,
        even where there is no room, and see their signals before they try again.
        """
        room = min((c.headroom + c.margin * 3 // 4 for c in self._outside.read(0)), default=0)
        top = max(self.limit + _PAGE, self._files.usage() + room)
        self._set(top, top)

    def close(self) -> bool:
        """Removes the cgroup. What still lives in it is moved out, or, in a scope, left under the kernel's limit.

        Returns whether nothing of the guard's holds the tree any more; where it does, it may be tried again.
        """
        if not self._closed:
            self._files.close()
            self._outside.close()
            # systemd removes a scope with its last process
            self._closed = hand_over(self.path) if self.kind == "scope" else remove(self.path, self._home)
        return self._closed

    def _set(self, high: int, maximum: int) -> None:
        before, self.limit = self.limit, maximum
        self._files.move(high, maximum, before)


def hand_over(path: str) -> bool:
    """Leaves a tree to the kernel alone: from now on it kills at the limit. Whether that is so.

    Without a watcher nobody would wake a tree that sleeps at its limit, or crawls above memory.high.
    """
    if os.path.exists(f"{path}/memory.oom_control"):
        return try_write(f"{path}/memory.oom_control", 0)
    return try_write(f"{path}/memory.high", "max") or not os.path.isdir(path)


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
                    try_write(f"{path}/{name}", -1)  # version 1: what sleeps at the limit would sleep on elsewhere
                for pid in (read_bytes(f"{path}/cgroup.procs") or b"").split():
                    try_write(f"{home}/cgroup.procs", pid.decode("ascii"))
        if time.monotonic() >= deadline:
            hand_over(path)
            return False
        time.sleep(0.005)
