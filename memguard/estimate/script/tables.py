"""What tables cost: read by pandas, polars, pyarrow or datasets, held, copied, written. Pure; sizes are bytes.

Measured with pandas 3.1 (str columns are Arrow's), polars 2.1, pyarrow 26, datasets 5.2 on CPython 3.11: seven inputs
of 20 to 80 MB in each form, beside what the imports take. `python -m tests.bench columns` measures them again. pandas 2
holds strs instead of Arrow's text: a frame takes more there, what is made of its columns less; read and as a list, the
same for CSV, 6 % less for Parquet, 28 % less for JSON lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memguard.estimate.plans import pools as plans_pools
from memguard.estimate.plans.quantities import Options
from memguard.estimate.script.amounts import Piece
from memguard.estimate.script.scale import Scale
from memguard.script.values import Held
from memguard.units import MIB

__all__ = ["TABLE_TRANSIENTS", "loading", "pages", "table"]


@dataclass(frozen=True, slots=True)
class _Reading:
    """Bytes at the worst moment of reading, and afterwards: a start, and so many for each byte of text."""

    start: float
    per_byte: float
    kept_start: float = -1.0  # as much as at the worst moment
    kept_per_byte: float = -1.0

    def most(self, size: float) -> float:
        return self.start + self.per_byte * size

    def kept(self, size: float) -> float:
        return self.most(size) if self.kept_start < 0 else self.kept_start + self.kept_per_byte * size


# Each within 3 % of the peaks on seven inputs. What is no row is read as Parquet.
_READING = {
    "pandas csv": _Reading(2.5 * MIB, 2.0, 6.7 * MIB, 1.0),
    "polars parquet": _Reading(22 * MIB, 1.48),
    "polars csv": _Reading(19 * MIB, 2.04),
    "polars json": _Reading(18.5 * MIB, 2.15, 19 * MIB, 1.08),
    "pyarrow csv": _Reading(23.5 * MIB, 2.07),
    "pyarrow json": _Reading(24 * MIB, 2.1),
    # The rows of one chunk of read_csv(chunksize=), and the text parser's buffers.
    "chunks": _Reading(5 * MIB, 2.0),
}
# Of pandas' JSON lines, for each byte of the file as one str, of its UTF-8 where that is not ASCII and of the texts in
# it, and for each field of each record: 17 files of 2 to 45 MB, of one to seven fields, in English, Russian and
# Chinese, are within 12 %. `python -m tests.bench records --library pandas`. What is kept is more than is seen later:
# strs that are made then fill a part of what the heap keeps.
_JSON_START, _JSON_STR, _JSON_UTF8, _JSON_TEXT, _JSON_FIELD = 11.35 * MIB, 2.5, 0.65, 5.2, 160
_JSON_KEPT_START, _JSON_KEPT_STR, _JSON_KEPT_TEXT = 20 * MIB, 0.6, 4.2
# load_dataset brings in further pages of its libraries' files: resident, but no part of a tree's own memory.
_LOADING_FILES = round(8.6 * MIB)
# What pyarrow's pool keeps differs from one run to the next.
_RUNS = {"low": -14 * MIB, "high": 14 * MIB}
# Frame.to_json makes the text in a buffer that doubles, and that into a str, and that into lines.
_TO_JSON_PER_BYTE = 6.0
# Parquet from a column of lists: an int64 for each id, in a buffer that doubles.
_LISTS_TO_ARROW = 1.35
# The same while frame["text"].apply() makes the column: 1.8 int64 for each id, less where Arrow's pool has room (0.7 to
# 1.5).
_TRIED, _TRIED_POOLED = 1.75, 1.1


def table(scale: Scale, piece: Piece, held: Held) -> float:
    """A table that was read, with what its reader keeps; a batch of one; Arrow's copy of texts."""
    origin = held.buffer.origin
    if origin == "batches":
        return plans_pools.batches(scale.text, Options()) + 2 * piece.raw
    if origin == "loaded":
        return _loading_kept(scale)
    if origin == "dataset":
        return piece.raw
    if origin == "tried as arrow":
        return (_TRIED_POOLED if scale.text.kind == "parquet" else _TRIED) * 8 * piece.tokens
    if origin == "column":
        return 0.0 if scale.text.kind == "parquet" else piece.raw
    if origin == "pandas json":
        return _pandas_json(scale, piece)[1]
    reading = _READING.get(origin)
    if reading is None:
        return plans_pools.parquet_table(scale.text, piece.raw) + _RUNS.get(scale.bound, 0)
    return reading.kept(piece.raw)


def _pandas_json(scale: Scale, piece: Piece) -> tuple[float, float]:
    """Bytes at the worst moment of reading JSON lines, and afterwards."""
    shape, rows = scale.shape.records, scale.text.documents.count * piece.share
    line, names, utf8 = (piece.text, 1.0, piece.utf8) if shape is None else (rows * shape.text, shape.names, 0.0)
    if shape is not None and not shape.ascii:
        utf8 = rows * shape.line
    most = _JSON_START + _JSON_STR * line + _JSON_UTF8 * utf8 + _JSON_TEXT * piece.raw + _JSON_FIELD * names * rows
    return most, min(most, _JSON_KEPT_START + _JSON_KEPT_STR * line + _JSON_KEPT_TEXT * piece.raw)


def pages(scale: Scale, piece: Piece, held: Held) -> float:
    """Of an Arrow file in memory, once all of it has been looked at; `item` bytes a token, else the text."""
    if scale.tree or scale.bound == "low":
        return 0.0  # the kernel takes them back when it needs them, and a tree's own memory is without them
    return held.buffer.item * piece.tokens if held.buffer.item else piece.raw


def _strs(scale: Scale, piece: Piece) -> float:
    """A str for every row, with its slot: what a column makes when it is gone through."""
    return piece.strs + scale.costs.list_slot * scale.text.documents.count * piece.share


def loading(scale: Scale) -> float:
    """What load_dataset takes beyond what it leaves."""
    most, kept = plans_pools.loading(scale.text, Options())
    return most - kept


def _loading_kept(scale: Scale) -> float:
    return plans_pools.loading(scale.text, Options())[1] + (0 if scale.tree else _LOADING_FILES)


def _reading(origin: str) -> Callable[[Scale, Piece, object], float]:
    def size(scale: Scale, piece: Piece, transient: object) -> float:
        reading = _READING[origin]
        return max(0.0, reading.most(piece.raw) - reading.kept(piece.raw))

    return size


def _reading_json(scale: Scale, piece: Piece, transient: object) -> float:
    most, kept = _pandas_json(scale, piece)
    return most - kept


def _copied_rows(scale: Scale, piece: Piece, transient: object) -> float:
    """Rows taken from a table: Arrow's pool still has the room in which Parquet was decoded."""
    return 0.0 if scale.text.kind == "parquet" else piece.raw


TABLE_TRANSIENTS: dict[str, Callable[[Scale, Piece, object], float]] = {
    "reading pandas csv": _reading("pandas csv"),
    "reading pandas json": _reading_json,
    "reading polars json": _reading("polars json"),
    "copied rows": _copied_rows,
    "strs": lambda scale, piece, transient: _strs(scale, piece),
    "frame to json": lambda scale, piece, transient: _strs(scale, piece) + _TO_JSON_PER_BYTE * piece.raw,
    "lists to arrow": lambda scale, piece, transient: _LISTS_TO_ARROW * 8 * piece.tokens,
}
"""What reading, copying and writing tables takes for a moment."""
