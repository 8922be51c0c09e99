"""What reading a script gives: frozen facts, for whoever prices them or rewrites the script.

A Trace does not know the interpreter. Spans are byte offsets into the source in UTF-8 (as LibCST's
ByteSpanPositionProvider counts them) and the file that they are in, so that a codemod can say "the list that flows from
encode to np.array".
"""

from __future__ import annotations

from dataclasses import dataclass

from memguard.script.extents import Extent
from memguard.script.source import Span
from memguard.script.values import Held

__all__ = [
    "Flow",
    "ModuleSource",
    "Moment",
    "NameUse",
    "Span",
    "Step",
    "Trace",
    "Transient",
    "Unrecognised",
    "Variable",
]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens to memory at one place of the script."""

    kind: str  # read, encode, extend, array, …; line: after a statement
    span: Span
    variable: str  # the one that the step is about; "" for a value without a name


@dataclass(frozen=True, slots=True)
class Flow:
    """What step `from_step` has made or added to goes into step `to_step`: indexes of Trace.steps."""

    from_step: int
    to_step: int


@dataclass(frozen=True, slots=True)
class NameUse:
    span: Span
    context: str  # store | load | delete


@dataclass(frozen=True, slots=True)
class Variable:
    """A name of the script's, with every use of it in order."""

    name: str  # ids, self.buffer
    scope: str  # "" for the module, main, Writer.flush
    uses: tuple[NameUse, ...]


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """What the interpreter could not follow, and so counts as all that it could hold."""

    span: Span
    reached: tuple[Extent, ...] = (Extent(),)  # what it can get at


@dataclass(frozen=True, slots=True)
class Transient:
    """Memory that a call needs while it runs: `kind` is one of estimate/script/prices.py's TRANSIENTS."""

    words: str
    kind: str
    extent: Extent
    copies: float = 1.0
    threads: float = 1.0  # that the call starts itself


@dataclass(frozen=True, slots=True)
class Moment:
    """All that is alive at one point of the script's run."""

    step: Step
    alive: tuple[Held, ...]
    transients: tuple[Transient, ...] = ()
    workers: float = 0.0  # processes of a pool that run meanwhile


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module beside the script, or in its package, that was read with it. Spans name it by its path."""

    name: str  # as it is imported: utils, pkg.data
    path: str
    source: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A script as read, before any text is known. `name` is one of the named plans, or unknown."""

    path: str
    source: str
    name: str
    parameters: dict[str, str]
    steps: tuple[Step, ...]  # each once, in the order in which they first happen; without those of kind line
    flows: tuple[Flow, ...]
    moments: tuple[Moment, ...]  # in the order of the run
    variables: tuple[Variable, ...]
    unrecognised: tuple[Unrecognised, ...]
    inputs: tuple[str, ...]  # paths that it names itself
    sources: tuple[str, ...]  # every input, those from the command line by the script's name of them
    encoding: str
    imports: frozenset[str]
    columns: tuple[str, ...] = ()  # names that it uses as keys, and as fields of rows: one may be the text's column
    imported: tuple[
        str, ...
    ] = ()  # modules of libraries and names from them, in order: numpy, datasets:load_dataset; ?torch:
    # what a library imports itself, where it is installed
    notes: tuple[str, ...] = ()  # what its author should know, beside its memory
    tokenizer: str = ""  # file or model of a tokenizer that is not tiktoken's, as the script has it
    modules: tuple[ModuleSource, ...] = ()  # in the order in which they were read
    missing: tuple[str, ...] = ()  # names of modules that it imports and nobody found
    spawned: bool = False  # its workers are Pythons of their own, which import all that it does
    encodes_here: bool = True  # its first process has tiktoken's vocabulary, if any has
    unfinished: bool = False  # a part of it was not looked at: it takes more steps than the interpreter has

    @property
    def slices(self) -> float | None:
        """The share of the text that is sliced off, where that is done before encoding."""
        value = self.parameters.get("val_fraction")
        return float(value) if value else None

    @property
    def processes(self) -> bool:
        """True when it starts workers: a Dataset.map of one runs in the script's own process."""
        return self.parameters.get("workers", "1") != "1" or any(moment.workers for moment in self.moments)

    def has_kind(self, kind: str) -> bool:
        """True when a value of `kind` is alive at some moment."""
        return any(held.kind == kind for moment in self.moments for held in moment.alive)

    def has_window(self, unit: str) -> bool:
        """True when some value is seen through a window of `unit`."""
        parts = (part for moment in self.moments for held in moment.alive for part in held.parts)
        return any(window.unit == unit for part in parts for window in part.windows)

    def needs(self, kind: str) -> bool:
        """True when some call needs a transient of `kind`."""
        return any(transient.kind == kind for moment in self.moments for transient in moment.transients)
