"""dataset_of: a Hugging Face Dataset whose texts are in a file from the start."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from memguard.dropin.spill import choose_directory
from memguard.dropin.texts import TextList

__all__ = ["dataset_of"]

_ROWS = 1000  # of a batch, as datasets writes them; fewer where these have more than
_CHARACTERS = 1 << 22


def dataset_of(mapping: Mapping[str, Any], features: Any = None, info: Any = None, split: Any = None) -> Any:
    """datasets.Dataset.from_dict(mapping, features, info, split), with the columns in an Arrow file that is mapped.

    The rows, the columns' types and what is made of them (train_test_split with a seed, map) are the same. Its
    fingerprint, and with it the names of cached files, are not; what map() makes lies beside it. The file has a name,
    since worker processes open it by that; it is in a directory of $MEMGUARD_SPILL_DIR, else /var/tmp, which is removed
    when this process ends.

    Only columns that are a TextList of strs (None among them) are written piece by piece. With `features`, `info`, or
    without such a column, it is from_dict itself.
    """
    from datasets import Dataset

    texts = {name: column for name, column in mapping.items() if isinstance(column, TextList) and _is_text(column)}
    lengths = {len(column) for column in mapping.values()} if texts else set()
    if features is not None or info is not None or len(lengths) != 1:
        whole = {name: list(c) if isinstance(c, TextList) else c for name, c in mapping.items()}
        return Dataset.from_dict(whole, features=features, info=info, split=split)
    return Dataset.from_file(_written(mapping, texts), split=split)


def _is_text(column: TextList) -> bool:
    """One str at least, and else None: other values have other types, or none, in a column."""
    kinds = {type(item) for item in column}
    return str in kinds and kinds <= {str, type(None)}


def _written(mapping: Mapping[str, Any], texts: dict[str, TextList]) -> str:
    """The path of the file."""
    import pyarrow as pa
    from datasets import Dataset, Features, Value

    others = {name: list(c) if isinstance(c, TextList) else c for name, c in mapping.items() if name not in texts}
    rest = Dataset.from_dict(others) if others else None
    types = {name: Value("string") if rest is None or name in texts else rest.features[name] for name in mapping}
    schema = Features(types).arrow_schema
    table = None if rest is None else rest.data.table
    path = os.path.join(_directory(), "data.arrow")
    with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        at = 0
        for columns in _batches(texts):
            number = len(next(iter(columns.values())))
            part = None if table is None else table.slice(at, number)
            arrays = [
                pa.array(columns[name], pa.string()) if part is None or name in columns else part.column(name)
                for name in mapping
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            at += number
    return path


def _batches(texts: dict[str, TextList]) -> Iterator[dict[str, list[Any]]]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in zip(*texts.values(), strict=True):
        rows.append(row)
        size += sum(len(text) for text in row if text)
        if len(rows) == _ROWS or size >= _CHARACTERS:
            yield dict(zip(texts, map(list, zip(*rows, strict=True)), strict=True))
            rows, size = [], 0
    if rows:
        yield dict(zip(texts, map(list, zip(*rows, strict=True)), strict=True))


def _directory() -> str:
    path = tempfile.mkdtemp(prefix=".memguard-dataset-", dir=choose_directory(named=True))
    atexit.register(_remove, path, os.getpid())
    return path


def _remove(path: str, pid: int) -> None:
    """In the process that has made it: a forked one may end before."""
    if os.getpid() == pid:
        shutil.rmtree(path, ignore_errors=True)
