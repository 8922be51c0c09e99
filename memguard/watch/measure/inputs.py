"""Which of the files that a tree has open are the script's inputs: read only, of some size, and data of the user's own.

Not an input: what belongs to a Python, a package, a tokenizer, a model, the system or git; a database; what the tree
writes, or has written since it began. Not seen: a file that is opened, read and closed between two looks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from memguard.system.kernel_file import read_bytes
from memguard.system.open_files import OpenFile, read_open_files
from memguard.system.proc import Process

__all__ = ["InputFiles", "is_data"]

SMALLEST = 64 << 10  # bytes; below it lie settings and the interpreter's own files

_CODE = (".py", ".pyc", ".pyi", ".pyd", ".so", ".whl", ".egg", ".jar")
_FONTS = (".ttf", ".ttc", ".otf", ".woff", ".woff2", ".pfb", ".afm")
_MODELS = (".tiktoken", ".model", ".safetensors", ".pt", ".pth", ".ckpt", ".onnx", ".gguf", ".bpe", ".vocab")
_DATABASES = (".sqlite", ".sqlite3", ".db", ".db3", ".mdb", ".ldb", ".sst", ".duckdb", "-wal", "-shm", "-journal")
_TOKENIZERS = frozenset(
    [
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "encoder.json",
        "merges.txt",
        "vocab.txt",
        "special_tokens_map.json",
        "tokenizer.bin",
        "spiece.model",
    ]
)
_FOLDERS = ("/site-packages/", "/dist-packages/", "/.git/", "/__pycache__/", "/node_modules/", "/fonts/", "/locale/")
_SYSTEM = (
    "/usr/lib/",
    "/usr/lib64/",
    "/usr/libexec/",
    "/lib/",
    "/lib64/",
    "/bin/",
    "/usr/bin/",
    "/etc/",
    "/proc/",
    "/sys/",
)
_SHARED = ("/usr/share/", "/usr/local/share/")
_SHARED_TEXTS = ("/usr/share/dict/", "/usr/share/doc/")
_CACHES = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")  # where tiktoken keeps its vocabularies (tiktoken/load.py)
_DEFAULT_CACHE = "/data-gym-cache/"


def is_data(path: str) -> bool:
    """By its name alone, whether it may be data of the user's own."""
    name = os.path.basename(path)
    lower = name.lower()
    if lower.endswith((*_CODE, *_FONTS, *_MODELS, *_DATABASES)) or ".so." in lower or name in _TOKENIZERS:
        return False
    if any(folder in path for folder in _FOLDERS) or path.startswith(_SYSTEM) or _is_library(path):
        return False
    if path.startswith(_SHARED) and not path.startswith(_SHARED_TEXTS):
        return False
    if "/huggingface/" in path and "/models--" in path:
        return False
    return not (_is_digest(name) and "/datasets--" not in path) and _DEFAULT_CACHE not in path


def _is_library(path: str) -> bool:
    """Under lib/python3.11/ of any installation, or its zipped twin."""
    for folder in ("/lib/python", "/lib64/python"):
        if path.partition(folder)[2][:1].isdigit():
            return True
    name = os.path.basename(path)
    return name.startswith("python") and name.endswith(".zip") and name[6:-4].isdigit()


def _is_digest(name: str) -> bool:
    """tiktoken names the files of its cache by the SHA-1 of their address."""
    return len(name) == 40 and all(letter in "0123456789abcdef" for letter in name)


class InputFiles:
    """`sizes` is {path: bytes} of those seen so far."""

    def __init__(self, own: str) -> None:
        self.sizes: dict[str, int] = {}
        self._own = own  # the run's own directory
        self._written: set[str] = set()
        self._caches: dict[Process, tuple[str, ...]] = {}
        self._begun: float | None = None

    def look(self, processes: Iterable[Process]) -> bool:
        """Whether something is new, or one of them has turned out to be no input."""
        before = dict(self.sizes)
        for process in processes:
            begun = self._start_of(process)
            for file in read_open_files(process.pid):
                if file.writable:
                    self._written.add(file.path)
                    self.sizes.pop(file.path, None)
                elif self._is_input(file, process, begun):
                    self.sizes[file.path] = file.size
        return before.keys() != self.sizes.keys()

    def _is_input(self, file: OpenFile, process: Process, begun: float) -> bool:
        path = file.path
        if not file.readable or file.deleted or file.size < SMALLEST or path in self._written:
            return False
        if path.startswith((self._own, *self._caches_of(process))) or not is_data(path):
            return False
        if path in self.sizes:
            return True
        try:
            return os.stat(path).st_mtime < begun
        except OSError:
            return False

    def _start_of(self, process: Process) -> float:
        """When the oldest process so far began, as the files' clock says it."""
        # To the end of its tick: a file that was made just before is an input, and no Python writes one within 10 ms.
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - (process.start_time + 1) / os.sysconf("SC_CLK_TCK")
        started = time.time() - age
        self._begun = started if self._begun is None else min(self._begun, started)
        return self._begun

    def _caches_of(self, process: Process) -> tuple[str, ...]:
        if process not in self._caches:
            data = read_bytes(f"/proc/{process.pid}/environ") or b""
            entries = dict(entry.split(b"=", 1) for entry in data.split(b"\0") if b"=" in entry)
            places = (os.fsdecode(entries.get(name.encode(), b"")) for name in _CACHES)
            self._caches[process] = tuple(os.path.realpath(place) + "/" for place in places if place)
        return self._caches[process]
