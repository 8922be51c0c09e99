"""parquet_texts: a column of a Parquet file as a list of texts, read some rows at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from typing import IO, Any

from memguard.dropin.texts import TextList

__all__ = ["parquet_texts"]

_ROWS = 1 << 10  # of a batch
_BUFFER = 1 << 20  # bytes that are read of the file at a time
_TEXT = ("string", "large_string")  # Arrow's names


def parquet_texts(path: Any, column: str, *, dropna: bool = False) -> TextList:
    """pandas.read_parquet(path)[column].tolist(), with .dropna() before it where `dropna`: a list of strs.

    Iteration reads the file, each time, some rows at a time; len() reads its head, or with `dropna` the column once.
    Whatever else a list does copies the texts into a TextList first. What is missing is what pandas makes of it: None
    before pandas 3, then nan. Iteration raises RuntimeError once the file has changed.

    A column that is no plain text, and a path that is no file of this machine (a directory, a URL), are read by pandas,
    in full: these are its values and its errors.
    """
    file = _regular_file(path)
    if file is not None and _is_text(file, column):
        return _ParquetTexts(file, column, dropna)
    import pandas

    series = pandas.read_parquet(path, columns=[column])[column]
    return TextList((series.dropna() if dropna else series).tolist())


def _regular_file(path: Any) -> _File | None:
    if not isinstance(path, (str, os.PathLike)) or "://" in str(path) or os.path.isdir(path):
        return None
    try:
        with open(path, "rb") as file:
            return _File(file) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:  # which pandas has its own words for
        if find_spec("pandas") is None:
            raise
        return None


class _File:
    """A descriptor that is kept, so that it is the same file each time."""

    def __init__(self, file: IO[bytes]) -> None:
        self.name = file.name
        self._number = os.dup(file.fileno())
        self._stamp = self._status()
        self.closed = False

    def _status(self) -> tuple[int, int]:
        status = os.fstat(self._number)
        return status.st_size, status.st_mtime_ns

    def parquet(self) -> Any:
        import pyarrow.parquet

        self.check()
        place = f"/proc/self/fd/{self._number}"  # opened each time: readers do not share a position
        return pyarrow.parquet.ParquetFile(place if os.path.exists(place) else self.name, buffer_size=_BUFFER)

    def check(self) -> None:
        if self._status() != self._stamp:
            raise RuntimeError(
                f"{self.name} was changed after memguard had begun to read it, and its texts are still needed: "
                "write to another file, or take list(texts) before"
            )

    def close(self) -> None:
        self.closed = True
        os.close(self._number)

    def __del__(self) -> None:
        if not self.closed:
            self.close()


def _is_text(file: _File, column: str) -> bool:
    import pyarrow

    try:
        schema = file.parquet().schema_arrow
    except pyarrow.ArrowInvalid:  # pandas says what is wrong with it
        return False
    return schema.names.count(column) == 1 and str(schema.field(column).type) in _TEXT


class _ParquetTexts(TextList):
    """Until something else than iteration and len is asked for, TextList's own slots are empty."""

    __slots__ = ("_column", "_dropna", "_file", "_length")

    def __init__(self, file: _File, column: str, dropna: bool) -> None:
        self._file, self._column, self._dropna = file, column, dropna
        self._length: int | None = None

    def __getattr__(self, name: str) -> Any:
        """Of an empty slot: what is in the file fills it."""
        if name not in TextList.__slots__:
            raise AttributeError(f"'TextList' object has no attribute {name!r}")
        TextList.__init__(self, self._read())
        self._file.close()
        return object.__getattribute__(self, name)

    def __iter__(self) -> Iterator[Any]:
        at = 0
        for text in () if self._file.closed else self._read():
            yield text
            at += 1
            if self._file.closed:  # it was copied meanwhile, and may have changed since
                break
        else:
            if not self._file.closed:
                return
        while at < len(self):
            yield self[at]
            at += 1

    def __len__(self) -> int:
        if self._file.closed:
            return TextList.__len__(self)
        if self._length is None:
            self._length = self._file.parquet().metadata.num_rows
            if self._dropna:
                self._length = sum(len(column) - column.null_count for column in self._columns())
        return self._length

    def _read(self) -> Iterator[Any]:
        missing, known = None, self._dropna
        for column in self._columns():
            if column.null_count and not known:
                missing, known = _missing(self._file.parquet().schema_arrow, self._column), True
            for text in column.to_pylist():
                if text is not None:
                    yield text
                elif not self._dropna:
                    yield missing

    def _columns(self) -> Iterator[Any]:
        for batch in self._file.parquet().iter_batches(_ROWS, columns=[self._column]):
            self._file.check()
            yield batch.column(0)


def _missing(schema: Any, column: str) -> Any:
    """What pandas' tolist() gives for a missing text of a file with this schema."""
    import io
    import json

    import pyarrow
    import pyarrow.parquet

    try:
        import pandas
    except ImportError:
        return None
    metadata = dict(schema.metadata or {})
    if b"pandas" in metadata:  # the column's own dtype decides; the index is in other columns
        metadata[b"pandas"] = json.dumps({**json.loads(metadata[b"pandas"]), "index_columns": []}).encode()
    field = schema.field(column)
    one = pyarrow.Table.from_arrays([pyarrow.array([None], field.type)], schema=pyarrow.schema([field], metadata))
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(one, buffer)
    return pandas.read_parquet(buffer, columns=[column])[column].tolist()[0]
