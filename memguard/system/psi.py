"""Pressure stall information: the share of time that tasks waited for memory.

The machine's is /proc/pressure/memory, a cgroup v2's its memory.pressure. Pressure rises for other processes'
stalls too, and misses a fast grower: it is shown as a sign, and nothing is ever stopped on it alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from memguard.system.kernel_file import read_bytes, to_int

__all__ = ["Pressure", "Stall", "parse_pressure", "read_pressure"]


@dataclass(frozen=True, slots=True)
class Stall:
    """Percent of the last 10, 60 and 300 seconds, and the sum in seconds since boot."""

    avg10: float
    avg60: float
    avg300: float
    total: float


@dataclass(frozen=True, slots=True)
class Pressure:
    """`some`: at least one task waited. `full`: all tasks that were not idle waited at once."""

    some: Stall | None
    full: Stall | None


def parse_pressure(text: str) -> Pressure | None:
    """None where neither line can be read."""
    stalls = {}
    for line in text.split("\n"):
        kind, _, rest = line.partition(" ")
        stall = _stall(dict(word.partition("=")[::2] for word in rest.split()))
        if kind in ("some", "full") and stall is not None:
            stalls[kind] = stall
    return Pressure(stalls.get("some"), stalls.get("full")) if stalls else None


def _stall(fields: dict[str, str]) -> Stall | None:
    total = to_int(fields.get("total"))
    try:
        avg10, avg60, avg300 = (float(fields[name]) for name in ("avg10", "avg60", "avg300"))
    except (KeyError, ValueError):
        return None
    if total is None or not math.isfinite(avg10 + avg60 + avg300):
        return None
    return Stall(avg10, avg60, avg300, total / 1e6)  # the kernel counts microseconds


def read_pressure(path: str = "/proc/pressure/memory") -> Pressure | None:
    """None where the kernel has no PSI (CONFIG_PSI, `psi=1` at boot): an open or a read then fails."""
    data = read_bytes(path)
    return None if data is None else parse_pressure(data.decode("ascii", "replace"))
