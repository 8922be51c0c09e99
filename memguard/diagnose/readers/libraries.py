"""What Python, its libraries and the places where it runs say about memory and dead workers. Pure.

CPython, numpy, multiprocessing, joblib, torch, Hugging Face datasets, Ray, Dask; Rust and C++ extensions; Jupyter,
Colab, Kaggle. Ray and Dask kill workers themselves and say so: those are events. Everything else is a clue.
"""

from __future__ import annotations

import re

from memguard.diagnose.clues import Pattern, pattern, read_size
from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.log_reader import LogReader
from memguard.records.diagnosis import Event

__all__ = ["LibraryReader"]

_REFUSED = "nothing was killed from outside"

_CLUES: tuple[Pattern, ...] = (
    pattern(
        "shm-full",
        "shm",
        "/dev/shm was full: workers hand their batches over in shared memory, which has a limit of its own",
        r"killed by signal: Bus error|workers are out of shared memory|insufficient shared memory \(shm\)"
        r"|No space left on device: '/(?:dev/)?shm/|No space left on device.{0,80}/dev/shm"
        r"|/dev/shm.{0,120}No space left on device"
        r"|unable to (?:write to file|allocate shared memory\(shm\) for file) </torch_",
        "signal: Bus error",
        "out of shared memory",
        "insufficient shared memory",
        "/shm",
        "</torch_",
    ),
    pattern(
        "gpu-memory",
        "not-memory",
        "the memory of the graphics card was full, not the RAM: a smaller batch or model helps, more RAM does not",
        r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError: (?:CUDA|HIP|XPU)|HIP out of memory"
        r"|MPS backend out of memory",
        "CUDA",
        "HIP out of memory",
        "MPS backend out of memory",
        "OutOfMemoryError: ",
    ),
    pattern(
        "tiktoken-stack",
        "not-memory",
        "tiktoken's regex engine ran out of stack on one very long run of text without a break; RAM is not short",
        r"PanicException.{0,120}StackOverflow",
        "PanicException",
    ),
    pattern(
        "array-refused",
        "allocation",
        f"numpy asked for one array that the system would not give; {_REFUSED}",
        r"Unable to allocate (?P<size>[\d.]{1,12} (?:[KMGT]i?B|bytes)) for an array",
        "Unable to allocate",
    ),
    pattern(
        "rust-refused",
        "allocation",
        f"Rust code (tiktoken, tokenizers, polars) asked for memory that the system would not give; {_REFUSED}",
        r"memory allocation of (?P<size>\d{1,20}) bytes failed",
        "memory allocation of",
    ),
    pattern(
        "fil-stopped",
        "allocation",
        "the profiler Fil ended the program itself, because memory was running out",
        r"=fil-profile= WARNING: Detected out-of-memory condition",
        "=fil-profile=",
    ),
    pattern(
        "memory-error",
        "allocation",
        f"Python was refused memory and said so itself; {_REFUSED}",
        r"(?:^|[^\w.])(?:[\w.]{1,80}\.)?_?(?:Array)?MemoryError(?::|$|'>)",
        "MemoryError",
    ),
    pattern(
        "allocation-failed",
        "allocation",
        f"a request for memory was refused by the system; {_REFUSED}",
        r"std::bad_alloc|Cannot allocate memory|enough memory for the allocation|pyarrow\.lib\.ArrowMemoryError"
        r"|malloc of size (?P<size>\d{1,20}) failed|DefaultCPUAllocator: (?:can't|not enough) "
        r"|unable to mmap \d{1,20} bytes",
        "std::bad_alloc",
        "Cannot allocate memory",
        "enough memory for the allocation",
        "ArrowMemoryError",
        "malloc of size",
        "DefaultCPUAllocator",
        "unable to mmap",
    ),
    pattern(
        "worker-killed",
        "unclear",
        "a worker process was killed from outside; the message does not say by whom",
        r"BrokenProcessPool|process pool is not usable anymore|process pool was terminated abruptly"
        r"|TerminatedWorkerError|exit codes of the workers are \{SIGKILL\(-9\)"
        r"|subprocesses has abruptly died|DataLoader worker \(pid(?:\(s\))? (?P<pid>\d{1,10})\S{0,80}\) "
        r"(?:is killed by signal: Killed|exited unexpectedly)|terminated with signal SIGKILL|<Signals\.SIGKILL: 9>"
        r"|Worker process (?P<pid2>\d{1,10}) was killed by signal 9|KilledWorker: |LocalTaskJob.{0,80}return code -9"
        r"|Task exited with return code -9|Negsignal\.SIGKILL",
        "BrokenProcessPool",
        "process pool",
        "TerminatedWorkerError",
        "SIGKILL(-9)",
        "abruptly died",
        "DataLoader worker",
        "signal SIGKILL",
        "Signals.SIGKILL",
        "was killed by signal 9",
        "KilledWorker",
        "return code -9",
        "Negsignal.SIGKILL",
    ),
    pattern(
        "kernel-died",
        "unclear",
        "the notebook's kernel died; Jupyter does not know why, and memory is only the most frequent reason",
        r"[Kk]ernel appears to have died|KernelRestarter: restarting kernel|DeadKernelError"
        r"|^\s{0,20}Kernel Restarting\s{0,20}$",
        "ernel appears to have died",
        "restarting kernel",
        "DeadKernelError",
        "Kernel Restarting",
    ),
    pattern(
        "pool-waits",
        "hang",
        "the main process was waiting in multiprocessing.Pool, which never notices that a worker was killed",
        r"multiprocessing/pool\.py\", line \d{1,6}, in (?:wait|get|next)\b",
        "multiprocessing/pool.py",
    ),
)

_RAY = re.compile(
    r"task(?: \(task ID: [^,)]{1,80})?.{0,120}?name=(?P<task>[^,]{1,80}), pid=(?P<pid>\d{1,10}), memory used="
    r"(?P<rss>[\d.]{1,12}[KMGT]i?B)\) was running was (?P<used>[\d.]{1,12}[KMGT]?i?B)"
    r" / (?P<total>[\d.]{1,12}[KMGT]?i?B)"
    r"(?:.{0,40}?exceeds the memory usage threshold of (?P<share>\d(?:\.\d{1,9})?))?"
)
_RAY_RAYLET = re.compile(r"(\d{1,9}) Workers \(tasks / actors\) killed due to memory pressure \(OOM\)")
_RAY_2018 = re.compile(
    r"RayOutOfMemoryError: More than (\d{1,3})% of the memory on node \S{1,80} is used "
    r"\((\d{1,6}(?:\.\d{1,4})?) / (\d{1,6}(?:\.\d{1,4})?) GB\)"
)
_DASK = re.compile(r"Worker (\S{1,200}) \(pid=(\d{1,10})\) exceeded (\d{1,3})% memory budget")
_DASK_LIMIT = re.compile(r"Process memory: ([\d.]{1,12} [KMGT]?i?B) -- Worker memory limit: ([\d.]{1,12} [KMGT]?i?B)")
_COLAB = "Your session crashed after using all available RAM"
_KAGGLE = "Your notebook tried to allocate more memory than is available"


class LibraryReader(LogReader):
    """Kills by Ray, Dask, Colab and Kaggle. Remembers what Dask said last about a worker's memory."""

    TRIGGERS = (
        "memory used=",
        "killed due to memory pressure (OOM)",
        "RayOutOfMemoryError",
        "node running low on memory",
        "memory budget",
        "Worker memory limit: ",
        _COLAB,
        _KAGGLE,
    )
    KILLERS = frozenset({"ray", "dask"})
    REPORTERS = frozenset({"colab", "kaggle"})
    CLUES = _CLUES

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
        if "node running low on memory" in text:
            self._ray = event_at(line, "ray", note="the node was running low on memory")
            return None
        if "RayOutOfMemoryError" in text and (match := _RAY_2018.search(text)):
            in_use, total = (round(float(match[n]) * (1 << 30)) for n in (2, 3))
            note = f"more than {match[1]}% of the node's memory was used"
            return event_at(line, "ray", usage=in_use, memory_total=total, note=note)
        if "Worker memory limit: " in text and (match := _DASK_LIMIT.search(text)):
            self._dask = read_size(match[1]), read_size(match[2])
        elif "memory budget" in text and (match := _DASK.search(text)):
            note = f"the worker had passed {match[3]}% of its memory budget"
            used, limit = self._dask
            return event_at(line, "dask", pid=int(match[2]), task=match[1], usage=used, limit=limit, note=note)
        elif _COLAB in text:
            return event_at(line, "colab", note="the session had used all of its RAM")
        elif _KAGGLE in text:
            return event_at(line, "kaggle", note="the notebook asked for more memory than there is")
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
