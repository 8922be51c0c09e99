"""Methods of texts, lists and arrays: what grows, what is copied, what is only looked at. Pure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from memguard.script.interpreter import calls as script_calls
from memguard.script.models.libraries import item_size, make_array
from memguard.script.operations import elements as script_members
from memguard.script.operations import growth as script_lists
from memguard.script.state import Extra
from memguard.script.values import (
    UNKNOWN,
    Constant,
    Data,
    File,
    Generator,
    Path,
    Record,
    Sequence,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["constant", "data", "decode", "sequence"]

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


def data(reader: Evaluator, owner: Data, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if owner.kind in ("text", "bytes", "char"):
        return _text(reader, owner, name, args, kwargs, node)
    if owner.kind in ("array", "view", "token"):
        return _array(reader, owner, name, args, kwargs, node)
    return _list(reader, owner, name, args, kwargs, node)


def _text(reader: Evaluator, data: Data, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    state = reader.state
    if data.kind == "char":
        return data
    if name == "decode":
        return decode(reader, data, node)
    if name == "encode":
        return _new(reader, "bytes", data, node, "encode to bytes")
    if name in ("strip", "lstrip", "rstrip") and not data.portion.is_whole:
        return data
    if name in _TEXT_COPIES:
        return _new(reader, data.kind, data, node, "copy")
    if name in ("splitlines", "split", "rsplit", "partition"):
        separator = args[0].value if args and isinstance(args[0], Constant) else None
        if name == "partition":
            return Sequence([data, data, data])
        words = name != "splitlines" and not (
            isinstance(separator, (str, bytes)) and len(separator.strip()) == 0 and separator[-1:] in ("\n", b"\n")
        )
        words = words and not (isinstance(separator, str) and len(separator) > 2)
        kind = "words" if words and data.portion.is_whole else "strings"
        result = _new(reader, kind, data, node, "split")
        result.origin = "lines"
        return result
    if name in ("extend", "append") and data.kind == "bytes":  # bytearray
        for value in args[:1]:
            if isinstance(value, Data):
                state.grow(data, state.site(node), value.portion, node)
                state.note(node, "extend", state.label_of(data))
        return UNKNOWN
    if name == "clear":
        script_lists.clear(reader, data, node)
    return UNKNOWN


def decode(reader: Evaluator, data: Data, node: ast.AST) -> Any:
    state = reader.state
    result = state.make("text", node, data.portion)
    state.temps.append(result)
    state.note(node, "decode", "", (Extra("the text while it is decoded", "decode", data.portion, state.copies),))
    return result


def _new(reader: Evaluator, kind: str, data: Data, node: ast.AST, what: str) -> Data:
    result = reader.state.make(kind, node, data.portion)
    reader.state.temps.append(result)
    reader.state.note(node, what, reader.state.label_of(data))
    return result


def _array(reader: Evaluator, data: Data, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    state = reader.state
    if name == "astype":
        result = make_array(
            reader, data, item_size(args[0] if args else kwargs.get("dtype"), data.item), node, "astype"
        )
        if any(data is wide for wide in state.facts.get("int64", ())):
            state.facts["narrowed"] = True
        return result
    if name in ("extend", "fromlist", "append", "frombytes"):  # array.array
        value = args[0] if args else UNKNOWN
        script_lists.extend(reader, data, value, node)
        return UNKNOWN
    if name == "tolist":
        result = state.make_ids(node, data.portion)
        state.temps.append(result)
        state.note(node, "tolist", state.label_of(data))
        return result
    if name == "tobytes":
        return make_array(reader, data, data.item, node, "tobytes")
    if name in ("to", "type", "long", "int", "short", "int32", "int64", "uint16"):
        return make_array(reader, data, item_size(args[0] if args else Constant(name), data.item), node, "astype")
    if name in _ARRAY_COPIES:
        return make_array(reader, data, data.item, node, "copy")
    if name in _ARRAY_VIEWS:
        return Data("view", dict(data.parts), data.birth, data.line, data.item, refs=[data], of=data)
    if name == "clear":
        script_lists.clear(reader, data, node)
    if name in ("tofile", "flush"):
        state.note(node, "write", state.label_of(data))
    return UNKNOWN


def _list(reader: Evaluator, data: Data, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    value = args[0] if args else UNKNOWN
    if name == "append":
        script_lists.append(reader, data, value, node)
    elif name in ("extend", "update"):
        script_lists.extend(reader, data, value, node)
    elif name in ("insert", "add", "appendleft", "put"):
        script_lists.append(reader, data, args[-1] if args else UNKNOWN, node)
    elif name == "clear":
        script_lists.clear(reader, data, node)
    elif name == "copy":
        return script_calls.call(reader, "builtins.list", [data], {}, node)
    elif name in ("pop", "popleft", "get"):
        return script_members.member(reader, data, 0, node)
    elif data.kind == "opaque":
        return script_calls.unknown(reader, [data, *args], kwargs, node)
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
        if isinstance(value, (Data, Record)):
            rest = reader.state.make("list", node)  # members known so far, and a list of what a loop adds
            rest.birth = ()
            found = next((i for i in owner.items if isinstance(i, Data) and i.origin == "appended"), None)
            target = found or rest
            target.origin = "appended"
            if found is None:
                owner.items.append(target)
            script_lists.append(reader, target, value, node)
    elif name == "extend":
        rest = next((i for i in owner.items if isinstance(i, Data) and i.origin == "appended"), None) or _rest(
            reader, owner, node
        )
        script_lists.extend(reader, rest, args[0] if args else UNKNOWN, node)
    return UNKNOWN


def _rest(reader: Evaluator, owner: Sequence, node: ast.AST) -> Data:
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
    if not isinstance(value, Data):
        return UNKNOWN
    result = state.make("text", node)
    result.parts.update(value.parts)
    state.temps.append(result)
    state.note(node, "join", state.label_of(value))
    return result
