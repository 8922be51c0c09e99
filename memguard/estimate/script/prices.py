"""What a value of each kind costs, and what a call needs meanwhile: one price for each kind. Pure. Sizes are bytes.

The prices are those of the plans (estimate/plans); docs/memory-terms.md derives them. A new kind of Buffer is a row of
memguard.script.values.KINDS and a price here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import prod

from memguard.estimate.plans import documents as plans_documents
from memguard.estimate.plans import pools as plans_pools
from memguard.estimate.plans.costs import RUST_ID
from memguard.estimate.plans.quantities import MMAP_THRESHOLD_MAX, Options, inside_tiktoken, list_bytes
from memguard.estimate.script.amounts import Piece
from memguard.estimate.script.objects import NUMPY_OBJECT, STACKED, TORCH_OBJECT, dict_table, objects_size, set_table
from memguard.estimate.script.scale import Scale
from memguard.estimate.script.tables import TABLE_TRANSIENTS, loading, pages, table
from memguard.estimate.script.tokenizer_prices import TOKENIZER_PRICES, TOKENIZER_TRANSIENTS, tokens_of_each
from memguard.estimate.script.training_prices import TRAINING_TRANSIENTS
from memguard.script.trace import Transient
from memguard.script.values import Buffer, Held, Number

__all__ = ["PRICES", "TRANSIENTS", "elements"]

# The output of map stays in memory where its input does: an int64 a token, and its copies on the way from the workers.
# Fitted to 12 and 30 MB of English with two workers: between 0.94 and 1.13 of them.
_MAPPED_TOKEN = 34
_MAP_ROWS = 1000  # writer_batch_size of Dataset.map
# How many of tiktoken's futures still have their work item depends on the threads' timing: as little as this was
# measured. The usual number is fitted in plans/documents.py, on the plans' own scripts.
_FUTURE_LOW = 880
# A word takes about 72 bytes with its slot, and six characters of English with its space.
_WORD_BYTES_PER_CHAR = 12
_CHARS_PER_WORD = 6
# Pool.imap gives its results to a thread of the parent as fast as they come. The loop there unpickles lists of ids and
# makes arrays of them while 1.4 workers make them (two workers, 10 and 20 MB of English, chunks of 100 and 1,000 lines,
# CPython 3.11: 0.22 to 0.5 of all ids wait at the end, none where the loop does nothing). The low end has none of them,
# the high end all.
_KEEPS_UP_WITH = 1.4
# numpy asks for pages of 2 MiB for arrays of 4 MiB and more (madvise, since 1.22).
_PAGE = 2 << 20
# A million numbers of 2 bytes, or as much text: what memguard's drop-in objects keep of what is in their files.
_PACKED_TAIL = 2 << 20
# plans/text.py's stream less a Python with numpy and tiktoken.
_ENGINE_START, _ENGINE_PER_BYTE, _ENGINE_MOST = 40 << 20, 1.0, 140 << 20
# Tokens a byte of a single long line against those of the whole text, either way.
_ONE_LINE = 1.2
_LARGEST_SMALL = 512  # bytes of an object in an arena: Objects/obmalloc.c, SMALL_REQUEST_THRESHOLD
_LONGEST_DESCENT = 100  # arrays made from one another


# -- Buffers ----------------------------------------------------------------------------------------------------------


def _nothing(scale: Scale, piece: Piece, held: Held) -> float:
    """Elements and views of something that has its own price, and what the kernel takes back."""
    return 0.0


def _text(scale: Scale, piece: Piece, held: Held) -> float:
    return piece.text + (piece.utf8 if held.encoded else 0)


def _bytes(scale: Scale, piece: Piece, held: Held) -> float:
    return piece.raw


def _ids(scale: Scale, piece: Piece, held: Held) -> float:
    length = held.buffer.capacity
    return scale.costs.list_slot * (length if isinstance(length, float) else piece.tokens)


def _ints(scale: Scale, piece: Piece, held: Held) -> float:
    return scale.costs.heap_int * piece.heap_ints


def _opaque(scale: Scale, piece: Piece, held: Held) -> float:
    return _ids(scale, piece, held) + _ints(scale, piece, held)


def _chars(scale: Scale, piece: Piece, held: Held) -> float:
    length = held.buffer.capacity
    return scale.costs.list_slot * (length if isinstance(length, float) else piece.chars)


def _objects(scale: Scale, piece: Piece, held: Held) -> float:
    each = scale.costs.list_slot + objects_size(held.buffer.made_of)
    return each * elements(scale, held.buffer, piece)


def _array(scale: Scale, piece: Piece, held: Held) -> float:
    buffer = held.buffer
    found = elements(scale, buffer, piece)
    if buffer.capacity is not None and buffer.origin == "prealloc":
        found = _touched(scale, buffer, piece.tokens, found)
    return buffer.item * found


def _touched(scale: Scale, buffer: Buffer, stored: float, length: float) -> float:
    """Elements on the pages of a zeroed array that have been written to."""
    dims = buffer.capacity
    if not isinstance(dims, tuple) or len(dims) < 2:
        return min(length, stored)
    rows = max(1.0, capacity(scale, dims[0]))
    row = length / rows
    page = _PAGE / buffer.item
    return rows * min(row, stored / max(1.0, rows) + page) if row > page else length


def capacity(scale: Scale, length: float | Number | tuple[Number, ...]) -> float:
    """Elements of what was made for `length` of them, which may be as many as something else has."""
    if isinstance(length, tuple):
        return prod(capacity(scale, one) for one in length)
    if not isinstance(length, Number):
        return length
    symbol, count = length.symbol, 0.0
    if symbol is not None and symbol.of is not None:
        before, scale.average_lines = scale.average_lines, scale.average_lines and symbol.unit != "longest"
        of, pieces = symbol.of, [scale.piece(part) for part in symbol.of.parts.values()]
        listed = of.kind in ("lists", "arrays")
        count = sum(scale.count(of, piece) if listed else elements(scale, of, piece) for piece in pieces)
        scale.average_lines = before
        if symbol.unit == "longest":  # the tokens of one line may stand closer than those of all, or less close
            count *= {"low": 1 / _ONE_LINE, "high": _ONE_LINE}.get(scale.bound, 1.0)
    return max(0.0, length.offset + length.factor * count)


def elements(scale: Scale, buffer: Buffer, piece: Piece) -> float:
    """How many elements `piece` of `buffer` has, which may be an array of what has other elements than tokens."""
    if buffer.file_item:
        return piece.raw / buffer.file_item
    if buffer.origin.endswith("padded"):
        return tokens_of_each(scale, buffer, piece)
    source, left = buffer, _LONGEST_DESCENT
    while left:
        if source.capacity is not None and not isinstance(source.capacity, Number):
            return capacity(scale, source.capacity)
        if source.kind == "lists" or source.kind == "arrays":
            return piece.tokens if source.row is None or source is buffer else source.row * scale.count(source, piece)
        made_from = source.source or source.of
        if made_from is None or source.kind not in ("array", "view", "mapped"):
            break
        source, left = made_from, left - 1
    if source.kind == "digits" and source.source is not None:
        return elements(scale, source.source, piece)
    if source.kind in ("chars", "text"):
        return piece.chars
    if source.kind == "bytes":
        return piece.raw
    if source.kind == "words":
        return (scale.shape.words or scale.text.chars / _CHARS_PER_WORD) * scale.words(piece)
    if source.kind in ("strings", "records", "objects", "table"):
        return scale.count(source, piece)
    return piece.tokens


def _strings(scale: Scale, piece: Piece, held: Held) -> float:
    """Strings have a header each, and a slot in their list."""
    documents, count = scale.text.documents, scale.count(held.buffer, piece)
    if held.buffer.shares is not None and scale.lives(held.buffer.shares):
        return scale.costs.list_slot * count
    if count >= 0.9 * documents.count * piece.share:  # as measured, each as narrow as its own characters
        size = piece.strs + scale.costs.list_slot * count + _pinned(scale, held, piece, count)
    else:
        size = piece.text + 72 * count
    if held.encoded:
        size += min(piece.utf8, piece.copies or piece.utf8)
    return size


def _pinned(scale: Scale, held: Held, piece: Piece, count: float) -> float:
    """Of records that are gone, whose short texts are still there: the arenas stay in which these stand among dicts and
    keys. Once, whichever of several lists has texts of theirs.
    """
    shares, shape = held.buffer.shares, scale.shape.records
    if shares is None or shape is None or not count or piece.strs / count > _LARGEST_SMALL:
        return 0.0
    if scale.pinned.setdefault(id(shares), id(held.buffer)) != id(held.buffer):
        return 0.0
    by_line = any(part.windows for part in shares.pieces.values())
    each = shape.small + (shape.keys if by_line else 0.0)
    return each * scale.text.documents.count * min(1.0, piece.share)


def _records(scale: Scale, piece: Piece, held: Held) -> float:
    """Dicts, each with its values, and with keys of its own where json has read it from a line."""
    count = scale.count(held.buffer, piece)
    shared = held.buffer.shares is not None and scale.lives(held.buffer.shares)
    if shared or not piece.objects or scale.shape.records is None:
        return _strings(scale, piece, held) + (0 if shared else count * sys.getsizeof({"text": ""}))
    by_line = held.buffer.origin == "json" and any(part.windows for part in held.buffer.pieces.values())
    keys = scale.shape.records.keys * count if by_line else 0.0
    copies = min(piece.utf8, piece.copies or piece.utf8) if held.encoded else 0.0
    return piece.objects + keys + scale.costs.list_slot * count + copies


def _words(scale: Scale, piece: Piece, held: Held) -> float:
    size = (scale.shape.word_strings or _WORD_BYTES_PER_CHAR * scale.text.chars) * scale.words(piece)
    once = any(window.unit == "distinct words" for part in held.parts for window in part.windows)
    return size * scale.shape.distinct_word_length if once else size


def _lists(scale: Scale, piece: Piece, held: Held) -> float:
    count, slot = scale.count(held.buffer, piece), scale.costs.list_slot
    tokens = tokens_of_each(scale, held.buffer, piece)
    inside = tokens if held.buffer.row is None else held.buffer.row * count
    return slot * inside + (plans_documents.SMALL_LIST + slot) * count


def _arrays(scale: Scale, piece: Piece, held: Held) -> float:
    buffer = held.buffer
    count, slot = scale.count(buffer, piece), scale.costs.list_slot
    own = TORCH_OBJECT if buffer.library == "torch" else plans_documents.SMALL_ARRAY
    if buffer.origin == "views":
        return ((TORCH_OBJECT if buffer.library == "torch" else NUMPY_OBJECT) + slot) * count
    inside = piece.tokens if buffer.row is None else buffer.row * count
    return buffer.item * inside + (own + slot) * count


def _slots(scale: Scale, piece: Piece, held: Held) -> float:
    """A table with an entry for each element, less the slots (`item` bytes each) that these have a price with."""
    source = held.buffer.source or held.buffer
    count = elements(scale, source, piece)
    names = source.kind in ("strings", "words")
    origin, _, before = held.buffer.origin.partition(" ")
    entry = 16 if names else 24
    table = set_table(count) if origin == "set" else dict_table(count, entry)
    if before:  # the one that is copied into this one, when that has just grown
        return table / (2 if count > 50_000 or origin == "dict" else 4)
    return table - held.buffer.item * count


def _packed(scale: Scale, piece: Piece, held: Held) -> float:
    """The newest numbers of a TokenBuffer; those before them are in its file."""
    return min(_PACKED_TAIL, 2.0 * piece.tokens)


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
    "table": table,
    "pages": pages,
    "slots": _slots,
    "objects": _objects,
    "digits": lambda scale, piece, held: held.buffer.width * elements(scale, held.buffer, piece),
    "opaque": _opaque,
    "mapped": _nothing,
    "view": _nothing,
    "lazy": _nothing,
    "lazies": lambda scale, piece, held: min(_PACKED_TAIL, piece.raw),
    "packed": _packed,
    "packs": _packed,
    "list": _nothing,
    "char": _nothing,
    "token": _nothing,
    "object": _nothing,
    **TOKENIZER_PRICES,
}


# -- what calls need meanwhile ----------------------------------------------------------------------------------------


def _inside_tiktoken(scale: Scale, piece: Piece, transient: Transient) -> float:
    ids = round(scale.costs.list_slot * piece.tokens + scale.costs.heap_int * piece.heap_ints)
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
    records = scale.shape.records
    if records is not None and records.ascii and text.kind == "jsonl":  # what is wide is escaped in the file
        return 0.0
    longer = 1.0 if records is None else max(1.0, records.line / records.reference)
    return (most - decoded) * min(1.0, piece.share) * longer


def _recased(scale: Scale, piece: Piece, transient: Transient) -> float:
    """str.lower and its kind write a str that is not ASCII as 4 bytes a character first: Objects/unicodeobject.c,
    case_operation.
    """
    return 4 * piece.chars if piece.utf8 else 0


def _futures(scale: Scale, piece: Piece, transient: Transient) -> float:
    each = _FUTURE_LOW if scale.bound == "low" else plans_documents.FUTURE
    return each * scale.text.documents.count * piece.share


def _mapping(scale: Scale, piece: Piece, transient: Transient) -> float:
    """Dataset.map: its parent, and workers that each hold 1,000 rows of ids; see plans/pools.py."""
    in_memory = scale.text.bytes if transient.kind != "mapping" else 0
    options = Options(workers=round(transient.copies))
    size = plans_pools.mapping(scale.text, scale.costs, options, in_memory)[1] + plans_pools.MAP_PARENT
    return size + (plans_pools.in_memory(in_memory) + _MAPPED_TOKEN * scale.text.tokens if in_memory else 0)


def _mapping_here(scale: Scale, piece: Piece, transient: Transient) -> float:
    """Dataset.map in the script's own process: 1,000 rows of ids as lists, and as Arrow's int64 in a buffer that
    doubles; Arrow's pool has room for more of it. Within 8 % of the peaks with single rows and batches of 20 and 40 MB.
    """
    share = min(1.0, _MAP_ROWS / max(1, scale.text.documents.count))
    return share * (list_bytes(scale.text.tokens, scale.text.heap_ints, scale.costs) + 2 * 8 * scale.text.tokens)


def _all_ids(scale: Scale, piece: Piece, transient: Transient) -> float:
    return scale.costs.list_slot * piece.tokens + scale.costs.heap_int * piece.heap_ints


def _waiting(scale: Scale, piece: Piece, transient: Transient) -> float:
    share = {"low": 0.0, "high": 1.0}.get(scale.bound, max(0.0, 1 - _KEEPS_UP_WITH / transient.copies))
    return share * _all_ids(scale, piece, transient)


def _engine(scale: Scale, piece: Piece, transient: Transient) -> float:
    """What memguard's encoder takes beside Python: its vocabulary, the words that it has seen, blocks of text and ids;
    as in plans/text.py's stream, whose Python is in the script's own baseline.
    """
    return min(_ENGINE_START + _ENGINE_PER_BYTE * piece.raw, _ENGINE_MOST)


TRANSIENTS: dict[str, Callable[[Scale, Piece, Transient], float]] = {
    "rust": _inside_tiktoken,
    "read": _reading,
    "decode": _decoded,
    "text": lambda scale, piece, transient: piece.text,
    "bytes": lambda scale, piece, transient: piece.raw,
    "case": _recased,
    "futures": _futures,
    "loading": lambda scale, piece, transient: loading(scale),
    "mapping": _mapping,
    "mapping a table in memory": _mapping,
    "mapping here": _mapping_here,
    "from memory": lambda scale, piece, transient: plans_pools.in_memory(round(piece.raw)),
    "lists": _all_ids,
    "int64": lambda scale, piece, transient: 8 * piece.tokens,
    "engine": _engine,
    "waiting results": _waiting,
    "stacked": lambda scale, piece, transient: STACKED * piece.tokens,
    **TABLE_TRANSIENTS,
    **TOKENIZER_TRANSIENTS,
    **TRAINING_TRANSIENTS,
}
