"""What one out-of-memory report of the kernel has said so far, and the Event it makes in the end. Pure.

kernel.py reads the lines and fills a Block; nothing here looks at text. Page counts become bytes here, with the page
size deduced from the report itself: arm64 and ppc64 kernels use 16 or 64 KiB pages and never say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from memguard.records.diagnosis import Event, TaskRow

__all__ = ["Block", "Kill", "Row", "Usage"]

_MAX_ROWS = 32768  # the kernel's default pid_max; a longer table keeps its first rows
_SHOWN_ROWS = 20
_MAX_EVIDENCE = 12
_MAX_OTHERS = 256
_QUOTE = 400  # characters of a line that are worth quoting
_PAGE_SIZES = (4096, 16384, 65536)
_SLAB_APART = 8  # the kernel's own objects are named apart where they are more than this part of all
# mm/page_counter.c: PAGE_COUNTER_MAX pages, printed in kB: 9007199254740988 with 4 KiB pages, less with larger ones.
_UNLIMITED_KB = 9_000_000_000_000_000


@dataclass(slots=True)
class Kill:
    """One victim. `confirmed` once the kernel says Killed; the earlier lines only announce it."""

    pid: int
    task: str
    confirmed: bool = False
    sizes: dict[str, int] = field(default_factory=dict)  # total-vm, anon-rss, … in bytes; UID, oom_score_adj


@dataclass(slots=True)
class Row:
    """One row of the task table, memory in pages."""

    pid: int
    uid: int
    rss: int
    swap: int
    oom_score_adj: int
    name: str
    rss_anon: int | None = None
    rss_file: int | None = None
    rss_shmem: int | None = None


@dataclass(slots=True)
class Usage:
    """`memory: usage …kB, limit …kB, failcnt …`, in bytes; limit None: none is set."""

    usage: int
    limit: int | None
    failcnt: int

    @staticmethod
    def of_kb(usage: int, limit: int, failcnt: int) -> Usage:
        return Usage(usage * 1024, None if limit >= _UNLIMITED_KB else limit * 1024, failcnt)


@dataclass(slots=True)
class Block:
    time: str | None = None
    uptime: float | None = None
    host: str | None = None
    line: int | None = None  # number of the latest line that names a kill
    release: str | None = None  # the kernel's version
    invoked: bool = False
    invoker: str | None = None
    invoker_pid: int | None = None
    memcg: bool | None = None  # None: the report has not said which kind of limit it is about
    constraint: str | None = None
    oom_memcg: str | None = None
    task_memcg: str | None = None
    usages: dict[str, Usage] = field(default_factory=dict)  # memory | memory+swap | swap | kmem
    stats: dict[str, int] = field(default_factory=dict)  # memory.stat, bytes
    meminfo: dict[str, int] = field(default_factory=dict)  # Mem-Info and the totals, pages
    swap_total: int | None = None
    swap_free: int | None = None
    page_size: int | None = None
    rows: list[Row] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    group: bool = False  # memory.oom.group: what follows is killed along with the first
    sacrifice: bool = False  # ≤ 5.0: the one announced may be spared for its child
    note: str | None = None
    task: str | None = None  # the victim's name, where there is no pid (2.4)
    evidence: list[str] = field(default_factory=list)

    @property
    def has_content(self) -> bool:
        """Whether the report is worth an event: somebody was killed, or the killer was called."""
        return self.invoked or bool(self.kills) or self.note is not None or self.task is not None

    def quote(self, raw: str) -> None:
        if len(self.evidence) < _MAX_EVIDENCE:
            text = raw.strip()
            self.evidence.append(text if len(text) <= _QUOTE else text[: _QUOTE - 1] + "…")

    def add_row(self, row: Row) -> None:
        if len(self.rows) < _MAX_ROWS:
            self.rows.append(row)

    def find_kill(self, pid: int) -> Kill | None:
        return next((kill for kill in self.kills if kill.pid == pid), None)

    def awaits(self, pid: int) -> bool:
        """Whether this report has named no victim yet, and `pid` can be it."""
        return self.invoked and not self.kills and (not self.rows or any(row.pid == pid for row in self.rows))

    def add_kill(self, kill: Kill) -> None:
        if len(self.kills) < _MAX_OTHERS:
            self.kills.append(kill)

    def event(self) -> Event:
        """The finished Event. The first kill is the victim, later ones went with it."""
        victim = self.kills[0] if self.kills else None
        rows = {row.pid: row for row in self.rows}
        page = self._deduce_page_size(rows)
        sizes = victim.sizes if victim else {}
        row = rows.get(victim.pid) if victim else None
        limit_name, usage = self._hit()
        swap = self.usages.get("swap")
        return Event(
            time=self.time,
            killer="kernel",
            pid=victim.pid if victim else None,
            task=victim.task if victim else self.task,
            anon_rss=sizes.get("anon-rss", _pages(row.rss_anon, page) if row else None),
            limit=usage.limit if usage else None,
            oom_memcg=self.oom_memcg,
            task_memcg=self.task_memcg,
            constraint=self._constraint(),
            usage=usage.usage if usage else None,
            total_vm=sizes.get("total-vm"),
            file_rss=sizes.get("file-rss", _pages(row.rss_file, page) if row else None),
            shmem_rss=sizes.get("shmem-rss", _pages(row.rss_shmem, page) if row else None),
            uid=sizes.get("UID", row.uid if row else None),
            oom_score_adj=sizes.get("oom_score_adj", row.oom_score_adj if row else None),
            invoker=self.invoker,
            invoker_pid=self.invoker_pid,
            swap_total=self.swap_total,
            swap_free=self.swap_free,
            memory_total=self._memory_total(page),
            categories=self._categories(page) or None,
            tasks=self._tasks(victim, rows, page),
            evidence=tuple(self.evidence),
            uptime=self.uptime,
            host=self.host,
            limit_name=limit_name,
            cgroup_version=self._cgroup_version(),
            others=tuple(_other(kill, rows.get(kill.pid), page) for kill in self.kills[1:]),
            task_count=len(self.rows) or None,
            page_size=page,
            swap_usage=swap.usage if swap else self.stats.get("total_swap", self.stats.get("swap")),
            note=self.note,
            line=self.line,
            kernel_release=self.release,
        )

    def _deduce_page_size(self, rows: dict[int, Row]) -> int | None:
        """From the free lists (`3*4kB`: order 0 is a page), else the victim's pages against its own kB; else None."""
        if self.page_size is not None:
            return self.page_size
        for kill in self.kills:
            row = rows.get(kill.pid)
            held = sum(kill.sizes.get(key, 0) for key in ("anon-rss", "file-rss", "shmem-rss"))
            if row is not None and row.rss > 0 and held > 0:
                return min(_PAGE_SIZES, key=lambda size: abs(held / row.rss - size))
        return 4096 if self.rows or self.meminfo else None

    def _constraint(self) -> str | None:
        if self.constraint is not None or self.memcg is None:
            return self.constraint
        return "CONSTRAINT_MEMCG" if self.memcg else "CONSTRAINT_NONE"

    def _hit(self) -> tuple[str | None, Usage | None]:
        """The limit that was full: of those in force, the one closest to its usage."""
        limited = {name: usage for name, usage in self.usages.items() if usage.limit and name != "swap"}
        if not limited:
            return None, self.usages.get("memory")
        name = max(limited, key=lambda key: limited[key].usage / (limited[key].limit or 1))
        names = {
            "memory": "memory.limit_in_bytes" if self._cgroup_version() == 1 else "memory.max",
            "memory+swap": "memory.memsw.limit_in_bytes",
            "kmem": "memory.kmem.limit_in_bytes",
        }
        return names[name], limited[name]

    def _cgroup_version(self) -> int | None:
        if "memory+swap" in self.usages or "kmem" in self.usages or "rss" in self.stats:
            return 1
        return 2 if "swap" in self.usages or "anon" in self.stats else None

    def _memory_total(self, page: int | None) -> int | None:
        ram = self.meminfo.get("pages RAM")
        if ram is None or page is None:
            return None
        return max(0, ram - self.meminfo.get("pages reserved", 0)) * page

    def _tasks(self, victim: Kill | None, rows: dict[int, Row], page: int | None) -> tuple[TaskRow, ...]:
        largest = sorted(self.rows, key=lambda row: row.rss, reverse=True)[:_SHOWN_ROWS]
        own = rows.get(victim.pid) if victim else None
        if own is not None and own not in largest:
            largest.append(own)
        return tuple(_task(row, page or 4096) for row in largest)

    def _categories(self, page: int | None) -> dict[str, int]:
        """Who held the memory, without overlap: the parts add up to the usage (memcg) or the machine's RAM (global)."""
        if self.memcg is False or (self.memcg is None and self.meminfo and not self.stats):
            return self._global_categories(page or 4096)
        stats = self.stats
        if "anon" in stats:
            shmem = stats.get("shmem", 0)
            kernel = stats.get("kernel")  # since 5.18; before, the parts that were counted
            if kernel is None:
                kernel = sum(stats.get(key, 0) for key in ("kernel_stack", "slab", "pagetables", "percpu", "sock"))
            files = max(0, stats.get("file", 0) - shmem)  # memory.stat counts shmem as file
            parts = {"anon": stats["anon"], "shmem": shmem, "file": files}
            slab = min(stats.get("slab", 0), kernel)
            if slab > sum(parts.values(), kernel) / _SLAB_APART:
                parts["slab"], kernel = slab, kernel - slab
            parts["kernel"] = kernel
        elif "rss" in stats or "total_rss" in stats:
            # The total_ counters include the children; without them (use_hierarchy=0) the own ones are all there is.
            rss, cache, shmem = (stats.get(f"total_{key}", stats.get(key, 0)) for key in ("rss", "cache", "shmem"))
            parts = {"anon": rss, "shmem": shmem, "file": max(0, cache - shmem)}
            if "kmem" in self.usages:
                parts["kernel"] = self.usages["kmem"].usage
        else:
            return {}
        memory = self.usages.get("memory")
        rest = memory.usage - sum(parts.values()) if memory else 0
        return {**parts, "other": rest} if rest > 0 else parts

    def _global_categories(self, page: int) -> dict[str, int]:
        pages = self.meminfo
        if "active_anon" not in pages:
            return {}

        def total(*names: str) -> int:
            return sum(pages.get(name, 0) for name in names)

        shmem = total("shmem")  # lies on the anonymous lists, although it is counted as a file
        parts = {
            "anon": max(0, total("active_anon", "inactive_anon", "isolated_anon") - shmem) * page,
            "shmem": shmem * page,
            "file": total("active_file", "inactive_file", "isolated_file") * page,
            "kernel": total("slab_reclaimable", "slab_unreclaimable", "pagetables") * page,
            "free": total("free") * page,
        }
        ram = self._memory_total(page)
        rest = ram - sum(parts.values()) if ram else 0
        return {**parts, "other": rest} if rest > 0 else parts


def _pages(count: int | None, page: int | None) -> int | None:
    return None if count is None or page is None else count * page


def _task(row: Row, page: int) -> TaskRow:
    return TaskRow(
        pid=row.pid,
        name=row.name,
        rss=row.rss * page,
        swap=row.swap * page,
        rss_anon=_pages(row.rss_anon, page),
        rss_file=_pages(row.rss_file, page),
        rss_shmem=_pages(row.rss_shmem, page),
        oom_score_adj=row.oom_score_adj,
        uid=row.uid,
    )


def _other(kill: Kill, row: Row | None, page: int | None) -> TaskRow:
    sizes = kill.sizes
    held = [sizes[key] for key in ("anon-rss", "file-rss", "shmem-rss") if key in sizes]
    return TaskRow(
        pid=kill.pid,
        name=kill.task,
        rss=sum(held) if held else row.rss * (page or 4096) if row else 0,
        rss_anon=sizes.get("anon-rss"),
        rss_file=sizes.get("file-rss"),
        rss_shmem=sizes.get("shmem-rss"),
        oom_score_adj=sizes.get("oom_score_adj"),
        uid=sizes.get("UID"),
    )
