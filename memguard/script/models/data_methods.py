"""Methods of texts, lists and arrays: what grows, what is copied, what is only looked at. Pure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from memguard.script.interpreter import calls as script_calls
from memguard.script.models.libraries import item_size, make_array
from memguard.script.operations import elements as script_members
from memguard.script.operations import growth as script_lists
from memguard.script.state import Transient
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Constant,
    File,
    Generator,
    Path,
    Row,
    Sequence,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["buffer", "constant", "decode", "sequence"]

Args = list[Any]
Kwargs = dict[str, Any]

_TEXT_COPIES_WORDS = (
    "lower upper strip lstrip rstrip replace casefold title capitalize swapcase translate expandtabs "
    "removeprefix removesuffix zfill format"
)
_TEXT_COPIES = frozenset(_TEXT_COPIES_WORDS.split())
_ARRAY_COPIES_WORDS = "copy flatten numpy cpu contiguous sort argsort repeat"
_ARRAY_COPIES = frozenset(_ARRAY_COPIES_WORDS.split())
_ARRAY_VIEWS_WORDS = "reshape ravel view squeeze detach transpose"
_ARRAY_VIEWS = frozenset(_ARRAY_VIEWS_WORDS.split())


def buffer(reader: Evaluator, owner: Buffer, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if owner.kind in ("text", "bytes", "char"):
        return _text(reader, owner, name, args, kwargs, node)
    if owner.kind in ("array", "view", "token"):
        return _array(reader, owner, name, args, kwargs, node)
    return _list(reader, owner, name, args, kwargs, node)


def _text(reader: Evaluator, buffer: Buffer, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    state = reader.state
    if buffer.kind == "char":
        return buffer
    if name == "decode":
        return decode(reader, buffer, node)
    if name == "encode":
        return _new(reader, "bytes", buffer, node, "encode to bytes")
    if name in ("strip", "lstrip", "rstrip") and not buffer.extent.is_whole:
        return buffer
    if name in _TEXT_COPIES:
        return _new(reader, buffer.kind, buffer, node, "copy")
    if name in ("splitlines", "split", "rsplit", "partition"):
        separator = args[0].value if args and isinstance(args[0], Constant) else None
        if name == "partition":
            return Sequence([buffer, buffer, buffer])
        words = name != "splitlines" and not (
            isinstance(separator, (str, bytes)) and len(separator.strip()) == 0 and separator[-1:] in ("\n", b"\n")
        )
        words = words and not (isinstance(separator, str) and len(separator) > 2)
        kind = "words" if words and buffer.extent.is_whole else "strings"
        result = _new(reader, kind, buffer, node, "split")
        result.origin = "lines"
        return result
    if name in ("extend", "append") and buffer.kind == "bytes":  # bytearray
        for value in args[:1]:
            if isinstance(value, Buffer):
                state.grow(buffer, state.site(node), value.extent, node)
                state.record_moment(node, "extend", state.label_of(buffer))
        return UNKNOWN
    if name == "clear":
        script_lists.clear(reader, buffer, node)
    return UNKNOWN


def decode(reader: Evaluator, buffer: Buffer, node: ast.AST) -> Any:
    state = reader.state
    result = state.make("text", node, buffer.extent)
    state.temps.append(result)
    state.record_moment(
        node, "decode", "", (Transient("the text while it is decoded", "decode", buffer.extent, state.copies),)
    )
    return result


def _new(reader: Evaluator, kind: str, buffer: Buffer, node: ast.AST, what: str) -> Buffer:
    result = reader.state.make(kind, node, buffer.extent)
    reader.state.temps.append(result)
    reader.state.record_moment(node, what, reader.state.label_of(buffer))
    return result


def _array(reader: Evaluator, buffer: Buffer, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    state = reader.state
    if name == "astype":
        result = make_array(
            reader, buffer, item_size(args[0] if args else kwargs.get("dtype"), buffer.item), node, "astype"
        )
        if any(buffer is wide for wide in state.facts.get("int64", ())):
            state.facts["narrowed"] = True
        return result
    if name in ("extend", "fromlist", "append", "frombytes"):  # array.array
        value = args[0] if args else UNKNOWN
        script_lists.extend(reader, buffer, value, node)
        return UNKNOWN
    if name == "tolist":
        result = state.make_ids(node, buffer.extent)
        state.temps.append(result)
        state.record_moment(node, "tolist", state.label_of(buffer))
        return result
    if name == "tobytes":
        return make_array(reader, buffer, buffer.item, node, "tobytes")
    if name in ("to", "type", "long", "int", "short", "int32", "int64", "uint16"):
        return make_array(reader, buffer, item_size(args[0] if args else Constant(name), buffer.item), node, "astype")
    if name in _ARRAY_COPIES:
        return make_array(reader, buffer, buffer.item, node, "copy")
    if name in _ARRAY_VIEWS:
        return Buffer("view", dict(buffer.parts), buffer.created_in, buffer.line, buffer.item, refs=[buffer], of=buffer)
    if name == "clear":
        script_lists.clear(reader, buffer, node)
    if name in ("tofile", "flush"):
        state.record_moment(node, "write", state.label_of(buffer))
    return UNKNOWN


def _list(reader: Evaluator, buffer: Buffer, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    value = args[0] if args else UNKNOWN
    if name == "append":
        script_lists.append(reader, buffer, value, node)
    elif name in ("extend", "update"):
        script_lists.extend(reader, buffer, value, node)
    elif name in ("insert", "add", "appendleft", "put"):
        script_lists.append(reader, buffer, args[-1] if args else UNKNOWN, node)
    elif name == "clear":
        script_lists.clear(reader, buffer, node)
    elif name == "copy":
        return script_calls.call(reader, "builtins.list", [buffer], {}, node)
    elif name in ("pop", "popleft", "get"):
        return script_members.member(reader, buffer, 0, node)
    elif buffer.kind == "opaque":
        return script_calls.unknown(reader, [buffer, *args], kwargs, node)
    return UNKNOWN


def sequence(reader: Evaluator, owner: Sequence, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if owner.keys is not None:
        if name == "items":
            return Sequence([Sequence([k, v]) for k, v in zip(owner.keys, owner.items, strict=False)])
        if name == "values":
            return Sequence(list(owner.items))
        if name == "keys":
            return Sequence(list(owner.keys))
        if name in ("get", "pop", "setdefault") and args:
            return script_members.member_of(reader, owner, args[0])
        return UNKNOWN
    if name in ("append", "add", "insert"):
        value = args[-1] if args else UNKNOWN
        if isinstance(value, (Buffer, Row)):
            rest = reader.state.make("list", node)  # members known so far, and a list of what a loop adds
            rest.created_in = ()
            found = next((i for i in owner.items if isinstance(i, Buffer) and i.origin == "appended"), None)
            target = found or rest
            target.origin = "appended"
            if found is None:
                owner.items.append(target)
            script_lists.append(reader, target, value, node)
    elif name == "extend":
        rest = next((i for i in owner.items if isinstance(i, Buffer) and i.origin == "appended"), None) or _rest(
            reader, owner, node
        )
        script_lists.extend(reader, rest, args[0] if args else UNKNOWN, node)
    return UNKNOWN


def _rest(reader: Evaluator, owner: Sequence, node: ast.AST) -> Buffer:
    rest = reader.state.make("list", node, origin="appended")
    owner.items.append(rest)
    return rest


def constant(reader: Evaluator, owner: Constant, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """ "".join(parts) makes one text of them; other methods of a known str are small."""
    if name != "join" or not args:
        return Path() if name in ("format", "replace", "strip", "rstrip") else UNKNOWN
    value, state = args[0], reader.state
    if isinstance(value, (Generator, File)):
        parts = state.make("list", node)
        state.temps.append(parts)
        reader.iterate(value, lambda element: script_lists.append(reader, parts, element, node), node)
        value = parts
    if not isinstance(value, Buffer):
        return UNKNOWN
    result = state.make("text", node)
    result.parts.update(value.parts)
    state.temps.append(result)
    state.record_moment(node, "join", state.label_of(value))
    return result
