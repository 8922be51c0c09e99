"""What a script's own way through the text makes of it: its longest line, its words. Reads a sample of the files.

`for line in file` holds one line at a time, and that may be the whole file. Up to 256 MiB every line is looked at; of
larger inputs blocks spread over them are, and a line that goes on from block to block counts as long as all of them.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from memguard.errors import InputError
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.tuning import TUNING

__all__ = ["read_shape"]

_SCAN_BYTES = 256 * 1024
_BLOCKS = 96
_BLOCK_BYTES = 64 * 1024
_WORDS_BYTES = 4096  # of each block
_DISTINCT_BYTES = 16 * 1024
_LINE_BINS = 64  # of equal numbers of lines, the shortest first
# pymalloc rounds every object up to this; a list has a slot of 8 bytes for each.
_ALIGNMENT = 16
_SLOT = 8


def read_shape(
    paths: Sequence[str],
    sources: Mapping[str, Sequence[str]] | None = None,
    *,
    scan_limit: int = TUNING.line_scan_limit,
) -> TextShape:
    """`sources`: the script's name of an input → the files behind it. Raises InputError."""
    try:
        sizes = {path: os.path.getsize(path) for path in paths}
        total = max(1, sum(sizes.values()))
        sample = _Sample()
        for path, size in sizes.items():
            sample.add(path, size, max(1, round(_BLOCKS * size / total)))
        longest = max(map(_longest_line, sizes)) if total <= scan_limit else sample.longest
    except OSError as error:
        path = error.filename or paths[0]
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None
    shares = tuple((n, sum(sizes.get(p, 0) for p in ps) / total) for n, ps in (sources or {}).items() if ps)
    scale = total / max(1, sample.read)
    return TextShape(
        longest_line=min(total, longest),
        words=round(sample.words * scale),
        word_strings=round(sample.word_strings * scale),
        distinct_words=sample.distinct_words(round(sample.words * scale)),
        line_bytes=_binned(sample.lines),
        sources=shares,
    )


def _binned(lengths: list[int]) -> tuple[float, ...]:
    """The mean length of each 64th of the lines, the shortest first; empty where no line was seen whole."""
    if not lengths:
        return ()
    bins = np.array_split(np.sort(np.array(lengths, np.float64)), min(_LINE_BINS, len(lengths)))
    return tuple(float(part.mean()) for part in bins)


def _longest_line(path: str) -> int:
    """Bytes, its end included."""
    longest = start = place = 0
    with Path(path).open("rb", buffering=0) as file:
        while data := file.read(_SCAN_BYTES):
            ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 0x0A)
            if ends.size:
                longest = max(longest, place + int(ends[0]) + 1 - start)
                if ends.size > 1:
                    longest = max(longest, int(np.diff(ends).max()))
                start = place + int(ends[-1]) + 1
            place += len(data)
    return max(longest, place - start)


class _Sample:
    def __init__(self) -> None:
        self.read = self.words = self.word_strings = self.longest = 0
        self.lines: list[int] = []  # bytes of those that stand whole in a block, their ends included
        self._open = 0.0  # bytes of a line that has not ended yet
        self._distinct: tuple[set[str], set[str]] = set(), set()  # words of every other block
        self._counted = 0
        self._blocks = 0

    def distinct_words(self, words: int) -> int:
        """How many different ones are among `words`: Heaps' law, V = K · n^b, with b from one and from both halves."""
        one, both = max(map(len, self._distinct)), len(self._distinct[0] | self._distinct[1])
        if both < 2 or one < 1 or not self._counted:
            return both
        power = min(1.0, max(0.0, math.log2(both / one)))
        return int(min(words, round(both * max(1.0, words / self._counted) ** power)))

    def add(self, path: str, size: int, blocks: int) -> None:
        self._open = 0.0
        blocks = min(blocks, -(-size // _BLOCK_BYTES))
        with Path(path).open("rb", buffering=0) as file:
            for index in range(blocks):
                file.seek(index * size // blocks)
                self._add_block(file.read(_BLOCK_BYTES), size / blocks)

    def _add_block(self, data: bytes, stretch: float) -> None:
        """`stretch`: bytes from this block's start to the next one's."""
        self.read += len(data)
        first, last = data.find(b"\n"), data.rfind(b"\n")
        if first < 0:  # inside a line that goes on to the next block
            self._open += stretch
            self.longest = max(self.longest, round(self._open))
        else:
            inside = data[first + 1 : last].split(b"\n") if last > first else []
            self.lines += [len(line) + 1 for line in inside]
            longest = max(map(len, inside), default=0)
            # What stands before the first end is known to be one line with the blocks before it only if they had none.
            self.longest = max(self.longest, round(self._open) + first + 1 if self._open else 0, longest + 1)
            self._open = 0.0
        more = data[:_DISTINCT_BYTES].decode("utf-8", "replace").split()
        self._distinct[self._blocks % 2].update(more)
        self._counted += len(more)
        self._blocks += 1
        words = data[:_WORDS_BYTES].decode("utf-8", "replace").split()
        factor = len(data) / max(1, min(_WORDS_BYTES, len(data)))
        self.words += round(len(words) * factor)
        self.word_strings += round(sum(_object(word) + _SLOT for word in words) * factor)


def _object(text: str) -> int:
    return -(-sys.getsizeof(text) // _ALIGNMENT) * _ALIGNMENT
