"""Packed numbers → NumPy arrays, with the values, the dtypes and the errors that NumPy has for a list of ints.

A large array is a private mapping of a file: it may be changed as any other array, and its pages are the file's.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from memguard.dropin.packed import BLOCK, Packed
from memguard.dropin.spill import SpillFile

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["cast_array", "list_array", "memory_of"]


def memory_of(values: array[int]) -> npt.NDArray[Any]:
    """An array.array as NumPy sees it, not copied."""
    import numpy as np

    return np.asarray(memoryview(values))


def list_array(packed: Packed, start: int, stop: int, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """np.array(list, dtype): int64 where no dtype is given (float64 without any number).

    Raises what NumPy raises: OverflowError for a number outside an integer dtype (NumPy 2; NumPy 1 warns and wraps).
    """
    import numpy as np

    if start >= stop:
        return np.array([], dtype)
    wanted = np.dtype(np.int64 if dtype is None else dtype)
    if wanted.kind not in "iufb" or wanted.itemsize == 0:  # str, bytes and the like: the width follows from the numbers
        return np.array(packed.block(start, stop).tolist(), dtype)
    if wanted == packed.dtype:
        return packed.map(start, stop)
    return _converted(packed, start, stop, wanted, _checked)


def cast_array(packed: Packed, start: int, stop: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """np.array(list).astype(dtype): a number outside an integer dtype wraps."""
    import numpy as np

    wanted = np.dtype(dtype)
    if start >= stop or wanted.kind not in "iufb":
        return list_array(packed, start, stop).astype(dtype)
    if wanted == packed.dtype:
        return packed.map(start, stop)
    return _converted(packed, start, stop, wanted, lambda block, dtype: block.astype(np.int64).astype(dtype))


def _converted(packed: Packed, start: int, stop: int, dtype: np.dtype[Any], convert: Any) -> npt.NDArray[Any]:
    """Block by block; into a file where the array is large."""
    import numpy as np

    if stop - start <= BLOCK:
        return convert(np.frombuffer(packed.block(start, stop), packed.dtype), dtype)  # type: ignore[no-any-return]
    file = SpillFile((stop - start) * dtype.itemsize)
    for block in packed.blocks(start, stop):
        file.append(convert(np.frombuffer(block, _name(block.typecode)), dtype))
    try:
        return file.map(dtype, 0, stop - start)
    finally:
        file.close()


def _name(code: str) -> str:
    return Packed(code).dtype


def _checked(block: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    import numpy as np

    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if limits.min <= int(block.min()) and int(block.max()) <= limits.max:
            return block.astype(dtype)
    elif dtype.itemsize >= 4 and dtype.kind == "f" and block.dtype.kind == "u":
        return block.astype(dtype)  # by way of a double, which holds each of them
    return np.array(block.tolist(), dtype)  # in NumPy's own way, its errors included
