"""What `memguard fix` found, changed and left: memguard.fix/1."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.records.estimate import Range

__all__ = ["FixEdit", "FixLeft", "FixRecord", "FixState", "FixStay", "FixVerify"]


@dataclass(frozen=True, slots=True)
class FixEdit:
    """One change: lines from 1, columns from 0 in UTF-8 bytes, in the script as it was."""

    rule: str  # open-text, get-encoding, token-buffer, …
    applicability: str  # safe | unsafe
    line: int
    col: int
    end_line: int
    end_col: int
    replaced: str
    text: str
    words: str  # what becomes what
    variables: tuple[str, ...]  # names that hold it, or what is made of it
    holds: str  # what the line holds from then on
    saves: int  # bytes of the peak
    faster: bool = False  # it saves time, too


@dataclass(frozen=True, slots=True)
class FixLeft:
    """What stays as it is."""

    rule: str
    line: int  # where that is decided
    made_line: int
    reason: str  # the name of it, of a closed list
    sentence: str
    source: str  # the line


@dataclass(frozen=True, slots=True)
class FixStay:
    """A line that makes something large still, after the fix."""

    line: int
    makes: str  # text, a list of ids, …
    variable: str  # "" for a value without a name
    bytes: int
    source: str  # the line


@dataclass(frozen=True, slots=True)
class FixState:
    """The script before, or after."""

    peak: Range
    verdict: str  # fits | tight | killed
    plan: str  # one of the named plans, or unknown
    seconds: float | None  # of encoding the text; None: not measured here
    disk: int  # bytes of files without a name, until it ends


@dataclass(frozen=True, slots=True)
class FixVerify:
    """The original and the fixed script, run on the same slice."""

    slice_bytes: int
    same: bool
    differs: tuple[str, ...]  # what does: stdout, exit code, names of files
    files: int  # that both have written
    exit_code: int  # of the original


@dataclass(frozen=True, slots=True)
class FixRecord:
    SCHEMA = "memguard.fix/1"
    LINES = ("diff",)

    script: str
    inputs: tuple[str, ...]
    text: str  # what the figures are for, in words
    allowed: int  # bytes that a new job may use
    before: FixState
    after: FixState
    edits: tuple[FixEdit, ...]
    left: tuple[FixLeft, ...]
    unused_ignores: tuple[int, ...]  # lines of comments that keep nothing
    notes: tuple[str, ...]
    advice: str  # a command that does the same job; "" where nothing is left
    diff: str  # unified, a/ and b/ in front of the script's name
    verify: FixVerify | None = None
    stays: tuple[FixStay, ...] = ()  # the largest first
