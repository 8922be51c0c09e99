"""What a prep script weighs before it reads its first byte: measured, in a child process of this same interpreter.

The child imports numpy and tiktoken and loads the encoding, as every plan does, then waits while its resident memory
is read; then it times tiktoken on a little of the text. It takes about 0.5 s and runs beside the scan; a thread that
only waits talks to it, so that nothing is left to be done once the scan is through. What a script imports is imported
in a child of its own, which has nothing else: its libraries weigh what they weigh in that script. Where no child can
run, the figures measured with CPython 3.11, numpy 2.4 and tiktoken 0.14 on x86-64 stand in, and the estimate says so.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from memguard.estimate.plans.costs import Library, Loaded
from memguard.system.proc import Status, read_status
from memguard.tokens.input.source import Source, is_url
from memguard.units import KIB, MIB

__all__ = ["FALLBACK_ANONYMOUS", "Baseline", "BaselineProbe", "timed_pieces"]

# `python -m tests.bench estimate` prints the measured ones.
_FALLBACK_RSS = 54 * MIB
FALLBACK_ANONYMOUS = 35 * MIB
_FALLBACK_PEAK = 64 * MIB

_TIMEOUT = 20.0  # seconds
_MOST_MODULES = 200
# Enough for a steady figure at some 10 MB/s.
_TIMED_PIECES, _TIMED_PIECE = 8, 48 * 1024
_TIMING_TIMEOUT = 10.0  # encoding some 400 KB takes 0.1 on a quiet machine

# As a script does it, with tiktoken's own loader (its peak is part of the script's); the vocabulary that ships with
# memguard is put under it where that is the one, so that no network is needed and no cache written.
# A little is encoded too: the first call builds the regex engine's tables. What is timed is processor time: the scan is
# at work meanwhile, on the same cores.
_ENCODING = """\
import sys
if not sys.path[0]:  # the working directory, whose json.py may be anything
    del sys.path[0]
import os
def get_encoding(name):
    import tiktoken
    import tiktoken.load
    if name in ("gpt2", "r50k_base"):
        from memguard.inject.gpt2_files import contents
        os.environ["TIKTOKEN_CACHE_DIR"] = ""
        fetch = tiktoken.load.read_file
        tiktoken.load.read_file = lambda url: contents(url) or fetch(url)
    return tiktoken.get_encoding(name)
name, modules = sys.argv[1], sys.argv[2:]
"""

_PROGRAM = (
    _ENCODING
    + """\
import time
import numpy
encoding = get_encoding(name)
def seconds(paths, offsets, lengths):
    texts = []
    for path, offset, length in zip(paths, offsets, lengths):
        with open(path, "rb") as file:
            file.seek(int(offset))
            texts.append(file.read(int(length)).decode("utf-8", "ignore"))
    encoding.encode_ordinary(texts[0])
    ids = []
    started = time.process_time()
    for text in texts:
        ids.extend(encoding.encode_ordinary(text))
    numpy.array(ids, dtype=numpy.uint32)
    return time.process_time() - started
numpy.array(encoding.encode_ordinary("The first words of a text. " * 4000), dtype=numpy.uint32)
print("ready", flush=True)
for line in iter(sys.stdin.readline, ""):
    command, *words = line.rstrip("\\n").split("\\t")
    if command == "time":
        print(seconds(words[0::3], words[1::3], words[2::3]), flush=True)
        continue
    try:
        __import__(command)
    except Exception:
        print("missing", flush=True)
    else:
        print("ready", flush=True)
"""
)

# What a script imports, in a process that has nothing else: no program of the user's own, which might do anything.
# What its libraries print is let go.
_LOADING = (
    _ENCODING
    + """\
answer, silent = os.dup(1), os.open(os.devnull, os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(silent, descriptor)
missing = []
for word in modules:
    module, _, attribute = word.lstrip("?").partition(":")
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names:
        from importlib.machinery import PathFinder
        try:
            spec = PathFinder.find_spec(top)
        except Exception:
            spec = None
        place = spec and (spec.origin or "".join(spec.submodule_search_locations or ()))
        if place and "-packages" not in place:
            continue
    try:
        __import__(module)
        if attribute:
            getattr(sys.modules[module], attribute)
    except BaseException:
        if top not in missing and not word.startswith("?"):
            missing.append(top)
if any(word.partition(":")[0] == "tiktoken" for word in modules) and "tiktoken" not in missing:
    get_encoding(name).encode_ordinary("The first words of a text. " * 4000)
with open("/proc/self/status") as status:
    rows = dict(line.split(":", 1) for line in status)
words = [*(rows[key].split()[0] for key in ("VmRSS", "VmHWM", "RssAnon")), *missing]
os.write(answer, (" ".join(words) + "\\n").encode())
"""
)

# The modules that a script imports of each library. pandas brings pyarrow in when it reads Parquet.
_MODULES = {
    "pyarrow": "pyarrow.parquet",
    "pandas": "pandas",
    "polars": "polars",
    "duckdb": "duckdb",
    "datasets": "datasets",
    "torch": "torch",
    "webdataset": "webdataset",
}


@dataclass(frozen=True, slots=True)
class Baseline:
    """Bytes. `rss` while the script goes on, `peak` the most it took on the way there."""

    rss: int
    peak: int
    anonymous: int
    measured: bool
    libraries: dict[str, Library] = field(default_factory=dict)
    script: Loaded | None = None
    rate: float | None = None  # bytes of text a second, of tiktoken and a list of its ids


class BaselineProbe:
    """Starts the child at once; `result()` waits for it. As a context manager it never leaves the child behind."""

    def __init__(
        self,
        encoding: str,
        python: str = sys.executable,
        library: str = "",
        pieces: Sequence[tuple[str, int, int]] = (),
        program: str | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        """`library`: measured too, where that Python has it. `pieces`: (path, offset, bytes) of the text, to time
        tiktoken with. `program`: what the child runs instead of the usual. `modules`: what a script imports, as
        Trace.imported has it; of installed libraries alone.
        """
        self._library = library
        self._pieces = pieces
        environment = dict(os.environ)
        package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package, environment.get("PYTHONPATH"))))
        self._process = _start([python, "-c", program or _PROGRAM, encoding], environment)
        loading = [python, "-c", _LOADING, encoding, *modules[:_MOST_MODULES]]
        self._loading = _start(loading, environment) if modules and program is None else None
        self._thread = ThreadPoolExecutor(1)
        self._baseline = self._thread.submit(self._measure)

    def __enter__(self) -> BaselineProbe:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.kill()  # which ends whatever the thread waits for
        if self._loading is not None:
            self._loading.kill()
        self._thread.shutdown()
        for process in (self._process, self._loading):
            if process is not None:
                process.communicate()
        self._process = self._loading = None

    def result(self) -> Baseline:
        return self._baseline.result()

    def _measure(self) -> Baseline:
        fallback = Baseline(_FALLBACK_RSS, _FALLBACK_PEAK, FALLBACK_ANONYMOUS, measured=False)
        if self._line(_TIMEOUT) != "ready":
            return fallback
        status = self._status()
        if status is None or status.vm_rss is None or status.vm_hwm is None:
            return fallback
        anonymous = status.rss_anon if status.rss_anon is not None else round(0.66 * status.vm_rss)
        libraries = self._import(status.vm_rss, anonymous) if self._library else {}
        rate = self._time(self._pieces) if self._pieces else None
        script = self._loaded() if self._loading else None
        return Baseline(status.vm_rss, status.vm_hwm, anonymous, True, libraries, script, rate)

    def _loaded(self) -> Loaded | None:
        words = _line_of(self._loading, _TIMEOUT).split()
        if len(words) < 3 or not all(word.isdigit() for word in words[:3]):
            return self._loaded_so_far()
        rss, peak, anonymous = (int(word) * KIB for word in words[:3])
        return Loaded(rss, peak, anonymous, tuple(words[3:]))

    def _loaded_so_far(self) -> Loaded | None:
        """On a machine that has other work, libraries take longer than is waited for: what is there is the least."""
        status = read_status(self._loading.pid) if self._loading else None
        if status is None or status.vm_rss is None or status.vm_hwm is None or status.rss_anon is None:
            return None
        return Loaded(status.vm_rss, status.vm_hwm, status.rss_anon, whole=False)

    def _import(self, rss: int, anonymous: int) -> dict[str, Library]:
        status = self._status() if self._answer(_MODULES[self._library]) == "ready" else None
        if status is not None and status.vm_rss is not None and status.rss_anon is not None:
            return {self._library: Library(status.vm_rss - rss, status.rss_anon - anonymous, measured=True)}
        return {}

    def _time(self, pieces: Sequence[tuple[str, int, int]]) -> float | None:
        words = [str(word) for piece in pieces for word in piece]
        if any("\t" in word or "\n" in word for word in words):  # a path that this protocol cannot carry
            return None
        try:
            seconds = float(self._answer("\t".join(("time", *words)), _TIMING_TIMEOUT))
            size = sum(max(0, min(length, os.path.getsize(path) - offset)) for path, offset, length in pieces)
        except (OSError, ValueError):
            return None
        return size / seconds if seconds > 0 else None

    def _answer(self, request: str, timeout: float = _TIMEOUT) -> str:
        process = self._process
        if process is None or process.stdin is None:
            return ""
        with contextlib.suppress(OSError):
            process.stdin.write(os.fsencode(request) + b"\n")
            process.stdin.flush()
        return self._line(timeout)

    def _status(self) -> Status | None:
        return read_status(self._process.pid) if self._process else None

    def _line(self, timeout: float) -> str:
        return _line_of(self._process, timeout)


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes] | None:
    pipe = subprocess.PIPE
    with contextlib.suppress(OSError):
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)
    return None


def _line_of(process: subprocess.Popen[bytes] | None, timeout: float) -> str:
    """What a child says next; nothing when it says nothing in time."""
    import selectors

    if process is None or process.stdout is None:
        return ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline().decode().strip() if selector.select(timeout) else ""


def timed_pieces(sources: Sequence[Source]) -> tuple[tuple[str, int, int], ...]:
    """(path, offset, bytes) of a little text from all over plain files, to time tiktoken with; nothing of others."""
    if not sources or not all(map(_is_timed, sources)):
        return ()
    sizes = [source.size or 0 for source in sources]
    pieces = []
    for index in range(_TIMED_PIECES):
        place, number = sum(sizes) * index // _TIMED_PIECES, 0
        while place >= sizes[number]:
            place, number = place - sizes[number], number + 1
        pieces.append((sources[number].path, place, _TIMED_PIECE))
    return tuple(pieces)


def _is_timed(source: Source) -> bool:
    local = source.size and not source.compression and not is_url(source.path)
    return bool(local) and source.kind in ("text", "jsonl", "csv")
