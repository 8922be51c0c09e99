"""How the tree gets a memory cgroup of its own: chosen before it is started, entered by its first process.

    plan = choose("auto", limit, notify=print)
    fork: plan.enter(), exec            in the child: from here on its memory counts in the cgroup
    limit = plan.entered(pid)           in the watcher, which stays outside: a CgroupLimit, or NoCgroup with its reason
    plan.close()                        where it is never entered

A directory of one's own (v2, v1) is made and bounded here, before the fork; a systemd scope is asked for by the child,
through busctl, and may come to lie elsewhere. Not here: where a cgroup can be made (system/own_cgroup.py), how a scope
is asked for (scope.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from memguard.system.cgroup import find_memory_cgroups
from memguard.system.limits import LimitsReader
from memguard.system.own_cgroup import Missing, Place, find_place
from memguard.system.proc import read_stat
from memguard.units import MIB, format_size
from memguard.watch.kernel.cgroup_files import CgroupFiles, files_of, try_write
from memguard.watch.kernel.cgroup_limit import CgroupLimit, NoCgroup, fit, hand_over, remove
from memguard.watch.kernel.scope import busctl_command, enter_scope

__all__ = ["DirectoryPlan", "ScopePlan", "choose"]

_SMALLEST = 32 * MIB  # a Python with nothing in it takes 10


def choose(
    kind: str,
    limit: int | None,
    *,
    notify: Callable[[str], None],
    reserve: int | None = None,
) -> DirectoryPlan | ScopePlan | NoCgroup:
    """The plan for --backstop `kind`: auto | scope | v2 | v1 | none. `limit` and `reserve`: --limit and --reserve.

    What cannot be had is a NoCgroup with its reason; `notify` is told where it was asked for by name.
    """
    chosen = NoCgroup("switched off") if kind == "none" else _make(kind, limit, reserve)
    if isinstance(chosen, NoCgroup) and kind not in ("auto", "none"):
        notify(f"no {kind} backstop: {chosen.reason}")
    return chosen


def _make(kind: str, limit: int | None, reserve: int | None) -> DirectoryPlan | ScopePlan | NoCgroup:
    place = find_place(kind)
    if isinstance(place, Missing):
        return NoCgroup(place.reason)
    reader = LimitsReader("self", limit, reserve, rlimits=False)
    size = fit(reader.read(0))
    reader.close()
    if size is None or size[1] < _SMALLEST:
        return NoCgroup("no limit is known here" if size is None else "hardly any memory is left here")
    if place.kind == "scope":
        return ScopePlan(place, *size)
    try:
        files = files_of(_make_directory(place.parent), version_1=place.kind == "v1")
    except OSError as error:
        return NoCgroup(f"no cgroup could be made in {place.parent}: {error.strerror}")
    try:
        return DirectoryPlan(place.kind, files, *files.limits(*size))
    except OSError as error:
        remove(files.path, next(iter(find_memory_cgroups()), None))
        return NoCgroup(f"{error.filename} cannot be set: {error.strerror}")


def _make_directory(parent: str) -> str:
    """A directory of that name is left over from a guard that was killed, and had the same pid."""
    path = f"{parent}/memguard-{os.getpid()}"
    for suffix in ("", *(f".{n}" for n in range(1, 20))):
        with contextlib.suppress(OSError):
            os.rmdir(path + suffix)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path + suffix, 0o755)
            return path + suffix
    raise FileExistsError(17, "too many of its name", path)


class DirectoryPlan:
    """A new, empty cgroup of version 2 or 1 with its limits. Raises OSError where the kernel refuses them."""

    def __init__(self, kind: str, files: CgroupFiles, high: int, maximum: int) -> None:
        self.kind, self.path, self.limit = kind, files.path, maximum
        self._files = files
        self._home = next(iter(find_memory_cgroups()), None)  # the watcher's own cgroup
        self.throttles = files.set_up(high, maximum)

    def __str__(self) -> str:
        return f"{self.kind} {self.path}, {format_size(self.limit)}"

    def enter(self) -> None:
        """In the forked child: moves itself. A failure shows in entered(), in the watcher."""
        try_write(f"{self.path}/cgroup.procs", 0)

    def entered(self, pid: int) -> CgroupLimit | NoCgroup:
        """In the watcher, once the child has executed its command: the cgroup with the tree in it, if it is inside."""
        stat = read_stat(pid)
        if stat is not None and stat.alive and _directory_of(pid) != self.path:
            return self._give_up(f"the script could not be moved into {self.path}")
        if _has_no_limit(self._files):
            return self._give_up(f"no limit could be set in {self.path}")
        return CgroupLimit(self.kind, self._files, self.limit, throttles=self.throttles, pid=pid, home=self._home)

    def close(self) -> bool:
        """Removes the cgroup again; whether it is gone."""
        self._files.close()
        return remove(self.path, self._home)

    def _give_up(self, reason: str) -> NoCgroup:
        self.close()
        return NoCgroup(reason)


class ScopePlan:
    """A systemd scope that the child will ask for; `path` is where it should come to lie."""

    kind, throttles = "scope", True

    def __init__(self, place: Place, high: int, maximum: int) -> None:
        self._name = f"memguard-{os.getpid()}-{os.urandom(3).hex()}.scope"
        self.path, self.limit = f"{place.parent}/{self._name}", maximum
        self._place, self._high = place, high
        self._errors: tuple[int, int] | None = os.pipe()

    def __str__(self) -> str:
        return f"{self.kind} {self.path}, {format_size(self.limit)}"

    def enter(self) -> None:
        """In the forked child: has itself moved. A failure shows in entered(), in the watcher."""
        if self._errors is not None:
            command = busctl_command(self._place, self._name, os.getpid(), maximum=self.limit, high=self._high)
            enter_scope(command, self._errors[1])

    def entered(self, pid: int) -> CgroupLimit | NoCgroup:
        """In the watcher, once the child has executed its command: the scope with the tree in it, if it is inside.

        It may lie elsewhere than asked for: in another slice, under another mount.
        """
        words = self._refusal()
        stat = read_stat(pid)
        if stat is not None and stat.alive:
            directory = _directory_of(pid)
            if directory is None or not directory.endswith(f"/{self._name}"):
                return self._give_up(words or f"the script could not be moved into {self.path}")
            self.path = directory
        elif words:  # it has ended already, outside
            return self._give_up(words)
        files = files_of(self.path, version_1=False)
        if _has_no_limit(files):
            return self._give_up(f"no limit could be set in {self.path}")
        return CgroupLimit(self.kind, files, self.limit, throttles=True, pid=pid)

    def close(self) -> bool:
        """Whether nothing of the guard's holds the tree any more."""
        self._refusal()
        return hand_over(self.path)

    def _give_up(self, reason: str) -> NoCgroup:
        self.close()
        return NoCgroup(reason)

    def _refusal(self) -> str:
        """What busctl said, once; the pipe is closed."""
        if self._errors is None:
            return ""
        reader, writer = self._errors
        self._errors = None
        os.close(writer)
        os.set_blocking(reader, False)  # the child has executed by now; somebody else's copy must not make us wait
        try:
            return os.read(reader, 400).decode("utf-8", "replace").strip()
        except BlockingIOError:
            return ""
        finally:
            os.close(reader)


def _directory_of(pid: int) -> str | None:
    return next(iter(find_memory_cgroups(pid)), None)


def _has_no_limit(files: CgroupFiles) -> bool:
    """A cgroup that has gone with the tree needs none."""
    return files.limit() is None and os.path.isdir(files.path)
