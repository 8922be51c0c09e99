"""What a value of each kind costs, and what a call needs meanwhile: one price for each kind. Pure. Sizes are bytes.

The prices are those of the plans (estimate/plans); docs/memory-terms.md derives them. A new kind of Buffer is a row of
memguard.script.values.KINDS and a price here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from memguard.estimate.plans import documents as plans_documents
from memguard.estimate.plans import pools as plans_pools
from memguard.estimate.plans.costs import RUST_ID
from memguard.estimate.plans.quantities import MMAP_THRESHOLD_MAX, Options, inside_tiktoken
from memguard.estimate.script.amounts import Piece
from memguard.estimate.script.scale import Scale
from memguard.estimate.script.tokenizer_prices import TOKENIZER_PRICES, TOKENIZER_TRANSIENTS, tokens_of_each
from memguard.script.trace import Transient
from memguard.script.values import Buffer, Held

__all__ = ["PRICES", "TRANSIENTS"]

# The output of map stays in memory where its input does: an int64 a token, and its copies on the way from the workers.
# Fitted to 12 and 30 MB of English with two workers: between 0.94 and 1.13 of them.
_MAPPED_TOKEN = 34
# How many of tiktoken's futures still have their work item depends on the threads' timing: as little as this was
# measured. The usual number is fitted in plans/documents.py, on the plans' own scripts.
_FUTURE_LOW = 880
# pyarrow's own default of write_table, as plans/pools.py takes it.
_ROW_GROUP = 1_048_576
# A word takes about 72 bytes with its slot, and six characters of English with its space.
_WORD_BYTES_PER_CHAR = 12


# -- Buffers ----------------------------------------------------------------------------------------------------------


def _nothing(scale: Scale, piece: Piece, held: Held) -> float:
    """Elements and views of something that has its own price, and what the kernel takes back."""
    return 0.0


def _text(scale: Scale, piece: Piece, held: Held) -> float:
    return piece.text + (piece.utf8 if held.encoded else 0)


def _bytes(scale: Scale, piece: Piece, held: Held) -> float:
    return piece.raw


def _ids(scale: Scale, piece: Piece, held: Held) -> float:
    return scale.costs.list_slot * piece.tokens


def _ints(scale: Scale, piece: Piece, held: Held) -> float:
    return scale.costs.boxed_int * piece.heap_ints


def _opaque(scale: Scale, piece: Piece, held: Held) -> float:
    return _ids(scale, piece, held) + _ints(scale, piece, held)


def _chars(scale: Scale, piece: Piece, held: Held) -> float:
    count = piece.chars if held.buffer.capacity is None else held.buffer.capacity
    return scale.costs.list_slot * count


def _array(scale: Scale, piece: Piece, held: Held) -> float:
    return held.buffer.item * _elements(scale, held.buffer, piece)


def _elements(scale: Scale, buffer: Buffer, piece: Piece) -> float:
    capacity = buffer.capacity
    if buffer.origin.endswith("padded"):
        return tokens_of_each(scale, buffer, piece)
    if buffer.file_item:
        return piece.raw / buffer.file_item
    if capacity is None:
        return piece.chars if _made_of_chars(buffer) else piece.tokens
    return capacity if buffer.origin == "full" else min(capacity, piece.tokens)


def _made_of_chars(buffer: Buffer) -> bool:
    """True for an array made from one number a character."""
    source = next((source for source in buffer.descent() if source is not buffer and source.kind != "array"), None)
    return source is not None and source.kind in ("chars", "text")


def _strings(scale: Scale, piece: Piece, held: Held) -> float:
    """Strings have a header each, and a slot in their list."""
    documents, count = scale.text.documents, scale.count(held.buffer, piece)
    if count >= 0.9 * documents.count * piece.share:  # as measured, each as narrow as its own characters
        size = (documents.str_bytes + scale.costs.list_slot * documents.count) * piece.share
    else:
        size = piece.text + 72 * count
    if held.encoded:
        size += min(piece.utf8, documents.copy_bytes * piece.share or piece.utf8)
    return size


def _records(scale: Scale, piece: Piece, held: Held) -> float:
    return _strings(scale, piece, held) + scale.count(held.buffer, piece) * sys.getsizeof({"text": ""})


def _words(scale: Scale, piece: Piece, held: Held) -> float:
    return (scale.shape.word_strings or _WORD_BYTES_PER_CHAR * scale.text.chars) * piece.share


def _lists(scale: Scale, piece: Piece, held: Held) -> float:
    count, tokens = scale.count(held.buffer, piece), tokens_of_each(scale, held.buffer, piece)
    return scale.costs.list_slot * tokens + plans_documents.SMALL_LIST * count


def _arrays(scale: Scale, piece: Piece, held: Held) -> float:
    return held.buffer.item * piece.tokens + plans_documents.SMALL_ARRAY * scale.count(held.buffer, piece)


def _slots(scale: Scale, piece: Piece, held: Held) -> float:
    """Of as many bytes each as `item` says."""
    shape, of_words = scale.shape, any(source.kind == "words" for source in held.buffer.descent())
    if not of_words:
        return held.buffer.item * scale.count(held.buffer, piece)
    return held.buffer.item * (shape.words or scale.text.chars / 6) * piece.share


def _table(scale: Scale, piece: Piece, held: Held) -> float:
    """pyarrow's table with its decoder's buffers; a batch of one; what load_dataset leaves in pyarrow's pool."""
    if held.buffer.origin == "batches":
        group = scale.text.bytes * min(1.0, _ROW_GROUP / max(1, scale.text.documents.count))
        return plans_pools.BATCHES_START + plans_pools.BATCHES_PER_BYTE * group + 2 * piece.raw
    if held.buffer.origin == "loaded":
        return plans_pools.loading(scale.text, Options())[1]
    if held.buffer.origin == "dataset":
        return piece.raw
    return plans_pools.PARQUET_START + plans_pools.PARQUET_PER_BYTE * piece.raw


PRICES: dict[str, Callable[[Scale, Piece, Held], float]] = {
    "text": _text,
    "bytes": _bytes,
    "ids": _ids,
    "ints": _ints,
    "array": _array,
    "chars": _chars,
    "strings": _strings,
    "words": _words,
    "lists": _lists,
    "arrays": _arrays,
    "records": _records,
    "table": _table,
    "slots": _slots,
    "opaque": _opaque,
    "mapped": _nothing,
    "view": _nothing,
    "list": _nothing,
    "char": _nothing,
    "token": _nothing,
    **TOKENIZER_PRICES,
}


# -- what calls need meanwhile ----------------------------------------------------------------------------------------


def _inside_tiktoken(scale: Scale, piece: Piece, transient: Transient) -> float:
    ids = round(scale.costs.list_slot * piece.tokens + scale.costs.boxed_int * piece.heap_ints)
    inside = inside_tiktoken(scale.text, round(piece.tokens), ids, round(piece.raw))
    return inside[1] + _kept_by_malloc(piece)


def _kept_by_malloc(piece: Piece) -> float:
    """Bytes of tiktoken's growing Vec that glibc may keep in its heap: see plans/text.py."""
    if piece.raw > MMAP_THRESHOLD_MAX:
        return 0
    size = 4 * RUST_ID
    while 2 * size <= min(piece.raw, RUST_ID * piece.tokens, MMAP_THRESHOLD_MAX // 2):
        size *= 2
    return size if size <= RUST_ID * piece.tokens else 0


def _reading(scale: Scale, piece: Piece, transient: Transient) -> float:
    return piece.raw + _decoding(scale, piece, newlines=True)


def _decoded(scale: Scale, piece: Piece, transient: Transient) -> float:
    return _decoding(scale, piece, newlines=False)


def _decoding(scale: Scale, piece: Piece, *, newlines: bool) -> float:
    """More than the str itself: while it is widened, and while newlines are translated."""
    text = scale.text
    decoded = text.width * text.chars
    most = max(decoded, text.widening)
    if newlines and text.has_0x0d:
        most = max(most, decoded + text.width * text.read_chars)
    return (most - decoded) * min(1.0, piece.share)


def _futures(scale: Scale, piece: Piece, transient: Transient) -> float:
    each = _FUTURE_LOW if scale.bound == "low" else plans_documents.FUTURE
    return each * scale.text.documents.count * piece.share


def _loading(scale: Scale, piece: Piece, transient: Transient) -> float:
    most, kept = plans_pools.loading(scale.text, Options())
    return most - kept


def _mapping(scale: Scale, piece: Piece, transient: Transient) -> float:
    """Dataset.map: its parent, and workers that each hold 1,000 rows of ids; see plans/pools.py."""
    in_memory = scale.text.bytes if transient.kind != "mapping" else 0
    options = Options(workers=round(transient.copies))
    size = plans_pools.mapping(scale.text, scale.costs, options, in_memory)[1] + plans_pools.MAP_PARENT
    return size + (plans_pools.MAP_IN_MEMORY + _MAPPED_TOKEN * scale.text.tokens if in_memory else 0)


def _all_ids(scale: Scale, piece: Piece, transient: Transient) -> float:
    return scale.costs.list_slot * piece.tokens + scale.costs.boxed_int * piece.heap_ints


TRANSIENTS: dict[str, Callable[[Scale, Piece, Transient], float]] = {
    "rust": _inside_tiktoken,
    "read": _reading,
    "decode": _decoded,
    "text": lambda scale, piece, transient: piece.text,
    "bytes": lambda scale, piece, transient: piece.raw,
    "futures": _futures,
    "loading": _loading,
    "mapping": _mapping,
    "mapping a table in memory": _mapping,
    "lists": _all_ids,
    **TOKENIZER_TRANSIENTS,
}
