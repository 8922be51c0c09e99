"""What differs in a text, and what the trainers of tokenizers take for it. Pure. Sizes are bytes.

Measured with sentencepiece 0.2.3 and tokenizers 0.23.3 on x86-64, glibc 2.36; `python -m tests.bench training` measures
it again. What counts is how many words of the text differ, and how long they are: corpus/vocabulary.py.
"""

from __future__ import annotations

from memguard.records.estimate import WordStats
from memguard.units import MIB

__all__ = [
    "COUNTER",
    "PAIRS_GROWTH",
    "WORD_BYTE",
    "WORD_EACH",
    "counted_words",
    "guessed_words",
    "trained_on_lines",
    "trained_on_suffixes",
]

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
WORD_BYTE, _WIDE_BYTE, WORD_EACH, COUNTER = 87, 20, 170, 6 * MIB
# Where the text's words cannot be counted: Heaps' law as 5 to 60 MB of technical English have it, and bytes of a word.
_HEAPS, _HEAPS_GROWTH, _DISTINCT_BYTES, _BETWEEN_SPACES, _PAIRS = 0.83, 0.7, 9, 1.8, 10_000

# With the text, the number of pairs of characters grows by this exponent.
PAIRS_GROWTH = 1 - _HEAPS_GROWTH


def guessed_words(size: float, times: float = 1.0) -> WordStats:
    """Of `size` bytes whose words were not counted; `times` as many as usual."""
    count = times * _HEAPS * size**_HEAPS_GROWTH
    return WordStats(
        count=round(count),
        bytes=round(_DISTINCT_BYTES * count),
        wide_bytes=0,
        chars=round((_DISTINCT_BYTES + 1) * _BETWEEN_SPACES * count),
        pairs=round(times * _PAIRS),
        growth=_HEAPS_GROWTH,
    )


def counted_words(count: float, size: float, wide: float) -> float:
    """tokenizers' trainers of words cut by GPT-2's pattern: `size` bytes, `wide` of them beyond ASCII."""
    return COUNTER + WORD_EACH * count + WORD_BYTE * size + _WIDE_BYTE * wide


def trained_on_lines(size: float, chars: float, pairs: float, threads: float = _THREADS) -> float:
    """sentencepiece's bpe, for `size` bytes of lines."""
    each = ((threads - 1) / (_THREADS - 1)) ** _THREADS_GROWTH if threads > 1 else 0.0
    return _TRAINER + (_LINE_BYTE + _THREADED_BYTE * each) * size + _WORD_CHAR * chars + _PAIR * pairs


def trained_on_suffixes(size: float) -> float:
    """sentencepiece's unigram, for `size` bytes of lines."""
    return _TRAINER + _SUFFIX_BYTE * size
