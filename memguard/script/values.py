"""What the reader of a script knows about a value without running it. Pure.

A value that grows with the input is a Buffer: its kind says what an element costs, its parts say how much of the input
it covers. A Extent is an interval of an input with the windows that loops have made in it: a chunk of 1,000,000
characters, a line, a file. Leaving a loop undoes its window: what a list has gathered over all iterations is the whole
again. Everything else (numbers, paths, functions, modules) is small, and known only as far as it helps to follow
the Buffer.
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
    "Buffer",
    "Class",
    "Constant",
    "Encoder",
    "Extent",
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
    "Range",
    "Row",
    "Sequence",
    "Symbol",
    "Threshold",
    "Unknown",
    "Window",
    "measure",
]

# Loops inside loops of a known length: more than this is too much on any machine.
MOST_TIMES = 1e30
_LONGEST_DESCENT = 100  # values made from one another

# The input that sizes are compared on while the script is read, before any file is known: 1 GB of English.
_REFERENCE = {"chars": 1e9, "bytes": 1e9, "lines": 1e7, "files": 10.0, "tokens": 2.5e8, "pieces": 1e4, "columns": 2.0}


@dataclass(frozen=True, slots=True)
class Window:
    """Each iteration of `loop` sees `amount` `unit`s (chars, bytes, lines, files, tokens); loop 0 is none of them."""

    loop: int
    unit: str
    amount: float


@dataclass(frozen=True, slots=True)
class Extent:
    """The part [low, high] of one input, as far as `windows` leave it; `times` over (a loop of a known length)."""

    source: str | None = None  # the input's name as the script has it; None: all inputs
    low: float = 0.0
    high: float = 1.0
    windows: tuple[Window, ...] = ()
    times: float = 1.0

    def window(self, loop: int, unit: str, amount: float) -> Extent:
        return replace(self, windows=(*self.windows, Window(loop, unit, max(1.0, amount))))

    def part(self, low: float, high: float) -> Extent:
        """[low, high] of this extent, both between 0 and 1."""
        width = self.high - self.low
        return replace(self, low=self.low + low * width, high=self.low + high * width)

    def over_all_iterations(self, loops: set[int]) -> Extent:
        """What all iterations of `loops` together see: from the outermost of them on, nothing is window any more."""
        for index, window in enumerate(self.windows):
            if window.loop in loops:
                return replace(self, windows=tuple(c for c in self.windows[:index] if c.loop not in loops))
        return self

    @property
    def is_whole(self) -> bool:
        return not self.windows


def measure(extent: Extent) -> float:
    """The share of a 1 GB input that `extent` is: only to tell larger from smaller while reading."""
    share = extent.high - extent.low
    for window in extent.windows:
        share = min(share, window.amount / _REFERENCE[window.unit])
    return share * extent.times


@dataclass(frozen=True, slots=True)
class Threshold:
    """`amount` of `len` (elements of the list that is tested), `sum` (of lengths added up) or `items` (iterations)."""

    amount: float
    unit: str
    node: ast.AST
    of: Buffer | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A list that is emptied at `amount` `unit`s holds at most that, and the piece that made it full."""

    amount: float
    unit: str  # tokens, chars, lines, pieces


@dataclass(eq=False, slots=True)
class Buffer:
    """A value whose size follows the input's.

    kinds: text, bytes, ids (a list's slots), ints (the int objects of such a list), array, chars (a list with one slot
    a character), strings, lists (of ids), arrays, words, table (Arrow, pandas), list (empty so far), opaque.
    """

    kind: str
    parts: dict[Any, Extent]
    created_in: tuple[tuple[int, int], ...]  # (loop, pass) around its creation
    line: int
    item: int = 2  # bytes per element, for arrays
    capacity: float | None = None  # elements that an array was made for
    refs: list[Any] = field(default_factory=list)  # what it keeps alive
    pieces: dict[Any, Extent] = field(default_factory=dict)  # what was added at a time
    grown_in: dict[Any, tuple[tuple[int, int], ...]] = field(default_factory=dict)  # in which iteration
    bound: Bound | None = None
    encoded: bool = False  # tiktoken has left its UTF-8 copy in it
    copies: float = 1.0  # processes that have one
    origin: str = ""  # json, parquet, lines: where its strings come from
    source: Buffer | None = None  # what it was made from: as long, and bounded as that is
    of: Buffer | None = None  # the container it is an element or a view of: it costs nothing of its own

    @property
    def limit(self) -> Bound | None:
        """The bound, also one that is found only later in the script."""
        return next((buffer.bound for buffer in self.descent() if buffer.bound is not None), None)

    def descent(self) -> Iterator[Buffer]:
        """Itself, what it was made from, what that was made from, …"""
        buffer: Buffer | None = self
        for _ in range(_LONGEST_DESCENT):
            if buffer is None:
                return
            yield buffer
            buffer = buffer.source

    def mark_encoded(self) -> None:
        """tiktoken leaves a UTF-8 copy in a str, wherever that str lives."""
        buffer: Buffer | None = self
        while buffer is not None and not (buffer.encoded and buffer is not self):
            buffer.encoded = True
            buffer = buffer.of

    @property
    def extent(self) -> Extent:
        """The largest of its parts."""
        return max(self.parts.values(), key=measure, default=Extent(low=0.0, high=0.0))

    @property
    def weight(self) -> float:
        return sum(measure(part) for part in self.parts.values())


@dataclass(frozen=True, slots=True)
class Held:
    """A Buffer as it was at one moment: parts do not change any more, the bound may still be found."""

    label: str
    buffer: Buffer
    parts: tuple[Extent, ...]
    kind: str
    encoded: bool
    not_yet_added: tuple[Extent, ...] = ()  # what the iteration at hand has not added yet


class Unknown:
    """Small, or not followed; `opaque` results that grow with the input are Buffer."""

    __slots__ = ()


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any  # None, bool, str, bytes


@dataclass(frozen=True, slots=True)
class Symbol:
    """A number that is not known: `of` says what it is the length of; `unit` what a counter adds up (sum, items)."""

    ident: int
    of: Buffer | None = None
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
    windows: tuple[Window, ...] = ()


@dataclass(eq=False, slots=True)
class File:
    path: Any
    extent: Extent
    binary: bool
    write: bool
    created_in: tuple[tuple[int, int], ...]
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
class Row:
    """A document: a JSON object, a row, a table's batch. Its fields are texts of `extent`, unless set otherwise."""

    extent: Extent
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
