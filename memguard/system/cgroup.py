"""Memory cgroups, version 1 and 2 (and both mounted side by side): which ones hold a process, what they say.

A limit anywhere on the way up kills, so a process's own cgroup and every ancestor count. What counts against a limit
is anon + shmem + kernel memory of the whole cgroup; page cache is dropped when room is needed and never counts. In a
container the ancestors above its mount are hidden: version 1 still tells their smallest limit, version 2 nothing.

Formats: Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst, proc(5) for mountinfo.
Not here: what may still be used (limits.py), making a cgroup (watch/kernel/cgroup_limit.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from memguard.system.kernel_file import read_bytes, to_int

__all__ = [
    "CgroupEntry",
    "Charges",
    "MemoryCgroup",
    "Mount",
    "cgroup_version",
    "charges_v1",
    "charges_v2",
    "find_memory_cgroups",
    "parse_flat",
    "parse_limit",
    "parse_mountinfo",
    "parse_proc_cgroup",
    "read_memory_cgroup",
    "read_processes",
]

# Version 1 prints "no limit" as PAGE_COUNTER_MAX pages, 0x7ffffffffffff000 with pages of 4 KiB.
_UNLIMITED = 1 << 62

_FLAT = re.compile(r"^(\w+) (\d{1,20})$", re.ASCII | re.MULTILINE)

# Version 2's unreclaimable kernel memory where memory.stat has no `kernel` line (before Linux 5.18).
_KERNEL_PARTS = (
    "kernel_stack",
    "pagetables",
    "sec_pagetables",
    "percpu",
    "vmalloc",
    "slab_unreclaimable",
    "sock",
)


@dataclass(frozen=True, slots=True)
class CgroupEntry:
    """One line of /proc/PID/cgroup. `controllers` is empty for version 2."""

    controllers: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Mount:
    """One cgroup line of /proc/PID/mountinfo. `root` is the cgroup that `mount_point` shows."""

    root: str
    mount_point: str
    version: int  # 1 or 2
    controllers: tuple[str, ...]  # version 1 only
    writable: bool


@dataclass(frozen=True, slots=True)
class Charges:
    """What memory.stat says is in a cgroup and all below it, in bytes. None: the kernel does not say."""

    anon: int | None
    file: int | None  # page cache without tmpfs and shared memory
    shmem: int | None
    kernel: int | None  # version 2: without reclaimable slab, with socket buffers
    hierarchical_limit: int | None = None  # version 1: the smallest limit up to the true root

    @property
    def used(self) -> int:
        """anon + shmem + kernel: what cannot be dropped when room is needed. What is not known adds nothing."""
        return (self.anon or 0) + (self.shmem or 0) + (self.kernel or 0)


@dataclass(frozen=True, slots=True)
class MemoryCgroup:
    """One cgroup directory. None: no limit, or the kernel does not say."""

    path: str
    version: int
    limit: int | None  # memory.max | memory.limit_in_bytes
    high: int | None  # memory.high: above it the kernel stalls every process of the cgroup
    swap_limit: int | None  # memory.swap.max | memory.memsw.limit_in_bytes (this one memory + swap)
    charges: Charges
    usage: int | None  # memory.current | memory.usage_in_bytes: page cache included
    oom_kill: int | None  # kills so far, below this cgroup too on version 2
    oom_kill_disabled: bool | None  # version 1

    @property
    def anon(self) -> int | None:
        return self.charges.anon

    @property
    def file(self) -> int | None:
        return self.charges.file

    @property
    def shmem(self) -> int | None:
        return self.charges.shmem

    @property
    def kernel(self) -> int | None:
        return self.charges.kernel

    @property
    def used(self) -> int:
        return self.charges.used


def parse_limit(text: str | bytes | None) -> int | None:
    """`max`, version 1's huge number and what cannot be read are None: no limit."""
    value = to_int(text)
    return None if value is None or value >= _UNLIMITED else value


def parse_flat(text: str | bytes) -> dict[str, int]:
    """`name value` lines (memory.stat, memory.events, memory.oom_control) whose value is a number."""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    return {name: int(value) for name, value in _FLAT.findall(text)}


def charges_v1(stat: dict[str, int], kmem_usage: int | None, kernel_bound: int | None = None) -> Charges:
    """`rss` is anonymous memory alone; tmpfs and shared memory are part of `cache`. total_*: cgroups below included.

    Version 1 has one counter for kernel memory, and reclaimable slab (inodes, directory entries) is in it: walking
    /usr (124,000 files) added 130 MiB that the kernel gives back when room is needed. `kernel_bound`, the whole
    machine's unreclaimable kernel memory (Meminfo.kernel_unreclaimable), caps it from above. Only buffers of pipes
    are in neither; the margin below the limit holds them.
    """

    def total(name: str) -> int | None:
        return stat.get(f"total_{name}", stat.get(name))

    cache, shmem, kernel = total("cache"), total("shmem"), kmem_usage
    if kernel is not None and kernel_bound is not None:
        kernel = min(kernel, kernel_bound)
    return Charges(
        anon=total("rss"),
        file=None if cache is None else max(0, cache - (shmem or 0)),
        shmem=shmem,
        kernel=kernel,
        hierarchical_limit=_limited(stat.get("hierarchical_memory_limit")),
    )


def charges_v2(stat: dict[str, int]) -> Charges:
    """Version 2's memory.stat always counts the cgroups below. `kernel` is there since Linux 5.18."""
    file, shmem = stat.get("file"), stat.get("shmem")
    if "kernel" in stat:
        kernel = max(0, stat["kernel"] - stat.get("slab_reclaimable", 0)) + stat.get("sock", 0)
    else:
        kernel = sum(stat.get(part, 0) for part in _KERNEL_PARTS)
    return Charges(
        anon=stat.get("anon"),
        file=None if file is None else max(0, file - (shmem or 0)),
        shmem=shmem,
        kernel=kernel if stat else None,
    )


def _limited(value: int | None) -> int | None:
    return None if value is None or value >= _UNLIMITED else value


def parse_proc_cgroup(text: str) -> tuple[CgroupEntry, ...]:
    """`hierarchy-id:controllers:path` lines. A path may hold colons; a removed cgroup's ends in " (deleted)"."""
    entries = []
    for line in text.split("\n"):
        fields = line.split(":", 2)
        if len(fields) == 3 and fields[2].startswith("/"):
            controllers = tuple(name for name in fields[1].split(",") if name)
            entries.append(CgroupEntry(controllers, fields[2].removesuffix(" (deleted)")))
    return tuple(entries)


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """The cgroup mounts alone. Fields: id parent dev root mount-point options … - type source super-options."""
    mounts = []
    for line in text.split("\n"):
        left, dash, right = line.partition(" - ")
        place, kind = left.split(" "), right.split(" ")
        if not dash or len(place) < 6 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        version = 2 if kind[0] == "cgroup2" else 1
        controllers = tuple(kind[2].split(",")) if version == 1 and len(kind) > 2 else ()
        writable = "rw" in place[5].split(",")
        mounts.append(Mount(_unescape(place[3]), _unescape(place[4]), version, controllers, writable))
    return tuple(mounts)


def _unescape(field: str) -> str:
    """mountinfo writes blank, tab, newline and backslash as \\040 \\011 \\012 \\134."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field


def find_memory_cgroups(pid: int | str = "self", *, proc: str | None = None, root: str = "/") -> tuple[str, ...]:
    """The memory cgroups' directories that hold `pid`: its own first, then every ancestor up to the mount.

    Empty where the process vanished or no memory cgroup is mounted. `root` is the filesystem's root (for tests).
    """
    base = root.rstrip("/")
    proc = proc or f"{base}/proc"
    membership, mountinfo = read_bytes(f"{proc}/{pid}/cgroup"), read_bytes(f"{proc}/self/mountinfo")
    if membership is None or mountinfo is None:
        return ()
    entries, mounts = parse_proc_cgroup(os.fsdecode(membership)), parse_mountinfo(os.fsdecode(mountinfo))
    for path, mount in _memory_candidates(entries, mounts):
        top = base + mount.mount_point.rstrip("/")
        own = _own_directory(path, mount, top)
        if own is not None:
            return _upwards(own, top)
    return ()


def _memory_candidates(entries: Iterable[CgroupEntry], mounts: Iterable[Mount]) -> list[tuple[str, Mount]]:
    """(path in the hierarchy, mount) pairs to try, best first.

    Side by side, the memory controller belongs to version 1 wherever that lists it. Of several mounts of a hierarchy
    those that show the path go first.
    """
    paths = {2 if not entry.controllers else 1: entry.path for entry in entries if _has_memory(entry)}
    version = min(paths, default=None)
    pairs = [(paths[m.version], m) for m in mounts if m.version == version and _shows_memory(m)]
    return sorted(pairs, key=lambda pair: _below(*pair) is None)


def _has_memory(entry: CgroupEntry) -> bool:
    return not entry.controllers or "memory" in entry.controllers


def _shows_memory(mount: Mount) -> bool:
    return mount.version == 2 or "memory" in mount.controllers


def _below(path: str, mount: Mount) -> str | None:
    """`path` relative to what the mount shows ("" for the mount's own root); None where it lies outside."""
    shown = mount.root.rstrip("/")
    if path.startswith("/.."):  # the process sits above our cgroup namespace's root
        return None
    if path.rstrip("/") == shown or path.startswith(shown + "/"):
        return path[len(shown) :].strip("/")
    return None


def _own_directory(path: str, mount: Mount, top: str) -> str | None:
    below = _below(path, mount)
    if below is not None and os.path.isdir(own := f"{top}/{below}".rstrip("/")):
        return own
    # A container often sees its own cgroup mounted as the root while /proc/self/cgroup shows the host's path.
    return top if os.path.isdir(top) else None


def _upwards(own: str, top: str) -> tuple[str, ...]:
    directories = [own]
    while len(directories[-1]) > len(top):
        directories.append(os.path.dirname(directories[-1]))
    return tuple(directories)


def read_processes(directory: str) -> set[int]:
    """The pids in a cgroup and in all below it; empty where it vanished. 3 µs where there is none below."""
    pids = {int(pid) for pid in (read_bytes(f"{directory}/cgroup.procs") or b"").split()} - {
        0
    }  # 0: another namespace's
    try:
        if os.stat(directory).st_nlink > 2:  # a directory of the kernel's has a link for each one in it
            below = [entry.path for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]
            pids.update(*map(read_processes, below))
    except OSError:
        pass
    return pids


def cgroup_version(directory: str) -> int | None:
    """Which version's memory files lie here; None for neither (version 2: the memory controller is off)."""
    if os.path.exists(f"{directory}/memory.usage_in_bytes"):
        return 1
    if os.path.exists(f"{directory}/memory.stat") or os.path.exists(f"{directory}/memory.max"):
        return 2
    return None


def read_memory_cgroup(directory: str, kernel_bound: int | None = None) -> MemoryCgroup | None:
    """None where the directory vanished or the memory controller is off there. `kernel_bound`: see charges_v1."""
    version = cgroup_version(directory)
    if version is None:
        return None
    return _read_v1(directory, kernel_bound) if version == 1 else _read_v2(directory)


def _read_v1(directory: str, kernel_bound: int | None) -> MemoryCgroup:
    oom = _flat(directory, "memory.oom_control")
    kmem = _number(directory, "memory.kmem.usage_in_bytes")
    charges = charges_v1(_flat(directory, "memory.stat"), kmem, kernel_bound)
    disabled = oom.get("oom_kill_disable")
    return MemoryCgroup(
        path=directory,
        version=1,
        limit=_number(directory, "memory.limit_in_bytes"),
        high=None,
        swap_limit=_number(directory, "memory.memsw.limit_in_bytes"),
        charges=charges,
        usage=_number(directory, "memory.usage_in_bytes"),
        oom_kill=oom.get("oom_kill"),
        oom_kill_disabled=None if disabled is None else disabled == 1,
    )


def _read_v2(directory: str) -> MemoryCgroup:
    charges = charges_v2(_flat(directory, "memory.stat"))
    return MemoryCgroup(
        path=directory,
        version=2,
        limit=_number(directory, "memory.max"),
        high=_number(directory, "memory.high"),
        swap_limit=_number(directory, "memory.swap.max"),
        charges=charges,
        usage=_number(directory, "memory.current"),
        oom_kill=_flat(directory, "memory.events").get("oom_kill"),
        oom_kill_disabled=None,
    )


def _flat(directory: str, name: str) -> dict[str, int]:
    return parse_flat(read_bytes(f"{directory}/{name}") or b"")


def _number(directory: str, name: str) -> int | None:
    return parse_limit(read_bytes(f"{directory}/{name}"))
