"""mmap: a file in memory that the kernel takes back when it needs the room; a slice of it is a copy."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.inputs import next_piece
from memguard.script.registry import function, method, nothing
from memguard.script.values import NOTHING, Buffer, File

__all__: list[str] = []


@function("mmap.mmap", frees="the number of a file")
def mapped_file(call: Call) -> Any:
    file = call.arg(0, "fileno")
    if not isinstance(file, File):
        return NOTHING  # anonymous, or of a file that is not known to be read
    return call.state.make("mapped", call.node, file.extent, origin="mmap", item=1, file_item=1)


@method("mapped", "read")
def read(call: Call) -> Any:
    mapped, amount = call.owner, call.number("n", 0)
    if amount is None and call.args:
        call.state.not_understood(call.node)
    file = File(None, mapped.extent, True, False, mapped.created_in)
    extent = mapped.extent if amount is None else next_piece(call.interpreter, file, "bytes", amount)
    return _copied(call, extent)


@method("mapped", "readline")
def read_line(call: Call) -> Any:
    mapped = call.owner
    file = File(None, mapped.extent, True, False, mapped.created_in)
    return _copied(call, next_piece(call.interpreter, file, "lines", 1))


def _copied(call: Call, extent: Any) -> Buffer:
    result = call.hold("bytes", extent)
    call.record("read")
    return result


method("mapped", "close flush seek tell find rfind madvise move write write_byte read_byte")(
    nothing("a position, or bytes that are in the file")
)
