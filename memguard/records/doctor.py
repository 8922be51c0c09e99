"""doctor/1: what this machine lets memguard see and enforce."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.records.limits import Limits

__all__ = ["GROUPS", "STATES", "Ability", "DoctorReport", "Machine"]

GROUPS = ("see", "enforce", "estimate", "tokenize", "diagnose")
STATES = ("ok", "partial", "unavailable")


@dataclass(frozen=True, slots=True)
class Ability:
    group: str  # one of GROUPS
    name: str
    state: str  # one of STATES
    reason: str
    mend: str = ""  # what to do about it; empty when nothing needs doing


@dataclass(frozen=True, slots=True)
class Machine:
    """What memguard runs on. Sizes in bytes; None where the system does not say."""

    kernel: str  # "Linux 6.1.0-18-amd64 x86_64"
    python: str  # "CPython 3.11.2"
    executable: str
    cores: int  # that this process may run on
    total: int | None
    available: int | None
    swap_total: int | None
    swap_free: int | None
    shm_size: int | None  # of /dev/shm
    shm_free: int | None
    cgroup_version: int | None  # of the memory controller
    cgroup: str | None  # the directory of the memory cgroup that memguard runs in
    pressure: float | None  # percent of the last 60 s in which some task waited for memory
    script_python: str | None = None  # what `memguard run script.py` would start


@dataclass(frozen=True, slots=True)
class DoctorReport:
    SCHEMA = "memguard.doctor/1"

    version: str
    platform: str
    abilities: tuple[Ability, ...]
    limits: Limits
    machine: Machine | None = None
