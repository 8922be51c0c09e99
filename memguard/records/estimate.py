"""estimate/1: what every prep plan would need for these files on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.records.limits import Limits

__all__ = ["CorpusStats", "Estimate", "PlanEstimate", "Range", "SliceStats", "Step"]


@dataclass(frozen=True, slots=True)
class Range:
    low: int
    expected: int
    high: int


@dataclass(frozen=True, slots=True)
class SliceStats:
    """A part of the text (all of it, or data[:0.9n] and data[0.9n:]) as open(path).read() gives it.

    Newlines are translated there, so chars, utf8 and tokens are less than the file's own where it has carriage returns.
    """

    chars: int
    char_width: int  # of this slice's own str: slices are as narrow as their own widest character
    utf8: int  # bytes; tiktoken leaves this copy inside a str that is not ASCII
    ascii: bool
    tokens: Range
    boxed_tokens: Range  # those whose id needs an int object of its own: above CPython's cached small ints


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
    widening_bytes: int = 0  # most bytes alive while the decoder widens the str: (k_old + k)·p
    invalid_utf8: int = 0  # files with malformed UTF-8
    slices: tuple[SliceStats, ...] = ()
    vocabulary: int = 0  # token ids of the encoding; 0: not known


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
    output: str = ""  # what it writes: "uint16"


@dataclass(frozen=True, slots=True)
class Estimate:
    SCHEMA = "memguard.estimate/1"

    input: CorpusStats
    limits: Limits
    plans: tuple[PlanEstimate, ...]
    recommended: str
    next_command: str = ""
    notes: tuple[str, ...] = ()
