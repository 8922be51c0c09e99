"""How much of the input a value stands for: pure arithmetic.

An Extent is an interval of one input, seen through windows: in each iteration of a loop over its lines, a text is one
line of it. Leaving the loop undoes that window: what a list has gathered over all iterations is the whole again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["ALL_FIELDS", "MOST_TIMES", "Extent", "Window", "measure", "merged", "side_by_side"]

# What a table holds of a record: its fields, without what stands between them in the file.
ALL_FIELDS = "*"

# Loops inside loops of a known length: more than this is too much on any machine.
MOST_TIMES = 1e30

# The input that sizes are compared on while the script is read, before any file is known: 1 GB of English.
_CUT = ("chars", "bytes", "tokens", "chars behind", "tokens behind")
_REFERENCE = {
    "chars": 1e9,
    "bytes": 1e9,
    "lines": 1e7,
    "lines of text": 1e7,
    "groups": 10.0,
    "files": 10.0,
    "tokens": 2.5e8,
    "words": 1.8e8,
    "distinct words": 20.0,
    "distinct lines": 1.0,
    "new words": 1e9,
    "new lines": 1e9,
    "pieces": 1e4,
    "columns": 2.0,
    "items": 5e7,
}


@dataclass(frozen=True, slots=True)
class Window:
    """Each iteration of `loop` sees `amount` `unit`s (chars, bytes, lines, groups of rows, files, tokens); loop 0 is
    none of them: `distinct words` are those of a set or dict, of `new words` it keeps those that differ.
    """

    loop: int
    unit: str
    amount: float
    stride: float = 0.0  # units from one iteration's window to the next one's, where they overlap; 0: they do not


@dataclass(frozen=True, slots=True)
class Extent:
    """The part [low, high] of one input, as far as `windows` leave it; `times` over (a loop of a known length)."""

    source: str | None = None  # the input's name as the script has it; None: all inputs
    low: float = 0.0
    high: float = 1.0
    windows: tuple[Window, ...] = ()
    times: float = 1.0
    # The fields of each record that it is made of (`title`, `messages.content`; ALL_FIELDS); (): what the file has.
    columns: tuple[str, ...] = ()
    weight: float = 1.0  # share of a record that they are, as far as the reader was told

    def of_fields(self, columns: tuple[str, ...], weight: float = 1.0) -> Extent:
        """The same records, of which these fields count."""
        return replace(self, columns=columns, weight=weight)

    def beside(self, other: Extent) -> Extent | None:
        """Fields of the same records, one after the other: `title + text`. None where they are not of the same ones, or
        not of fields that are known.
        """
        apart = not self.columns or not other.columns
        if apart or replace(other, columns=self.columns, weight=self.weight) != self:
            return None
        return self.of_fields((*self.columns, *other.columns), self.weight + other.weight)

    def window(self, loop: int, unit: str, amount: float, stride: float = 0.0) -> Extent:
        return replace(self, windows=(*self.windows, Window(loop, unit, max(1.0, amount), stride)))

    def once(self, unit: str) -> Extent:
        """Each of its `unit`s (words, lines) that differs from the others."""
        known = any(window.unit == f"distinct {unit}" for window in self.windows)
        return self if known else self.window(0, f"distinct {unit}", 1)

    def part(self, low: float, high: float) -> Extent:
        """[low, high] of this extent, both between 0 and 1."""
        width = self.high - self.low
        return replace(self, low=self.low + low * width, high=self.low + high * width)

    def over_all_iterations(self, loops: set[int]) -> Extent:
        """What all iterations of `loops` together see: from the outermost of them on, there is no window any more."""
        for index, window in enumerate(self.windows):
            if window.loop in loops:
                times = self.times
                for inner in self.windows[index:]:
                    if inner.stride > 0 and inner.loop in loops:  # each element stands in as many windows as this
                        times = min(MOST_TIMES, times * inner.amount / inner.stride)
                left = [w for w in self.windows[:index] if w.loop not in loops]
                return replace(self, windows=(*left, *_of_each_line(self.windows[index:])), times=times)
        return self

    def in_all_loops(self) -> Extent:
        """What all iterations of every loop together see."""
        loops = {window.loop for window in self.windows if window.loop}
        return self.over_all_iterations(loops) if loops else self

    def uncut(self) -> Extent:
        """The same with every line as long as it is."""
        return replace(self, windows=tuple(w for w in self.windows if not w.unit.endswith(" a line")))

    @property
    def is_whole(self) -> bool:
        return not self.windows


def _of_each_line(windows: tuple[Window, ...]) -> list[Window]:
    """ids[:512] and line[20:] of every line, once the loop over them is left: windows of loop 0."""
    if windows[0].unit != "lines" or windows[0].amount != 1:
        return []
    return [Window(0, f"{w.unit} a line", w.amount) for w in windows[1:] if not w.loop and w.unit in _CUT]


def measure(extent: Extent) -> float:
    """The share of a 1 GB input that `extent` is: only to tell larger from smaller while reading."""
    share = extent.high - extent.low
    for window in extent.windows:
        share = min(share, window.amount / _REFERENCE.get(window.unit, 1e-9))
    return share * extent.times * extent.weight


def merged(extents: Iterable[Extent]) -> list[Extent]:
    """The same extents, each once: those that are equal are one, as many times over."""
    times: dict[Extent, float] = {}
    for extent in extents:
        once = replace(extent, times=1.0)
        times[once] = min(MOST_TIMES, times.get(once, 0.0) + extent.times)
    return [replace(extent, times=count) for extent, count in times.items()]


def side_by_side(extents: Iterable[Extent]) -> list[Extent]:
    """The parts of one text: fields of the same records are one extent of all of these fields."""
    found: list[Extent] = []
    for extent in extents:
        for index, other in enumerate(found):
            both = other.beside(extent)
            if both is not None:
                found[index] = both
                break
        else:
            found.append(extent)
    return found
