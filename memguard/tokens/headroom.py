"""How much anonymous memory the limits here leave a job, whatever --max-memory allows."""

from __future__ import annotations

import os

from memguard.system.limits import LimitsReader
from memguard.tokens.budget import BARE_PROCESS
from memguard.tokens.memory import anonymous_memory
from memguard.units import MIB

__all__ = ["read_headroom"]

_WATCHER = 16 * MIB  # the guard's own process, which counts against the same limits


def read_headroom() -> int | None:
    """Bytes, this process's interpreter and libraries included, as in `max_memory`; None where no limit can be read.

    Nine tenths of what is left: the guard asks for memory before a limit is reached. The limit of `memguard run` and of
    a guarded block counts; only this process's memory is held against it, not that of others in the same tree.
    """
    given = os.environ.get("MEMGUARD_LIMIT", "")
    guarded = "MEMGUARD_RUN_DIR" in os.environ  # then the guard's fence moves RLIMIT_DATA as it likes
    own = anonymous_memory() or 0
    reader = LimitsReader(limit=int(given) if given.isdigit() else None, rlimits=not guarded)
    try:
        left = min((constraint.headroom for constraint in reader.read(own)), default=None)
    finally:
        reader.close()
    return None if left is None else max(0, (max(0, left) + min(own, BARE_PROCESS)) * 9 // 10 - _WATCHER)
