"""The files of one memory cgroup: version 1 and version 2 behind one face.

    files = files_of(path, version_1=False)
    files.set_up(high, maximum)      in a new, empty cgroup
    files.move(high, maximum, …)     the limits from now on
    files.usage(), files.charges()   what counts there

Version 2 slows down above memory.high and kills at memory.max (Documentation/admin-guide/cgroup-v2.rst). Version 1 has
one limit, at which whoever needs more sleeps while the kernel's OOM killer is switched off (memory.oom_control in
Documentation/admin-guide/cgroup-v1/memory.rst).
Not here: where the limits lie (cgroup_limit.py).
"""

from __future__ import annotations

import os

from memguard.system.cgroup import Charges, charges_v1, charges_v2, parse_flat, parse_limit
from memguard.system.descriptors import open_file
from memguard.system.kernel_file import KeptFile, read_bytes, to_int

__all__ = ["CgroupFiles", "files_of", "try_write", "write"]


class CgroupFiles:
    """Version 2's; sizes are bytes."""

    limit_file, usage_file = "memory.max", "memory.current"

    def __init__(self, path: str) -> None:
        self.path = path
        self._stat = KeptFile(f"{path}/memory.stat")

    def limits(self, high: int, maximum: int) -> tuple[int, int]:
        """What can be set of the two."""
        return high, maximum

    def set_up(self, high: int, maximum: int) -> bool:
        """Writes the limits of a new, empty cgroup; whether it throttles growth past them. Raises OSError where the
        kernel refuses the one that counts."""
        write(f"{self.path}/memory.max", maximum)
        try_write(f"{self.path}/memory.swap.max", 0)
        try_write(f"{self.path}/memory.high", high)
        return True

    def move(self, high: int, maximum: int, before: int) -> None:
        """`before`: the maximum as it was."""
        try_write(f"{self.path}/memory.high", "max" if high >= maximum else high)
        try_write(f"{self.path}/memory.max", maximum)

    def limit(self) -> int | None:
        """The maximum as the kernel has it; None for none."""
        return parse_limit(read_bytes(f"{self.path}/{self.limit_file}"))

    def usage(self) -> int:
        """Page cache included."""
        return to_int(read_bytes(f"{self.path}/{self.usage_file}")) or 0

    def charges(self) -> Charges:
        return charges_v2(self._read_stat())

    def is_starved(self) -> bool:
        """Whether a process sleeps at the limit, for good."""
        return False

    def close(self) -> None:
        self._stat.close()

    def _read_stat(self) -> dict[str, int]:
        return parse_flat(self._stat.read() or b"")


class _Version1(CgroupFiles):
    limit_file, usage_file = "memory.limit_in_bytes", "memory.usage_in_bytes"

    def limits(self, high: int, maximum: int) -> tuple[int, int]:
        return high, high

    def set_up(self, high: int, maximum: int) -> bool:
        write(f"{self.path}/memory.limit_in_bytes", maximum)
        try_write(f"{self.path}/memory.memsw.limit_in_bytes", maximum)  # not there without swap accounting
        try_write(f"{self.path}/memory.swappiness", 0)
        return try_write(f"{self.path}/memory.oom_control", 1)

    def move(self, high: int, maximum: int, before: int) -> None:
        names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")  # the second is never below the first
        for name in reversed(names) if maximum > before else names:
            try_write(f"{self.path}/{name}", maximum)

    def charges(self) -> Charges:
        stat = self._read_stat()
        return charges_v1(stat, to_int(read_bytes(f"{self.path}/memory.kmem.usage_in_bytes")))

    def is_starved(self) -> bool:
        return b"under_oom 1" in (read_bytes(f"{self.path}/memory.oom_control") or b"")


def files_of(path: str, *, version_1: bool) -> CgroupFiles:
    return _Version1(path) if version_1 else CgroupFiles(path)


def write(path: str, value: object) -> None:
    """Raises OSError with the file's name."""
    descriptor = open_file(path, os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode("ascii"))
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)


def try_write(path: str, value: object) -> bool:
    try:
        write(path, value)
    except OSError:
        return False
    return True
