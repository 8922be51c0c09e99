"""open() and files: reading all, a piece, a line; what is written is on the disk. gzip, bz2, lzma and zstandard too."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.numbers import number_of
from memguard.script.operations.inputs import next_piece, open_file, read_all, read_piece
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, File, Generator, Module, Path, Row

__all__: list[str] = []


@function("builtins.open io.open codecs.open", frees="the path of a file")
def opened(call: Call) -> File:
    return open_file(call.interpreter, call.arg(0, "file"), call.arg(1, "mode", None))


@function(
    "gzip.open bz2.open lzma.open zstandard.open gzip.GzipFile bz2.BZ2File lzma.LZMAFile", frees="the path of a file"
)
def opened_compressed(call: Call) -> File:
    mode = call.arg(1, "mode", None)
    file = open_file(call.interpreter, call.arg(0, "filename"), mode, "compressed")
    text = mode.value if isinstance(mode, Constant) else ""
    return File(file.path, file.extent, "t" not in str(text), file.write, file.created_in, "compressed")


@function("os.open", frees="the path of a file")
def opened_descriptor(call: Call) -> File:
    """Flags that are not known to write read."""
    flags = call.arg(1, "flags")
    writes = isinstance(flags, Module) and flags.name in ("os.O_WRONLY", "os.O_CREAT", "os.O_APPEND")
    return open_file(call.interpreter, call.arg(0, "path"), Constant("wb" if writes else "rb"))


@function("os.fdopen io.TextIOWrapper io.BufferedReader")
def reopened(call: Call) -> Any:
    return call.arg(0) if isinstance(call.arg(0), File) else UNKNOWN


@function("os.read os.pread")
def read_descriptor(call: Call) -> Any:
    file = call.arg(0, "fd")
    return _read(call, file, call.number("n", 1)) if isinstance(file, File) else UNKNOWN


@method(File, "read readinto read1")
def read(call: Call) -> Any:
    size = call.arg(0, "size", None)
    if size is None and call.owner.format == "lazy" and not call.owner.binary:
        lazy = call.hold("lazy", call.owner.extent)
        call.record("read")
        return lazy
    if size is None or (isinstance(size, Constant) and not size.value):
        return read_all(call.interpreter, call.owner, call.node)
    return _read(call, call.owner, number_of(size))


def _read(call: Call, file: File, amount: float | None) -> Buffer:
    if amount is None:
        call.state.not_understood(call.node)  # a chunk of unknown size may be everything
    if amount is None or amount < 0:
        return read_all(call.interpreter, file, call.node)
    return read_piece(call.interpreter, file, "bytes" if file.binary else "chars", amount, call.node)


@method(File, "readline")
def read_line(call: Call) -> Any:
    return read_piece(call.interpreter, call.owner, "lines", 1, call.node)


@method(File, "readlines")
def read_lines(call: Call) -> Any:
    hint = call.number("hint", 0)
    if hint is not None:
        piece = read_piece(call.interpreter, call.owner, "bytes", hint or 0, call.node)
        piece.kind = "strings"
        return piece
    lines = call.hold("strings", call.owner.extent, origin="lines")
    call.record("readlines")
    return lines


@method(File, "read_row_group")
def row_group(call: Call) -> Any:
    extent = next_piece(call.interpreter, call.owner, "groups", 1)
    return Row(extent, "parquet", refs=[call.hold("table", extent, origin="batches")])


@method(File, "fileno detach buffer")
def descriptor(call: Call) -> Any:
    return call.owner


@attribute(File, "buffer raw")
def underlying(call: Call) -> Any:
    file = call.owner
    return File(file.path, file.extent, True, file.write, file.created_in, file.format)


@method(File, "write")
def written(call: Call) -> Any:
    """A text becomes bytes before it is written: Modules/_io/textio.c, _textiowrapper_writeflush."""
    text = call.arg(0, "text")
    if isinstance(text, Buffer) and text.kind in ("text", "digits") and not call.owner.binary:
        words = "the text as bytes while it is written"
        call.record("write", "", *(Transient(words, "bytes", part, call.state.copies) for part in text.joined_parts))
    return Constant(None)


method(File, "writelines")(nothing("what is written is in the file", runs=True))
method(File, "tell seek truncate")(nothing("a position"))
method(File, "close flush isatty readable writable seekable __exit__")(nothing("the file stays on the disk"))
method(File, "schema* metadata num_row_groups")(nothing("the head of the file"))


# -- sys.stdin, sys.stdout --------------------------------------------------------------------------------------------


@function("sys.stdin.*")
def standard_input(call: Call) -> Any:
    file = File(Path("-"), Extent("-"), ".buffer" in call.name, False, ())
    call.state.sources.setdefault("-")
    method_name = call.name.rpartition(".")[2]
    return call.interpreter.call(
        call.interpreter.attribute(file, method_name, call.node), call.args, call.kwargs, call.node
    )


function("sys.stdout.* sys.stderr.*")(nothing("what is shown is let go", runs=True))


# -- files in memory --------------------------------------------------------------------------------------------------


@function("io.StringIO io.BytesIO")
def memory_file(call: Call) -> Any:
    """A buffer that grows by what is written to it."""
    result = call.state.make("text" if call.name.endswith("StringIO") else "bytes", call.node)
    value = call.arg(0)
    if isinstance(value, Buffer):
        result.parts.update(value.parts)
    elif call.reaches():
        return UNKNOWN
    return result


@method("bytes text", "write")
def write_to_memory(call: Call) -> Any:
    buffer, value = call.owner, call.arg(0)
    if isinstance(value, Generator):
        return UNKNOWN
    if isinstance(value, Buffer):
        call.state.grow(buffer, call.state.site(call.node), value.extent, call.node)
        step = call.state.record_moment(call.node, "extend", call.state.label_of(buffer))
        call.state.comes_from(buffer, step)
    elif call.reaches(value):
        return UNKNOWN
    return NOTHING


@method("bytes text", "getvalue getbuffer")
def value_of_memory(call: Call) -> Any:
    result = call.hold(call.owner.kind)
    result.parts.update(call.owner.parts)
    call.record("copy", call.state.label_of(call.owner))
    return result


method("bytes text", "seek tell close flush truncate")(nothing("a position in a file that is in memory"))
