"""What the training of a tokenizer takes, with sentencepiece and with tokenizers. Pure. Sizes are bytes.

Measured with sentencepiece 0.2.3 and tokenizers 0.23.3 on x86-64, glibc 2.36; `python -m tests.bench training` measures
it again. What counts is how many words of the text differ, and how long they are: corpus/vocabulary.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from memguard.estimate.script.amounts import Piece
from memguard.estimate.script.scale import Scale
from memguard.script.trace import Transient
from memguard.units import MIB

__all__ = ["TRAINERS", "TRAINING_TRANSIENTS"]

# sentencepiece, bpe, word and char: the lines, and for each word that differs its symbols and their places, for each
# pair of characters a symbol of its own. Fitted to 3, 6, 16 and 20 MB of English and 6 and 16 MB of five other
# languages with 1, 4, 8 and 16 threads (16 are the default): within 10 %, one of 21 within 15 %.
_TRAINER, _LINE_BYTE, _WORD_CHAR, _PAIR = 9.2e6, 0.98, 36, 650
# Each thread normalizes its lines in a heap of its own, whose holes the trainer cannot use afterwards.
_THREADED_BYTE, _THREADS, _THREADS_GROWTH = 3.3, 16, 0.7
# unigram: a suffix array over the bytes of all lines, however many threads: 6 and 20 MB of English, 6 MB of five other
# languages, and 50,000 lines of each: within 5 %.
_SUFFIX_BYTE = 18.9
# tokenizers' trainers: symbols and the places of pairs, for each byte and each of the words that differ. ByteLevel
# makes two bytes of each byte beyond ASCII. 6 and 16 MB of English and of five other languages: within 9 %.
_WORD_BYTE, _WIDE_BYTE, _WORD_EACH, _COUNTER = 87, 20, 170, 6 * MIB
# The same of WordPiece with BERT's words, for each character: within 10 % on the same texts.
_BARE_CHAR = 125
# Unigram: its seeds are the stretches of what stands between spaces that are there more than once, in a trie.
# 1.5 to 16 MB of English, 3 MB of five other languages, files and iterators of texts: within 10 %.
_UNIGRAM, _SEED_BYTE, _SEED_WIDE = 16e6, 189, 70
# Where the text's words cannot be counted: Heaps' law as 5 to 60 MB of technical English have it, and bytes of a word.
_HEAPS, _HEAPS_GROWTH, _DISTINCT_BYTES, _BETWEEN_SPACES, _PAIRS = 0.83, 0.7, 9, 1.8, 10_000


def _distinct(scale: Scale, piece: Piece) -> tuple[float, float]:
    """Words that differ in this part of the text: (how many, their bytes)."""
    shape = scale.shape
    if not shape.distinct:
        count = _HEAPS * piece.raw**_HEAPS_GROWTH
        return count, _DISTINCT_BYTES * count
    part = math.pow(min(1.0, piece.share), shape.distinct_growth)
    return shape.distinct * part, shape.distinct_bytes * part


def _symbols(scale: Scale, piece: Piece) -> tuple[float, float]:
    """Of the words between spaces: (their characters, each with a mark for its space; pairs of characters)."""
    shape = scale.shape
    if not shape.distinct_chars:
        return (_DISTINCT_BYTES + 1) * _BETWEEN_SPACES * _HEAPS * piece.raw**_HEAPS_GROWTH, _PAIRS
    part = min(1.0, piece.share)
    return shape.distinct_chars * math.pow(part, shape.distinct_growth), shape.distinct_pairs * math.pow(
        part, 1 - _HEAPS_GROWTH
    )


def _word_counts(scale: Scale, piece: Piece, transient: Transient) -> float:
    count, size = _distinct(scale, piece)
    return _COUNTER + _WORD_EACH * count + _WORD_BYTE * size + _WIDE_BYTE * _wide(scale, piece)


def _wide(scale: Scale, piece: Piece) -> float:
    """Bytes beyond ASCII of the words that differ."""
    return scale.shape.distinct_wide * math.pow(min(1.0, piece.share), scale.shape.distinct_growth)


def _bare_word_counts(scale: Scale, piece: Piece, transient: Transient) -> float:
    shape = scale.shape
    if not shape.distinct_bare:
        return _word_counts(scale, piece, transient)
    part = math.pow(min(1.0, piece.share), shape.distinct_growth)
    return _COUNTER + (_WORD_EACH * shape.distinct_bare + _BARE_CHAR * shape.distinct_bare_chars) * part


def _seeds(scale: Scale, piece: Piece, transient: Transient) -> float:
    shape = scale.shape
    size = shape.distinct_spaced_bytes * math.pow(min(1.0, piece.share), shape.distinct_growth)
    if not shape.distinct_spaced_bytes:
        size = (_DISTINCT_BYTES + 3) * _BETWEEN_SPACES * _HEAPS * piece.raw**_HEAPS_GROWTH
    return _UNIGRAM + _SEED_BYTE * size + _SEED_WIDE * _wide(scale, piece)


def _line_seeds(scale: Scale, piece: Piece, transient: Transient) -> float:
    """Without a pre-tokenizer every line is one word."""
    return _UNIGRAM + _SEED_BYTE * piece.raw


def _line_counts(scale: Scale, piece: Piece, transient: Transient) -> float:
    """Without a pre-tokenizer every line is one word."""
    return _COUNTER + _WORD_EACH * scale.text.documents.count * piece.share + _WORD_BYTE * piece.raw


def _lines_trained(scale: Scale, piece: Piece, transient: Transient) -> float:
    chars, pairs = _symbols(scale, piece)
    threads = ((transient.threads - 1) / (_THREADS - 1)) ** _THREADS_GROWTH if transient.threads > 1 else 0.0
    return _TRAINER + (_LINE_BYTE + _THREADED_BYTE * threads) * piece.raw + _WORD_CHAR * chars + _PAIR * pairs


def _suffix_array(scale: Scale, piece: Piece, transient: Transient) -> float:
    return _TRAINER + _SUFFIX_BYTE * piece.raw


TRAINING_TRANSIENTS: dict[str, Callable[[Scale, Piece, Transient], float]] = {
    "word counts": _word_counts,
    "words alone": lambda scale, piece, transient: _COUNTER + _WORD_EACH * _distinct(scale, piece)[0],
    "bare word counts": _bare_word_counts,
    "seeds": _seeds,
    "line seeds": _line_seeds,
    "line counts": _line_counts,
    "training on lines": _lines_trained,
    "training on suffixes": _suffix_array,
}
TRAINERS = tuple(TRAINING_TRANSIENTS)
