"""The anonymous memory of this process: how much it is, and freed heap given back to the kernel."""

from __future__ import annotations

import os
from collections.abc import Callable

from memguard.system.proc import read_status

__all__ = ["anonymous_memory", "trim_heap"]

_malloc_trim: Callable[[int], int] | None = None  # looked up when first needed


def trim_heap() -> None:
    """Freed heap back to the kernel (glibc keeps tens of MiB of it between blocks); nothing where there is no glibc."""
    global _malloc_trim
    if _malloc_trim is None:
        import ctypes

        try:
            _malloc_trim = ctypes.CDLL(None).malloc_trim
        except (AttributeError, OSError, TypeError):
            _malloc_trim = int
    _malloc_trim(0)


def anonymous_memory() -> int | None:
    """Bytes; the resident set where the system tells no more, None where it tells nothing."""
    status = read_status(os.getpid())
    if status is not None:
        return status.rss_anon
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.Process().memory_info().rss)
