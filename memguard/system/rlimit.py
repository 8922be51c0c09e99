"""Resource limits of a process (`ulimit`), from /proc/PID/limits. Moved by watch/kernel/data_limit.py."""

from __future__ import annotations

import os

from memguard.system.kernel_file import read_bytes, to_int

__all__ = ["FENCE_MARK", "is_fence", "parse_limits", "read_rlimits"]

FENCE_MARK = 0xACE  # the low 12 bits of an RLIMIT_DATA that a guard's fence has set; the kernel compares whole pages
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

# The kernel's words in /proc/PID/limits (fs/proc/base.c, lnames) and the names of setrlimit(2).
_NAMES = {
    "Max cpu time": "RLIMIT_CPU",
    "Max file size": "RLIMIT_FSIZE",
    "Max data size": "RLIMIT_DATA",
    "Max stack size": "RLIMIT_STACK",
    "Max core file size": "RLIMIT_CORE",
    "Max resident set": "RLIMIT_RSS",
    "Max processes": "RLIMIT_NPROC",
    "Max open files": "RLIMIT_NOFILE",
    "Max locked memory": "RLIMIT_MEMLOCK",
    "Max address space": "RLIMIT_AS",
    "Max file locks": "RLIMIT_LOCKS",
    "Max pending signals": "RLIMIT_SIGPENDING",
    "Max msgqueue size": "RLIMIT_MSGQUEUE",
    "Max nice priority": "RLIMIT_NICE",
    "Max realtime priority": "RLIMIT_RTPRIO",
    "Max realtime timeout": "RLIMIT_RTTIME",
}


def is_fence(soft: int) -> bool:
    """Whether a soft RLIMIT_DATA is one that a guard's fence has set."""
    return soft >= 0 and soft % _PAGE == FENCE_MARK


def parse_limits(text: str) -> dict[str, tuple[int | None, int | None]]:
    """{"RLIMIT_AS": (soft, hard), …}, each in its own unit; None: unlimited. Lines it cannot read are left out."""
    result: dict[str, tuple[int | None, int | None]] = {}
    for line in text.split("\n"):
        words = next((words for words in _NAMES if line.startswith(words + " ")), None)
        values = line[len(words) :].split()[:2] if words else []
        if words and len(values) == 2 and all(v == "unlimited" or to_int(v) is not None for v in values):
            result[_NAMES[words]] = (to_int(values[0]), to_int(values[1]))
    return result


def read_rlimits(pid: int | str = "self", proc: str = "/proc") -> dict[str, tuple[int | None, int | None]]:
    """Empty where the process vanished or its limits may not be read."""
    data = read_bytes(f"{proc}/{pid}/limits")
    return {} if data is None else parse_limits(data.decode("ascii", "replace"))
