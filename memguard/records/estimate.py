"""estimate/1: what every prep plan would need for these files on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.records.limits import Limits

__all__ = ["CorpusStats", "Estimate", "PlanEstimate", "Range", "Step"]


@dataclass(frozen=True, slots=True)
class Range:
    low: int
    expected: int
    high: int


@dataclass(frozen=True, slots=True)
class CorpusStats:
    """The input as far as its cost in memory goes. N, n, k, T and f are the letters of docs/memory-terms.md."""

    paths: tuple[str, ...]
    bytes: int  # N
    chars: int  # n
    max_code_point: int
    char_width: int  # k: 1, 2 or 4 bytes a character of the whole text as one str (PEP 393)
    tokens: Range  # T
    bytes_per_token: float
    small_id_fraction: float  # f: share of token ids ≤ 256
    documents: int | None
    encoding: str = "gpt2"
    ascii: bool = False
    has_0x0d: bool = False  # a 0x0D code unit makes universal newlines copy the text once more
    tokens_exact: bool = False
    sampled_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    line: int | None  # the script's line, where there is a script
    bytes: int  # alive at this step, the interpreter's baseline included
    formula: str  # in words


@dataclass(frozen=True, slots=True)
class PlanEstimate:
    name: str
    peak: Range  # bytes, the interpreter's baseline included: compare with VmHWM
    peak_step: str
    steps: tuple[Step, ...]
    disk: int
    seconds: float | None
    verdict: str  # fits | tight | killed
    description: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    SCHEMA = "memguard.estimate/1"

    input: CorpusStats
    limits: Limits
    plans: tuple[PlanEstimate, ...]
    recommended: str
    next_command: str = ""
    notes: tuple[str, ...] = ()
