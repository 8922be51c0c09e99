"""The words of the kernel's reports, of all its versions, as patterns. Pure."""

from __future__ import annotations

import re

__all__ = [
    "BUDDY",
    "COMM",
    "KILL",
    "KILL_24",
    "KILL_CUT",
    "KILL_SHORT",
    "PAGES",
    "PID",
    "REAPED",
    "RELEASE",
    "ROW",
    "SIZE",
    "SKIPPED",
    "STAT",
    "STATS_ONE_LINE",
    "SWAP",
    "TOTAL",
    "TRACE_OF_GROUP",
    "TRACE_OF_MACHINE",
    "USAGE",
    "parse_number",
    "parse_summary",
]

KILL = re.compile(
    r"[Kk]ill(ed)? process (\d{1,10})(?:, UID \d{1,10},)? \((.{0,80}?)\)"
    r"(?=,? (?:total-vm:|vsz:|UID |score )| sharing same memory)"
)
KILL_SHORT = re.compile(
    r"Kill(ed)? process (\d{1,10})(?:, UID \d{1,10},)? \(([^()\s]{1,64})\)(?=\.?(?:\s|$|[A-Z]))"
)  # 2.6 without sizes
KILL_CUT = re.compile(r"Kill(ed)? process (\d{1,10}) \((.{0,80})")
KILL_24 = re.compile(r"^VM: killing process (\S{1,64})")  # 2.4
SIZE = re.compile(
    r"(total-vm|anon-rss|file-rss|shmem-rss|pgtables|UID|oom_score_adj)[: ](-?\d{1,3}(?:,\d{2,3}){1,6}|-?\d{1,18})(kB)?"
)
TRACE_OF_GROUP = re.compile(r"^(?:\[<[0-9a-f]{4,16}>\] )?mem_cgroup_(?:out_of_memory|oom_synchronize)\+")
TRACE_OF_MACHINE = re.compile(r"^(?:\[<[0-9a-f]{4,16}>\] )?__alloc_pages_(?:slowpath|may_oom)\b")
SKIPPED = re.compile(r"OOM victim (\d{1,10}) \((.{0,80})\) is already exiting")
REAPED = re.compile(r"oom_reaper: (?:reaped process |unable to reap pid:)(\d{1,10}) \((.{0,80}?)\)(?:, |$)")
USAGE = re.compile(r"(memory\+swap|memory|swap|kmem): usage (\d{1,18})kB, limit (\d{1,18})kB, failcnt (\d{1,18})")
PID = re.compile(r"PID: (\d{1,10}) Comm: |Pid: (\d{1,10}), comm: ")
COMM = re.compile(r"[Cc]omm: (.{1,64}?) (?:Not tainted|Tainted|Kdump|\d\.)")
RELEASE = re.compile(r"(?:Not tainted|Tainted: [A-Z ]{1,40}?(?:\[.{0,80}\] ?)?) ?(\d{1,2}\.\d{1,3}\S{0,80})")
STAT = re.compile(r"([a-z_0-9]{2,40}) (\d{1,19})")
STATS_ONE_LINE = re.compile(r"([a-z_]{2,40}):(\d{1,18})KB")
PAGES = re.compile(r"([a-z_]{4,30}):(\d{1,15})(?![\dk])")
TOTAL = re.compile(r"(\d{1,15}) (pages RAM|pages reserved)")
SWAP = re.compile(r"(Free|Total) swap\s{1,3}= (\d{1,15})kB")
BUDDY = re.compile(r"Node \d{1,4} \w{1,10}: \d{1,12}\*(4|16|64)kB ")
ROW = re.compile(r"\[\s{0,12}(\d{1,10})\]\s{1,8}(\S.{0,300})")


def parse_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) <= 10 else None


def parse_summary(text: str) -> dict[str, str]:
    """`oom-kill:constraint=…,…,task=…,pid=…,uid=…`; names and paths may hold commas, so each key is sought in turn."""
    fields: dict[str, str] = {}
    end = len(text)
    for key in ("uid", "pid", "task", "task_memcg", "oom_memcg", "mems_allowed"):
        start = text.rfind(f",{key}=", 0, end)
        if start >= 0:
            fields[key] = text[start + len(key) + 2 : end].strip()
            end = start
    constraint = re.match(r"oom-kill:constraint=(\w{1,40})", text)
    if constraint:
        fields["constraint"] = constraint[1]
    return fields
