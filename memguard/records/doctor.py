"""doctor/1: what this machine lets memguard see and enforce."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.records.limits import Limits

__all__ = ["Ability", "DoctorReport"]


@dataclass(frozen=True, slots=True)
class Ability:
    group: str  # see | enforce | estimate | tokenize | diagnose
    name: str
    state: str  # ok | partial | unavailable
    reason: str
    mend: str = ""  # what to do about it; empty when nothing needs doing


@dataclass(frozen=True, slots=True)
class DoctorReport:
    SCHEMA = "memguard.doctor/1"

    version: str
    platform: str
    abilities: tuple[Ability, ...]
    limits: Limits
