"""What this interpreter's objects cost, in bytes. Asked of the interpreter itself where it can be asked.

A token in a list is a slot (8 bytes on 64-bit machines) and, unless its id is one of CPython's cached small ints, an
int object of its own. That object takes sys.getsizeof(int) rounded up to pymalloc's 16-byte alignment, plus its share
of the pool's header: 28 → 32 bytes, 510 of them in a 16 KiB pool, so 32.125 (Objects/obmalloc.c: POOL_SIZE since
3.10, POOL_OVERHEAD 48). Free-threaded builds use mimalloc: 64 KiB pages and no header inside them. What the
interpreter weighs before it has read anything is baseline.py's matter.
"""

from __future__ import annotations

import struct
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field

from memguard.units import KIB, MIB

__all__ = ["LIBRARIES", "Costs", "Library", "Loaded", "cached_int_max", "int_bytes", "read_costs"]

_ALIGNMENT = 16
_POOL_SIZE = 16 * KIB
_POOL_OVERHEAD = 48

# tiktoken's encode keeps the ids in a Rust Vec<u32> until the list is built.
RUST_ID = 4

# tiktoken merges a long piece (a text without a place where its pattern splits) with a record of 40 bytes and a heap's
# entry of 16 for every byte of it; not all entries are there at once. Measured: 37 bytes with 6 MB of Han characters,
# 46 with 4 MB of letters.
PIECE_BYTE = 40
PIECE_BYTE_SLACK = 8


@dataclass(frozen=True, slots=True)
class Library:
    """What importing a library adds to the baseline, in bytes: resident, and the anonymous part of that."""

    rss: int
    anonymous: int
    measured: bool = False


# For machines where they are not installed, or not asked for: CPython 3.11, pyarrow 26.0, pandas 3.1, datasets 5.2,
# torch 2.13 for CPUs, polars 2.1, duckdb 2.0, webdataset 1.0 (with torch, which it loads where there is one), each
# beside numpy and tiktoken.
# `python -m tests.bench estimate --libraries` measures them again.
LIBRARIES: Mapping[str, Library] = {
    "pyarrow": Library(round(29.9 * MIB), round(4.9 * MIB)),
    "pandas": Library(round(69.0 * MIB), round(32.6 * MIB)),
    "datasets": Library(round(107.0 * MIB), round(62.3 * MIB)),
    "polars": Library(round(27.7 * MIB), round(15.0 * MIB)),
    "duckdb": Library(round(15.3 * MIB), round(3.7 * MIB)),
    "webdataset": Library(round(187.5 * MIB), round(127.6 * MIB)),
    "torch": Library(round(185.8 * MIB), round(126.0 * MIB)),
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A Python that has imported what a script imports, and loaded its encoding; bytes."""

    rss: int
    peak: int  # the most that it took on the way there
    anonymous: int
    missing: tuple[str, ...] = ()  # libraries that this Python does not have
    whole: bool = True  # False: not all of it was there yet when the time was up


@dataclass(frozen=True, slots=True)
class Costs:
    """Bytes; `baseline` is the resident memory of Python with numpy, tiktoken and the encoding loaded."""

    list_slot: int
    heap_int: float
    cached_int_max: int
    baseline: int
    baseline_peak: int  # loading the vocabulary takes more for a moment
    baseline_anonymous: int = 0  # its anonymous part: what counts in a tree of processes
    libraries: Mapping[str, Library] = field(default_factory=lambda: LIBRARIES)
    script: Loaded | None = None  # where a script is asked about, and this could be measured

    def rss(self, library: str = "") -> int:
        """Resident memory once `library` is imported too."""
        return self.baseline + (self.libraries[library].rss if library else 0)

    def anonymous(self, library: str = "") -> int:
        return self.baseline_anonymous + (self.libraries[library].anonymous if library else 0)


def int_bytes() -> float:
    """Bytes of one int object of token-id size, allocator included."""
    size = sys.getsizeof(50_000)
    block = -(-size // _ALIGNMENT) * _ALIGNMENT
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return float(block)
    return _POOL_SIZE / ((_POOL_SIZE - _POOL_OVERHEAD) // block)


def cached_int_max() -> int:
    """The largest int that exists once for all: 256 up to CPython 3.14. A list of such ids costs its slots alone."""
    highest = 0
    # int(str) makes the object at run time: the compiler would fold two equal literals into one.
    while highest < 1 << 16 and int(str(highest + 1)) is int(str(highest + 1)):
        highest += 1
    return highest


def read_costs(
    baseline: int,
    baseline_peak: int,
    *,
    anonymous: int | None = None,
    libraries: Mapping[str, Library] | None = None,
    script: Loaded | None = None,
) -> Costs:
    """`anonymous`: the anonymous part of the baseline; `libraries`: those that were measured."""
    return Costs(
        list_slot=struct.calcsize("P"),
        heap_int=int_bytes(),
        cached_int_max=cached_int_max(),
        baseline=baseline,
        baseline_peak=baseline_peak,
        # 34.8 of 52.8 MiB (CPython 3.11, numpy 2.4): the rest is mapped from the libraries' files.
        baseline_anonymous=round(0.66 * baseline) if anonymous is None else anonymous,
        libraries={**LIBRARIES, **(libraries or {})},
        script=script,
    )
