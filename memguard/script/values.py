"""What the interpreter knows about a value without running the script. Pure.

A value that grows with the input is a Buffer: its kind says what an element costs, its parts say how much of the input
it covers. Everything else (numbers, paths, functions, modules) is small, and known only as far as it helps to follow
the Buffers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from memguard.script.extents import Extent, Window, measure, side_by_side

__all__ = [
    "KINDS",
    "NOTHING",
    "UNKNOWN",
    "Bound",
    "Buffer",
    "Choice",
    "Class",
    "Constant",
    "Encoder",
    "Field",
    "File",
    "Function",
    "Generator",
    "Held",
    "Instance",
    "Kind",
    "Method",
    "Module",
    "Namespace",
    "Number",
    "Path",
    "Pool",
    "Range",
    "Row",
    "Sequence",
    "Small",
    "Symbol",
    "Threshold",
    "Unknown",
]

_LONGEST_DESCENT = 100  # values made from one another


@dataclass(frozen=True, slots=True)
class Kind:
    """What the values of one kind have in common; estimate/script/prices.py has what they cost."""

    element: str  # the kind that iterating over it gives; "" for what nobody iterates over
    in_list: str  # what an empty list becomes when one is appended to it
    unit: str  # what a slice of it counts
    bound: str  # what `len(x) >= N` counts
    words: str  # for people; "" for what costs nothing
    grows: bool = True  # the script can add to it, so that a branch may leave it longer than the other
    small: bool = False  # nothing of the input's size is in it
    extended: str = ""  # what an empty list becomes when it is extended by one; "": a list of its elements

    @property
    def extends(self) -> str:
        return self.extended or (KINDS[self.element].in_list if self.element else self.in_list)


KINDS: dict[str, Kind] = {
    "text": Kind("char", "strings", "chars", "chars", "text"),
    "bytes": Kind("char", "strings", "bytes", "tokens", "bytes"),
    "ids": Kind("token", "lists", "tokens", "tokens", "list of ids"),
    "ints": Kind("token", "ids", "tokens", "tokens", "ids as int objects", grows=False),
    "array": Kind("token", "arrays", "tokens", "tokens", "array"),
    "chars": Kind("char", "lists", "tokens", "tokens", "list of one entry a character"),
    "strings": Kind("text", "strings", "lines", "pieces", "strings"),
    "words": Kind("text", "words", "tokens", "tokens", "list of words", grows=False, extended="words"),
    "lists": Kind("ids", "lists", "pieces", "pieces", "list of lists of ids"),
    "arrays": Kind("array", "arrays", "pieces", "pieces", "list of arrays"),
    "records": Kind("record", "records", "lines", "pieces", "dicts", grows=False, extended="records"),
    "table": Kind("record", "records", "lines", "pieces", "table", grows=False, extended="records"),
    "pages": Kind("", "lists", "lines", "pieces", "mapped pages of an Arrow file", grows=False),
    "slots": Kind("", "ids", "lines", "pieces", "entries of a set or dict", grows=False),
    "opaque": Kind("opaque", "ids", "tokens", "tokens", "unknown, taken for a list of ids"),
    "encoding": Kind("", "encodings", "tokens", "tokens", "Encoding", grows=False),
    "encodings": Kind("encoding", "encodings", "pieces", "pieces", "Encodings", extended="encodings"),
    "doc": Kind("text", "docs", "tokens", "tokens", "Doc", grows=False, extended="words"),
    "docs": Kind("doc", "docs", "pieces", "pieces", "Docs", extended="docs"),
    "pieces": Kind("text", "lists", "tokens", "tokens", "list of tokens as str", extended="pieces"),
    "heap": Kind("", "ids", "tokens", "tokens", "freed, and not given back", grows=False, small=True),
    "vocabulary": Kind("", "ids", "tokens", "tokens", "tokenizer", grows=False, small=True),
    "objects": Kind("object", "objects", "pieces", "pieces", "list of small objects", extended="objects"),
    "digits": Kind("char", "strings", "chars", "chars", "numbers as text", grows=False),
    "mapped": Kind("token", "arrays", "bytes", "tokens", "", grows=False),
    "view": Kind("token", "arrays", "tokens", "tokens", "", grows=False),
    "lazy": Kind("char", "strings", "chars", "chars", "text that stays in its file", grows=False),
    "lazies": Kind("text", "strings", "lines", "pieces", "texts in a file", extended="strings"),
    "packed": Kind("token", "lists", "tokens", "tokens", "ids in a file"),
    "packs": Kind("packed", "lists", "pieces", "pieces", "lists of ids in a file", extended="lists"),
    "list": Kind("", "lists", "tokens", "tokens", "", small=True),
    "char": Kind("", "chars", "chars", "chars", "", grows=False, small=True),
    "token": Kind("", "ids", "tokens", "tokens", "", grows=False, small=True),
    "object": Kind("", "objects", "pieces", "pieces", "", grows=False, small=True),
}
"""kinds of Buffer: text, bytes, ids (a list's slots), ints (the int objects of such a list), array, chars (a list with
one slot a character), strings, lists (of ids), arrays, words, records, table (Arrow, pandas), pages (of an Arrow file,
once they are looked at), slots (the table of a set or dict), objects (a list of small ones: indexes, hashes, tuples),
digits (numbers as text), encoding (a Hugging Face tokenizer's), encodings, doc and docs (spacy's), pieces (tokens as
str), heap (what malloc keeps of what was freed), vocabulary (a tokenizer's own weight), opaque, mapped (a file that the
kernel takes back), lazy, lazies, packed, packs (memguard's drop-in objects), view (of an array), list (empty so far).
"""


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


@dataclass(frozen=True, slots=True)
class Small:
    """An object of its own whose size does not follow the input's: an int, a digest, a tuple of two members.

    `kind` is one of estimate/script/objects.py's OBJECTS: int, float, str, bytes, tuple, list, dict, instance, slots.
    """

    kind: str
    size: float = 0.0  # characters, bytes, members


@dataclass(eq=False, slots=True)
class Buffer:
    """A value whose size follows the input's. `kind` is one of KINDS."""

    kind: str
    parts: dict[Any, Extent]
    created_in: tuple[tuple[int, int], ...]  # (loop, pass) around its creation
    line: int
    item: int = 2  # bytes per element, for arrays
    # Elements that it was made for: a number, an array's dimensions, or a list's length as far as it is known (Number).
    capacity: float | Number | tuple[Number, ...] | None = None
    width: float = 0.0  # characters of each number of digits, with what stands between two of them
    row: float | None = None  # elements of each of its lists or arrays, where that is one number for all
    made_of: tuple[Small, ...] = ()  # what an element of objects is, beside its slot
    library: str = ""  # whose arrays they are, where that is not numpy: torch
    names: Path | Sequence | None = None  # an element of objects that is the path of one of many files, or has one
    refs: list[Any] = field(default_factory=list)  # what it keeps alive
    pieces: dict[Any, Extent] = field(default_factory=dict)  # what was added at a time
    grown_in: dict[Any, tuple[tuple[int, int], ...]] = field(default_factory=dict)  # in which iteration
    bound: Bound | None = None
    encoded: bool = False  # tiktoken has left its UTF-8 copy in it
    shares: Buffer | None = None  # the records that its strings are fields of: while these live, it has slots alone
    copies: float = 1.0  # processes that have one
    origin: str = ""  # json, parquet, lines: where its strings come from
    source: Buffer | None = None  # what it was made from: as long, and bounded as that is
    once_of: Buffer | None = None  # whose elements it has, each once: while that lives, it has slots alone
    of: Buffer | None = None  # the container it is an element or a view of: it costs nothing of its own
    file_item: int = 0  # bytes of an element in the file that it was read from; 0: elements are tokens
    steps: tuple[int, ...] = ()  # numbers of the steps that made it, or added to it

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
        """The largest of its parts; of a text, with the fields that stand beside it."""
        return max(self.joined_parts, key=measure, default=Extent(low=0.0, high=0.0))

    @property
    def joined_parts(self) -> list[Extent]:
        """Its parts; those of a text that are fields of the same records are one."""
        parts = list(self.parts.values())
        return side_by_side(parts) if len(parts) > 1 and self.kind in ("text", "bytes") else parts

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


class Unknown:  # not a Buffer
    __slots__ = ()


UNKNOWN = Unknown()  # not followed: as the result of a model it means "not modelled for these arguments"
NOTHING = Unknown()  # known to be small


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any  # None, bool, str, bytes
    assumed: bool = field(default=False, compare=False)  # a file that may be there, or not: both ways are read


@dataclass(frozen=True, slots=True)
class Symbol:
    """A number that is not known: `of` says what it is the length of; `unit` what a counter adds up (sum, items)."""

    ident: str  # a name, or a place of the script: two numbers with one symbol differ by what is known
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
    """A module, something in it, or something that it gives: numpy, numpy.array, hashlib.sha256()."""

    name: str


@dataclass(eq=False, slots=True)
class Namespace:
    """A module of the script's own: its names, those of its modules among them."""

    name: str
    path: str
    env: dict[str, Any]


@dataclass(eq=False, slots=True)
class Function:
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scopes: tuple[dict[str, Any], ...]  # innermost first
    owner: Any = None  # self, once bound
    bound: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})  # functools.partial
    options: dict[str, Any] | None = None  # parameters that a command line gives, where it is one's command
    commands: list[Any] = field(default_factory=list)  # of a group of commands


@dataclass(eq=False, slots=True)
class Choice:
    """One of several functions or classes, depending on what is typed."""

    items: list[Any]


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
    node: ast.AST | None = None  # of the function whose call it is, with `refs` for its parameters


@dataclass(eq=False, slots=True)
class Sequence:
    """A tuple, list or dict whose members are known one by one."""

    items: list[Any]
    keys: list[Any] | None = None  # of a dict
    mutable: bool = False
    created_in: tuple[tuple[int, int], ...] = ()  # of a dict: (loop, pass) around its creation, as far as that is known
    like: str = ""  # of a dict: defaultdict, which makes a value for every key that it is asked for; Counter


@dataclass(frozen=True, slots=True)
class Range:
    stop: Any
    step: float | None
    count: float | None  # iterations, where known
    start: Any = None


@dataclass(eq=False, slots=True)
class Row:
    """A document, or many of them: a JSON object, a row, a table, a data set. Its fields are texts of `extent`."""

    extent: Extent
    origin: str  # json, parquet, dataset, ids
    fields: dict[str, Any] = field(default_factory=dict)
    refs: list[Any] = field(default_factory=list)
    column: bool = False  # one column of a table: many texts
    path: str = ""  # the field that it stands under, where it is a dict inside a record: messages
    source: Buffer | None = None  # the list of records that it is one of, which keeps what it gives


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the input's records. `kind`: text, texts (a list of them), record (a dict), records (a list of them),
    ids (a list of numbers), small (a number, a date, nothing).
    """

    kind: str
    weight: float = 1.0  # share of a record's text that stands in it


@dataclass(frozen=True, slots=True)
class Encoder:
    """A tokenizer: its methods have the rows of `library`."""

    library: str  # tiktoken, tokenizers, transformers, sentencepiece; nltk's and spacy's are functions
    masks: int = 0  # lists beside the ids that calling it gives: attention_mask, token_type_ids
    longest: float = 1024.0  # tokens: the model's own max_length


@dataclass(frozen=True, slots=True)
class Pool:
    workers: float | None
    processes: bool = True  # else threads
