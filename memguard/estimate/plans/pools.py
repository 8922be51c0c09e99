"""Plans with several processes, and those that read through pyarrow or Hugging Face datasets. Pure; see text.py.

A step's bytes are the anonymous memory of the whole tree: RSS counts what fork shares once for every process, and what
is mapped from Arrow's cache files can be dropped by the kernel at any time. Where a constant is a fit, it says so.
"""

from __future__ import annotations

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
    "FILE_WORKER",
    "MAP_IN_MEMORY",
    "MAP_PARENT",
    "WORKER",
    "batches",
    "datasets_map",
    "from_dict_map",
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
# The same for one row group at a time; a fit to nine texts of 20 to 80 MB: 46 to 83 MB, within 11 MB.
_BATCHES_START = 33 * MIB
_BATCHES_PER_BYTE = 0.9
# Where row groups are small, several of them are read ahead: 66 to 94 MiB for groups of 2 MB.
_BATCHES_AHEAD = 66 * MIB

# load_dataset turns any input into an Arrow file first (datasets 5.2, pyarrow 26; `python -m tests.bench columns
# --stage load` measures it again). All but text on seven inputs of 20 to 80 MB, beside what importing datasets takes.
# JSONL goes through in chunks of 10 MiB: 106 to 120 MiB, however much there is; strings fill a part of what is kept.
_JSONL_LOADING, _JSONL_KEPT = 114 * MIB, 62 * MIB
_JSONL_CHUNK = 10 * MIB
# CSV goes through pandas in chunks of 10,000 rows, of which the one before is still there.
_CSV_START, _CSV_KEPT = 20 * MIB, 13 * MIB
_CSV_ROWS, _CSV_PER_BYTE = 10_000, 1.35
# Parquet a row group at a time: 92, 158 and 288 MiB for one of 20, 40 and 80 MB; in groups of 1,000 rows it depends on
# the text as a whole, 70 to 98, 108 and 137, and the same file differs by 20 from one run to the next.
_GROUP_START, _GROUP_PER_BYTE = 31 * MIB, 3.4
_GROUPS_START, _GROUPS_PER_BYTE, _GROUPS_MOST = 65 * MIB, 0.95, 80_000_000
# Text goes through in chunks of 10 Mi characters (datasets.packaged_modules.text): a str of the chunk, which the reader
# joins and extends, 4 bytes a character in a StringIO, the lines twice, Arrow's array. Later chunks find the heap in
# pieces, and take between nothing and all of that again. This, what is kept of it, and the processes of map below are a
# fit to pool-shard and datasets-map on 18 texts of 20 to 80 MB: within 13 % of the 108 peaks, within 5 % of half.
_TEXT_CHUNK = 10 * MIB
_TEXT_PER_CHAR = 7.5
_TEXT_PER_WIDTH = 2.25  # for each byte that a character takes
_TEXT_LATER = 1.55  # for each byte of the strs in later chunks and of their UTF-8 copies,
_TEXT_LATER_CHUNKS = 3.8  # of so many chunks
# What the heap and pyarrow's pool still hold of it afterwards: more where characters are wide, and of later chunks;
# for the other kinds 63 to 100 % of it.
_LOADING_KEPT = 0.85
_TEXT_KEPT = 82e6
_TEXT_KEPT_PER_WIDTH = 6.4e6
_TEXT_KEPT_LATER = 0.43

# A worker of a Pool, forked: pages of the parent that it writes to (reference counts), its own heap and arena.
WORKER = 6 * MIB
# The same where it also has a heap that grows and shrinks with every file.
FILE_WORKER = 10 * MIB
# Of their peaks, what the other workers hold while one is at its own: two and four workers on two cores, 0.55 to 0.65.
_TOGETHER = 0.6
# A process of Dataset.map: the same with the whole of datasets imported, and dill's copy of the function.
_MAP_WORKER = 30 * MIB
# The parent of map: queues, progress and the tables that it reads back.
MAP_PARENT = 31 * MIB
# One worker at a time is at its densest rows, and more so than a whole stretch of 1 MB is.
_DENSEST_ROWS = 1.66
# Where the dataset is in memory, what from_dict has left behind, and while it is at work: 89 to 93 MB. This and the
# next five are a fit to 54 runs with 1, 2 and 4 workers, 18 texts of 20 to 80 MB: half of them within 8 %, all within
# 21 %. The same run repeated differs by up to 7 %.
MAP_IN_MEMORY = 92 * MIB
_FROM_DICT = 87 * MIB
_TABLE_WORKER = 45 * MIB
# A table in memory is pickled whole for every worker, however many rows are its own. Pickles below malloc's mmap
# threshold stay in the heap of some processes when they are freed, and go back to the kernel in others; larger ones are
# mapped, and nothing stays. So 40 MB of text take less than 30 MB do (758 and 1,007 MiB with 4 workers): between the
# two this is too little before and too much after, since an estimate that falls as the text grows would help nobody.
_PICKLES_UNDER_WAY = 0.58
_PICKLE_PARENT = 0.43
_PICKLE_WORKER = 0.22
# The workers do not all hold their most at once.
_TABLE_TOGETHER = 0.64
_MAP_WRITER_ROWS = 1000  # writer_batch_size of Dataset.map


def parquet_table(size: float) -> int:
    """Bytes of pyarrow's table of `size` bytes of text, with what its pool keeps of reading it."""
    beyond = max(0.0, size - _PARQUET_KNEE)
    return round(_PARQUET_START + _PARQUET_PER_BYTE * (size - beyond) + _PARQUET_BEYOND * beyond)


def parquet_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """pd.read_parquet(f)["text"].tolist(), or pyarrow's to_pylist: measured to be the same within 1 %."""
    del options
    documents = text.documents
    table = "pyarrow's buffers and the table", parquet_table(text.bytes)
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
    share = (files[0] + _TOGETHER * sum(files[1:])) / max(1, text.bytes)
    words = f"{_workers(len(files))} with a file each, the largest {format_size(files[0])}:"
    each = _file_bytes(text, costs, share)
    return (step("encode", _anonymous(costs), ("the processes of the pool", workers * FILE_WORKER), (words, each)),)


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
    if text.kind == "jsonl":
        share = min(1.0, 0.25 + 0.75 * text.bytes / _JSONL_CHUNK)
        return round(share * _JSONL_LOADING), round(share * _JSONL_KEPT)
    if text.kind == "csv":
        first = min(1.0, _CSV_ROWS / max(1, text.documents.count)) * text.bytes
        second = min(first, text.bytes - first)
        most = max(_CSV_PER_BYTE * first, _CSV_PER_BYTE * second + first)
        return round(_CSV_START + most), _CSV_KEPT
    of_all = _GROUPS_START + _GROUPS_PER_BYTE * min(text.bytes, _GROUPS_MOST)
    most = round(max(_GROUP_START + _GROUP_PER_BYTE * row_group(text, options), of_all * min(1.0, text.bytes / 8e6)))
    return most, round(_LOADING_KEPT * most)


def row_group(text: Text, options: Options) -> float:
    """Bytes of text in the largest row group."""
    rows = text.row_group_rows or options.row_group_rows
    return min(1.0, rows / max(1, text.documents.count)) * text.bytes


def _loading_text(text: Text) -> tuple[int, int]:
    first = min(text.read_chars, _TEXT_CHUNK)
    share = min(text.read_chars - first, _TEXT_LATER_CHUNKS * _TEXT_CHUNK) / max(1, text.read_chars)
    later = share * (text.documents.str_bytes + text.documents.copy_bytes)
    width = text.chunk_width or text.width
    most = first * (_TEXT_PER_CHAR + _TEXT_PER_WIDTH * width) + _TEXT_LATER * later
    kept = _TEXT_KEPT + _TEXT_KEPT_PER_WIDTH * width + _TEXT_KEPT_LATER * later
    return round(most), round(min(most, kept))


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
    return (
        step("readlines", python, strs),
        step("from_dict", *held, ("what it needs meanwhile", _FROM_DICT)),
        step(
            "map", *held, ("the parent of map", MAP_PARENT + MAP_IN_MEMORY), mapping(text, costs, options, text.bytes)
        ),
    )


def mapping(text: Text, costs: Costs, options: Options, table: int) -> tuple[str, int]:
    """Workers of map: 1,000 rows of ids as Python lists are held, then written as an int64 array, which is made in a
    buffer that doubles. A `table` of so many bytes in memory comes to each of them as a pickle."""
    workers, documents = max(1, options.workers), max(1, text.documents.count)
    dense = _DENSEST_ROWS * (text.peak_density - 1) * min(_MAP_WRITER_ROWS, documents)
    lists = _share(workers * _MAP_WRITER_ROWS + dense, documents) * list_bytes(text.tokens, text.heap_ints, costs)
    # As many workers as there are cores write at the same time.
    writing = min(workers, max(1, options.cores)) * _MAP_WRITER_ROWS + dense
    arrays = _share(writing, documents) * 2 * 8 * text.tokens
    words = f"{_workers(workers)} with up to {_MAP_WRITER_ROWS:,} rows of ids each"
    if not table:
        return words, round(workers * _MAP_WORKER + lists + arrays)
    # A byte less for every byte beyond the threshold: so the sum of all never falls.
    kept = max(0, min(table, 2 * MMAP_THRESHOLD_MAX - table))
    pickles = (workers + _PICKLES_UNDER_WAY) * table + (workers * _PICKLE_WORKER + _PICKLE_PARENT) * kept
    size = workers * _TABLE_WORKER + pickles + _TABLE_TOGETHER * (lists + arrays)
    return f"{words}, and the pickled table", round(size)


def _share(rows: float, documents: int) -> float:
    return min(1.0, rows / documents)
