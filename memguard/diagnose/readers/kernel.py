"""What the Linux kernel prints when it kills for memory (mm/oom_kill.c, mm/memcontrol.c) -> events. Pure.

Covers 3.10 to 6.18: global, cpuset and mempolicy kills, memory cgroups v1 and v2, memory.oom.group, the panic forms.
One pass, one open report per host (and per caller id, where the kernel prints one), bounded state. Either of the two
kill lines alone is enough, and a report that is cut, repeated or mixed with other lines gives what it still holds.

Wordings by version:
  ≤ 4.20  "Kill process N (x) score S or sacrifice child", then "Killed process N (x) total-vm:…", maybe of a child;
          memcg: "Task in A killed as a result of limit of B", memory.stat on one line per cgroup
  5.0     + "oom-kill:constraint=…,oom_memcg=…,task_memcg=…,task=x,pid=N,uid=U"
  5.1     the announcement is gone; "Out of memory: Killed process …" / "Memory cgroup out of memory: Killed process …"
  5.4     + "UID:… pgtables:…kB oom_score_adj:…"      6.8  task table with rss_anon rss_file rss_shmem
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from memguard.diagnose.lines import Line, split_message
from memguard.diagnose.log_reader import LogReader
from memguard.diagnose.readers.block import Block, Kill, Row, Usage
from memguard.diagnose.readers.kernel_words import (
    BUDDY,
    COMM,
    KILL,
    KILL_24,
    KILL_CUT,
    KILL_SHORT,
    PAGES,
    PID,
    REAPED,
    RELEASE,
    ROW,
    SIZE,
    SKIPPED,
    STAT,
    STATS_ONE_LINE,
    SWAP,
    TOTAL,
    TRACE_OF_GROUP,
    TRACE_OF_MACHINE,
    USAGE,
    parse_number,
    parse_summary,
)
from memguard.records.diagnosis import Event

__all__ = ["KernelReader"]

_KILL_WORDS = ("ut of memory", "ut of Memory", "total-vm:", "sacrifice child", "or a child", "same memory", "vsz:")
_DUMP_TRIGGERS = ("tgid total_vm", "memory: usage ", "emory cgroup stats for", "as a result of limit of")
# After so many lines that say nothing to us, an open report is over: call traces and Mem-Info of the largest machines
# stay below it.
_PATIENCE = 5000
_MAX_OPEN = 16  # hosts or callers whose reports may be open at a time
_INDENT = 14  # spaces by which journalctl moves the further lines of a message to the right
_MAX_NAME = 64  # TASK_COMM_LEN is 16, workqueue names are longer


class KernelReader(LogReader):
    TRIGGERS = (
        "oom-kill",
        "oom_reaper",
        "ill process ",
        "illed process ",
        "ut of memory",
        "ut of Memory",
        "VM: killing process",
        "OOM victim",
        "memory.oom.group",
        *_DUMP_TRIGGERS,
    )

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str | None, str | None], Block] = OrderedDict()
        self._columns: dict[tuple[str | None, str | None], list[str]] = {}
        self._in_stats: set[tuple[str | None, str | None]] = set()
        # A ring buffer may have lost the head of a report: listen from the first line on.
        self._patience = _PATIENCE
        self._finished: list[Event] = []
        self._taken = False
        self._last: tuple[str | None, str | None] = (None, None)  # host and caller of the line before

    @property
    def active(self) -> bool:
        return self._patience > 0

    @property
    def taken(self) -> bool:
        """Whether the last line was a part of the kernel's own report."""
        return self._taken

    def feed(self, line: Line) -> list[Event]:
        self._patience -= 1
        self._taken = False
        if line.program in (None, "kernel") or "kernel" in (line.program or ""):
            if line.program is None and line.time is None and line.indent > _INDENT:
                line = replace(line, host=self._last[0], caller=self._last[1])  # journalctl: the same message goes on
            else:
                self._last = line.host, line.caller
            for text in split_message(line.text):
                if text:
                    self._read(text, line)
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> list[Event]:
        for key in list(self._open):
            self._finish(key)
        finished, self._finished = self._finished, []
        return finished

    # -- one message ---------------------------------------------------------------------------------------------

    def _read(self, text: str, line: Line) -> None:
        self._taken = True
        if " invoked oom-killer:" in text or text.startswith("oom-killer: gfp_mask="):
            self._read_invoked(text, line)
        elif "oom-kill:constraint=" in text:
            self._read_summary(text[text.index("oom-kill:constraint=") :], line)
        elif "ill" in text and ("ill process " in text or "illed process " in text):
            self._read_kill(text, line)
        elif "VM: killing process" in text and (match := KILL_24.search(text)):
            block = self._begin(line)
            block.task, block.line = match[1], line.number
            block.quote(line.raw)
        elif "oom_reaper: " in text:
            self._read_reaped(text, line)
        elif "OOM victim" in text and (match := SKIPPED.search(text)):
            self._read_victim(line, Kill(int(match[1]), match[2]), memcg="cgroup" in text, group=True)
        elif "killed due to memory.oom.group set" in text:
            block = self._block(line)
            block.group = True
            block.quote(line.raw)
        elif "ut of memory" in text and ("no killable processes" in text or "Kernel panic" in text):
            self._read_panic(text, line)
        elif self._patience > 0 or any(word in text for word in _DUMP_TRIGGERS):
            self._taken = self._read_dump(text, line)
        else:
            self._taken = False

    def _read_invoked(self, text: str, line: Line) -> None:
        block = self._begin(line)
        name = text.partition(" invoked oom-killer:")[0].strip() if " invoked " in text else ""
        block.invoked = True
        block.invoker = (name if len(name) <= _MAX_NAME else name.split()[-1][-_MAX_NAME:]) or None
        if "order=-1," in text:
            block.note = "asked for by hand (SysRq f): no shortage of memory needed"
        block.quote(line.raw)

    def _read_summary(self, text: str, line: Line) -> None:
        fields = parse_summary(text)
        pid, uid = parse_number(fields.get("pid")), parse_number(fields.get("uid"))
        block = self._block(line)
        if block.kills and (pid is None or not block.find_kill(pid)):
            block = self._begin(line)
        block.constraint = fields.get("constraint") or block.constraint
        block.memcg = block.constraint == "CONSTRAINT_MEMCG"
        block.oom_memcg = fields.get("oom_memcg") or block.oom_memcg
        block.task_memcg = fields.get("task_memcg") or block.task_memcg
        if pid is not None:
            kill = block.find_kill(pid)
            if kill is None:
                kill = Kill(pid, fields.get("task", ""))
                block.add_kill(kill)
            if uid is not None:
                kill.sizes.setdefault("UID", uid)
            block.line = line.number
        block.quote(line.raw)
        self._patience = 0  # what still belongs to this report has a trigger in every line

    def _read_kill(self, text: str, line: Line) -> None:
        known = any([word in text for word in _KILL_WORDS])  # noqa: C419  a list is faster here
        match = (KILL.search(text) or KILL_SHORT.search(text)) if known else None
        if match is not None:
            name, rest = match[3], text[match.end() :]
        else:
            match = KILL_CUT.search(text) if known else None
            if match is None:
                self._taken = False
                return
            name, rest = match[3].rpartition(")")[0] or match[3], ""
        kill = Kill(int(match[2]), name, confirmed=match[1] is not None)
        for key, number, unit in SIZE.findall(rest):
            kill.sizes[key] = int(number.replace(",", "")) * (1024 if unit else 1)
        if "sharing same memory" in text:
            self._read_victim(line, kill, memcg=None, group=True)
            return
        memcg = "emory cgroup out of memory" in text if "ut of memory" in text else None
        memcg = True if "group memory limit exceeded" in text else memcg  # PBS quotes the kernel so
        self._read_victim(line, kill, memcg, sacrifice="sacrifice child" in text)

    def _read_victim(
        self, line: Line, kill: Kill, memcg: bool | None, *, group: bool = False, sacrifice: bool = False
    ) -> None:
        """Attaches a kill to the report it belongs to, or begins a new one."""
        block = self._block(line)
        known = block.find_kill(kill.pid)
        if known is not None and known.confirmed and kill.confirmed and not block.group:
            block = self._begin(line)  # the pid came round again, or a copy: collection.py tells them apart
            block.add_kill(kill)
        elif known is not None:
            known.confirmed = known.confirmed or kill.confirmed
            known.sizes.update(kill.sizes)
        elif block.kills and block.sacrifice and kill.confirmed and not block.kills[0].confirmed:
            block.kills[0] = kill  # the child instead of the one that was announced
        elif block.kills and not (group or block.group):
            block = self._begin(line)
            block.add_kill(kill)
        else:
            block.add_kill(kill)
        block.sacrifice = block.sacrifice or sacrifice
        block.memcg = memcg if memcg is not None else block.memcg
        block.quote(line.raw)
        block.line = line.number
        key = next(key for key, value in self._open.items() if value is block)
        self._open.move_to_end(key)  # close() gives the reports in the order of their kills
        self._patience = 0

    def _read_reaped(self, text: str, line: Line) -> None:
        match = REAPED.search(text)
        if match is None:
            return
        pid = int(match[1])
        for block in self._open.values():
            if block.find_kill(pid):
                block.quote(line.raw)
                return
        # A report that has named nobody yet: its victim is the one that is reaped.
        open_one = next((b for b in self._open.values() if b.awaits(pid)), None)
        block = open_one or self._begin(line)
        block.add_kill(Kill(pid, match[2]))
        block.note = block.note if open_one else "the log only shows that the victim was reaped"
        block.line = line.number
        block.quote(line.raw)

    def _read_panic(self, text: str, line: Line) -> None:
        block = self._block(line)
        if block.kills:
            block = self._begin(line)
        block.memcg = "cgroup" in text or bool(block.memcg)
        why = "nothing was left to kill" if "no killable" in text else "vm.panic_on_oom is set"
        # For a group's limit the kernel goes on, and the group waits (since 4.20 it only warns).
        stopped = "" if block.memcg and "panic" not in text else ": the machine stopped (panic)"
        block.note = f"{why}{stopped}; no process was killed"
        block.quote(line.raw)

    # -- the dump between the head of a report and its kill lines ---------------------------------------------------

    def _read_dump(self, text: str, line: Line) -> bool:
        """Whether the line was a part of a report."""
        key = (line.host, line.caller)
        if text.startswith("[") and key in self._columns:
            is_part = self._read_row(text, key)
        elif "tgid total_vm" in text and text.startswith("["):
            self._dump_block(line)
            self._columns[key] = text.partition("]")[2].split()
            self._in_stats.discard(key)
            is_part = True
        elif self._read_limits(text, line) or self._read_machine(text, line):
            is_part = True
        elif key in self._in_stats and (match := STAT.fullmatch(text)):
            self._dump_block(line).stats[match[1]] = int(match[2])
            is_part = True
        else:
            is_part = False
        if is_part:
            self._listen()
        return is_part

    def _read_limits(self, text: str, line: Line) -> bool:
        """The memory cgroup's part: usage and limits, whose limit, memory.stat."""
        if "usage " in text and (match := USAGE.match(text)):
            block = self._dump_block(line)
            block.usages[match[1]] = Usage.of_kb(int(match[2]), int(match[3]), int(match[4]))
            if match[1] == "memory":
                block.memcg = True
                block.quote(line.raw)
            return True
        if text.startswith("Task in ") and " killed as a result of limit of " in text:
            block = self._dump_block(line)
            task, _, limited = text[len("Task in ") :].partition(" killed as a result of limit of ")
            block.memcg, block.task_memcg, block.oom_memcg = True, task.strip(), limited.strip()
            block.invoked = True  # the kernel prints this line for a kill only
            block.quote(line.raw)
            return True
        if text.startswith("Memory cgroup stats for "):
            block = self._dump_block(line)
            path, _, stats = text[len("Memory cgroup stats for ") :].partition(": ")
            block.memcg = True
            block.oom_memcg = block.oom_memcg or path.rstrip(":").strip()
            for name, kb in STATS_ONE_LINE.findall(stats):  # ≤ 4.20: one line for each cgroup below the limit
                block.stats[name] = block.stats.get(name, 0) + int(kb) * 1024
            self._in_stats.add((line.host, line.caller))
            return True
        return False

    def _read_machine(self, text: str, line: Line) -> bool:
        """The machine's part: Mem-Info in pages, free lists, swap, RAM."""
        block = self._open.get((line.host, line.caller))
        if block is None:
            return False
        if block.invoker_pid is None and ("PID: " in text or "Pid: " in text) and (match := PID.search(text)):
            block.invoker_pid = int(match[1] or match[2])
            release, name = RELEASE.search(text), COMM.search(text)
            block.release = release[1] if release else None
            if name and block.invoker and block.invoker != name[1] and block.invoker.endswith(name[1]):
                block.invoker = name[1]  # something of the line's own stood in front of it
            return True
        if block.memcg is None and text[:1] in "[m_" and "+0x" in text:
            if TRACE_OF_GROUP.match(text):
                block.memcg = True
            elif TRACE_OF_MACHINE.match(text):
                block.memcg = False
        if "anon:" in text or "file:" in text or "free:" in text or "slab_" in text or "shmem:" in text:
            if not text.startswith("Node "):
                for name, pages in PAGES.findall(text):
                    block.meminfo.setdefault(name, int(pages))
            return True
        if text.startswith("Node ") and (match := BUDDY.match(text)):
            block.page_size = block.page_size or int(match[1]) * 1024
            return True
        if match := TOTAL.match(text):
            block.meminfo.setdefault(match[2], int(match[1]))
            return True
        if match := SWAP.match(text):
            if match[1] == "Free":
                block.swap_free = int(match[2]) * 1024
            else:
                block.swap_total = int(match[2]) * 1024
            return True
        return False

    def _read_row(self, text: str, key: tuple[str | None, str | None]) -> bool:
        match, columns, block = ROW.match(text), self._columns[key], self._open.get(key)
        if match is None or block is None:
            return False
        cells = match[2].split(None, len(columns) - 1)
        values = dict(zip(columns, cells, strict=False))
        try:
            numbers = {name: int(value) for name, value in values.items() if name != "name" and len(value) < 20}
            row = Row(
                pid=int(match[1]),
                uid=numbers["uid"],
                rss=numbers["rss"],
                swap=numbers.get("swapents", 0),
                oom_score_adj=numbers.get("oom_score_adj", 0),
                name=values.get("name", "").strip(),
                rss_anon=numbers.get("rss_anon"),
                rss_file=numbers.get("rss_file"),
                rss_shmem=numbers.get("rss_shmem"),
            )
        except (ValueError, KeyError):
            return False
        block.add_row(row)
        return True

    # -- open reports -------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._patience = _PATIENCE

    def _block(self, line: Line) -> Block:
        """The open report that this line belongs to: same host and caller, else the host's latest, else a new one."""
        key = (line.host, line.caller)
        block = self._open.get(key)
        if block is None and line.caller is not None:
            block = next((b for (host, _), b in reversed(self._open.items()) if host == line.host), None)
        return block or self._begin(line)

    def _dump_block(self, line: Line) -> Block:
        """Like _block, for what the kernel prints before it kills: after a kill it opens the next report."""
        key = (line.host, line.caller)
        block = self._open.get(key)
        return self._begin(line) if block is None or block.kills else block

    def _begin(self, line: Line) -> Block:
        key = (line.host, line.caller)
        self._finish(key)
        if len(self._open) >= _MAX_OPEN:
            self._finish(next(iter(self._open)))
        self._open[key] = Block(time=line.time, uptime=line.uptime, host=line.host, line=line.number)
        self._listen()
        return self._open[key]

    def _finish(self, key: tuple[str | None, str | None]) -> None:
        block = self._open.pop(key, None)
        self._columns.pop(key, None)
        self._in_stats.discard(key)
        if block is not None and block.has_content:
            self._finished.append(block.event())
