"""What a script's values weigh, for a text that is known: Extent × CorpusStats → bytes. Pure.

The prices are those of costs.py and plans.py; docs/memory-terms.md derives them. Sizes are bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from memguard.estimate.plans import documents as plans_documents
from memguard.estimate.plans import pools as plans_pools
from memguard.estimate.plans.costs import RUST_ID, Costs
from memguard.estimate.plans.quantities import MMAP_THRESHOLD_MAX, Options, Text, inside_tiktoken, kept_of_shards
from memguard.estimate.script.amounts import Piece, TextShape
from memguard.script.state import Moment, Transient
from memguard.script.values import Bound, Buffer, Extent, Held, Window
from memguard.units import format_size

__all__ = ["Pricing", "Weighed"]

# What a loop inside loops may come to has no end; a figure has one, which no machine has: an EiB.
_MOST = 1 << 60
# Fitted there, on the plans' own scripts.
_FUTURE = plans_documents.FUTURE
# The output of map stays in memory where its input does: an int64 a token, and its copies on the way from the workers.
# Fitted to 12 and 30 MB of English with two workers: between 0.94 and 1.13 of them.
_MAPPED_TOKEN = 34
# How many of them still have their work item depends on the threads' timing: as little as this was measured.
_FUTURE_LOW = 880
_LIST_OBJECT = plans_documents.SMALL_LIST
_ARRAY_OBJECT = plans_documents.SMALL_ARRAY
# pyarrow's own default of write_table, as plans_pools.py takes it.
_ROW_GROUP = 1_048_576

_WORDS = {
    "text": "text",
    "bytes": "bytes",
    "ids": "list of ids",
    "ints": "ids as int objects",
    "array": "array",
    "chars": "list of one entry a character",
    "strings": "strings",
    "words": "list of words",
    "lists": "list of lists of ids",
    "arrays": "list of arrays",
    "records": "dicts",
    "table": "table",
    "opaque": "unknown, taken for a list of ids",
}


@dataclass(frozen=True, slots=True)
class Weighed:
    """A moment in bytes, and its parts in words, the largest first."""

    moment: Moment
    bytes: int
    parts: tuple[tuple[str, int], ...]

    @property
    def formula(self) -> str:
        return " + ".join(f"{words} {format_size(size)}" for words, size in self.parts)


class Pricing:
    """Prices for one text. `baseline` is Python's own memory, `worker` that of each further process."""

    def __init__(
        self, text: Text, shape: TextShape, costs: Costs, baseline: int = 0, worker: int = 0, *, bound: str = "expected"
    ) -> None:
        self.text, self.shape, self.costs = text, shape, costs
        self.baseline, self.worker = baseline, worker
        self._future = _FUTURE_LOW if bound == "low" else _FUTURE
        self._bound = bound
        # While a moment is weighed: whether a line is an average one, and how full the lists are that gather them.
        self._average_lines = False
        self._gathered = 1.0
        self._sources: Mapping[str, float] = dict(shape.sources)
        self._pieces: dict[tuple[Extent, bool], Piece] = {}
        self._sizes: dict[tuple[int, bool, float], int] = {}  # of what lives on from one moment to the next
        self._weighed: dict[tuple[int, tuple[Transient, ...], float], Weighed] = {}

    def weigh(self, moment: Moment) -> Weighed:
        """A loop that keeps what it reads peaks at its end, where the line at hand is an average one, or at the longest
        line, which stands in the middle on average. The high end of the band takes the longest for the last one.
        """
        key = id(moment.alive), moment.transients, moment.workers
        found = self._weighed.get(key)
        if found is None:
            found = self._weighed[key] = self._heaviest(moment)
        return replace(found, moment=moment)

    def _heaviest(self, moment: Moment) -> Weighed:
        if self._bound == "high" or not any(_gathers(held) for held in moment.alive):
            return self._weigh(moment)
        self._average_lines = True
        at_end = self._weigh(moment)
        self._average_lines, self._gathered = False, 0.5
        halfway = self._weigh(moment)
        self._gathered = 1.0
        return max(at_end, halfway, key=lambda weighed: weighed.bytes)

    def _weigh(self, moment: Moment) -> Weighed:
        parts = [("Python and its libraries", self.baseline)]
        if moment.workers:
            parts.append((f"{moment.workers:.0f} worker processes", round(self.worker * moment.workers)))
        named: dict[str, int] = {}
        for held in moment.alive:
            size = self.held(held)
            if size:
                words = self._words(held)
                named[words] = named.get(words, 0) + size
        for transient in moment.transients:
            size = self.transient(transient)
            if size:
                named[transient.words] = named.get(transient.words, 0) + size
        parts += sorted(named.items(), key=lambda item: -item[1])
        return Weighed(moment, min(_MOST, sum(size for _, size in parts)), tuple(parts))

    def _words(self, held: Held) -> str:
        kind = "ids" if held.kind == "ints" else held.kind
        words = _WORDS.get(kind, kind)
        if kind == "array":
            words = f"{8 * held.buffer.item}-bit array"
        times = f" in {held.buffer.copies:.0f} processes" if held.buffer.copies > 1 else ""
        return f"{held.label} ({words}{times})" if held.label else f"a {words} without a name{times}"

    # -- Buffer -------------------------------------------------------------------------------------------------

    def held(self, held: Held) -> int:
        if held.buffer.of is not None or held.kind in ("view", "list", "char", "token"):
            return 0
        key = id(held), self._average_lines, self._gathered
        if key not in self._sizes:
            self._sizes[key] = self._in_workers(held.buffer.copies, lambda: self._held(held))
        return self._sizes[key]

    def _held(self, held: Held) -> tuple[float, float]:
        """Bytes in one process, and the share of the text that it is."""
        piece = self._bounded(held)
        return self._size(held.kind, piece, held) + self._kept_between_shards(held, piece), piece.share

    def _in_workers(self, copies: float, size_of: Callable[[], tuple[float, float]]) -> int:
        """All the workers that have one at the same time. The longest line is in one of them, the others' are average;
        at worst, it is as long as that in all.
        """
        size, share = size_of()
        copies = self._copies(copies, share)
        if copies <= 1 or self._bound == "high" or self._average_lines:
            return _bytes(size * copies)
        self._average_lines = True
        average, _ = size_of()
        self._average_lines = False
        return _bytes(average * copies if self._bound == "low" else size + average * (copies - 1))

    def _kept_between_shards(self, held: Held, piece: Piece) -> float:
        """Of a list that is filled and dropped, as in sharded_list; of its chunks, the place that a str was read in."""
        if held.kind != "ids" or held.buffer.bound is None or not held.buffer.pieces:
            return 0.0
        last = max((self.piece(p) for p in held.buffer.pieces.values()), key=lambda p: p.tokens)
        if piece.share <= last.share:
            return 0.0
        return kept_of_shards(round(self.costs.list_slot * piece.tokens)) + last.text

    @staticmethod
    def _copies(copies: float, share: float) -> float:
        """Workers that have one at the same time: not more than there are pieces."""
        return min(copies, max(1.0, 1 / share)) if share > 0 else copies

    def _size(self, kind: str, piece: Piece, held: Held) -> float:
        costs = self.costs
        if kind == "text":
            return piece.text + (piece.utf8 if held.encoded else 0)
        if kind == "bytes":
            return piece.raw
        if kind == "ids":
            return costs.list_slot * piece.tokens
        if kind == "ints":
            return costs.boxed_int * piece.heap_ints
        if kind == "opaque":
            return costs.list_slot * piece.tokens + costs.boxed_int * piece.heap_ints
        if kind == "chars":
            count = piece.chars if held.buffer.capacity is None else held.buffer.capacity
            return costs.list_slot * count
        if kind == "array":
            return held.buffer.item * self._elements(held, piece)
        return self._composite(kind, piece, held)

    def _elements(self, held: Held, piece: Piece) -> float:
        capacity = held.buffer.capacity
        if capacity is None:
            return piece.chars if _made_of_chars(held.buffer) else piece.tokens
        return capacity if held.buffer.origin == "full" else min(capacity, piece.tokens)

    def _composite(self, kind: str, piece: Piece, held: Held) -> float:
        """Lists of objects that have a header each."""
        costs, count = self.costs, self._count(held.buffer, piece)
        if kind in ("strings", "records"):
            size = self._strings(piece, count)
            if held.encoded:
                size += min(piece.utf8, self.text.documents.copy_bytes * piece.share or piece.utf8)
            return size + (count * sys.getsizeof({"text": ""}) if kind == "records" else 0)
        if kind == "words":
            # A word takes about 72 bytes with its slot, and six characters of English with its space.
            return (self.shape.word_strings or 12 * self.text.chars) * piece.share
        if kind == "lists":
            return costs.list_slot * piece.tokens + _LIST_OBJECT * count
        if kind == "arrays":
            return held.buffer.item * piece.tokens + _ARRAY_OBJECT * count
        return self._table(piece, held)

    def _table(self, piece: Piece, held: Held) -> float:
        """pyarrow's table with its decoder's buffers; a batch of one; what load_dataset leaves in pyarrow's pool."""
        if held.kind != "table":
            return 0.0
        if held.buffer.origin == "batches":
            group = self.text.bytes * min(1.0, _ROW_GROUP / max(1, self.text.documents.count))
            return plans_pools.BATCHES_START + plans_pools.BATCHES_PER_BYTE * group + 2 * piece.raw
        if held.buffer.origin == "loaded":
            return plans_pools.loading(self.text, Options())[1]
        if held.buffer.origin == "dataset":
            return piece.raw
        return plans_pools.PARQUET_START + plans_pools.PARQUET_PER_BYTE * piece.raw

    def _strings(self, piece: Piece, count: float) -> float:
        documents = self.text.documents
        if count >= 0.9 * documents.count * piece.share:  # as measured, each as narrow as its own characters
            return (documents.str_bytes + self.costs.list_slot * documents.count) * piece.share
        return piece.text + 72 * count

    def _count(self, buffer: Buffer, piece: Piece) -> float:
        """Elements of a list: as many as there are pieces of what was added at a time."""
        for extent in buffer.pieces.values():
            if extent.windows:
                window = extent.windows[-1]
                if window.unit == "lines":  # an average one, not the longest
                    return self.text.documents.count * piece.share / window.amount
                return piece.share / max(1e-12, self._share(window))
        return self.text.documents.count * piece.share

    def _bounded(self, held: Held) -> Piece:
        total = Piece()
        for part in held.parts:
            total = total.plus(self.piece(part))
        for part in held.not_yet_added:
            not_yet_added = self.piece(part)
            if not_yet_added.share < total.share:
                total = total.times(1 - not_yet_added.share / total.share)
        if self._gathered < 1 and _gathers(held):
            total = total.times(self._gathered)
        bound = held.buffer.limit
        if bound is None or total.tokens <= 0:
            return total
        return self._within(total, bound, held.buffer)

    def _within(self, total: Piece, bound: Bound, buffer: Buffer) -> Piece:
        """A list that is emptied at `bound`: that many, and the piece that made it full."""
        pieces = next((list(source.pieces.values()) for source in buffer.descent() if source.pieces), [])
        last = max((self.piece(extent) for extent in pieces), key=lambda p: p.tokens, default=Piece())
        if bound.unit == "pieces":
            limit = bound.amount * last.tokens
        elif bound.unit == "chars":
            limit = bound.amount * total.tokens / max(1.0, total.chars) + last.tokens
        else:
            limit = bound.amount + last.tokens
        return total if limit >= total.tokens else total.times(limit / total.tokens)

    # -- what calls need meanwhile ----------------------------------------------------------------------------

    def transient(self, transient: Transient) -> int:
        copies = 1.0 if transient.kind.startswith("mapping") else transient.copies
        return self._in_workers(copies, lambda: self._needed_meanwhile(transient))

    def _needed_meanwhile(self, transient: Transient) -> tuple[float, float]:
        piece = self.piece(transient.extent)
        if transient.kind == "rust":
            ids = round(self.costs.list_slot * piece.tokens + self.costs.boxed_int * piece.heap_ints)
            inside = inside_tiktoken(self.text, round(piece.tokens), ids, round(piece.raw))
            size = inside[1] + self._kept_by_malloc(piece)
        elif transient.kind == "read":
            size = piece.raw + self._decoding(piece, newlines=True)
        elif transient.kind == "decode":
            size = self._decoding(piece, newlines=False)
        elif transient.kind == "text":
            size = piece.text
        elif transient.kind == "bytes":
            size = piece.raw
        elif transient.kind == "futures":
            size = self._future * self.text.documents.count * piece.share
        elif transient.kind == "loading":
            most, kept = plans_pools.loading(self.text, Options())
            size = most - kept
        elif transient.kind in ("mapping", "mapping a table in memory"):
            size = self._mapping(transient)
        elif transient.kind == "lists":
            size = self.costs.list_slot * piece.tokens + self.costs.boxed_int * piece.heap_ints
        else:
            size = 0.0
        return size, piece.share

    def _mapping(self, transient: Transient) -> float:
        """Dataset.map: its parent, and workers that each hold 1,000 rows of ids; see plans_pools.py."""
        in_memory = self.text.bytes if transient.kind != "mapping" else 0
        options = Options(workers=round(transient.copies))
        size = plans_pools.mapping(self.text, self.costs, options, in_memory)[1] + plans_pools.MAP_PARENT
        return size + (plans_pools.MAP_IN_MEMORY + _MAPPED_TOKEN * self.text.tokens if in_memory else 0)

    def _decoding(self, piece: Piece, *, newlines: bool) -> float:
        """More than the str itself: while it is widened, and while newlines are translated."""
        text = self.text
        decoded = text.width * text.chars
        most = max(decoded, text.widening)
        if newlines and text.has_0x0d:
            most = max(most, decoded + text.width * text.read_chars)
        return (most - decoded) * min(1.0, piece.share)

    def _kept_by_malloc(self, piece: Piece) -> float:
        """Bytes of tiktoken's growing Vec that glibc may keep in its heap: see terms.py."""
        if piece.raw > MMAP_THRESHOLD_MAX:
            return 0
        size = 4 * RUST_ID
        while 2 * size <= min(piece.raw, RUST_ID * piece.tokens, MMAP_THRESHOLD_MAX // 2):
            size *= 2
        return size if size <= RUST_ID * piece.tokens else 0

    # -- extents ---------------------------------------------------------------------------------------------

    def piece(self, extent: Extent) -> Piece:
        key = extent, self._average_lines
        if key not in self._pieces:
            self._pieces[key] = self._piece(extent)
        return self._pieces[key]

    def _piece(self, extent: Extent) -> Piece:
        whole = self._interval(extent.low, extent.high)
        share = self._sources.get(extent.source, 1.0) if extent.source else 1.0
        found = whole.times(share) if share < 1 else whole
        for window in extent.windows:
            limit = self._share(window)
            if limit < found.share:
                found = found.times(limit / found.share)
        return found.times(extent.times) if extent.times != 1 else found

    def _interval(self, low: float, high: float) -> Piece:
        """[low, high] of the text by characters; a str is as wide as its widest slice."""
        total = max(1, self.text.read_chars)
        found, start, width = Piece(), 0.0, 1
        for part in self.text.slices:
            end = start + part.chars / total
            overlap = min(high, end) - max(low, start)
            start = end
            if part.chars and overlap > 1e-9:
                share = overlap * total / part.chars
                width = max(width, part.width)
                found = found.plus(
                    Piece(
                        chars=part.chars * share,
                        utf8=part.utf8 * share,
                        tokens=part.tokens * share,
                        heap_ints=part.boxed * share,
                        share=overlap,
                    )
                )
        raw = self.text.bytes * found.share
        return Piece(found.chars, width * found.chars, raw, found.utf8, found.tokens, found.heap_ints, found.share)

    def _share(self, window: Window) -> float:
        """The share of all the text that `window` leaves."""
        text, count = self.text, max(1, self.text.documents.count)
        if window.unit == "lines":
            longest = 1 / count
            if not self._average_lines:
                longest = max(longest, self.shape.longest_line / max(1, text.bytes))
            return min(1.0, longest if window.amount == 1 else window.amount / count + longest)
        if window.unit == "files":
            return min(1.0, window.amount * text.largest_files[0] / max(1, text.bytes)) if text.largest_files else 1.0
        total = {"chars": text.read_chars, "bytes": text.bytes, "tokens": text.tokens}.get(window.unit, count)
        return min(1.0, window.amount / max(1, total))


def _gathers(held: Held) -> bool:
    """True for a list without a bound that a loop fills."""
    return bool(held.buffer.grown_in) and held.buffer.limit is None


def _made_of_chars(buffer: Buffer) -> bool:
    """True for an array made from one number a character."""
    source = next((source for source in buffer.descent() if source is not buffer and source.kind != "array"), None)
    return source is not None and source.kind in ("chars", "text")


def _bytes(size: float) -> int:
    return round(min(_MOST, size))
