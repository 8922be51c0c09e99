"""What the reader of a script knows about a value without running it. Pure.

A value that grows with the input is a Data: its kind says what an element costs, its parts say how much of the input
it covers. A Portion is an interval of an input with the cuts that loops have made in it: a chunk of 1,000,000
characters, a line, a file. Leaving a loop undoes its cut: what a list has gathered over all iterations is the whole
again. Everything else (numbers, paths, functions, modules) is small, and known only as far as it helps to follow
the Data.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = [
    "MOST_TIMES",
    "UNKNOWN",
    "Bound",
    "Class",
    "Constant",
    "Cut",
    "Data",
    "Encoder",
    "File",
    "Function",
    "Generator",
    "Held",
    "Instance",
    "Method",
    "Module",
    "Number",
    "Path",
    "Pool",
    "Portion",
    "Range",
    "Record",
    "Sequence",
    "Symbol",
    "Threshold",
    "Unknown",
    "measure",
]

# Loops inside loops of a known length: more than this is too much on any machine.
MOST_TIMES = 1e30
_LONGEST_DESCENT = 100  # values made from one another

# The input that sizes are compared on while the script is read, before any file is known: 1 GB of English.
_REFERENCE = {"chars": 1e9, "bytes": 1e9, "lines": 1e7, "files": 10.0, "tokens": 2.5e8, "pieces": 1e4, "columns": 2.0}


@dataclass(frozen=True, slots=True)
class Cut:
    """Each iteration of `loop` sees `amount` `unit`s (chars, bytes, lines, files, tokens); loop 0 is none of them."""

    loop: int
    unit: str
    amount: float


@dataclass(frozen=True, slots=True)
class Portion:
    """The part [low, high] of one input, as far as `cuts` leave it; `times` over (a loop of a known length)."""

    source: str | None = None  # the input's name as the script has it; None: all inputs
    low: float = 0.0
    high: float = 1.0
    cuts: tuple[Cut, ...] = ()
    times: float = 1.0

    def cut(self, loop: int, unit: str, amount: float) -> Portion:
        return replace(self, cuts=(*self.cuts, Cut(loop, unit, max(1.0, amount))))

    def part(self, low: float, high: float) -> Portion:
        """[low, high] of this portion, both between 0 and 1."""
        width = self.high - self.low
        return replace(self, low=self.low + low * width, high=self.low + high * width)

    def lifted(self, loops: set[int]) -> Portion:
        """What all iterations of `loops` together see: from the outermost of them on, nothing is cut any more."""
        for index, cut in enumerate(self.cuts):
            if cut.loop in loops:
                return replace(self, cuts=tuple(c for c in self.cuts[:index] if c.loop not in loops))
        return self

    @property
    def is_whole(self) -> bool:
        return not self.cuts


def measure(portion: Portion) -> float:
    """The share of a 1 GB input that `portion` is: only to tell larger from smaller while reading."""
    share = portion.high - portion.low
    for cut in portion.cuts:
        share = min(share, cut.amount / _REFERENCE[cut.unit])
    return share * portion.times


@dataclass(frozen=True, slots=True)
class Threshold:
    """`amount` of `len` (elements of the list that is tested), `sum` (of lengths added up) or `items` (iterations)."""

    amount: float
    unit: str
    node: ast.AST
    of: Data | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A list that is emptied at `amount` `unit`s holds at most that, and the piece that made it full."""

    amount: float
    unit: str  # tokens, chars, lines, pieces


@dataclass(eq=False, slots=True)
class Data:
    """A value whose size follows the input's.

    kinds: text, bytes, ids (a list's slots), ints (the int objects of such a list), array, chars (a list with one slot
    a character), strings, lists (of ids), arrays, words, table (Arrow, pandas), list (empty so far), opaque.
    """

    kind: str
    parts: dict[Any, Portion]
    birth: tuple[tuple[int, int], ...]  # (loop, pass) around its creation
    line: int
    item: int = 2  # bytes per element, for arrays
    capacity: float | None = None  # elements that an array was made for
    refs: list[Any] = field(default_factory=list)  # what it keeps alive
    pieces: dict[Any, Portion] = field(default_factory=dict)  # what was added at a time
    grown: dict[Any, tuple[tuple[int, int], ...]] = field(default_factory=dict)  # in which iteration
    bound: Bound | None = None
    encoded: bool = False  # tiktoken has left its UTF-8 copy in it
    copies: float = 1.0  # processes that have one
    origin: str = ""  # json, parquet, lines: where its strings come from
    source: Data | None = None  # what it was made from: as long, and bounded as that is
    of: Data | None = None  # the container it is an element or a view of: it costs nothing of its own

    @property
    def limit(self) -> Bound | None:
        """The bound, also one that is found only later in the script."""
        return next((data.bound for data in self.descent() if data.bound is not None), None)

    def descent(self) -> Iterator[Data]:
        """Itself, what it was made from, what that was made from, …"""
        data: Data | None = self
        for _ in range(_LONGEST_DESCENT):
            if data is None:
                return
            yield data
            data = data.source

    def mark_encoded(self) -> None:
        """tiktoken leaves a UTF-8 copy in a str, wherever that str lives."""
        data: Data | None = self
        while data is not None and not (data.encoded and data is not self):
            data.encoded = True
            data = data.of

    @property
    def portion(self) -> Portion:
        """The largest of its parts."""
        return max(self.parts.values(), key=measure, default=Portion(low=0.0, high=0.0))

    @property
    def weight(self) -> float:
        return sum(measure(part) for part in self.parts.values())


@dataclass(frozen=True, slots=True)
class Held:
    """A Data as it was at one moment: parts do not change any more, the bound may still be found."""

    label: str
    data: Data
    parts: tuple[Portion, ...]
    kind: str
    encoded: bool
    missing: tuple[Portion, ...] = ()  # what the iteration at hand has not added yet


class Unknown:
    """Small, or not followed; `opaque` results that grow with the input are Data."""

    __slots__ = ()


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any  # None, bool, str, bytes


@dataclass(frozen=True, slots=True)
class Symbol:
    """A number that is not known: `of` says what it is the length of; `unit` what a counter adds up (sum, items)."""

    ident: int
    of: Data | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """factor · symbol + offset; without a symbol it is known."""

    offset: float
    symbol: Symbol | None = None
    factor: float = 1.0
    loop: int = 0  # the loop that steps it, by `step` a time
    step: float = 0.0

    @property
    def known(self) -> float | None:
        return self.offset if self.symbol is None else None


@dataclass(frozen=True, slots=True)
class Path:
    """`text` as far as it is known; `argument` when it comes from the command line; `many` for a list of files."""

    text: str | None = None
    argument: bool = False
    many: bool = False
    key: str = ""  # tells one argument from another
    cuts: tuple[Cut, ...] = ()


@dataclass(eq=False, slots=True)
class File:
    path: Any
    portion: Portion
    binary: bool
    write: bool
    birth: tuple[tuple[int, int], ...]
    format: str = "text"  # text, parquet, compressed


@dataclass(frozen=True, slots=True)
class Module:
    name: str  # dotted, such as numpy.array


@dataclass(eq=False, slots=True)
class Function:
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scopes: tuple[dict[str, Any], ...]  # innermost first
    owner: Any = None  # self, once bound
    bound: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})  # functools.partial


@dataclass(eq=False, slots=True)
class Class:
    node: ast.ClassDef
    scope: dict[str, Any]
    bases: tuple[Any, ...]
    dataclass: bool


@dataclass(eq=False, slots=True)
class Instance:
    cls: Any
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a value that is not an Instance, not called yet."""

    owner: Any
    name: str


@dataclass(eq=False, slots=True)
class Generator:
    """A generator, a generator expression, map(), filter() or iter(call, sentinel): run once it is iterated."""

    run: Any  # (consume: Callable[[value], None]) -> None
    refs: tuple[Any, ...] = ()


@dataclass(eq=False, slots=True)
class Sequence:
    """A tuple, list or dict whose members are known one by one."""

    items: list[Any]
    keys: list[Any] | None = None  # of a dict
    mutable: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    stop: Any
    step: float | None
    count: float | None  # iterations, where known


@dataclass(eq=False, slots=True)
class Record:
    """A document: a JSON object, a row, a table's batch. Its fields are texts of `portion`, unless set otherwise."""

    portion: Portion
    origin: str  # json, parquet, dataset, ids
    fields: dict[str, Any] = field(default_factory=dict)
    refs: list[Any] = field(default_factory=list)
    column: bool = False  # one column of a table: many texts


@dataclass(frozen=True, slots=True)
class Encoder:
    library: str  # tiktoken, or another's name


@dataclass(frozen=True, slots=True)
class Pool:
    workers: float | None
