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
from dataclasses import dataclass

from memguard.units import KIB

__all__ = ["Costs", "cached_int_max", "int_bytes", "read_costs"]

_ALIGNMENT = 16
_POOL_SIZE = 16 * KIB
_POOL_OVERHEAD = 48

# tiktoken's encode keeps the ids in a Rust Vec<u32> until the list is built.
RUST_ID = 4


@dataclass(frozen=True, slots=True)
class Costs:
    """Bytes; `baseline` is the resident memory of Python with numpy, tiktoken and the encoding loaded."""

    list_slot: int
    boxed_int: float
    cached_int_max: int
    baseline: int
    baseline_peak: int  # loading the vocabulary takes more for a moment
    baseline_measured: bool = True


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


def read_costs(baseline: int, baseline_peak: int, *, measured: bool = True) -> Costs:
    return Costs(
        list_slot=struct.calcsize("P"),
        boxed_int=int_bytes(),
        cached_int_max=cached_int_max(),
        baseline=baseline,
        baseline_peak=baseline_peak,
        baseline_measured=measured,
    )
