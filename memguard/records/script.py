"""What `memguard estimate --script` read out of a script: its plan, its steps, and what was not understood.

It is the `script` of an estimate/1 record. Steps, variables and uses carry their place in the source (lines from 1,
columns from 0 in UTF-8 bytes, as ast counts them), so that a tool can rewrite the script from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from memguard.records.estimate import Estimate, Range

__all__ = [
    "Finding",
    "Knob",
    "LineMemory",
    "ScriptEstimate",
    "ScriptModule",
    "ScriptPlanEstimate",
    "ScriptReport",
    "ScriptStep",
    "Unrecognised",
    "Use",
    "Variable",
    "lines_of",
]


def lines_of(source: str) -> list[str]:
    """The lines as Python counts them: a form feed or a Unicode line separator ends none."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


@dataclass(frozen=True, slots=True)
class ScriptStep:
    name: str  # encode (line 21); unique, unless two of a kind stand on one line
    kind: str  # read, slice, encode, extend, append, array, …
    line: int | None  # None: before the first line, while libraries are loaded
    col: int
    end_line: int | None
    end_col: int
    variable: str  # the one that the step is about; "" for a value without a name
    bytes: int  # alive at its worst moment, the interpreter's baseline included
    formula: str  # in words: everything that is alive, with its size
    file: str | None = None  # the module of the script's own that it is in; None: the script itself


@dataclass(frozen=True, slots=True)
class ScriptPlanEstimate:
    name: str  # one of the named plans, or unknown
    peak: Range
    peak_step: str  # the name of one of the steps
    peak_line: int | None
    steps: tuple[ScriptStep, ...]
    parameters: dict[str, str]  # chunk, shard, workers, dtype, container, val_fraction, …
    verdict: str  # fits | tight | killed
    peak_file: str | None = None  # of the script's own modules


@dataclass(frozen=True, slots=True)
class Unrecognised:
    line: int
    source: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    line: int
    col: int
    end_line: int
    end_col: int
    context: str  # store | load | delete


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that holds something of the input's size at some moment."""

    name: str  # ids, self.buffer
    scope: str  # "" for the module, main, Writer.flush
    kinds: tuple[str, ...]  # text, ids, array, strings, …
    bytes: int  # the most it holds itself
    uses: tuple[Use, ...]
    file: str | None = None


@dataclass(frozen=True, slots=True)
class LineMemory:
    line: int
    bytes: int  # the most that is alive while this line runs
    file: str | None = None


@dataclass(frozen=True, slots=True)
class ScriptModule:
    """A module of the script's own, which was read with it."""

    LINES = ("source",)

    name: str
    path: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A place of the script that makes something of the input's size."""

    file: str  # the script's path
    line: int
    col: int
    end_line: int
    end_col: int
    call: str  # the source there: enc.encode_ordinary(data)
    kind: str  # of the step: read, slice, encode, extend, append, array, …
    makes: str  # in words: text, list of ids
    variable: str  # its name from then on; "" for a value without a name
    bytes: int  # of what it makes at its largest, in all processes that have one, for the expected text


@dataclass(frozen=True, slots=True)
class Knob:
    """A number in the script that its peak depends on, and what a smaller one gives: the script read with that."""

    kind: str  # chunk | batch | shard | workers | size
    name: str  # as the script calls it: CHUNK_SIZE, num_proc, len(ids)
    file: str
    line: int
    source: str  # the value as it is written: 1 << 20
    value: int
    costs: int  # bytes of the peak that the least value would save
    smaller: int  # the largest value that fits; where none does, or all do, one that saves most of `costs`
    smaller_peak: Range
    smaller_verdict: str  # fits | tight | killed


@dataclass(frozen=True, slots=True)
class ScriptReport:
    LINES = ("source",)  # a text of several lines

    path: str
    plan: ScriptPlanEstimate
    unrecognised: tuple[Unrecognised, ...]
    inputs: tuple[str, ...]  # paths that the script names itself
    encoding: str  # tiktoken's name of it
    lines: tuple[LineMemory, ...]
    variables: tuple[Variable, ...]
    source: str
    notes: tuple[str, ...] = ()  # a callback that never runs
    modules: tuple[ScriptModule, ...] = ()
    missing: tuple[str, ...] = ()  # modules that it imports, and that are neither beside it nor installed
    findings: tuple[Finding, ...] = ()  # in the order of the run
    knobs: tuple[Knob, ...] = ()  # what costs most first


@dataclass(frozen=True)
class ScriptEstimate(Estimate):
    """An estimate/1 record with the script that it was made for; the plans are those of the same files."""

    script: ScriptReport | None = None
