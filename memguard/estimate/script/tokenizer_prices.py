"""What the tokenizers of the field cost, other than tiktoken: values, and what their calls need meanwhile. Pure.

Every figure was measured with tokenizers 0.23.3, transformers 5.24, sentencepiece 0.2.3, nltk 3.10 and spacy 3.8 on
CPython 3.11, x86-64, glibc 2.36; `python -m tests.bench tokenizers` measures them again. Sizes are bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from memguard.estimate.script.amounts import Piece
from memguard.estimate.script.scale import Scale
from memguard.script.trace import Transient
from memguard.script.values import Buffer, Held

__all__ = ["TOKENIZER_PRICES", "TOKENIZER_TRANSIENTS"]

# tokenizers/src/tokenizer/encoding.rs: of each token an id, a type id and two masks (4 each), a word's index (8), its
# offsets (16) and a String (24), whose letters take 32 more from malloc.
_TOKEN = 96
# What an Encoding of a whole text lets malloc give back when it goes, beyond its own tokens: a byte of text.
_HELD_BACK = 20
# One of many Encodings: its tokens, and the struct with its seven Vecs, a map of its sequences, and its Python object.
# Fitted to lines and documents of English and of five other languages, two vocabularies: within 6 %. Those of one batch
# weigh more, since several threads fill the heap between them; without offsets (encode_batch_fast) less.
_MANY: Mapping[str, tuple[int, int]] = {"batch": (100, 800), "fast": (70, 700), "": (100, 200)}
# A piece of a text behind the first, and a pad, whose Vecs have grown by doubling (truncation to 64 to 1,024 tokens,
# with and without padding, of English and five other languages: within 7 %).
_CUT_OFF, _PAD = 700, 136
# While a batch is encoded: each text once more, and a Vec of results that the Python objects are made from.
_BATCH_EACH = 450
# What stays in the process of a batch of Encodings once they are gone (between 86 and 100 %).
_BATCH_STAYS = 0.88

# While a whole text is encoded it is cut into pieces of the pattern's, one for some five bytes of any language
# (measured: 5.0 to 6.0). tokenizers/src/tokenizer/{pre_tokenizer,normalizer}.rs: a Split of 104, two Strings of 32, a
# list of at least four Tokens of 48, and 16 for each byte's place in the original; blocks of malloc are rounded up.
_PIECE_BYTES = 5.2
_PIECE = 104 + 2 * 32 + 4 * 48 + 8 + 16
_ALIGNED = 18
# Offsets count characters: a hash map from every byte of the text to its character, 17 an entry, at most 7/8 full.
# Its size is a power of two, and the old one stays until the new one is filled.
_MAP_ENTRY, _MAP_FULL = 17, 7 / 8
# The Vecs of the Encoding grow by doubling, and are copied where the heap has no room behind them.
_GROWING = 1.5
# Of the pieces, malloc keeps this much a byte of text after the Encoding has gone too.
_TEXT_STAYS = 72

# A token as a Python str with its slot: most begin with a letter beyond U+00FF, which makes them two bytes a letter.
_TOKEN_STR, _PIECE_STR = 88, 64

# An entry of the vocabulary in the two tables of a tokenizer, and in the merges: 8,000 to 150,000 entries. More of it
# while the JSON is read.
_ENTRY, _ENTRY_READ = 680, 190
_ENTRIES = 50_000  # of a tokenizer that is not here
_SENTENCEPIECE_ENTRY = 200
# tiktoken's two tables in Rust and Python's of the same; more while it reads them: 22 and 14 MiB for GPT-2's 50,257
# (tiktoken 0.14, in a forked worker).
_TIKTOKEN_ENTRY, _TIKTOKEN_READ = 459, 292

# sentencepiece's symbols and its result before the Python list is made, a character (40 to 49).
_SENTENCEPIECE_CHAR = 42
# A token of a spacy Doc (TokenC, 88, and its Python objects), more while its array grows; a Doc of its own; 1 to 4 MB.
_DOC_TOKEN, _DOC_GROWS, _DOC = 290, 100, 3_000

# nltk puts spaces around marks, in a copy for each of its patterns, and cuts more words than lie between spaces.
_NLTK = 10.5


# -- values -----------------------------------------------------------------------------------------------------------


def _encoding(scale: Scale, piece: Piece, held: Held) -> float:
    return _TOKEN * piece.tokens + _HELD_BACK * piece.raw


def _encodings(scale: Scale, piece: Piece, held: Held) -> float:
    return _of_encodings(scale, piece, held.buffer, scale.count(held.buffer, piece))


def _of_encodings(scale: Scale, piece: Piece, buffer: Buffer, count: float) -> float:
    """Of `count` texts. What truncation cuts off stays in Encodings of its own, which are padded too."""
    each_token, each = _MANY.get(buffer.origin.removesuffix(" padded"), _MANY["batch"])
    most = buffer.row or (buffer.capacity if isinstance(buffer.capacity, float) else 0.0)
    pieces = count if not most else _cut_into(scale, most, piece.tokens, count)
    pads = 0.0
    if buffer.origin.endswith("padded"):
        pads = max(0.0, pieces * (buffer.row or _widest(scale, most)) - piece.tokens)
    return each_token * piece.tokens + each * count + _CUT_OFF * (pieces - count) + _PAD * pads


def _cut_into(scale: Scale, most: float, tokens: float, count: float) -> float:
    """Pieces of `most` tokens that so many texts are cut into, the last of each shorter: counted where the lengths of
    lines are known, else as if they were spread exponentially, as documents are, more or less.
    """
    mean = tokens / max(1.0, count)
    lengths = scale.shape.line_bytes
    if lengths and scale.text.kind == "text":
        a_byte = mean * len(lengths) / max(1.0, sum(lengths))
        return count * sum(max(1, math.ceil(length * a_byte / most)) for length in lengths) / len(lengths)
    return count / -math.expm1(-most / max(1.0, mean))


def _widest(scale: Scale, most: float) -> float:
    """Tokens of the longest text of a batch, of which truncation leaves `most`; 0: all."""
    longest = scale.shape.longest_line * scale.text.tokens / max(1, scale.text.bytes)
    return min(most or longest, longest) if longest else most


def tokens_of_each(scale: Scale, buffer: Buffer, piece: Piece) -> float:
    """Tokens of a list of texts that may be truncated (to `capacity` each) or padded (to that, or to the longest)."""
    if buffer.row is not None and buffer.origin.endswith("padded"):  # to so many each
        return scale.count(buffer, piece) * buffer.row
    most = buffer.capacity if isinstance(buffer.capacity, float) else None
    if buffer.origin.endswith("padded"):
        width = _widest(scale, most or 0.0)
        return max(piece.tokens if most is None else 0.0, scale.count(buffer, piece) * width)
    return piece.tokens if most is None else min(piece.tokens, scale.count(buffer, piece) * most)


def _heap(scale: Scale, piece: Piece, held: Held) -> float:
    """The largest of what was freed: the next call uses it again."""
    sizes = []
    for part in held.parts:
        mine = scale.piece(part)
        if held.buffer.origin == "text":
            sizes.append(_TEXT_STAYS * mine.raw)
        else:
            made = held.buffer.source or held.buffer
            sizes.append(_BATCH_STAYS * _of_encodings(scale, mine, made, scale.count(held.buffer, mine)))
    return max(sizes, default=0.0)


def _vocabulary(scale: Scale, piece: Piece, held: Held) -> float:
    if held.buffer.origin == "tiktoken":
        return _TIKTOKEN_ENTRY * tiktoken_entries(held.buffer)
    each = _SENTENCEPIECE_ENTRY if held.buffer.origin == "sentencepiece" else _ENTRY
    return each * (scale.shape.entries or _ENTRIES)


def tiktoken_entries(buffer: Buffer) -> float:
    return buffer.capacity if isinstance(buffer.capacity, float) else _ENTRIES


def _pieces(scale: Scale, piece: Piece, held: Held) -> float:
    return (_PIECE_STR if held.buffer.origin == "sentencepiece" else _TOKEN_STR) * piece.tokens


def _doc(scale: Scale, piece: Piece, held: Held) -> float:
    return _DOC_TOKEN * _words(scale, piece)


def _docs(scale: Scale, piece: Piece, held: Held) -> float:
    return _DOC_TOKEN * _words(scale, piece) + _DOC * scale.count(held.buffer, piece)


def _words(scale: Scale, piece: Piece) -> float:
    """Words and punctuation marks: some 1.25 for each word between spaces."""
    return 1.25 * (scale.shape.words or scale.text.chars / 6) * piece.share


TOKENIZER_PRICES: dict[str, Callable[[Scale, Piece, Held], float]] = {
    "encoding": _encoding,
    "encodings": _encodings,
    "heap": _heap,
    "vocabulary": _vocabulary,
    "pieces": _pieces,
    "doc": _doc,
    "docs": _docs,
}


# -- what calls need meanwhile ----------------------------------------------------------------------------------------


def _inside_tokenizers(scale: Scale, piece: Piece, transient: Transient) -> float:
    """The text's pieces with their tokens, the map of its offsets, and then the Encoding, all at the same time."""
    if piece.raw < 1:
        return 0.0
    pieces = piece.raw * (_ALIGNED + _PIECE / _PIECE_BYTES) + 32 * piece.tokens
    entries = 4
    while entries * _MAP_FULL < piece.raw:
        entries *= 2
    table = _MAP_ENTRY * entries
    return pieces + table + max(table / 2, _GROWING * (_TOKEN - 32) * piece.tokens)


def _loading(scale: Scale, piece: Piece, transient: Transient) -> float:
    return (_ENTRY + _ENTRY_READ) * (scale.shape.entries or _ENTRIES)


TOKENIZER_TRANSIENTS: dict[str, Callable[[Scale, Piece, Transient], float]] = {
    "pieces": _inside_tokenizers,
    "loading a tokenizer": _loading,
    "loading tiktoken": lambda scale, piece, transient: _TIKTOKEN_READ * _ENTRIES,
    "batch": lambda scale, piece, transient: piece.raw + _BATCH_EACH * scale.text.documents.count * piece.share,
    "sentencepiece": lambda scale, piece, transient: _SENTENCEPIECE_CHAR * piece.chars,
    "padded text": lambda scale, piece, transient: _NLTK * piece.text,
    "doc growing": lambda scale, piece, transient: _DOC_GROWS * _words(scale, piece),
}
