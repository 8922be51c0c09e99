"""h5py: what is written to an HDF5 file stays on the disk; a list becomes an array first."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.registry import function, nothing
from memguard.script.trace import Transient
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, Module

__all__: list[str] = []

_FILES = "h5py.File() h5py.File().create_group() h5py.File().require_group()"


@function("h5py.File")
def open_file(call: Call) -> Any:
    """A file that is written; what is read from one has no size that is known."""
    mode = call.arg(1, "mode", Constant("r"))
    writes = isinstance(mode, Constant) and isinstance(mode.value, str) and any(c in mode.value for c in "wax")
    return Module("h5py.File()") if writes else UNKNOWN


@function(" ".join(f"{owner}.create_dataset {owner}.require_dataset" for owner in _FILES.split()))
def create_dataset(call: Call) -> Any:
    """data=ids: an array of int64 while it is written; an array as it is."""
    data = call.kwargs.get("data", call.args[2] if len(call.args) > 2 else None)
    if isinstance(data, Buffer) and data.kind in ("ids", "lists", "arrays"):
        call.record("write", "", Transient("the array that is written", "int64", data.extent, call.state.copies))
    elif isinstance(data, Buffer) and data.kind not in ("array", "view", "mapped"):
        return UNKNOWN
    return Module("h5py.Dataset()")


@function(
    " ".join(f"{owner}.create_group {owner}.require_group" for owner in _FILES.split()), frees="a place in the file"
)
def create_group(call: Call) -> Any:
    return Module("h5py.File()")


@function("h5py.File().close h5py.File().flush h5py.File().attrs.*", frees="written to the file")
@function("h5py.Dataset().resize h5py.Dataset().flush h5py.Dataset().attrs.*", frees="on the disk")
def written(call: Call) -> Any:
    return NOTHING


function("h5py.string_dtype h5py.special_dtype h5py.vlen_dtype")(nothing("a type"))
