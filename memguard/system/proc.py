"""/proc: one process's numbers, the machine's, and the tree of processes below one.

Sizes are bytes (the kernel prints kB and pages). Which of them means what: docs/memory-terms.md. A process that
vanished or may not be read is None. A pid alone is reused by the kernel, so a process is (pid, start_time).
Not here: cgroups (cgroup.py), resource limits (rlimit.py), the live poll of many processes (watch/).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from memguard.errors import SystemInterfaceError
from memguard.system.descriptors import list_names
from memguard.system.kernel_file import read_bytes, to_int

__all__ = [
    "Meminfo",
    "Process",
    "Rollup",
    "Stat",
    "Statm",
    "Status",
    "parse_meminfo",
    "parse_smaps_rollup",
    "parse_stat",
    "parse_statm",
    "parse_status",
    "proc_problem",
    "read_children",
    "read_cmdline",
    "read_meminfo",
    "read_process",
    "read_progress",
    "read_rollup",
    "read_stat",
    "read_statm",
    "read_status",
    "read_tree",
    "require_proc",
]


@dataclass(frozen=True, slots=True)
class Process:
    """`start_time` in clock ticks since boot: it tells a process from a later one with the same pid."""

    pid: int
    start_time: int


@dataclass(frozen=True, slots=True)
class Stat:
    """/proc/PID/stat, its first fields."""

    pid: int
    name: str
    state: str  # R S D T t Z X I …
    ppid: int
    pgrp: int
    session: int
    start_time: int  # clock ticks since boot
    cpu_ticks: int | None = None  # user + system time so far, waited-for children left out

    @property
    def process(self) -> Process:
        return Process(self.pid, self.start_time)

    @property
    def alive(self) -> bool:
        """False for a zombie: it has ended, holds no memory and waits for its parent to ask."""
        return self.state not in "ZXx"


@dataclass(frozen=True, slots=True)
class Statm:
    """/proc/PID/statm in bytes: the cheapest look at a process. Before Linux 6.2 up to 64 pages per thread late."""

    size: int
    resident: int
    shared: int  # file + shmem
    data: int


@dataclass(frozen=True, slots=True)
class Status:
    """/proc/PID/status. Kernel threads and zombies have no Vm* lines: those are None."""

    pid: int | None
    name: str | None
    ppid: int | None
    state: str | None
    uid: int | None  # the real one
    threads: int | None
    vm_peak: int | None
    vm_size: int | None
    vm_hwm: int | None
    vm_rss: int | None
    rss_anon: int | None
    rss_file: int | None
    rss_shmem: int | None
    vm_data: int | None
    vm_swap: int | None
    sig_cgt: int  # bit n−1: signal n has a handler
    sig_ign: int  # bit n−1: signal n is ignored
    sig_blk: int = 0  # bit n−1: this thread blocks signal n
    sig_pnd: int = 0  # bit n−1: signal n waits for the process or this thread

    def catches(self, signal_number: int) -> bool:
        return bool(self.sig_cgt >> (signal_number - 1) & 1)

    def ignores(self, signal_number: int) -> bool:
        return bool(self.sig_ign >> (signal_number - 1) & 1)

    def blocks(self, signal_number: int) -> bool:
        return bool(self.sig_blk >> (signal_number - 1) & 1)

    def awaits(self, signal_number: int) -> bool:
        """Whether one has been sent that has not been served yet."""
        return bool(self.sig_pnd >> (signal_number - 1) & 1)


@dataclass(frozen=True, slots=True)
class Rollup:
    """/proc/PID/smaps_rollup: proportional shares (PSS). pss_anon/file/shmem since Linux 5.4, else None."""

    rss: int | None
    pss: int | None
    pss_anon: int | None
    pss_file: int | None
    pss_shmem: int | None
    swap_pss: int | None


@dataclass(frozen=True, slots=True)
class Meminfo:
    """/proc/meminfo."""

    total: int | None
    free: int | None
    available: int | None
    buffers: int | None
    cached: int | None
    shmem: int | None
    swap_total: int | None
    swap_free: int | None
    anon_pages: int | None
    slab_reclaimable: int | None
    kernel_unreclaimable: int | None  # slab, stacks, page tables, per-CPU and vmalloc memory


def parse_stat(text: str) -> Stat | None:
    """None where `text` is not a stat line. The name may itself hold blanks and parentheses."""
    head, opened, rest = text.partition("(")
    name, closed, tail = rest.rpartition(")")
    fields = tail.split()
    pid = to_int(head)
    if not opened or not closed or pid is None or len(fields) < 20:
        return None
    ppid, start = to_int(fields[1]), to_int(fields[19])
    if ppid is None or start is None:
        return None
    # pgrp and session are 0 for kernel threads and −1 for an exiting process.
    pgrp, session = to_int(fields[2]) or 0, to_int(fields[3]) or 0
    user, system = to_int(fields[11]), to_int(fields[12])
    cpu = None if user is None or system is None else user + system
    return Stat(pid, name, fields[0], ppid, pgrp, session, start, cpu)


def parse_statm(text: str, page_size: int = 4096) -> Statm | None:
    fields = [to_int(field) for field in text.split()]
    if len(fields) < 6 or any(field is None for field in fields):
        return None
    pages = [field or 0 for field in fields]
    return Statm(pages[0] * page_size, pages[1] * page_size, pages[2] * page_size, pages[5] * page_size)


def parse_status(text: str) -> Status:
    fields = _fields(text)
    state = fields.get("State")
    uid = fields.get("Uid", "").split()
    return Status(
        pid=to_int(fields.get("Pid")),
        name=fields.get("Name"),
        ppid=to_int(fields.get("PPid")),
        state=state[:1] if state else None,
        uid=to_int(uid[0]) if uid else None,
        threads=to_int(fields.get("Threads")),
        vm_peak=_kib(fields.get("VmPeak")),
        vm_size=_kib(fields.get("VmSize")),
        vm_hwm=_kib(fields.get("VmHWM")),
        vm_rss=_kib(fields.get("VmRSS")),
        rss_anon=_kib(fields.get("RssAnon")),
        rss_file=_kib(fields.get("RssFile")),
        rss_shmem=_kib(fields.get("RssShmem")),
        vm_data=_kib(fields.get("VmData")),
        vm_swap=_kib(fields.get("VmSwap")),
        sig_cgt=_mask(fields.get("SigCgt")),
        sig_ign=_mask(fields.get("SigIgn")),
        sig_blk=_mask(fields.get("SigBlk")),
        sig_pnd=_mask(fields.get("SigPnd")) | _mask(fields.get("ShdPnd")),
    )


def parse_smaps_rollup(text: str) -> Rollup:
    sizes = _sizes(text)
    return Rollup(
        rss=sizes.get("Rss"),
        pss=sizes.get("Pss"),
        pss_anon=sizes.get("Pss_Anon"),
        pss_file=sizes.get("Pss_File"),
        pss_shmem=sizes.get("Pss_Shmem"),
        swap_pss=sizes.get("SwapPss"),
    )


def parse_meminfo(text: str) -> Meminfo:
    sizes = _sizes(text)
    kernel = [sizes[name] for name in _UNRECLAIMABLE if name in sizes]
    return Meminfo(
        total=sizes.get("MemTotal"),
        free=sizes.get("MemFree"),
        available=sizes.get("MemAvailable"),
        buffers=sizes.get("Buffers"),
        cached=sizes.get("Cached"),
        shmem=sizes.get("Shmem"),
        swap_total=sizes.get("SwapTotal"),
        swap_free=sizes.get("SwapFree"),
        anon_pages=sizes.get("AnonPages"),
        slab_reclaimable=sizes.get("SReclaimable"),
        kernel_unreclaimable=sum(kernel) if kernel else None,
    )


# Lines that a kernel does not print (SecPageTables came with 6.1, Percpu with 4.16) are memory it does not count.
_UNRECLAIMABLE = ("SUnreclaim", "KernelStack", "PageTables", "SecPageTables", "Percpu", "VmallocUsed")


_SIZE = re.compile(r"^([\w()]+):[ \t]+(\d{1,16}) kB$", re.ASCII | re.MULTILINE)


def _sizes(text: str) -> dict[str, int]:
    """The `Name:   123 kB` lines, in bytes."""
    return {name: int(kib) * 1024 for name, kib in _SIZE.findall(text)}


def _fields(text: str) -> dict[str, str]:
    """`Name:   value` lines; the first of a name wins."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name, value.strip())
    return fields


def _kib(value: str | None) -> int | None:
    number = to_int(value.removesuffix("kB")) if value else None
    return None if number is None else number * 1024


def _mask(value: str | None) -> int:
    try:
        return int(value or "0", 16)
    except ValueError:
        return 0


def _read_text(path: str) -> str | None:
    data = read_bytes(path)
    return None if data is None else data.decode("utf-8", "replace")


def read_stat(pid: int | str, proc: str = "/proc") -> Stat | None:
    text = _read_text(f"{proc}/{pid}/stat")
    return None if text is None else parse_stat(text)


def read_process(pid: int | str, proc: str = "/proc") -> Process | None:
    stat = read_stat(pid, proc)
    return None if stat is None else stat.process


def read_progress(pid: int, thread: int | None = None, proc: str = "/proc") -> int:
    """Nanoseconds that one thread, or all of the process together, have spent on a processor so far: a figure that does
    not change while they wait (schedstat, Documentation/scheduler/sched-stats.rst). 0 where it cannot be read.
    """
    try:
        threads = os.listdir(f"{proc}/{pid}/task") if thread is None else [str(thread)]
    except OSError:
        return 0
    files = (read_bytes(f"{proc}/{pid}/task/{name}/schedstat") for name in threads)
    return sum(int(data.split()[0]) for data in files if data)


def require_proc(proc: str = "/proc") -> None:
    """Raises SystemInterfaceError where this process cannot be seen in /proc: then no tree can be guarded."""
    found = proc_problem(proc)
    if found is not None:
        raise SystemInterfaceError(f"{found[0]}: without it nothing can be guarded", found[1], path=proc)


def proc_problem(proc: str = "/proc") -> tuple[str, str] | None:
    """(What is wrong with /proc, what to do); None where it shows this process."""
    stat = read_stat("self", proc)
    mount = "mount -t proc proc /proc, or have the container's runtime do it"
    if stat is None and os.path.exists(f"{proc}/self"):
        return f"{proc} is not Linux's", "memguard reads stat, statm and task of each process there"
    if stat is None:
        return f"{proc} is not mounted", mount
    if stat.pid != os.getpid():  # its numbers would be other processes'
        return f"{proc} shows another PID namespace", "mount -t proc proc /proc, or: unshare --pid --fork --mount-proc"
    return None


def read_statm(pid: int | str, proc: str = "/proc") -> Statm | None:
    text = _read_text(f"{proc}/{pid}/statm")
    return None if text is None else parse_statm(text, os.sysconf("SC_PAGE_SIZE"))


def read_status(pid: int | str, proc: str = "/proc") -> Status | None:
    text = _read_text(f"{proc}/{pid}/status")
    return None if not text else parse_status(text)


def read_rollup(pid: int | str, proc: str = "/proc") -> Rollup | None:
    """Walks the process's page tables: 25–31 ms per few GiB of 4 KiB pages. Only the owner and root may."""
    text = _read_text(f"{proc}/{pid}/smaps_rollup")
    return None if not text else parse_smaps_rollup(text)


def read_meminfo(proc: str = "/proc") -> Meminfo | None:
    """None where there is no /proc/meminfo (not Linux)."""
    text = _read_text(f"{proc}/meminfo")
    return None if text is None else parse_meminfo(text)


def read_cmdline(pid: int | str, proc: str = "/proc") -> tuple[str, ...]:
    """The arguments; empty for a kernel thread, a zombie, or a process that vanished."""
    text = _read_text(f"{proc}/{pid}/cmdline")
    return tuple(text.removesuffix("\0").split("\0")) if text else ()


def read_children(pid: int, proc: str = "/proc") -> tuple[int, ...]:
    """The pids whose parent is `pid` now.

    Each thread lists the children that it forked (task/TID/children; CONFIG_PROC_CHILDREN, in every common kernel);
    without that file all of /proc is searched. A child forked during the read may be missed: look again.
    """
    threads = list_names(f"{proc}/{pid}/task") or ()
    children: list[int] = []
    for thread in threads:
        data = read_bytes(f"{proc}/{pid}/task/{thread}/children")
        if data is None:
            # Either the thread has just ended, or this kernel has no such file.
            if not os.path.exists(f"{proc}/{pid}/task/{thread}"):
                continue
            return _search_children(pid, proc)
        children.extend(int(word) for word in data.split() if word.isdigit())
    return tuple(children)


def _search_children(pid: int, proc: str) -> tuple[int, ...]:
    stats = (read_stat(name, proc) for name in list_names(proc) or () if name.isdigit())
    return tuple(stat.pid for stat in stats if stat is not None and stat.ppid == pid)


def read_tree(
    root: Process, known: Iterable[Process] = (), proc: str = "/proc", *, without: Iterable[int] = ()
) -> tuple[Process, ...]:
    """`root`, every living descendant, what still lives of `known` and its descendants; each once, `root` first.

    Pass the last result as `known`: a process whose parent has ended is re-parented away from the tree, and only
    memory of it keeps it in. A pid that now belongs to another process is left out. Zombies (a main thread that ended
    before the others looks like one) are walked, not returned. `without` are pids that are left out with all below
    them: a watcher started by the process that it watches.
    """
    found: dict[int, Process] = {}
    seen = set(without)
    for start in (root, *known):
        stack: list[tuple[int, int | None]] = [(start.pid, start.start_time)]
        while stack:
            pid, start_time = stack.pop()
            if pid in seen:
                continue
            stat = read_stat(pid, proc)
            if stat is None or (start_time is not None and stat.start_time != start_time):
                continue
            seen.add(pid)
            if stat.alive:
                found[pid] = stat.process
            stack.extend((child, None) for child in read_children(pid, proc))
    return tuple(found.values())
