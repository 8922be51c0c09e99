"""What the training of a tokenizer takes, with sentencepiece and with tokenizers. Pure. Sizes are bytes.

Measured with sentencepiece 0.2.3 and tokenizers 0.23.3 on x86-64, glibc 2.36; `python -m tests.bench training` measures
it again. What counts is how many words of the text differ, and how long they are: corpus/vocabulary.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from memguard.estimate.plans.words import (
    COUNTER,
    PAIRS_GROWTH,
    WORD_BYTE,
    WORD_EACH,
    counted_words,
    guessed_words,
    trained_on_lines,
    trained_on_suffixes,
)
from memguard.estimate.script.amounts import Piece
from memguard.estimate.script.scale import Scale
from memguard.script.trace import Transient

__all__ = ["TRAINERS", "TRAINING_TRANSIENTS"]

# tokenizers' WordPiece with BERT's words, for each character. 6 and 16 MB of English and of five
# other languages: within 10 %.
_BARE_CHAR = 125
# Unigram: its seeds are the stretches of what stands between spaces that are there more than once, in a trie.
# 1.5 to 16 MB of English, 3 MB of five other languages, files and iterators of texts: within 10 %.
_UNIGRAM, _SEED_BYTE, _SEED_WIDE = 16e6, 189, 70
# With the marks for spaces: 12 bytes of a word for each 10 characters.
_SEED_BYTES_A_CHAR = 1.2


def _distinct(scale: Scale, piece: Piece) -> tuple[float, float]:
    """Words that differ in this part of the text: (how many, their bytes)."""
    shape = scale.shape
    if not shape.distinct:
        guessed = guessed_words(piece.raw)
        return guessed.count, guessed.bytes
    part = math.pow(min(1.0, piece.share), shape.distinct_growth)
    return shape.distinct * part, shape.distinct_bytes * part


def _symbols(scale: Scale, piece: Piece) -> tuple[float, float]:
    """Of the words between spaces: (their characters, each with a mark for its space; pairs of characters)."""
    shape = scale.shape
    if not shape.distinct_chars:
        guessed = guessed_words(piece.raw)
        return guessed.chars, guessed.pairs
    part = min(1.0, piece.share)
    chars = shape.distinct_chars * math.pow(part, shape.distinct_growth)
    return chars, shape.distinct_pairs * math.pow(part, PAIRS_GROWTH)


def _word_counts(scale: Scale, piece: Piece, transient: Transient) -> float:
    return counted_words(*_distinct(scale, piece), _wide(scale, piece))


def _wide(scale: Scale, piece: Piece) -> float:
    """Bytes beyond ASCII of the words that differ."""
    return scale.shape.distinct_wide * math.pow(min(1.0, piece.share), scale.shape.distinct_growth)


def _bare_word_counts(scale: Scale, piece: Piece, transient: Transient) -> float:
    shape = scale.shape
    if not shape.distinct_bare:
        return _word_counts(scale, piece, transient)
    part = math.pow(min(1.0, piece.share), shape.distinct_growth)
    return COUNTER + (WORD_EACH * shape.distinct_bare + _BARE_CHAR * shape.distinct_bare_chars) * part


def _seeds(scale: Scale, piece: Piece, transient: Transient) -> float:
    shape = scale.shape
    size = shape.distinct_spaced_bytes * math.pow(min(1.0, piece.share), shape.distinct_growth)
    if not shape.distinct_spaced_bytes:
        size = _SEED_BYTES_A_CHAR * guessed_words(piece.raw).chars
    return _UNIGRAM + _SEED_BYTE * size + _SEED_WIDE * _wide(scale, piece)


def _line_seeds(scale: Scale, piece: Piece, transient: Transient) -> float:
    """Without a pre-tokenizer every line is one word."""
    return _UNIGRAM + _SEED_BYTE * piece.raw


def _line_counts(scale: Scale, piece: Piece, transient: Transient) -> float:
    """Without a pre-tokenizer every line is one word."""
    return COUNTER + WORD_EACH * scale.text.documents.count * piece.share + WORD_BYTE * piece.raw


def _lines_trained(scale: Scale, piece: Piece, transient: Transient) -> float:
    return trained_on_lines(piece.raw, *_symbols(scale, piece), transient.threads)


def _suffix_array(scale: Scale, piece: Piece, transient: Transient) -> float:
    return trained_on_suffixes(piece.raw)


TRAINING_TRANSIENTS: dict[str, Callable[[Scale, Piece, Transient], float]] = {
    "word counts": _word_counts,
    "words alone": lambda scale, piece, transient: COUNTER + WORD_EACH * _distinct(scale, piece)[0],
    "bare word counts": _bare_word_counts,
    "seeds": _seeds,
    "line seeds": _line_seeds,
    "line counts": _line_counts,
    "training on lines": _lines_trained,
    "training on suffixes": _suffix_array,
}
TRAINERS = tuple(TRAINING_TRANSIENTS)
