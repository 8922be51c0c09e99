"""Keeps the watcher out of swap: one that must be read back from a busy disk first would come too late.

mlockall(2) with MCL_ONFAULT (Linux 4.4) locks pages as they are touched, so that nothing is loaded for it. It needs
root (CAP_IPC_LOCK) or an unlimited RLIMIT_MEMLOCK: with the usual 8 MiB a later allocation of ours would fail. ctypes
is loaded, 0.7 MiB, only where all of that holds and there is swap at all.
"""

from __future__ import annotations

import os
import resource

from memguard.system.kernel_file import read_bytes

__all__ = ["lock_memory", "may_lock"]

_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4  # MCL_…, asm-generic/mman.h


def may_lock(swaps: bytes | None, user: int, limit: int) -> bool:
    """`swaps`: /proc/swaps, a header and a line for each; `limit`: the soft RLIMIT_MEMLOCK in bytes, -1 for none."""
    return swaps is not None and swaps.count(b"\n") > 1 and (user == 0 or limit == resource.RLIM_INFINITY)


def lock_memory() -> bool:
    """Whether this process's memory is now locked; a child process's is not."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if not may_lock(read_bytes("/proc/swaps"), os.geteuid(), limit):
        return False
    try:
        import ctypes

        return bool(ctypes.CDLL(None).mlockall(_CURRENT | _FUTURE | _ON_FAULT) == 0)
    except (ImportError, OSError, AttributeError):
        return False
