"""Extent × text → Piece: how many characters, bytes and tokens a part of the input is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from memguard.estimate.plans.costs import Costs
from memguard.estimate.plans.quantities import Text
from memguard.estimate.script.amounts import Piece, TextShape
from memguard.script.extents import ALL_FIELDS, Extent, Window
from memguard.script.values import Buffer

__all__ = ["Scale"]

_STR = 48  # what a str has beside its characters, rounded up as the allocator does on average


class Scale:
    """One text, and what a Python on this machine takes for its values."""

    def __init__(
        self, text: Text, shape: TextShape, costs: Costs, *, bound: str = "expected", tree: bool = False
    ) -> None:
        self.text, self.shape, self.costs, self.bound = text, shape, costs, bound
        self.tree = tree  # of processes: what counts is their anonymous memory
        self.average_lines = False  # whether the line at hand is an average one, or the longest
        self.living: set[int] = set()  # the Buffers that are alive at the moment that is weighed
        self.pinned: dict[int, int] = {}  # records that are gone → the list whose texts keep their arenas
        self._sources: Mapping[str, float] = dict(shape.sources)
        self._pieces: dict[tuple[Extent, bool], Piece] = {}

    def piece(self, extent: Extent) -> Piece:
        key = extent, self.average_lines
        if key not in self._pieces:
            self._pieces[key] = self._piece(extent)
        return self._pieces[key]

    def _piece(self, extent: Extent) -> Piece:
        whole = self._interval(extent.low, extent.high)
        share = self._sources.get(extent.source, 1.0) if extent.source else 1.0
        found = whole.times(share) if share < 1 else whole
        for window in extent.windows:
            if window.unit.endswith(" a line"):
                found = found.times(self._of_each_line(window))
                continue
            if window.unit == "items":
                found = found.times(min(1.0, window.amount / self._members(extent)))
                continue
            limit = self.share(window)
            if limit < found.share:
                found = found.times(limit / found.share)
        found = self._fields(extent, found)
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
                        heap_ints=part.heap_ints * share,
                        share=overlap,
                    )
                )
        raw, documents = self.text.bytes * found.share, self.text.documents
        strs, copies = documents.str_bytes * found.share, documents.copy_bytes * found.share
        return replace(found, text=width * found.chars, raw=raw, strs=strs, copies=copies)

    def _fields(self, extent: Extent, found: Piece) -> Piece:
        """`found` is of the text that is measured: the same records as the file has them, or some of their fields."""
        shape = self.shape.records
        if shape is None:
            return found
        records = self.text.documents.count * found.share
        known = [shape.fields[name] for name in extent.columns if name in shape.fields]
        if not known or len(known) < len(extent.columns):
            size = shape.data if extent.columns == (ALL_FIELDS,) else shape.line
            whole = found.resized(size / shape.reference)
            if shape.text and size == shape.line:
                whole = replace(whole, text=records * shape.text, utf8=0.0 if shape.ascii else whole.utf8)
            strs = records * (shape.line_strs + (size - shape.line))
            return replace(whole, strs=max(0.0, strs), objects=records * shape.objects)
        part = found.resized(sum(field.bytes for field in known) / shape.reference)
        strs = sum(field.strs for field in known) - _STR * max(0, len(known) - 1)
        part = replace(part, objects=records * sum(field.objects for field in known))
        if len(known) > 1 or abs(known[0].bytes - shape.reference) > 1e-6 * shape.reference:
            part = replace(part, strs=records * max(0.0, strs))
        numbers = sum(field.numbers for field in known)
        return replace(part, tokens=records * numbers, heap_ints=records * numbers) if numbers else part

    def _of_each_line(self, window: Window) -> float:
        """The share of all lines that stands within the first `amount` chars or tokens of each, or behind them."""
        text = self.text
        unit = window.unit.removesuffix(" a line").removesuffix(" behind")
        per_byte = {"chars": text.read_chars, "bytes": text.bytes}.get(unit, text.tokens) / max(1, text.bytes)
        first = window.amount / max(1e-12, per_byte)
        lengths = self.shape.line_bytes or (text.bytes / max(1, text.documents.count),)
        share = sum(min(first, length) for length in lengths) / max(1e-12, sum(lengths))
        return 1 - share if " behind" in window.unit else share

    def lives(self, buffer: Buffer) -> bool:
        """Whether `buffer`, or the list that it is a part of, is alive at the moment that is weighed."""
        return id(buffer) in self.living

    @property
    def line_share(self) -> float:
        """Bytes of the file for each byte of the text that is measured."""
        shape = self.shape.records
        return 1.0 if shape is None else shape.line / shape.reference

    def words(self, piece: Piece) -> float:
        """The share of all the words of the files that stand in `piece`."""
        return piece.raw / max(1.0, self.text.bytes * self.line_share)

    def share(self, window: Window) -> float:
        """The share of all the text that `window` leaves."""
        text, count = self.text, max(1, self.text.documents.count)
        if window.unit == "lines":
            longest = 1 / count
            if not self.average_lines:
                longest = max(longest, self.shape.longest_line / max(1.0, text.bytes * self.line_share))
            return min(1.0, longest if window.amount == 1 else window.amount / count + longest)
        if window.unit == "lines of text":  # as a trainer counts them that reads a file of all texts
            return min(1.0, window.amount / max(count, self.shape.text_lines))
        if window.unit == "groups":
            rows = text.row_group_rows or count
            return min(1.0, window.amount * rows / count)
        if window.unit == "files":
            return self._of_files(window.amount)
        if window.unit.endswith(" behind") or window.unit.startswith("new "):
            return 1.0
        if window.unit == "distinct words":
            return min(1.0, self.shape.distinct_words / max(1, self.shape.words)) if self.shape.distinct_words else 1.0
        if window.unit == "distinct lines":
            return self.shape.distinct_line_bytes
        if window.unit == "words":
            return min(1.0, window.amount / max(1.0, self.shape.words or text.chars / 6))
        total = {"chars": text.read_chars, "bytes": text.bytes, "tokens": text.tokens}.get(window.unit, count)
        return min(1.0, window.amount / max(1, total))

    def _of_files(self, amount: float) -> float:
        """The share of the `amount` largest files: those behind the largest that are known are as the last of these."""
        largest = self.text.largest_files
        if not largest:
            return 1.0
        known = largest[: max(1, round(amount))]
        together = sum(known) + max(0.0, amount - len(known)) * largest[-1]
        return min(1.0, together / max(1, self.text.bytes))

    def count(self, buffer: Buffer, piece: Piece) -> float:
        """Elements of a list: as many as there are pieces of what was added at a time."""
        found = share = 0.0
        for site, part in buffer.parts.items():
            share += self.piece(part).share
            if isinstance(site, tuple) and site[-1] == "same element":
                continue
            count = self._pieces_in(buffer.pieces.get(site), self.piece(part.uncut()).share)
            if any(window.unit == "distinct lines" for window in part.windows):
                count *= self.shape.distinct_lines / max(1e-12, self.shape.distinct_line_bytes)
            found += count
        if share <= 0:
            return self._pieces_in(next(iter(buffer.pieces.values()), None), piece.share)
        return found * piece.share / share

    def _members(self, extent: Extent) -> float:
        """How many members the list of an average record has."""
        shape = self.shape.records
        known = [] if shape is None else [shape.fields[name] for name in extent.columns if name in shape.fields]
        return max((field.count for field in known), default=1.0) or 1.0

    def _pieces_in(self, extent: Extent | None, share: float) -> float:
        """How many pieces as large as `extent` are in `share` of the text."""
        if extent is None or not extent.windows:
            return self.text.documents.count * share
        window = next((w for w in reversed(extent.windows) if w.loop or w.unit == "items"), extent.windows[-1])
        if window.unit == "items":
            return self.text.documents.count * share * self._members(extent) / window.amount
        if window.unit == "lines":  # an average one, not the longest
            return self.text.documents.count * share / window.amount
        return share / max(1e-12, self.share(window))
