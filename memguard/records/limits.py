"""What may be used here: one Constraint per limit that holds, and the Limits that join them.

system/limits.py reads them; estimate, the guard and doctor use the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from memguard.units import MIB

__all__ = ["Constraint", "Limits", "kernel_margin"]


def kernel_margin(limit: int) -> int:
    """Bytes to keep free below a limit that the kernel enforces: max(64 MiB, 10 %).

    Enough, as measured, for a watcher that polls every 2–100 ms to be first against writers of 10 GB/s.
    """
    return max(64 * MIB, limit // 10)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One limit in force.

    `name` is the kernel's or the flag's own word: `--limit`, `memory.max`, `memory.high`, `memory.limit_in_bytes`,
    `MemAvailable`, `RLIMIT_AS`, `RLIMIT_DATA`, `SLURM_MEM_PER_NODE`; or `the outer guard's limit`.
    """

    name: str
    source: str  # where it was read: a path, a flag, an environment variable
    limit: int  # bytes in force
    used: int  # bytes that already count against it, memguard's own included
    margin: int  # bytes kept free below it: kernel-enforced limits are never approached closer
    kernel: bool  # True where the kernel kills, or refuses, at `limit`

    @property
    def usable(self) -> int:
        """Bytes that may be in use at most: limit − margin (never below 0)."""
        return max(0, self.limit - self.margin)

    @property
    def headroom(self) -> int:
        """Bytes that may still be added: limit − margin − used. Negative when already over."""
        return self.limit - self.margin - self.used

    @property
    def fraction(self) -> float:
        """used ÷ usable; above 1 when already over."""
        return self.used / max(1, self.usable)


@dataclass(frozen=True, slots=True)
class Limits:
    """Every constraint that holds for a process tree, and the one that binds (the smallest headroom)."""

    effective: int  # bytes a new process tree may use: the binding constraint's headroom, never below 0
    source: str  # the binding constraint in words: "memory.max of /sys/fs/cgroup/…"
    available: int | None  # MemAvailable of the host
    total: int | None  # MemTotal of the host
    swap_free: int | None
    constraints: tuple[Constraint, ...] = ()

    @property
    def binding(self) -> Constraint | None:
        return min(self.constraints, key=lambda c: c.headroom, default=None)
