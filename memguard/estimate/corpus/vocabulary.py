"""How many words of a text differ from one another: what a tokenizer's trainer counts. Reads a sample of the files.

Words here are what GPT-2's pattern cuts: letters, digits or signs with the space before them, and runs of spaces. Of a
text larger than the sample, more words are new the longer one reads, by Heaps' law V = K·n^b: b comes from half of the
sample and all of it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from memguard.errors import InputError
from memguard.estimate.script.amounts import TextShape

__all__ = ["with_distinct_words"]

# Many small blocks: neighbours in a text are about the same things. Within 5 % of the words of 5 to 60 MB of English
# and of five other languages, where 64 blocks of 64 KiB gave up to 70 % too many.
_BLOCKS = 512
_BLOCK_BYTES = 8 * 1024
_WORD = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\s\w]+|_+|\s+")
# Of natural text b is 0.4 to 0.7; a sample of few words says less than that.
_LEAST, _MOST = 0.35, 0.9
# Rare words are longer: with the text, the mean length of those that differ grows by this exponent.
_LENGTH_GROWTH = 0.06


def with_distinct_words(shape: TextShape, paths: Sequence[str]) -> TextShape:
    """`shape` with the words of `paths`. Raises InputError."""
    try:
        sizes = {path: os.path.getsize(path) for path in paths}
        blocks = list(_blocks(sizes))
    except OSError as error:
        path = error.filename or paths[0]
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None
    total, read = sum(sizes.values()), sum(map(len, blocks))
    texts = [block.decode("utf-8", "ignore") for block in (*blocks[::2], *blocks[1::2])]
    half, stretch = len(blocks[::2]), max(1.0, total / max(1, read))
    pieces, growth, size = _grown([_WORD.findall(text) for text in texts], half, stretch)
    between_spaces, _, _ = _grown([text.split() for text in texts], half, stretch)
    return replace(
        shape,
        distinct=pieces,
        distinct_bytes=round(size * stretch**_LENGTH_GROWTH),
        distinct_growth=growth,
        distinct_between_spaces=between_spaces,
    )


def _grown(words: list[list[str]], half: int, stretch: float) -> tuple[int, float, float]:
    """(how many differ in the whole text, Heaps' exponent, their bytes); `half`: the first so many make one half."""
    seen: set[str] = set()
    for found in words[:half]:
        seen.update(found)
    first = len(seen)
    for found in words[half:]:
        seen.update(found)
    growth = math.log2(len(seen) / first) if first and len(words) > half else _MOST
    growth = min(_MOST, max(_LEAST, growth))
    factor = stretch**growth
    return round(len(seen) * factor), growth, factor * sum(len(word.encode()) for word in seen)


def _blocks(sizes: dict[str, int]) -> list[bytes]:
    total, found = max(1, sum(sizes.values())), []
    for path, size in sizes.items():
        count = min(max(1, round(_BLOCKS * size / total)), -(-size // _BLOCK_BYTES))
        with Path(path).open("rb", buffering=0) as file:
            for index in range(count):
                file.seek(index * size // count)
                found.append(file.read(_BLOCK_BYTES))
    return found
