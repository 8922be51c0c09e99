"""Plans with several processes, and those that read through pyarrow or Hugging Face datasets. Pure; see plans_text.py.

A step's bytes are the anonymous memory of the whole tree: RSS counts what fork shares once for every process, and what
is mapped from Arrow's cache files can be dropped by the kernel at any time. Where a constant is a fit, it says so.
"""

from __future__ import annotations

from memguard.estimate.costs import RUST_ID, Costs
from memguard.estimate.terms import (
    Options,
    Text,
    array_part,
    list_bytes,
    list_words,
    load_step,
    python_part,
    step,
)
from memguard.records.estimate import Step
from memguard.units import MIB, format_size

__all__ = ["datasets_map", "from_dict_map", "iter_batches", "parquet_list", "pool_files", "pool_shard"]

# pyarrow decoding a column: buffers of its threads, and what its memory pool keeps of pages, column chunk and table.
# Fits of parquet_list to 20 and 40 MB of English and 20 MB of 20 languages: 104, 166 and 104 MB beside strs and lists.
_PARQUET_START = 40 * MIB
_PARQUET_PER_BYTE = 3.1
# The same for one row group at a time; fitted to 20 and 40 MB: 54, 68 and 78 MB.
_BATCHES_START = 34 * MIB
_BATCHES_PER_BYTE = 1.2

# load_dataset turns any input into an Arrow file first. Beside the library itself it took, for text 155, 200 to 226 and
# 240 MB (20, 40, 80 MB of it), for JSONL 121 and 141 (20, 80), for Parquet 77, 137 and 254 with one row group and 100
# for 80 MB in small ones: start, per byte, up to so many bytes, per byte of a row group.
_LOADING = {
    "text": (86e6, 3.5, 44_000_000, 0.0),
    "jsonl": (115e6, 0.35, 80_000_000, 0.0),
    "parquet": (18e6, 0.95, 80_000_000, 2.0),
}
# What pyarrow's pool still keeps of it afterwards: between 63 and 100 %.
_LOADING_KEPT = 0.85

# A worker of a Pool, forked: pages of the parent that it writes to (reference counts), its own heap and arena.
_WORKER = 6 * MIB
# The same where it also has a heap that grows and shrinks with every file.
_FILE_WORKER = 10 * MIB
# Of its peak, what a worker holds at any moment; those beyond the cores are seldom at theirs together. A fit to four
# workers on two cores.
_WAITING = 0.55
# A process of Dataset.map: the same with the whole of datasets imported, and dill's copy of the function.
_MAP_WORKER = 30 * MIB
# The parent of map: queues, progress and the tables that it reads back.
_MAP_PARENT = 40 * MIB
# The same where the dataset is in memory and not in a file: it goes through a pickle to every process.
_MAP_PICKLING = 124 * MIB
_MAP_WRITER_ROWS = 1000  # writer_batch_size of Dataset.map


def parquet_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """pd.read_parquet(f)["text"].tolist(), or pyarrow's to_pylist: measured to be the same within 1 %."""
    del options
    documents = text.documents
    table = "pyarrow's buffers and the table", round(_PARQUET_START + _PARQUET_PER_BYTE * text.bytes)
    strs = "the list of texts", documents.str_bytes + costs.list_slot * documents.count
    copies = "tiktoken's UTF-8 copies in them", documents.copy_bytes
    size = list_bytes(text.tokens, text.boxed, costs)
    ids = list_words("one list of all ids", text.tokens, size), size
    python = python_part(costs, "pandas")
    return (
        load_step(costs, "pandas"),
        step("read_parquet", python, table),
        step("tolist", python, table, strs),
        step("encode", python, table, strs, copies, ids),
        step("np.array", python, table, strs, copies, ids, array_part(text, text.tokens)),
    )


def iter_batches(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """A batch of rows at a time; pyarrow still reads the column of a whole row group."""
    documents = text.documents
    group = min(1.0, options.row_group_rows / max(1, documents.count)) * text.bytes
    share = min(1.0, text.densest * min(options.batch_rows, options.row_group_rows) / max(1, documents.count))
    tokens, boxed = round(text.tokens * share), round(text.boxed * share)
    size = list_bytes(tokens, boxed, costs)
    row_group = "pyarrow's buffers for a row group", round(_BATCHES_START + _BATCHES_PER_BYTE * group)
    strs = "the texts of a batch", round((documents.str_bytes + documents.copy_bytes) * share)
    held = (python_part(costs, "pyarrow"), row_group, strs, (list_words("its list of ids", tokens, size), size))
    return (
        load_step(costs, "pyarrow"),
        step("iter_batches", python_part(costs, "pyarrow"), row_group),
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
    running = files[: max(1, options.cores)]
    share = (sum(running) + _WAITING * sum(files[len(running) :])) / max(1, text.bytes)
    words = f"{_workers(len(files))} with a file each, the largest {format_size(files[0])}:"
    each = _file_bytes(text, costs, share)
    return (step("encode", _anonymous(costs), ("the processes of the pool", workers * _FILE_WORKER), (words, each)),)


def _file_bytes(text: Text, costs: Costs, share: float) -> int:
    """`share` of the text at its worst: text, UTF-8 copy, list of ids, ids inside tiktoken."""
    width = text.width * text.read_chars
    copies = sum(part.utf8 for part in text.slices)
    ids = list_bytes(text.tokens, text.boxed, costs)
    return round(share * (width + copies + ids + RUST_ID * text.tokens))


def _loading(text: Text, kind: str, options: Options) -> int:
    start, per_byte, up_to, per_group = _LOADING[kind]
    group = min(1.0, options.row_group_rows / max(1, text.documents.count)) * text.bytes
    return round(start + per_byte * min(text.bytes, up_to) + per_group * group)


def pool_shard(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """Workers tokenize single documents, the parent copies their ids into one array made for a whole shard."""
    loading = _loading(text, text.kind, options)
    python = _anonymous(costs, "datasets")
    workers = max(1, options.workers)
    shard = text.item * min(text.tokens, options.shard_tokens)
    # imap hands out 16 documents at a time, and each worker has one such batch, its lists and arrays.
    batch = min(1.0, 16 / max(1, text.documents.count))
    ids = round(batch * (list_bytes(text.tokens, text.boxed, costs) + 8 * text.tokens))
    return (
        step("load_dataset", python, ("the Arrow file being made", loading)),
        step(
            "imap",
            python,
            ("what is kept of load_dataset", round(_LOADING_KEPT * loading)),
            (f"what is filled of the uint{8 * text.item} shard", shard),
            (f"{_workers(workers)} with 16 documents each", workers * (_WORKER + ids)),
        ),
    )


def datasets_map(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    loading = _loading(text, text.kind, options)
    python = _anonymous(costs, "datasets")
    kept = "what is kept of load_dataset", round(_LOADING_KEPT * loading)
    return (
        step("load_dataset", python, ("the Arrow file being made", loading)),
        step("map", python, kept, ("the parent of map", _MAP_PARENT), _mapping(text, costs, options, 0)),
    )


def from_dict_map(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """Dataset.from_dict keeps the table in memory, so every process of map gets all of it."""
    documents = text.documents
    python = _anonymous(costs, "datasets")
    strs = "the list of texts", documents.str_bytes + costs.list_slot * documents.count
    table = "the Arrow table in memory", text.bytes
    return (
        step("readlines", python, strs),
        step("from_dict", python, strs, table, ("the table while it is made", text.bytes)),
        step(
            "map",
            python,
            strs,
            table,
            ("the parent of map, pickling", _MAP_PARENT + _MAP_PICKLING),
            _mapping(text, costs, options, text.bytes),
        ),
    )


def _mapping(text: Text, costs: Costs, options: Options, table: int) -> tuple[str, int]:
    """Workers of map: 1,000 rows of ids as Python lists, then as int64 arrays, are held until they are written."""
    workers = max(1, options.workers)
    rows = min(_MAP_WRITER_ROWS, text.documents.count / workers)
    share = min(1.0, rows / max(1, text.documents.count))
    ids = share * (list_bytes(text.tokens, text.boxed, costs) + 8 * text.tokens)
    words = f"{_workers(workers)} with up to {_MAP_WRITER_ROWS:,} rows of ids each"
    return words, round(workers * (_MAP_WORKER + table + ids))
