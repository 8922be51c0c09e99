"""Small files of the kernel's, opened once or kept open.

Files of /proc and /sys are made anew at each read and have no size, so they are read to their end in one go. A
kept descriptor saves the path walk: 1.3 µs instead of 12 µs for /proc/PID/statm.
"""

from __future__ import annotations

import os

__all__ = ["KeptFile", "read_bytes", "to_int"]

_CHUNK = 64 * 1024


def read_bytes(path: str) -> bytes | None:
    """The whole file; None where it has vanished, never was, or may not be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        parts = []
        while part := os.read(descriptor, _CHUNK):
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
    except OSError:  # ESRCH: the process ended between open and read; EACCES: ptrace rules, checked at read
        return None
    finally:
        os.close(descriptor)


def to_int(text: str | bytes | None) -> int | None:
    """A non-negative decimal number; None for everything else (`max`, `unlimited`, garbage)."""
    if text is None:
        return None
    stripped = text.strip()
    return int(stripped) if len(stripped) <= 20 and stripped.isascii() and stripped.isdigit() else None


class KeptFile:
    """One kernel file behind a kept descriptor; each `read` gives its present content.

    At most 64 KiB, which no file that memguard keeps open comes near.
    """

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None

    def read(self) -> bytes | None:
        """None where the file is not there any more: a removed cgroup says ENODEV, an ended process ESRCH."""
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(self._descriptor, _CHUNK, 0)
        except (OSError, ValueError):
            self.close()
            return None

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
