"""What is alive at each moment of a script weighs, for a text that is known: Moment × text → bytes and words. Pure.

scale.py turns Extents into amounts of text, prices.py has the price of each kind; this file adds them up, with how full
a list is, in how many processes, and which line is the longest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from memguard.estimate.plans.costs import Costs
from memguard.estimate.plans.quantities import Text, kept_of_shards
from memguard.estimate.script.amounts import Piece, TextShape
from memguard.estimate.script.prices import PRICES, TRANSIENTS, elements
from memguard.estimate.script.scale import Scale
from memguard.script.extents import Extent
from memguard.script.trace import Moment, Transient
from memguard.script.values import KINDS, Bound, Buffer, Held
from memguard.units import format_size

__all__ = ["MOST", "Pricing", "Weighed"]

# What a loop inside loops may come to has no end; a figure has one, which no machine has: an EiB.
MOST = 1 << 60
_LONGEST_CHAIN = 20  # sets of lists of sets of …


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
        self,
        text: Text,
        shape: TextShape,
        costs: Costs,
        baseline: int = 0,
        worker: int = 0,
        *,
        bound: str = "expected",
        tree: bool = False,
    ) -> None:
        self.baseline, self.worker = baseline, worker
        self._scale = Scale(text, shape, costs, bound=bound, tree=tree)
        self._bound = bound
        self._gathered = 1.0  # while a moment is weighed: how full the lists are that gather lines
        self._sizes: dict[tuple[int, bool, float, bool, bool], int] = {}  # of what lives on from one moment to the next
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
        self._scale.average_lines = True
        at_end = self._weigh(moment)
        self._scale.average_lines, self._gathered = False, 0.5
        halfway = self._weigh(moment)
        self._gathered = 1.0
        return max(at_end, halfway, key=lambda weighed: weighed.bytes)

    def _weigh(self, moment: Moment) -> Weighed:
        parts = [("Python and its libraries", self.baseline)]
        if moment.workers:
            parts.append((f"{moment.workers:.0f} worker processes", round(self.worker * moment.workers)))
        named: dict[str, int] = {}
        living = self._scale.living = {id(held.buffer) for held in moment.alive}
        for held in moment.alive:
            if held.kind == "heap" and id(held.buffer.source) in living and held.buffer.origin != "text":
                continue  # it is not free yet
            size = self.held(held, shared=_shares(held.buffer, living))
            if size:
                words = self._words(held)
                named[words] = named.get(words, 0) + size
        for transient in moment.transients:
            size = self.transient(transient)
            if size:
                named[transient.words] = named.get(transient.words, 0) + size
        parts += sorted(named.items(), key=lambda item: -item[1])
        return Weighed(moment, min(MOST, sum(size for _, size in parts)), tuple(parts))

    def _words(self, held: Held) -> str:
        kind = "ids" if held.kind == "ints" else held.kind
        words = KINDS[kind].words
        if kind == "array":
            words = f"{8 * held.buffer.item}-bit array"
        times = f" in {held.buffer.copies:.0f} processes" if held.buffer.copies > 1 else ""
        return f"{held.label} ({words}{times})" if held.label else f"a {words} without a name{times}"

    # -- Buffer -------------------------------------------------------------------------------------------------

    def held(self, held: Held, *, shared: bool = False) -> int:
        """Bytes of it in all processes. `shared`: its elements are those of something that is there, too."""
        if held.buffer.of is not None or not KINDS[held.kind].words:
            return 0
        if held.kind == "vocabulary":  # however the text is dealt out
            return _bytes(PRICES[held.kind](self._scale, self.piece(Extent()), held) * held.buffer.copies)
        shares = held.buffer.shares
        lives = shares is not None and self._scale.lives(shares)
        key = id(held), self._scale.average_lines, self._gathered, lives, shared
        if key not in self._sizes:
            self._sizes[key] = self._in_workers(held.buffer.copies, lambda: self._held(held, shared))
        return self._sizes[key]

    def _held(self, held: Held, shared: bool) -> tuple[float, float]:
        """Bytes in one process, and the share of the text that it is."""
        piece = self._bounded(held)
        if shared:
            return self._scale.costs.list_slot * elements(self._scale, held.buffer, piece), piece.share
        return PRICES[held.kind](self._scale, piece, held) + self._kept_between_shards(held, piece), piece.share

    def _in_workers(self, copies: float, size_of: Callable[[], tuple[float, float]]) -> int:
        """All the workers that have one at the same time. The longest line is in one of them, the others' are average;
        at worst, it is as long as that in all.
        """
        size, share = size_of()
        copies = self._copies(copies, share)
        if copies <= 1 or self._bound == "high" or self._scale.average_lines:
            return _bytes(size * copies)
        self._scale.average_lines = True
        average, _ = size_of()
        self._scale.average_lines = False
        return _bytes(average * copies if self._bound == "low" else size + average * (copies - 1))

    def _kept_between_shards(self, held: Held, piece: Piece) -> float:
        """Of a list that is filled and dropped, as in sharded_list; of its chunks, the place that a str was read in."""
        if held.kind != "ids" or held.buffer.bound is None or not held.buffer.pieces:
            return 0.0
        last = max((self.piece(p) for p in held.buffer.pieces.values()), key=lambda p: p.tokens)
        if piece.share <= last.share:
            return 0.0
        return kept_of_shards(round(self._scale.costs.list_slot * piece.tokens)) + last.text

    @staticmethod
    def _copies(copies: float, share: float) -> float:
        """Workers that have one at the same time: not more than there are pieces."""
        return min(copies, max(1.0, 1 / share)) if share > 0 else copies

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
        if bound.unit == "pieces":  # the longest is one of them
            before, self._scale.average_lines = self._scale.average_lines, True
            average = max((self.piece(extent) for extent in pieces), key=lambda p: p.tokens, default=Piece())
            self._scale.average_lines = before
            limit = bound.amount * average.tokens + last.tokens
        elif bound.unit == "chars":
            limit = bound.amount * total.tokens / max(1.0, total.chars) + last.tokens
        else:
            limit = bound.amount + last.tokens
        return total if limit >= total.tokens else total.times(limit / total.tokens)

    # -- what calls need meanwhile ----------------------------------------------------------------------------

    def transient(self, transient: Transient) -> int:
        if transient.kind.startswith("loading ") and transient.copies > 1:
            return _bytes(TRANSIENTS[transient.kind](self._scale, self.piece(Extent()), transient) * transient.copies)
        copies = 1.0 if transient.kind.startswith(("mapping", "waiting")) else transient.copies
        return self._in_workers(copies, lambda: self._needed_meanwhile(transient))

    def _needed_meanwhile(self, transient: Transient) -> tuple[float, float]:
        piece = self.piece(transient.extent)
        return TRANSIENTS[transient.kind](self._scale, piece, transient), piece.share

    def piece(self, extent: Extent) -> Piece:
        return self._scale.piece(extent)


def _shares(buffer: Buffer, living: set[int]) -> bool:
    """Whether what `buffer` has the elements of is there, or what that has them of."""
    other = buffer.once_of
    for _ in range(_LONGEST_CHAIN):
        if other is None or id(other) in living:
            break
        other = other.once_of
    return other is not None and id(other) in living


def _gathers(held: Held) -> bool:
    """True for a list without a bound that a loop fills."""
    return bool(held.buffer.grown_in) and held.buffer.limit is None


def _bytes(size: float) -> int:
    return round(min(MOST, size))
