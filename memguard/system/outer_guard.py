"""The guard around this one: `memguard run` inside `memguard run`, a guarded block in a guarded script.

Its backstop (watch/kernel/cgroup_limit.py) is a cgroup with a limit of the kernel's, but no margin is kept from it:
the outer guard stops its tree a little below that limit, so what it leaves may be used to the last byte. Such a cgroup
is known by its name and its throttle, which a guard that has died does not hold any more: then the kernel kills there.

An outer guard without a cgroup is known by what it has put into the environment: its --limit, in MEMGUARD_LIMIT, and
its run, in MEMGUARD_RUN_DIR, which all of its tree carry.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from memguard.system.kernel_file import to_int
from memguard.system.proc import Process, read_process, read_status, read_tree
from memguard.system.run_mark import find_marked
from memguard.units import MIB

__all__ = ["OUTER_LIMIT", "has_backstop_name", "outer_limit", "throttle_above", "tree_memory", "usable_below"]

OUTER_LIMIT = "the outer guard's limit"  # the name of the Constraint

_NAME = re.compile(r"memguard-\d+(\.\d+|-[0-9a-f]{6}\.scope)?")
_THROTTLE = 2 * MIB  # the throttle lies at least so much above what may be used; else 1/64 of it


def throttle_above(usable: int) -> int:
    """Where a backstop's throttle lies when `usable` bytes may be used below it."""
    return usable + max(_THROTTLE, usable // 64)


def usable_below(throttle: int) -> int:
    """What may be used below a backstop's throttle. One that lies nearer, for a tighter limit's sake, leaves less."""
    return max(0, min(throttle - _THROTTLE, throttle * 64 // 65))


def has_backstop_name(directory: str) -> bool:
    return _NAME.fullmatch(os.path.basename(directory)) is not None


def outer_limit(environ: Mapping[str, str]) -> int | None:
    """The --limit of the guard that this process was started under, in bytes; the smallest, where guards are nested."""
    return to_int(environ.get("MEMGUARD_LIMIT"))


def tree_memory(environ: Mapping[str, str], *, without: tuple[int, ...] = ()) -> int:
    """Anonymous and shared memory, in bytes, of all that is guarded together with this process, itself included.

    Pages that forked processes share are counted once for each. About 15 µs for each process of the machine.
    """
    me = read_process(os.getpid())
    if me is None:
        return 0
    run = environ.get("MEMGUARD_RUN_DIR")
    marked: tuple[Process, ...] = find_marked("MEMGUARD_RUN_DIR", run) if run else ()
    found = [read_status(process.pid) for process in read_tree(me, marked) if process.pid not in without]
    return sum((status.rss_anon or 0) + (status.rss_shmem or 0) for status in found if status is not None)
