"""numpy: files that are read, mapped or written."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.arrays import item_size, make_array
from memguard.script.operations.inputs import open_file
from memguard.script.registry import function
from memguard.script.values import NOTHING, Buffer, Constant, File

__all__: list[str] = []


@function("numpy.fromfile")
def from_file(call: Call) -> Any:
    """All the bytes of a file, as elements of the width that dtype says; float64 by default."""
    file = open_file(call.interpreter, call.arg(0, "file"), Constant("rb"))
    return _read_file(call, file, item_size(call.arg(1, "dtype", None), 8))


def _read_file(call: Call, file: File, item: int) -> Buffer:
    result = call.hold("array", file.extent, item=item, file_item=item)
    call.record("read")
    return result


@function("numpy.load")
def load(call: Call) -> Any:
    """The whole array, unless it is mapped: then the kernel takes the pages back."""
    file = open_file(call.interpreter, call.arg(0, "file"), Constant("rb"))
    if isinstance(call.arg(1, "mmap_mode", Constant(None)), Constant) and call.text(1, "mmap_mode") is None:
        return _read_file(call, file, 2)  # as wide in memory as in the file, whatever that is
    return call.state.make("mapped", call.node, file.extent, item=2, file_item=2)


@function("numpy.memmap numpy.lib.format.open_memmap", frees="the path of a file")
def mapped(call: Call) -> Any:
    """Pages that the kernel takes back. What is written through it has no elements of the input to be copied from."""
    mode = call.text(2, "mode") or "r+"
    if "w" in mode:
        return NOTHING
    path = call.arg(0, "filename")
    item = item_size(call.arg(1, "dtype", None), 1)
    return call.state.make("mapped", call.node, open_file(call.interpreter, path).extent, item=item, file_item=item)


@function("numpy.loadtxt numpy.genfromtxt")
def load_text(call: Call) -> Any:
    """As many float64 as the file has numbers: at most one for two of its bytes."""
    file = open_file(call.interpreter, call.arg(0, "fname"), Constant("rb"))
    result = call.hold("array", file.extent, item=8, file_item=2)
    call.record("read")
    return result


@function("numpy.save numpy.savez numpy.savez_compressed numpy.savetxt", frees="written from arrays")
def saved(call: Call) -> Any:
    """Written from arrays themselves; of lists an array is made first."""
    for value in [*call.args[1:], *call.kwargs.values()]:
        if isinstance(value, Buffer) and value.kind in ("ids", "lists", "chars", "objects"):
            make_array(call, value, 8)
    return NOTHING
