"""Token ids → bytes, many at a time: the vocabulary as one string of bytes, and where each token stands in it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from memguard.inject import gpt2_files
from memguard.tokens.engine.encode import BUNDLED, load_encoding, load_vocabulary

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.unsignedinteger]
    Lengths = npt.NDArray[np.int64]

__all__ = ["STEP", "Decoder"]

# Ids to decode at a time: what they need (about 10 bytes per byte of text) then stays in the processor's cache.
STEP = 1 << 15


class Decoder:
    """`silent`, an id such as the end-of-text token's, stands for no bytes of the text: its length is 0."""

    def __init__(self, encoding: str, *, silent: int | None = None) -> None:
        vocabulary = load_vocabulary(encoding)
        self.n_vocab, self.eot, self.silent = vocabulary.n_vocab, vocabulary.eot, silent
        tokens = _tokens(encoding, self.n_vocab)
        self._assigned = np.array([token is not None for token in tokens])
        self._complete = bool(self._assigned.all())
        parts = [token or b"" for token in tokens]
        if silent is not None:
            parts[silent] = b""
        self._vocabulary = np.frombuffer(b"".join(parts), dtype=np.uint8)
        self._lengths = np.array([len(part) for part in parts], dtype=np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths

    def first_unknown(self, ids: Ids) -> int | None:
        """The index of the first id that is none of the encoding's; None where all are."""
        if not ids.size or (int(ids.max()) < self.n_vocab and self._complete):
            return None
        unknown = np.flatnonzero(~self.known(ids))
        return int(unknown[0]) if unknown.size else None

    def known(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which of `ids` the encoding has."""
        known: npt.NDArray[np.bool_] = self._assigned.take(ids, mode="clip")
        known &= ids < self.n_vocab
        return known

    def lengths(self, ids: Ids) -> Lengths:
        """Bytes that each id stands for."""
        return self._lengths.take(ids, mode="clip")

    def decode(self, ids: Ids, lengths: Lengths | None = None) -> npt.NDArray[np.uint8]:
        """The bytes of all `ids`, one after the other; every id must be a known one."""
        sizes = self.lengths(ids) if lengths is None else lengths
        if self.silent is not None and not sizes.all():
            ids, sizes = ids[sizes > 0], sizes[sizes > 0]
        if not ids.size:
            return self._vocabulary[:0]
        # Each byte's place in the vocabulary is one after the place of the byte before it; at the first byte of a token
        # it is the token's start. As steps from place to place, a running sum gives all places (1.7 times as fast as
        # np.repeat of an offset per token).
        starts = self._starts.take(ids, mode="clip")
        ends = np.cumsum(sizes)
        steps = np.ones(int(ends[-1]), dtype=np.int64)
        steps[0] = starts[0]
        steps[ends[:-1]] = starts[1:] - (starts[:-1] + sizes[:-1] - 1)
        places = np.cumsum(steps, out=steps)
        return self._vocabulary.take(places, mode="clip")


@functools.lru_cache(maxsize=1)
def _tokens(encoding: str, n_vocab: int) -> tuple[bytes | None, ...]:
    """Every token by its id; None where the encoding leaves a gap."""
    tokens: list[bytes | None] = [None] * n_vocab
    if encoding in BUNDLED:
        merges = gpt2_files.merge_order()
        tokens[: len(merges)] = merges
        tokens[len(merges)] = b"<|endoftext|>"
        return tuple(tokens)
    known = load_encoding(encoding)
    for token, rank in known._mergeable_ranks.items():
        tokens[rank] = token
    for text, rank in known._special_tokens.items():
        tokens[rank] = text.encode()
    return tuple(tokens)
