"""Texts that are hard on memory, written in pieces so that the bench itself needs none. Same bytes every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

__all__ = ["TEXTS", "english_stream", "write"]

_PIECE = 1 << 20


def random_words(size: int) -> Iterator[bytes]:
    """Eight letters and a space: every word is new, the worst text for a cache of words."""
    generator = np.random.default_rng(1)
    for _ in range(size // _PIECE):
        letters = generator.integers(97, 123, _PIECE).astype("u1")
        letters[::9] = 32
        yield letters.tobytes()


def chinese(size: int) -> Iterator[bytes]:
    """Random characters of the 20,902 oldest, with a comma here and there: no space to cut at, words of any length."""
    generator = np.random.default_rng(2)
    for _ in range(size // _PIECE):
        codes = generator.integers(0x4E00, 0x9FA6, _PIECE // 3)
        codes[::17] = 0xFF0C
        yield codes.astype("<u4").tobytes().decode("utf-32-le").encode()


def one_line(size: int) -> Iterator[bytes]:
    words = b"the quick brown fox jumps over the lazy dog and runs away, "
    for _ in range(size // len(words)):
        yield words


def tiny_documents(size: int) -> Iterator[bytes]:
    """A million of them and more: about 50 bytes, a number in each."""
    for number in range(size // 50):
        yield b"document %09d says that there is little to say\n" % number


def english_stream(path: Path, size: int) -> Iterator[bytes]:
    """`path` again and again, the letters of every round moved on by one more."""
    small, large = bytes(range(97, 123)), bytes(range(65, 91))
    done = number = 0
    while True:
        k = number % 26
        moved = bytes.maketrans(small + large, small[k:] + small[:k] + large[k:] + large[:k])
        with path.open("rb") as file:
            while data := file.read(_PIECE):
                if done >= size:
                    return
                yield data.translate(moved)
                done += len(data)
        number += 1


# name: (how, bytes, options of memguard tokenize)
TEXTS: dict[str, tuple[Callable[[int], Iterator[bytes]], int, tuple[str, ...]]] = {
    "random words": (random_words, 64 << 20, ()),
    "random Chinese": (chinese, 64 << 20, ()),
    "one line": (one_line, 100 << 20, ()),
    "two million tiny documents": (tiny_documents, 100 << 20, ("--documents", "line")),
}


def write(pieces: Iterator[bytes], path: Path) -> int:
    with path.open("wb") as file:
        return sum(file.write(piece) for piece in pieces)
