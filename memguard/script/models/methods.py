"""Methods of files, paths, texts, lists, arrays, tokenizers, rows and pools: what a call of each gives. Pure."""

from __future__ import annotations

import ast
import os.path as paths  # its string functions alone: nothing is looked up
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memguard.script.interpreter import calls as script_calls
from memguard.script.models import argparse as script_arguments
from memguard.script.models import data_methods as script_data_methods
from memguard.script.models import tables as script_tables
from memguard.script.models.libraries import make_array
from memguard.script.numbers import number_of
from memguard.script.operations import growth as script_lists
from memguard.script.state import Transient
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Constant,
    Encoder,
    Extent,
    File,
    Generator,
    Instance,
    Method,
    Number,
    Path,
    Pool,
    Row,
    Sequence,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["call", "encode", "path_attribute"]

Args = list[Any]
Kwargs = dict[str, Any]


def call(reader: Evaluator, method: Method, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    owner, name = method.owner, method.name
    if name == "__partial__":
        function, given, named = owner.items
        more = dict(zip(named.keys or (), named.items, strict=False))
        return reader.call(function, [*given.items, *args], {**more, **kwargs}, node)
    table: tuple[tuple[type, Callable[..., Any]], ...] = (
        (File, _file),
        (Path, _path),
        (Encoder, _encoder),
        (Buffer, script_data_methods.buffer),
        (Row, script_tables.record),
        (Pool, script_tables.pool),
        (Sequence, script_data_methods.sequence),
        (Instance, script_arguments.instance),
        (Constant, script_data_methods.constant),
    )
    for kind, handler in table:
        if isinstance(owner, kind):
            return handler(reader, owner, name, args, kwargs, node)
    if isinstance(owner, Number):
        return owner
    return script_calls.unknown(reader, [owner, *args], kwargs, node)


# -- files and paths ------------------------------------------------------------------------------------------


def _file(reader: Evaluator, file: File, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    state = reader.state
    if name in ("read", "readinto", "read1"):
        size = args[0] if args else kwargs.get("size")
        amount = number_of(size)
        if size is None or (amount is not None and amount < 0) or (isinstance(size, Constant) and not size.value):
            return script_calls.read_all(reader, file, node)
        if amount is None:
            state.not_understood(node)  # a chunk of unknown size may be everything
            return script_calls.read_all(reader, file, node)
        return _read_chunk(reader, file, "bytes" if file.binary else "chars", amount, node)
    if name == "readline":
        return _read_chunk(reader, file, "lines", 1, node)
    if name == "readlines":
        if args and number_of(args[0]) is not None:
            piece = _read_chunk(reader, file, "bytes", number_of(args[0]) or 0, node)
            piece.kind = "strings"
            return piece
        lines = state.make("strings", node, file.extent, origin="lines")
        state.temps.append(lines)
        state.record_moment(node, "readlines")
        return lines
    if name == "iter_batches":
        from memguard.script.models.libraries import _batches

        rows = number_of(kwargs.get("batch_size", args[0] if args else None))
        return _batches(reader, file, rows or 65536.0, node)
    if name == "read_row_group":
        return Row(_next_piece(reader, file, "lines", 1_000_000), "parquet")
    if name in ("write", "writelines"):
        for value in args:
            if isinstance(value, Generator):
                value.run(lambda element: None)
        return UNKNOWN
    return UNKNOWN


def _next_piece(reader: Evaluator, file: File, unit: str, amount: float) -> Extent:
    """A piece of `file`: each iteration of the outermost loop since it was opened reads the next one."""
    loops = reader.state.new_loops(file.created_in)
    for loop in loops[:1]:
        info = reader.state.loop_info[loop]
        reader.state.loop_info[loop] = replace(info, consumes_input=True)
    return file.extent.window(loops[0] if loops else 0, unit, amount)


def _read_chunk(reader: Evaluator, file: File, unit: str, amount: float, node: ast.AST) -> Buffer:
    extent = _next_piece(reader, file, unit, amount)
    state = reader.state
    chunk = state.make("bytes" if file.binary else "text", node, extent)
    state.temps.append(chunk)
    state.facts.setdefault("chunks", []).append((unit, amount))
    state.record_moment(node, "read", "", (Transient("the piece being decoded", "bytes", extent, state.copies),))
    return chunk


def path_attribute(path: Path, name: str) -> Any:
    if name == "parent":
        return replace(path, text=paths.dirname(path.text) or ".") if path.text else Path(argument=path.argument)
    if name in ("stem", "name", "suffix"):
        return Path(paths.basename(path.text)) if path.text else Path()
    return Method(path, name)


def _path(reader: Evaluator, path: Path, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if name == "open":
        mode = kwargs.get("mode", args[0] if args else None)
        return script_calls.open_file(reader, path, mode, "text")
    if name in ("read_text", "read_bytes"):
        mode = Constant("rb" if name == "read_bytes" else "r")
        return script_calls.read_all(reader, script_calls.open_file(reader, path, mode, "text"), node)
    if name in ("glob", "rglob", "iterdir"):
        return replace(path, text=None, many=True)
    if name == "joinpath":
        return script_calls.joined_path([path, *args])
    if name in ("exists", "is_file", "is_dir"):
        return Constant(True)
    if name in ("resolve", "absolute", "expanduser", "as_posix"):
        return path
    if name in ("with_suffix", "with_name", "with_stem", "replace", "rstrip", "split", "format", "strip"):
        return Path()
    return UNKNOWN


# -- tokenizers -----------------------------------------------------------------------------------------------


def _encoder(reader: Evaluator, encoder: Encoder, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    value = args[0] if args else kwargs.get("text", UNKNOWN)
    if name in ("encode", "encode_ordinary", "encode_to_numpy", "tokenize", "EncodeAsIds", "encode_as_ids"):
        result = encode(reader, value, node, tiktoken=encoder.library == "tiktoken")
        if name == "encode_to_numpy" and isinstance(result, Buffer):
            return make_array(reader, result, 4, node)
        return result
    if "batch" in name:
        return _encode_batch(reader, value, node)
    if name == "__call__":
        ids = encode(reader, value, node, tiktoken=False)
        return Row(ids.extent, "json", {"input_ids": ids}) if isinstance(ids, Buffer) else UNKNOWN
    if name.startswith(("from_", "get_", "load", "Load", "train", "__init__")):
        return encoder
    if name == "decode":
        return UNKNOWN
    return UNKNOWN


def encode(reader: Evaluator, value: Any, node: ast.AST, *, tiktoken: bool = True) -> Any:
    """A list of ids. tiktoken keeps them in a Vec of its own meanwhile, and a UTF-8 copy in a str that is not ASCII."""
    state = reader.state
    if isinstance(value, Row):
        value = state.make("text", node, value.extent)
    if not isinstance(value, Buffer):
        # Something unknown inside a loop over the input may be a piece of it.
        return state.make("list", node) if not state.new_loops(()) else _unknown_ids(reader, node)
    result = state.make_ids(node, value.extent)
    if len(value.parts) > 1:
        result.parts.clear()
        result.parts.update(value.parts)
    result.source = value
    state.temps.append(result)
    transients = []
    if tiktoken:
        if value.kind in ("text", "opaque"):
            value.mark_encoded()
        transients = [Transient("ids inside tiktoken", "rust", value.extent, state.copies)]
    state.record_moment(node, "encode", state.label_of(value), transients)
    if any(part.is_whole for part in value.parts.values()):
        state.facts["encoded_whole"] = True
    return result


def _unknown_ids(reader: Evaluator, node: ast.AST) -> Any:
    reader.state.not_understood(node)
    return reader.state.make_ids(node, Extent())


def _encode_batch(reader: Evaluator, value: Any, node: ast.AST) -> Any:
    """A list of lists; the texts of the batch all get their UTF-8 copy."""
    state = reader.state
    if isinstance(value, Generator):
        texts = state.make("list", node)
        state.temps.append(texts)
        reader.iterate(value, lambda element: script_lists.append(reader, texts, element, node), node)
        value = texts
    if not isinstance(value, Buffer):
        return encode(reader, value, node)
    value.mark_encoded()
    result = state.make("lists", node, value.extent)
    result.pieces.update(value.pieces)
    result.source = value
    result.refs.append(script_lists.new_ints(reader, result, node))
    state.temps.append(result)
    transients = Transient("the futures of tiktoken's threads", "futures", value.extent, state.copies)
    state.record_moment(node, "encode", state.label_of(value), (transients,))
    return result
