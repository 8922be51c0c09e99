"""Plans that read a Parquet column through polars or DuckDB. Pure; see text.py. A constant that is a fit says so."""

from __future__ import annotations

from memguard.estimate.plans.costs import Costs
from memguard.estimate.plans.quantities import (
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
from memguard.units import MIB

__all__ = ["duckdb_batches", "duckdb_list", "polars_list"]

# polars 2.1: the buffers of scan_parquet(f).select(column).collect(), and the frame. A fit to 6, 10 and 20 MB, English
# and 20 languages: 29.8, 34.7 and 53.4 MiB beside all that is named.
_POLARS_START = 18 * MIB
_POLARS_PER_BYTE = 1.85
# DuckDB 2.0 reads a row group at a time, and makes rows of its own vectors. A fit to the same texts: 32 to 46 MiB
# with fetchall, 52 to 61 with fetchmany(1000), whatever the size.
_DUCKDB_ALL = 40 * MIB
_DUCKDB_SOME = 54 * MIB
_ROW = 64  # a tuple with one entry, the garbage collector's head included


def polars_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """scan_parquet(f).select("text").collect()["text"].to_list(): the frame stays beside the strs."""
    del options
    frame = "polars' buffers and the frame", round(_POLARS_START + _POLARS_PER_BYTE * text.bytes)
    return _listing(text, costs, "polars", frame, ("collect", "to_list"), 0)


def duckdb_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """fetchall(): a tuple for every row, of a str."""
    del options
    return _listing(text, costs, "duckdb", ("DuckDB's vectors and buffers", _DUCKDB_ALL), ("execute", "fetchall"), _ROW)


def _listing(
    text: Text, costs: Costs, library: str, engine: tuple[str, int], names: tuple[str, str], row: int
) -> tuple[Step, ...]:
    documents = text.documents
    strs = "the list of texts", documents.str_bytes + (costs.list_slot + row) * documents.count
    copies = "tiktoken's UTF-8 copies in them", documents.copy_bytes
    size = list_bytes(text.tokens, text.heap_ints, costs)
    ids = list_words("one list of all ids", text.tokens, size), size
    python = python_part(costs, library)
    return (
        load_step(costs, library),
        step(names[0], python, engine),
        step(names[1], python, engine, strs),
        step("encode", python, engine, strs, copies, ids),
        step("np.array", python, engine, strs, copies, ids, array_part(text, text.tokens)),
    )


def duckdb_batches(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """fetchmany(rows) in a loop, each batch written out: two batches of rows, the next one beside the last."""
    documents = text.documents
    share = min(1.0, options.batch_rows / max(1, documents.count))
    tokens, heap_ints = round(text.tokens * share), round(text.heap_ints * share)
    size = list_bytes(tokens, heap_ints, costs)
    rows = documents.str_bytes + documents.copy_bytes + (costs.list_slot + _ROW) * documents.count
    held = (
        python_part(costs, "duckdb"),
        ("DuckDB's vectors and buffers", _DUCKDB_SOME),
        ("two batches of rows", round(min(1.0, 2 * share) * rows)),
        (list_words("a list of the ids of one", tokens, size), size),
    )
    return load_step(costs, "duckdb"), step("np.array", *held, array_part(text, tokens))
