"""The watcher's own open files: how many it may have, and a reserve for those without which no tree could go on.

    before = widen()            raises the limit on open files as far as it may; `before` is what the script gets back
    descriptor = open_file(…)   os.open, which makes room first where the table of descriptors is full
    release_spare()             in every ending: from here on there is one more than the watcher ever used

Files of /proc and of cgroups are kept open because that is cheaper (kernel_file.py), not because they must be: of a
small limit (`ulimit -n 16`) only a part goes to them, and each is closed again where a descriptor is needed elsewhere.
A process that has never called widen() is no watcher: nothing is counted there, and nothing is closed.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeVar

    T = TypeVar("T")

    class Kept(Protocol):
        def close(self) -> None: ...


__all__ = [
    "NO_ROOM",
    "forget_kept",
    "give_back",
    "is_watcher",
    "keep",
    "let_go",
    "list_names",
    "may_keep",
    "open_file",
    "release_spare",
    "widen",
]

NO_ROOM = (errno.EMFILE, errno.ENFILE)  # this process's table is full; the whole machine's is

_WANTED = 1024  # the usual soft limit; 200 + 100 kept files are the most that sampler and fence ask for
_FREE = 6  # descriptors never spent on kept files: pipes to the script, one file at a time, an import at the end


class _Table:
    most: int | None = None  # files kept open at most; None: this process is no watcher
    spare: int | None = None
    standard: tuple[int, ...] = ()  # 0, 1 and 2, as far as they were closed


_table = _Table()
_kept: dict[Kept, None] = {}


def widen() -> tuple[int, int]:
    """Raises the soft limit on open files to 1024 at least, the hard one too where that is allowed (root), and counts
    what may be kept open. Returns the limits as they were. Linux.

    A standard stream that is closed is /dev/null meanwhile: a pipe or a journal in its place would be written to, or
    closed, by whoever takes it for the stream. exec closes it again.
    """
    import resource

    while (filler := os.open(os.devnull, os.O_RDWR)) <= 2:
        _table.standard += (filler,)
    os.close(filler)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in ((_WANTED, max(hard, _WANTED)), (min(hard, _WANTED), hard)):
        if soft >= wanted[0]:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, wanted)
            break
        except (OSError, ValueError):
            continue
    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    _table.most = max(0, now - len(_open_now(now)) - _FREE)
    if _table.spare is None:
        _table.spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    return soft, hard


def give_back(before: tuple[int, int]) -> None:
    """The limits as they were, for the script or for whoever called the guard: this process is no watcher any more.

    Never raises: a limit may always be lowered.
    """
    import contextlib
    import resource

    _table.most = None
    standard, _table.standard = _table.standard, ()
    for descriptor in standard:
        os.close(descriptor)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _open_now(soft: int) -> list[int]:
    """The descriptors that are open; without /proc each is asked."""
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return [number for number in range(min(soft, _WANTED)) if _is_open(number)]


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def is_watcher() -> bool:
    return _table.most is not None


def may_keep() -> bool:
    """Whether one more file may be kept open."""
    return _table.most is None or len(_kept) < _table.most


def keep(file: Kept) -> None:
    """`file` has a descriptor that it could do without."""
    if _table.most is not None:
        _kept[file] = None


def let_go(file: Kept) -> None:
    """It has none any more."""
    _kept.pop(file, None)


def forget_kept() -> None:
    """In a child that closes what it has inherited: none of it is kept there any more."""
    _kept.clear()
    _table.spare = None


def release_spare() -> None:
    """One more descriptor for what is opened from now on: it was held for this."""
    spare, _table.spare = _table.spare, None
    if spare is not None:
        os.close(spare)


def open_file(path: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """os.open, closed by exec. Raises OSError, with an errno of NO_ROOM only where nothing of ours could be closed."""
    return _with_room(lambda: os.open(path, flags | getattr(os, "O_CLOEXEC", 0), mode))


def list_names(path: str) -> list[str] | None:
    """os.listdir; None where `path` has vanished, never was, or may not be read. In a watcher a full table of
    descriptors is an error: to it, a process whose files cannot be listed would look like one that has ended.
    """
    try:
        return _with_room(lambda: os.listdir(path))
    except OSError as error:
        if error.errno in NO_ROOM and is_watcher():
            raise
        return None


def _with_room(act: Callable[[], T]) -> T:
    try:
        return act()
    except OSError as error:
        if error.errno not in NO_ROOM or not _kept:
            raise
    # Somebody else in this process needs them, or the machine does: from now on fewer are kept.
    _table.most = len(_kept) // 2
    for file in tuple(_kept):
        file.close()
    return act()
