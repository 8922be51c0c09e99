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
    seen: set[str] = set()
    half = 0
    for index, block in enumerate((*blocks[::2], *blocks[1::2])):
        if index == len(blocks[::2]):
            half = len(seen)
        seen.update(_WORD.findall(block.decode("utf-8", "ignore")))
    growth = math.log2(len(seen) / half) if half and len(blocks) > 1 else _MOST
    growth = min(_MOST, max(_LEAST, growth))
    factor = (max(1, total) / max(1, read)) ** growth if total > read else 1.0
    size = sum(len(word.encode()) for word in seen) * max(1.0, total / max(1, read)) ** _LENGTH_GROWTH
    return replace(
        shape, distinct=round(len(seen) * factor), distinct_bytes=round(size * factor), distinct_growth=growth
    )


def _blocks(sizes: dict[str, int]) -> list[bytes]:
    total, found = max(1, sum(sizes.values())), []
    for path, size in sizes.items():
        count = min(max(1, round(_BLOCKS * size / total)), -(-size // _BLOCK_BYTES))
        with Path(path).open("rb", buffering=0) as file:
            for index in range(count):
                file.seek(index * size // count)
                found.append(file.read(_BLOCK_BYTES))
    return found
