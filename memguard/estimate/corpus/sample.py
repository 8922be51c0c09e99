"""Tokens of the text: counted to the last one, or from a stratified sample.

Three figures per stretch of the text: tokens of the file's bytes, and of the text as open(path).read() gives it
(newlines translated) its tokens and its heap ints, the tokens that need an int object of their own in a list.

The sample is many small blocks, one at a random place in each stratum, so that it sees every part of the file; a few
long blocks, or the head, miss by 8 to 30 % on mixed text. Blocks are cut where a cut changes no token.
"""

from __future__ import annotations

import itertools
import math
import random
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memguard.records.estimate import RowBatch
from memguard.tokens.input.split import first_cut, last_cut

__all__ = [
    "SAMPLE_STRATA",
    "Encode",
    "Files",
    "TokenProfile",
    "boundary",
    "count_tokens",
    "draw_place",
    "repaired",
    "sample_tokens",
    "trimmed",
]

SAMPLE_STRATA = 384
SAMPLE_BLOCK_BYTES = 4096
COUNT_BLOCK_BYTES = 256 * 1024

# Every family of patterns cuts here safely but for rare characters, and a sample forgives one token in a block.
_FAMILY = "r50k"
# Bytes past the drawn place in which a cut is looked for.
_MARGIN = 512

# Two-sided 97.5 %: the high end is missed by chance in about 1 of 80 samples.
_CONFIDENCE = 2.24
# A block's edges and the sampling of a long tail are not in the strata's own variance.
_LEAST_ERROR = 0.003

Encode = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Files:
    """Files read as one text: `starts` are their offsets, `size` the bytes of all."""

    paths: Sequence[str]
    starts: Sequence[int]
    size: int

    def read(self, place: int, length: int) -> tuple[bytes, bool]:
        """Up to `length` bytes at `place`, never past the end of its file; and whether the file begins there."""
        index = bisect_right(self.starts, place) - 1
        offset = place - self.starts[index]
        with Path(self.paths[index]).open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(length), offset == 0


@dataclass(slots=True)
class TokenProfile:
    """Tokens along the text: one entry per stretch, in doubles since a sampled stretch is scaled up."""

    exact: bool
    translate: bool  # the text has carriage returns
    cached_int_max: int
    ends: list[int] = field(default_factory=list)  # bytes of all files in a row
    tokens: list[float] = field(default_factory=list)  # of the bytes
    text_tokens: list[float] = field(default_factory=list)  # of the text with its newlines translated
    heap_ints: list[float] = field(default_factory=list)  # ids above cached_int_max among text_tokens
    read_bytes: int = 0
    unsafe_cuts: int = 0
    floor: float = 0.0  # relative error that no sample of this kind goes below

    def add_ids(self, end: int, ids: Any, scale: float) -> None:
        """A stretch whose tokens were found elsewhere, documents encoded one by one."""
        self.ends.append(end)
        self.tokens.append(len(ids) * scale)
        self.text_tokens.append(len(ids) * scale)
        self.heap_ints.append(int(np.count_nonzero(ids > self.cached_int_max)) * scale)

    def add(self, end: int, data: bytes, scale: float, encode: Encode) -> None:
        self.add_counts(end, self.count(data, encode), scale)

    def add_counts(self, end: int, counts: tuple[int, int, int], scale: float) -> None:
        """`counts` as `count` gives them."""
        self.ends.append(end)
        for column, value in zip((self.tokens, self.text_tokens, self.heap_ints), counts, strict=True):
            column.append(value * scale)

    def count(self, data: bytes, encode: Encode) -> tuple[int, int, int]:
        """Tokens of the bytes; tokens and heap ints of the text. Changes nothing, so threads may share it."""
        ids = encode(data)
        text_ids = encode(_translated(data)) if self.translate and b"\r" in data else ids
        return len(ids), len(text_ids), int(np.count_nonzero(text_ids > self.cached_int_max))

    def text_until(self, place: int) -> tuple[float, float]:
        """Tokens and heap ints of the text before byte `place`; linear inside a stretch."""
        index = min(bisect_right(self.ends, place), len(self.ends) - 1)
        start = self.ends[index - 1] if index else 0
        share = min(1.0, (place - start) / max(1, self.ends[index] - start))
        tokens = math.fsum(self.text_tokens[:index]) + share * self.text_tokens[index]
        heap_ints = math.fsum(self.heap_ints[:index]) + share * self.heap_ints[index]
        return tokens, heap_ints

    def peak_density(self, stretch: int, places: Sequence[float] | None = None) -> float:
        """Tokens per unit in the densest run of entries of at least `stretch` units, over the average; at least 1.

        Units are bytes, or what `places` counts: the ends of the entries.
        """
        ends = [0, *(self.ends if places is None else places)]
        entries = len(ends) - 1
        if entries < 2 or ends[-1] <= stretch:
            return 1.0
        width = max(1, math.ceil(stretch * entries / ends[-1]))
        # A sampled entry is a few KiB: the average of several says something of the place, a single one does not.
        width = min(entries, width if self.exact else max(4, width))
        sums = list(itertools.accumulate(self.text_tokens, initial=0.0))
        average = sums[-1] / ends[-1]
        most = max((sums[i + width] - sums[i]) / max(1, ends[i + width] - ends[i]) for i in range(entries - width + 1))
        return max(1.0, most / average) if average else 1.0

    def heaviest_batch(self, places: Sequence[float], size: int) -> RowBatch | None:
        """The stretch of `size` units from a multiple of `size` on whose list of ids takes most; `places`: the ends of
        the entries in those units. None where there is nothing."""
        if not places or sum(self.text_tokens) <= 0:
            return None
        ends = np.append(0.0, np.array(places))
        cuts = np.append(np.arange(0, ends[-1], size), ends[-1])

        def shares(until: Sequence[float]) -> Any:
            return np.diff(np.interp(cuts, ends, np.array(until))) / max(1.0, until[-1])

        tokens, heap_ints = (
            list(itertools.accumulate(column, initial=0.0)) for column in (self.text_tokens, self.heap_ints)
        )
        parts = shares(tokens), shares(heap_ints), shares([0, *self.ends])
        # A list slot of 8 bytes for every token, an int object of 32 for a heap int.
        heaviest = int(np.argmax(8 * tokens[-1] * parts[0] + 32 * heap_ints[-1] * parts[1]))
        return RowBatch(*(float(part[heaviest]) for part in parts))

    def error(self, values: Sequence[float]) -> float:
        """The relative half width of the band around the sum of `values`, one of this profile's columns.

        With one block per stratum, neighbouring strata stand in for the repeat that was not drawn: the variance of
        the sum is Σ(xᵢ₊₁ − xᵢ)²/2 (the successive difference estimator).
        """
        total = math.fsum(values)
        if total <= 0:
            return 0.0
        if self.exact:
            return self.unsafe_cuts / total
        if len(values) < 2:
            return 1.0
        differences = math.fsum((b - a) ** 2 for a, b in itertools.pairwise(values))
        variance = differences / 2 * len(values) / (len(values) - 1)
        return max(self.floor, _LEAST_ERROR) + _CONFIDENCE * math.sqrt(variance) / total


def count_tokens(
    files: Files,
    make_encode: Callable[[], Encode],
    *,
    cached_int_max: int,
    translate: bool,
    repair: bool = False,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> TokenProfile:
    """Encodes everything, in blocks cut where no token changes. `repair`: the text holds malformed UTF-8.

    `make_encode` is called once in each of `workers` threads: the engine works without the interpreter's lock.
    """
    profile = TokenProfile(exact=True, translate=translate, cached_int_max=cached_int_max)
    local = threading.local()

    def count(block: bytes) -> tuple[int, int, int]:
        if not hasattr(local, "encode"):
            local.encode = make_encode()
        return profile.count(repaired(block) if repair else block, local.encode)

    waiting: deque[tuple[int, int, Future[tuple[int, int, int]]]] = deque()

    def take() -> None:
        end, size, future = waiting.popleft()
        profile.add_counts(end, future.result(), 1.0)
        profile.read_bytes = end
        if progress is not None:
            progress(size)

    with ThreadPoolExecutor(workers) as pool:
        for end, block, safe in _blocks(files):
            waiting.append((end, len(block), pool.submit(count, block)))
            profile.unsafe_cuts += not safe
            if len(waiting) > 2 * workers:
                take()
        while waiting:
            take()
    return profile


def _blocks(files: Files) -> Iterator[tuple[int, bytes, bool]]:
    """(end in all files, block, whether its end is a safe cut) over all of the text."""
    for path, start in zip(files.paths, files.starts, strict=True):
        end, rest = start, b""
        with Path(path).open("rb", buffering=0) as file:
            while data := file.read(COUNT_BLOCK_BYTES):
                data = rest + data
                cut = last_cut(data, _FAMILY)
                place = cut or boundary(data, len(data))
                end += place
                if place:
                    yield end, data[:place], cut is not None
                rest = data[place:]
        if rest:
            yield end + len(rest), rest, True


def sample_tokens(
    files: Files,
    encode: Encode,
    *,
    cached_int_max: int,
    draw: random.Random,
    strata: int = SAMPLE_STRATA,
) -> TokenProfile:
    """One block per stratum of equal length, at a place that `draw` gives; a small text has fewer strata."""
    strata = max(1, min(strata, files.size // (4 * SAMPLE_BLOCK_BYTES)))
    profile = TokenProfile(exact=False, translate=True, cached_int_max=cached_int_max)
    for index in range(strata):
        low, high = files.size * index // strata, files.size * (index + 1) // strata
        place = draw_place(low, high, files.size - SAMPLE_BLOCK_BYTES, draw)
        data, at_start = files.read(place, SAMPLE_BLOCK_BYTES + 2 * _MARGIN)
        block = trimmed(data, at_start)
        if not block:
            continue
        profile.read_bytes += len(block)
        profile.add(high, repaired(block), (high - low) / len(block), encode)
    return profile


def draw_place(low: int, high: int, last: int, draw: random.Random) -> int:
    """Any place in the stratum from `low` to `high` alike, up to `last`: a block may end in the next stratum.

    Were it kept inside, the edges would be seen less often than the middle, and a periodic text answer with a bias.
    """
    return max(0, min(draw.randrange(low, max(low + 1, high)), last))


def trimmed(data: bytes, at_start: bool) -> bytes:
    """`data` from its first safe cut to the last one near its end; whole characters where there is none."""
    first = 0 if at_start else first_cut(data[:_MARGIN], _FAMILY, 1)
    if first is None:
        first = boundary(data, 0)
    last = last_cut(data, _FAMILY, low=max(first + 1, len(data) - _MARGIN))
    if last is None:
        last = boundary(data, len(data))
    return data[first:last]


def boundary(data: bytes, place: int) -> int:
    """The start of a character: at or after `place` at the head of `data`, at or before it at the end."""
    if place == 0:
        while place < min(4, len(data)) and 0x80 <= data[place] < 0xC0:
            place += 1
        return place
    for back in range(1, min(4, place) + 1):
        byte = data[place - back]
        if byte < 0x80:
            return place
        if byte >= 0xC0:
            whole = back == (4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2)
            return place if whole else place - back
    return place


def _translated(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def repaired(data: bytes) -> bytes:
    """Malformed bytes as U+FFFD, since engines differ in what they do with them."""
    return data.decode("utf-8", "replace").encode()
