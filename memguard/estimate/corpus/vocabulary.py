"""How many words or lines of a text differ from one another: what trainers, sets and dicts count. Reads the files.

Words here are what GPT-2's pattern cuts: letters, digits or signs with the space before them, and runs of spaces. Of a
text larger than the sample, more words are new the longer one reads, by Heaps' law V = K·n^b: b comes from half of the
sample and all of it.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

from memguard.errors import InputError
from memguard.estimate.corpus.inputs import open_parquet, texts_of
from memguard.estimate.script.amounts import TextShape
from memguard.records.estimate import WordStats

__all__ = ["count_words", "with_distinct_between_spaces", "with_distinct_lines", "with_distinct_words"]

# Many small blocks: neighbours in a text are about the same things. Within 5 % of the words of 5 to 60 MB of English
# and of five other languages, where 64 blocks of 64 KiB gave up to 70 % too many.
_BLOCKS = 512
_BLOCK_BYTES = 8 * 1024
_GROUPS = 8  # row groups of a Parquet file that are looked into
_ROWS = 1024  # at a time
_WORD = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\s\w]+|_+|\s+")
_BARE = re.compile(r"[^\W\d_]+|\d+|[^\s\w]|_")
_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
# Up to this every line is looked at: equal ones may be anywhere. Beyond it all are taken to differ.
_LINES_BYTES = 128 << 20
# Lines whose checksum says so are kept, one in so many: within 1 % of the share that differs, of 100,000 lines.
_ONE_IN = 4
_READ_BYTES = 1 << 20
# JSON's own spelling of what stands in a text.
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|([ntr"\\/]))')
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
# Of natural text b is 0.4 to 0.7; a sample of few words says less than that.
_LEAST, _MOST = 0.35, 0.9
# Rare words are longer: with the text, the mean length of those that differ grows by this exponent.
_LENGTH_GROWTH = 0.06
_ALIGNMENT = 16  # pymalloc rounds every object up to this


def with_distinct_words(shape: TextShape, paths: Sequence[str], kind: str = "text", size: int = 0) -> TextShape:
    """`shape` with the words of `paths`, and how many lines their texts have. `kind`: text, jsonl, csv or parquet;
    `size`: bytes of text in them, 0 for those of the files. Raises InputError.
    """
    try:
        sizes = {path: os.path.getsize(path) for path in paths}
        if kind == "parquet":
            texts = [text for path in paths for text in _of_columns(path, max(1, _BLOCKS // len(paths)))]
        else:
            blocks = [block.decode("utf-8", "ignore") for block in _blocks(sizes)]
            texts = [_ESCAPE.sub(_unescaped, block) for block in blocks] if kind == "jsonl" else blocks
    except OSError as error:
        path = error.filename or paths[0]
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None
    read = sum(len(text.encode("utf-8", "ignore")) for text in texts)
    total = size if size and kind == "parquet" else sum(sizes.values())
    half, stretch = len(texts[::2]), max(1.0, total / max(1, read))
    texts = [*texts[::2], *texts[1::2]]
    words = [_WORD.findall(text) for text in texts]
    pieces, growth, of_pieces = _grown(words, half, stretch, _bytes)
    _, _, wide = _grown(words, half, stretch, _wide_bytes)
    bare, _, of_bare = _grown([_bare(text) for text in texts], half, stretch, len)
    between = [_between_spaces(text, kind) for text in texts]
    _, _, of_spaced = _grown(between, half, stretch, _marked_bytes)
    spaced = [text.split() for text in texts]
    between_spaces, _, chars = _grown(spaced, half, stretch, _characters)
    pairs, _, _ = _grown([_pairs(set(words)) for words in spaced], half, stretch, len, least=0.0)
    return replace(
        shape,
        distinct=pieces,
        distinct_bytes=round(of_pieces * stretch**_LENGTH_GROWTH),
        distinct_growth=growth,
        distinct_between_spaces=between_spaces,
        distinct_wide=round(wide * stretch**_LENGTH_GROWTH),
        distinct_bare=bare,
        distinct_bare_chars=round(of_bare * stretch**_LENGTH_GROWTH),
        distinct_spaced_bytes=round(of_spaced * stretch**_LENGTH_GROWTH),
        distinct_chars=round(chars * stretch**_LENGTH_GROWTH),
        distinct_pairs=pairs,
        text_lines=0 if kind == "text" else round(stretch * sum(text.count("\n") for text in texts)),
    )


def count_words(paths: Sequence[str], kind: str = "text", size: int = 0) -> WordStats:
    """The words of `paths`, from the same sample as with_distinct_words; the same arguments. Raises InputError."""
    shape = with_distinct_words(TextShape(), paths, kind, size)
    return WordStats(
        shape.distinct,
        shape.distinct_bytes,
        shape.distinct_wide,
        shape.distinct_chars,
        shape.distinct_pairs,
        shape.distinct_growth,
    )


def with_distinct_between_spaces(shape: TextShape, paths: Sequence[str]) -> TextShape:
    """`shape` with the number of words between spaces that differ, as str.split() gives them. Raises InputError."""
    texts, half, stretch = _sample(paths)
    words = [text.split() for text in texts]
    between_spaces, _, _ = _grown(words, half, stretch, len)
    seen = {word for found in words for word in found}
    different = sum(map(_object, seen)) / max(1, len(seen))
    usual = sum(_object(word) for found in words for word in found) / max(1, sum(map(len, words)))
    return replace(shape, distinct_words=between_spaces, distinct_word_length=max(1.0, different / max(1.0, usual)))


def with_distinct_lines(shape: TextShape, paths: Sequence[str]) -> TextShape:
    """`shape` with the share of the lines that differ. Raises InputError."""
    try:
        if sum(os.path.getsize(path) for path in paths) > _LINES_BYTES:
            return shape
        lines = size = 0
        seen: dict[int, int] = {}  # checksum of a line → its bytes
        for path in paths:
            for some in _lines(path):
                lines += len(some)
                size += sum(map(len, some)) + len(some)
                for line in some:
                    key = crc32(line)
                    if key % _ONE_IN == 0:
                        seen[key] = len(line) + 1
    except OSError as error:
        raise _not_read(error, paths) from None
    if not lines:
        return shape
    count, together = len(seen) * _ONE_IN, sum(seen.values()) * _ONE_IN
    return replace(shape, distinct_lines=min(1.0, count / lines), distinct_line_bytes=min(1.0, together / size))


def _object(word: str) -> int:
    """Bytes of a str."""
    return -(-sys.getsizeof(word) // _ALIGNMENT) * _ALIGNMENT


def _not_read(error: OSError, paths: Sequence[str]) -> InputError:
    path = error.filename or paths[0]
    return InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path)


def _sample(paths: Sequence[str]) -> tuple[list[str], int, float]:
    """(blocks of the text, every other one first; how many are in that half; how much longer the text is)"""
    try:
        sizes = {path: os.path.getsize(path) for path in paths}
        blocks = list(_blocks(sizes))
    except OSError as error:
        raise _not_read(error, paths) from None
    total, read = sum(sizes.values()), sum(map(len, blocks))
    texts = [block.decode("utf-8", "ignore") for block in (*blocks[::2], *blocks[1::2])]
    return texts, len(blocks[::2]), max(1.0, total / max(1, read))


def _lines(path: str) -> Iterator[list[bytes]]:
    """The lines of a file without their ends, some at a time."""
    rest = b""
    with Path(path).open("rb", buffering=0) as file:
        while data := file.read(_READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            yield lines
    if rest:
        yield [rest]


def _grown(
    words: Sequence[Iterable[str]], half: int, stretch: float, size: Callable[[str], int], least: float = _LEAST
) -> tuple[int, float, float]:
    """(how many differ in the whole text, Heaps' exponent, their sizes); `half`: the first so many make one half."""
    seen: set[str] = set()
    for found in words[:half]:
        seen.update(found)
    first = len(seen)
    for found in words[half:]:
        seen.update(found)
    growth = math.log2(len(seen) / first) if first and len(words) > half else _MOST
    growth = min(_MOST, max(least, growth))
    factor = stretch**growth
    return round(len(seen) * factor), growth, factor * sum(map(size, seen))


def _bytes(word: str) -> int:
    return len(word.encode("utf-8", "ignore"))


def _wide_bytes(word: str) -> int:
    return 0 if word.isascii() else sum(len(char.encode("utf-8", "ignore")) for char in word if char > "\x7f")


def _marked_bytes(word: str) -> int:
    """With three bytes of the mark that stands for the space before it."""
    return _bytes(word) + 3


def _bare(text: str) -> list[str]:
    """Words as BERT's pre-tokenizer cuts them."""
    return _BARE.findall(_CHINESE.sub(r" \g<0> ", text.lower()))


def _between_spaces(text: str, kind: str) -> Iterable[str]:
    """Of single lines, as a trainer reads them from a file, or of whole texts."""
    return (word for part in (text.splitlines(keepends=True) if kind == "text" else [text]) for word in part.split(" "))


def _characters(word: str) -> int:
    """With the mark that stands for the space before it."""
    return len(word) + 1


def _pairs(words: Iterable[str]) -> set[str]:
    """Neighbours in a word: what a trainer of pairs begins with."""
    return {first + second for word in words for first, second in itertools.pairwise(word)}


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2])


def _blocks(sizes: dict[str, int]) -> list[bytes]:
    total, found = max(1, sum(sizes.values())), []
    for path, size in sizes.items():
        count = min(max(1, round(_BLOCKS * size / total)), -(-size // _BLOCK_BYTES))
        with Path(path).open("rb", buffering=0) as file:
            for index in range(count):
                file.seek(index * size // count)
                found.append(file.read(_BLOCK_BYTES))
    return found


def _of_columns(path: str, most: int) -> list[str]:
    """The beginnings of some `most` texts all over a Parquet file, of its largest column of strings."""
    found: list[str] = []
    with open_parquet(path) as file:
        names = [field.name for field in file.schema_arrow if "string" in str(field.type)]
        groups, rows = file.metadata.num_row_groups, file.metadata.num_rows
        if not names or not groups:
            return found
        first = file.metadata.row_group(0)
        columns = {first.column(n).path_in_schema: first.column(n) for n in range(first.num_columns)}
        column = max(names, key=lambda name: columns[name].total_uncompressed_size if name in columns else 0)
        chosen = range(0, groups, max(1, groups // _GROUPS))
        step = max(1, round(rows * len(chosen) / groups / most))
        for group in chosen:
            for batch in file.iter_batches(batch_size=_ROWS, row_groups=[group], columns=[column]):
                found += [text[:_BLOCK_BYTES] for text in texts_of(batch, _ROWS)[::step]]
    return found
