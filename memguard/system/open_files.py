"""Which files a process has open: /proc/PID/fd and fdinfo. Only the owner and root may look.

Not here: what is mapped without a descriptor (/proc/PID/maps).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memguard.system.descriptors import list_names
from memguard.system.kernel_file import read_bytes, to_int
from memguard.system.proc import Process

__all__ = ["OpenFile", "find_descriptor", "parse_fdinfo", "read_open_files", "read_positions", "read_transfer"]


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A regular file behind a descriptor. `deleted`: it has no name any more and `path` is its last one."""

    path: str
    descriptor: int
    size: int
    position: int | None  # bytes; None where the kernel does not say
    readable: bool
    writable: bool
    deleted: bool = False


def parse_fdinfo(text: str) -> tuple[int | None, int | None]:
    """(position, open flags) of /proc/PID/fdinfo/FD; flags are octal there. None for what is missing."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    try:
        position = int(fields["pos"])
    except (KeyError, ValueError):
        position = None
    try:
        flags = int(fields["flags"], 8)
    except (KeyError, ValueError):
        flags = None
    return position, flags


def read_open_files(pid: int, proc: str = "/proc") -> tuple[OpenFile, ...]:
    """The regular files that `pid` has open, in the order of their descriptors; empty where nobody may look."""
    names = sorted(int(name) for name in list_names(f"{proc}/{pid}/fd") or () if name.isdigit())
    return tuple(file for name in names if (file := _read_open_file(pid, name, proc)) is not None)


def _read_open_file(pid: int, descriptor: int, proc: str) -> OpenFile | None:
    link = f"{proc}/{pid}/fd/{descriptor}"
    try:
        path = os.readlink(link)
        if not path.startswith("/") or path.startswith(("/dev/pts/", "/proc/", "/sys/")):
            return None  # pipe:[…], socket:[…], terminals
        status = os.stat(link)  # follows the descriptor itself, also where the name is gone
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    position, flags = parse_fdinfo((read_bytes(f"{proc}/{pid}/fdinfo/{descriptor}") or b"").decode("ascii", "replace"))
    access = (flags or 0) & os.O_ACCMODE
    return OpenFile(
        path=path.removesuffix(" (deleted)"),
        descriptor=descriptor,
        size=status.st_size,
        position=position,
        readable=access in (os.O_RDONLY, os.O_RDWR),
        writable=access in (os.O_WRONLY, os.O_RDWR),
        deleted=status.st_nlink == 0,
    )


# Their readers use pread, which leaves the position at 0; the process's rchar tells how far they are.
_READ_BY_PREAD = (".parquet", ".pq", ".arrow", ".feather", ".ipc")


def read_positions(
    processes: Iterable[Process], inputs: Mapping[str, int], proc: str = "/proc"
) -> list[tuple[str, int, int]]:
    """(path, position, size) of each of `inputs` ({path: size}) that one of `processes` has open now.

    The furthest position counts where several have it open. A columnar file whose position stands at 0 gets its
    process's rchar, as long as that is below its size and no other input is open there. 0.4 ms for an ordinary script.
    """
    furthest: dict[str, int] = {}
    for process in processes:
        own = _own_positions(process.pid, inputs, proc)
        if len(own) == 1:
            ((path, position),) = own.items()
            if position == 0 and path.endswith(_READ_BY_PREAD):
                transfer = read_transfer(process.pid, proc)
                own[path] = transfer[0] if transfer and transfer[0] <= inputs[path] else 0
        for path, position in own.items():
            furthest[path] = max(position, furthest.get(path, 0))
    return [(path, min(position, inputs[path]), inputs[path]) for path, position in furthest.items()]


def _own_positions(pid: int, inputs: Mapping[str, int], proc: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in list_names(f"{proc}/{pid}/fd") or ():
        try:
            path = os.readlink(f"{proc}/{pid}/fd/{name}")
        except OSError:
            continue
        if path in inputs:
            text = (read_bytes(f"{proc}/{pid}/fdinfo/{name}") or b"").decode("ascii", "replace")
            found[path] = max(parse_fdinfo(text)[0] or 0, found.get(path, 0))
    return found


def read_transfer(pid: int, proc: str = "/proc") -> tuple[int, int] | None:
    """(rchar, wchar) of /proc/PID/io: bytes that its reads and writes have asked for so far, pipes and terminals too.

    None where nobody may look.
    """
    fields = dict(line.split(b":", 1) for line in (read_bytes(f"{proc}/{pid}/io") or b"").splitlines() if b":" in line)
    read, written = to_int(fields.get(b"rchar")), to_int(fields.get(b"wchar"))
    return None if read is None or written is None else (read, written)


def find_descriptor(pid: int, path: str, proc: str = "/proc") -> int | None:
    """The first descriptor behind which `pid` has exactly `path` open; None where there is none or nobody may look."""
    for name in list_names(f"{proc}/{pid}/fd") or ():
        try:
            if os.readlink(f"{proc}/{pid}/fd/{name}") == path:
                return int(name)
        except OSError:
            continue
    return None
