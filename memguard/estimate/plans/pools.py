"""Plans with several processes, and those that read through pyarrow or Hugging Face datasets. Pure; see text.py.

A step's bytes are the anonymous memory of the whole tree: RSS counts what fork shares once for every process, and what
is mapped from Arrow's cache files can be dropped by the kernel at any time. Where a constant is a fit, it says so.
"""

from __future__ import annotations

import bisect

from memguard.estimate.plans.costs import RUST_ID, Costs
from memguard.estimate.plans.quantities import (
    MMAP_THRESHOLD_MAX,
    Options,
    Text,
    array_part,
    list_bytes,
    list_words,
    load_step,
    python_part,
    step,
)
from memguard.records.estimate import ROW_BATCH, RowBatch, Step
from memguard.units import MIB, format_size

__all__ = [
    "DENSEST_ROWS",
    "FILE_WORKER",
    "MAP_PARENT",
    "WORKER",
    "batches",
    "datasets_map",
    "from_dict_map",
    "in_memory",
    "iter_batches",
    "loading",
    "mapping",
    "parquet_list",
    "parquet_table",
    "pool_files",
    "pool_shard",
    "row_group",
]

# pyarrow decoding a column: buffers of its threads, and what its memory pool keeps of pages, column chunk and table.
# Fitted to twelve texts of 20 to 80 MB, read with pandas and pyarrow: half of them within 3 % of the peak. Beyond 40 MB
# each further byte takes less; the same file differs by 30 MiB from one run to the next.
_PARQUET_START = 41 * MIB
_PARQUET_PER_BYTE = 3.5
_PARQUET_KNEE = 40_000_000
_PARQUET_BEYOND = 1.45
# In groups of 1,000 rows, 20, 40 and 80 MB: 110, 143 and 231 MiB.
_GROUPED_START, _GROUPED_PER_BYTE = 66 * MIB, 2.1
# The same for one row group at a time; a fit to nine texts of 20 to 80 MB: 46 to 83 MB, within 11 MB.
_BATCHES_START = 33 * MIB
_BATCHES_PER_BYTE = 0.9
# Where row groups are small, several of them are read ahead: 66 to 94 MiB for groups of 2 MB.
_BATCHES_AHEAD = 66 * MIB

# load_dataset turns any input into an Arrow file first (datasets 5.2, pyarrow 26; `python -m tests.bench columns
# --library datasets` measures it again). Anonymous memory beside what importing datasets takes, for all but text: a fit
# to nine inputs of 5 to 80 MB, within 8 % of the process' peak; wide characters in one row group take 12 % less.
# JSONL goes through in chunks of 10 MiB, of which two are there at once: 106 to 120 MiB, however much there is. What is
# kept of it is less than can be seen then: strs that are made later fill a part of it.
_JSONL_START, _JSONL_PER_BYTE, _JSONL_MOST = 2 * MIB, 7.4, 115 * MIB
_JSONL_KEPT_PER_BYTE, _JSONL_KEPT_MOST = 5.3, 62 * MIB
# CSV goes through pandas in chunks of 10,000 rows, of which the one before is still there.
_CSV_START, _CSV_LEAST, _CSV_KEPT = 2 * MIB, 23 * MIB, 13 * MIB
_CSV_ROWS, _CSV_PER_BYTE = 10_000, 2.25
# Parquet goes through a row group at a time. In groups of 1,000 rows it depends on the text as a whole, since some are
# read ahead, and the same file differs by 20 MiB from one run to the next.
_GROUP_START, _GROUP_PER_BYTE = 18.5 * MIB, 3.6
_GROUPS_START, _GROUPS_PER_BYTE, _GROUPS_KNEE = 37.5 * MIB, 2.4, 20_000_000
_GROUPS_BEYOND, _GROUPS_MOST = 0.95, 80_000_000
# Text goes through in chunks of 10 Mi characters (datasets.packaged_modules.text): a str of the chunk, which the reader
# joins and extends, 4 bytes a character in a StringIO, the lines twice, Arrow's array. Later chunks find the heap in
# pieces, and take between nothing and all of that again. This and what is kept of it are a fit to pool-shard
# on 18 texts of 20 to 80 MB, and on five others of 6 to 20 MB: within 10 % of their peaks.
_TEXT_CHUNK = 10 * MIB
_TEXT_PER_CHAR = 7.5
_STRING_IO = 4  # of those
_TEXT_PER_WIDTH = 2.25  # for each byte that a character takes
_TEXT_LATER = 1.55  # for each byte of the strs in later chunks and of their UTF-8 copies,
_TEXT_LATER_CHUNKS = 3.8  # of so many chunks
# What the heap and pyarrow's pool still hold of it afterwards: more where characters are wide, and of later chunks;
# for the other kinds 63 to 100 % of it.
_LOADING_KEPT = 0.85
_TEXT_KEPT_SHARE = 0.9  # of a first chunk that is not full: 0.77 of 6 MB of English, all of 10 MB of 20 languages
_TEXT_KEPT = 82e6
_TEXT_KEPT_PER_WIDTH = 6.4e6
_TEXT_KEPT_LATER = 0.43

# A worker of a Pool, forked: pages of the parent that it writes to (reference counts), its own heap and arena.
WORKER = 6 * MIB
# The same where it also has a heap that grows and shrinks with every file.
FILE_WORKER = 8 * MIB
# Of their peaks, what another worker holds while one is at its own: where it has a core of its own, which began at the
# same time with a file as large, and where it waits for one in the middle of some file.
_ON_A_CORE, _WAITING = 0.75, 0.2
# A process of Dataset.map when it gets its first row: 9 to 11 MiB of datasets' objects that it counts references of.
_MAP_WORKER = 11 * MIB
# The process of map's queue, and what map itself adds to the parent.
MAP_PARENT = 10 * MIB
# After some 18,000 rows, each with a list or two that outlives the allocation of 700 others, CPython looks through all
# objects that there are for garbage, and writes into the head of each: what the worker shared with its parent is its
# own then. 29.5 MiB for the objects of datasets, tiktoken and numpy.
_GARBAGE_ROWS, _GARBAGE = 18_000, 30 * MIB
# One worker at a time is at its densest rows: 1,000 of them are more than the stretch of 1 MB whose density is known.
DENSEST_ROWS = 0.5
# The rows' lists of ids become Arrow's int64: a buffer that doubles until all are in it, is cut to its size, and is
# copied for the file that it is written to. Bytes for each id, of one batch; the pages are not given back afterwards.
_ARROW_WRITE = 30
# Of the others' writing, what is there while one writes: 2 workers 0.87 of all, 4 workers 0.6 to 0.9.
_WRITING_TOO = 0.75
# What the holes between the lists of several batches come to: some 5 MiB for each batch after the first, up to 20.
_BATCH_KEPT, _BATCHES_KEPT, _BATCHES_KEPT_SHARE = 5 * MIB, 20 * MIB, 4
# What Dataset.from_dict leaves behind beside the strs and the table: pyarrow's buffer that doubled, and, of the pickle
# that the fingerprint is made from, what malloc keeps. (bytes of the table, bytes): measured, between them a line.
_FROM_DICT = (
    (0, 11 * MIB),
    (4_000_000, 17 * MIB),
    (8_000_000, 34 * MIB),
    (14_000_000, 43 * MIB),
    (31_000_000, 58 * MIB),
    (36_000_000, 91 * MIB),
    (60_000_000, 92 * MIB),
)
# A table in memory is pickled whole for every worker, however many rows are its own. The worker reads it into a BytesIO
# that grows by an eighth at a time and makes a bytes object of it for the table. What is freed of that stays in the
# heap, below the table, while it is smaller than the mmap threshold, which the parent's pickles have raised: 0.6 to 0.9
# times the table in most workers, 2.3 to 2.6 times in others (6 to 31 MB). Larger ones are mapped, and go back to the
# kernel: nothing was left of 36, 45 and 60 MB.
_BUFFER_GROWTH = 1.125
_PICKLE_KEPT, _PICKLE_KEPT_MOST = 1.9, 2.6
_MAP_WRITER_ROWS = 1000  # writer_batch_size of Dataset.map


def parquet_table(text: Text, size: float) -> int:
    """Bytes of pyarrow's table of `size` bytes of `text`, with what its pool keeps of reading it."""
    beyond = max(0.0, size - _PARQUET_KNEE)
    most = _PARQUET_START + _PARQUET_PER_BYTE * (size - beyond) + _PARQUET_BEYOND * beyond
    if 2 * text.row_group_rows < text.documents.count and text.row_group_rows:
        most = min(most, _GROUPED_START + _GROUPED_PER_BYTE * size)
    return round(most)


def parquet_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """pd.read_parquet(f)["text"].tolist(), or pyarrow's to_pylist: measured to be the same within 1 %."""
    del options
    documents = text.documents
    table = "pyarrow's buffers and the table", parquet_table(text, text.bytes)
    strs = "the list of texts", documents.str_bytes + costs.list_slot * documents.count
    copies = "tiktoken's UTF-8 copies in them", documents.copy_bytes
    size = list_bytes(text.tokens, text.heap_ints, costs)
    ids = list_words("one list of all ids", text.tokens, size), size
    python = python_part(costs, "pandas")
    return (
        load_step(costs, "pandas"),
        step("read_parquet", python, table),
        step("tolist", python, table, strs),
        step("encode", python, table, strs, copies, ids),
        step("np.array", python, table, strs, copies, ids, array_part(text, text.tokens)),
    )


def batches(text: Text, options: Options) -> int:
    """Bytes of pyarrow's buffers while it reads row group after row group."""
    group = row_group(text, options)
    size = _BATCHES_START + _BATCHES_PER_BYTE * group
    ahead = _BATCHES_AHEAD if group < text.bytes else 0
    return round(max(size, min(ahead, _BATCHES_START + text.bytes)))


def iter_batches(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """A batch of rows at a time; pyarrow still reads the column of a whole row group."""
    documents = text.documents
    rows = min(options.batch_rows, options.row_group_rows)
    average = text.peak_density * ROW_BATCH / max(1, documents.count)
    batch = text.row_batch or RowBatch(average, average, average)
    of_tokens, of_boxed, share = (
        min(1.0, part * rows / ROW_BATCH) for part in (batch.tokens, batch.boxed_tokens, batch.bytes)
    )
    tokens, heap_ints = round(text.tokens * of_tokens), round(text.heap_ints * of_boxed)
    size = list_bytes(tokens, heap_ints, costs)
    buffers = "pyarrow's buffers for a row group", batches(text, options)
    strs = "the texts of a batch", round((documents.str_bytes + documents.copy_bytes) * share)
    held = (python_part(costs, "pyarrow"), buffers, strs, (list_words("its list of ids", tokens, size), size))
    return (
        load_step(costs, "pyarrow"),
        step("iter_batches", python_part(costs, "pyarrow"), buffers),
        step("np.array", *held, ("its array, and the bytes to write", 2 * text.item * tokens)),
    )


def _anonymous(costs: Costs, library: str = "") -> tuple[str, int]:
    words = "Python and its libraries"
    return (f"{words}, {library}" if library else words), costs.anonymous(library)


def _workers(count: int) -> str:
    return f"{count} worker" + ("s" if count != 1 else "")


def pool_files(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """Every worker holds a whole file: its text, all of its ids, the array. The largest files meet, at worst."""
    workers = max(1, options.workers)
    files = (text.largest_files or (text.bytes,))[:workers]
    share = (files[0] + _beside(files[1:], options.cores)) / max(1, text.bytes)
    words = f"{_workers(len(files))} with a file each, the largest {format_size(files[0])}:"
    each = _file_bytes(text, costs, share)
    return (step("encode", _anonymous(costs), ("the processes of the pool", workers * FILE_WORKER), (words, each)),)


def _beside(files: tuple[int, ...], cores: int) -> float:
    """Bytes of their files that the other workers hold while the first is at its peak."""
    running = max(0, cores - 1)
    return _ON_A_CORE * sum(files[:running]) + _WAITING * sum(files[running:])


def _file_bytes(text: Text, costs: Costs, share: float) -> int:
    """`share` of the text at its worst: text, UTF-8 copy, list of ids, ids inside tiktoken."""
    width = text.width * text.read_chars
    copies = sum(part.utf8 for part in text.slices)
    ids = list_bytes(text.tokens, text.heap_ints, costs)
    return round(share * (width + copies + ids + RUST_ID * text.tokens))


def loading(text: Text, options: Options) -> tuple[int, int]:
    """Bytes that load_dataset takes, and what of them is still there afterwards."""
    if text.kind == "text":
        return _loading_text(text)
    size = text.bytes
    if text.kind == "jsonl":
        most = min(_JSONL_MOST, _JSONL_START + _JSONL_PER_BYTE * size)
        return round(most), round(min(most, _JSONL_KEPT_MOST, _JSONL_KEPT_PER_BYTE * size))
    if text.kind == "csv":
        first = min(1.0, _CSV_ROWS / max(1, text.documents.count)) * size
        second = min(first, size - first)
        most = _CSV_START + max(_CSV_PER_BYTE * first, _CSV_PER_BYTE * second + first)
        return round(max(_CSV_LEAST * min(1.0, size / 5e6), most)), _CSV_KEPT
    first, beyond = min(size, _GROUPS_KNEE), max(0, min(size, _GROUPS_MOST) - _GROUPS_KNEE)
    group, groups = row_group(text, options), 0.0
    if group < size:
        groups = _GROUPS_START + _GROUPS_PER_BYTE * first + _GROUPS_BEYOND * beyond
    most = round(max(_GROUP_START + _GROUP_PER_BYTE * group, groups))
    return most, round(_LOADING_KEPT * most)


def row_group(text: Text, options: Options) -> float:
    """Bytes of text in the largest row group."""
    rows = text.row_group_rows or options.row_group_rows
    return min(1.0, rows / max(1, text.documents.count)) * text.bytes


def _loading_text(text: Text) -> tuple[int, int]:
    first = min(text.read_chars, _TEXT_CHUNK)
    share = min(text.read_chars - first, _TEXT_LATER_CHUNKS * _TEXT_CHUNK) / max(1, text.read_chars)
    later = share * (text.documents.str_bytes + text.documents.copy_bytes)
    # One wide character makes the whole chunk wide. Of full ones that is not seen: StringIO's buffer, the largest part
    # of it, is beyond malloc's mmap threshold, and goes back to the kernel before the lines are there.
    whole = _STRING_IO * first <= MMAP_THRESHOLD_MAX
    width = text.width if whole else text.chunk_width or text.width
    most = first * (_TEXT_PER_CHAR + _TEXT_PER_WIDTH * width) + _TEXT_LATER * later
    kept = _TEXT_KEPT + _TEXT_KEPT_PER_WIDTH * width + _TEXT_KEPT_LATER * later
    return round(most), round(min(_TEXT_KEPT_SHARE * most, kept))


def pool_shard(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """Workers tokenize single documents, the parent copies their ids into one array made for a whole shard."""
    most, kept = loading(text, options)
    python = _anonymous(costs, "datasets")
    workers = max(1, options.workers)
    shard = text.item * min(text.tokens, options.shard_tokens)
    # imap hands out 16 documents at a time, and each worker has one such batch, its lists and arrays.
    batch = min(1.0, 16 / max(1, text.documents.count))
    ids = round(batch * (list_bytes(text.tokens, text.heap_ints, costs) + 8 * text.tokens))
    return (
        step("load_dataset", python, ("the Arrow file being made", most)),
        step(
            "imap",
            python,
            ("what is kept of load_dataset", kept),
            (f"what is filled of the uint{8 * text.item} shard", shard),
            (f"{_workers(workers)} with 16 documents each", workers * (WORKER + ids)),
        ),
    )


def datasets_map(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    most, kept = loading(text, options)
    python = _anonymous(costs, "datasets")
    parent = "the parent of map", MAP_PARENT
    return (
        step("load_dataset", python, ("the Arrow file being made", most)),
        step("map", python, ("what is kept of load_dataset", kept), parent, mapping(text, costs, options, 0)),
    )


def from_dict_map(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """Dataset.from_dict keeps the table in memory, so every process of map gets all of it."""
    documents = text.documents
    python = _anonymous(costs, "datasets")
    strs = "the list of texts", documents.str_bytes + costs.list_slot * documents.count
    held = python, strs, ("pyarrow's UTF-8 copies in them", documents.copy_bytes), ("the Arrow table", text.bytes)
    beside = "what is kept of making it", in_memory(text.bytes)
    return (
        step("readlines", python, strs),
        step("from_dict", *held, beside),
        step("map", *held, beside, ("the parent of map", MAP_PARENT), mapping(text, costs, options, text.bytes)),
    )


def in_memory(table: int) -> int:
    """Bytes that Dataset.from_dict leaves behind beside the strs and a table of so many bytes."""
    above = bisect.bisect_left(_FROM_DICT, (table, 0))
    if above in (0, len(_FROM_DICT)):
        return _FROM_DICT[min(above, len(_FROM_DICT) - 1)][1]
    (size, kept), (larger, more) = _FROM_DICT[above - 1 : above + 1]
    return round(kept + (more - kept) * (table - size) / (larger - size))


def mapping(text: Text, costs: Costs, options: Options, table: int) -> tuple[str, int]:
    """Workers of map: 1,000 rows of ids as Python lists are held, then written as an int64 array. A `table` of so many
    bytes in memory comes to each of them as a pickle."""
    documents = max(1, text.documents.count)
    workers = min(max(1, options.workers), documents)
    rows = documents / workers  # of each worker
    batch = min(_MAP_WRITER_ROWS, rows)
    lists = list_bytes(text.tokens, text.heap_ints, costs)
    writing = 1.0 if text.at_worst else (1 + _WRITING_TOO * (workers - 1)) / workers
    each = (lists + _ARROW_WRITE * text.tokens * writing) * batch / documents
    dense = DENSEST_ROWS * (text.peak_density - 1) * batch / documents
    densest = min(dense, 1 - batch / documents) * (lists + _ARROW_WRITE * text.tokens)
    several = max(0.0, rows / _MAP_WRITER_ROWS - 1) * _BATCH_KEPT
    several = min(several, _BATCHES_KEPT, _BATCHES_KEPT_SHARE * each)
    # At worst as many workers as can get so many rows: else one more worker would make the high end smaller.
    looking = min(workers, documents // _GARBAGE_ROWS) if text.at_worst or rows >= _GARBAGE_ROWS else 0
    pickles = 0.0
    if table:
        # The ids' slots and the bytes that are written go into the places which the pickles have left.
        reused = 2 * costs.list_slot * text.tokens * batch / documents
        pickles = table + max(0.0, _kept_pickles(text, table) - reused)
    words = f"{_workers(workers)} with up to {_MAP_WRITER_ROWS:,} rows of ids each"
    size = workers * (_MAP_WORKER + each + several + pickles) + _GARBAGE * looking + densest
    return f"{words}, and the pickled table" if table else words, round(size)


def _kept_pickles(text: Text, table: int) -> float:
    """Bytes of malloc's heap in a worker that got a table of so many bytes as a pickle, beside the table."""
    fits = MMAP_THRESHOLD_MAX / _BUFFER_GROWTH
    if text.at_worst:
        return _PICKLE_KEPT_MOST * min(table, fits)
    return _PICKLE_KEPT * table if table <= fits else 0.0
