"""Ray and Dask kill their workers themselves when memory runs out, and say so in several lines -> events. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from memguard.diagnose.clues import read_size
from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.log_reader import LogReader
from memguard.records.diagnosis import Event

__all__ = ["LibraryReader"]

_RAY = re.compile(
    r"task(?: \(task ID: [^,)]{1,80})?.{0,120}?name=(?P<task>[^,]{1,80}), pid=(?P<pid>\d{1,10}), memory used="
    r"(?P<rss>[\d.]{1,12}[KMGT]i?B)\) was running was (?P<used>[\d.]{1,12}[KMGT]?i?B)"
    r" / (?P<total>[\d.]{1,12}[KMGT]?i?B)"
    r"(?:.{0,40}?exceeds the memory usage threshold of (?P<share>\d(?:\.\d{1,9})?))?"
)
_RAY_NODE = re.compile(
    r"Memory on the node .{0,200}?was (?P<used>[\d.]{1,12}[KMGT]?i?B) / (?P<total>[\d.]{1,12}[KMGT]?i?B)"
    r"(?:.{0,60}?threshold of (?P<share>\d(?:\.\d{1,9})?))?"
)
_RAY_RAYLET = re.compile(r"(\d{1,9}) Workers \(tasks / actors\) killed due to memory pressure \(OOM\)")
_RAY_2018 = re.compile(
    r"RayOutOfMemoryError: More than (\d{1,3})% of the memory on node(?: \S{1,80} is used "
    r"\((\d{1,6}(?:\.\d{1,4})?) / (\d{1,6}(?:\.\d{1,4})?) GB\))?"
)
_DASK = re.compile(r"Worker (\S{1,200}) \(pid=(\d{1,10})\) exceeded (\d{1,3})% memory budget")
_DASK_LIMIT = re.compile(r"Process memory: ([\d.]{1,12} [KMGT]?i?B) -- Worker memory limit: ([\d.]{1,12} [KMGT]?i?B)")
_DASK_OLD = re.compile(r"Worker exceeded (\d{1,3})% memory budget")


class LibraryReader(LogReader):
    """Kills by Ray and Dask. Remembers what Dask said last about a worker's memory."""

    TRIGGERS = (
        "memory used=",
        "killed due to memory pressure (OOM)",
        "RayOutOfMemoryError",
        "node running low on memory",
        "ray.exceptions.OutOfMemoryError",
        "memory budget",
        "Worker memory limit: ",
    )
    KILLERS = frozenset({"ray", "dask"})

    def __init__(self) -> None:
        self._dask: tuple[int | None, int | None] = (None, None)  # memory used, limit
        self._ray: Event | None = None  # its details usually stand on the next line

    def feed(self, line: Line) -> list[Event]:
        event = self._read(line)
        return [event] if event is not None else []

    def close(self) -> list[Event]:
        event, self._ray = self._ray, None
        return [event] if event is not None else []

    def _read(self, line: Line) -> Event | None:
        text = line.text
        if "memory used=" in text and (match := _RAY.search(text)):
            self._ray = None
            return _ray(line, match)
        if "killed due to memory pressure (OOM)" in text and (match := _RAY_RAYLET.search(text)):
            return None if match[1] == "0" else event_at(line, "ray", note=f"{match[1]} worker(s) killed on this node")
        if "node running low on memory" in text or "ray.exceptions.OutOfMemoryError" in text:
            self._ray = event_at(line, "ray", note="the node was running low on memory")
            return None
        if self._ray is not None and "Memory on the node" in text and (match := _RAY_NODE.search(text)):
            event, self._ray = self._ray, None
            share = float(match["share"]) if match["share"] else None
            note = f"the node's memory use had passed Ray's threshold of {share:.0%}" if share else event.note
            used, total = read_size(match["used"]), read_size(match["total"])
            evidence = (*event.evidence, line.raw.strip()[:400])
            return replace(event, usage=used, memory_total=total, note=note, evidence=evidence, line=line.number)
        if "RayOutOfMemoryError" in text and (match := _RAY_2018.search(text)):
            in_use, total = (round(float(match[n]) * (1 << 30)) if match[n] else None for n in (2, 3))
            note = f"more than {match[1]}% of the node's memory was used"
            return event_at(line, "ray", usage=in_use, memory_total=total, note=note)
        if "Worker memory limit: " in text and (match := _DASK_LIMIT.search(text)):
            self._dask = read_size(match[1]), read_size(match[2])
        elif "memory budget" in text and (match := _DASK.search(text)):
            note = f"the worker had passed {match[3]}% of its memory budget"
            used, limit = self._dask
            return event_at(line, "dask", pid=int(match[2]), task=match[1], usage=used, limit=limit, note=note)
        elif "memory budget" in text and (match := _DASK_OLD.search(text)):  # before 2021 it named no worker
            used, limit = self._dask
            note = f"the worker had passed {match[1]}% of its memory budget"
            return event_at(line, "dask", usage=used, limit=limit, note=note)
        return None


def _ray(line: Line, match: re.Match[str]) -> Event:
    used, total = read_size(match["used"]), read_size(match["total"])
    share = float(match["share"]) if match["share"] else None
    return Event(
        time=line.time,
        killer="ray",
        pid=int(match["pid"]),
        task=match["task"],
        anon_rss=read_size(match["rss"]),
        usage=used,
        limit=round(total * share) if total and share else None,
        limit_name="RAY_memory_usage_threshold" if share else None,
        memory_total=total,
        evidence=(line.raw.strip()[:400],),
        uptime=line.uptime,
        host=line.host,
        line=line.number,
        note=f"the node's memory use had passed Ray's threshold of {share:.0%}" if share else None,
    )
