"""Methods and attributes of things that are no instance of the script's own classes. Pure.

What a method does to its owner and its arguments is a use of each (`.append()`, `list.append/0`); what it gives, and
what it puts where, stands here.
"""

from __future__ import annotations

import ast

from memguard.script.flow.interface import Flow
from memguard.script.flow.values import (
    BYTES,
    INT,
    JSON,
    KEYS,
    MEMBERS,
    NONE,
    NUMBER,
    OTHER,
    STR,
    UNKNOWN,
    Entity,
    Value,
)

__all__ = ["KINDS", "attribute_of", "call_method"]

# Whose methods are known here, beside those of what a rewrite may replace.
KINDS = frozenset(
    (
        *("str", "bytes", "json", "dict", "set", "tuple", "path", "pool", "future", "iterator", "tokenizer"),
        *("called tokenizer", "int", "number", "none", "other"),
    )
)

_STR_GIVES: dict[str, Entity] = {
    **dict.fromkeys(("find", "rfind", "index", "rindex", "count", "__len__"), INT),
    **dict.fromkeys(("startswith", "endswith", "isdigit", "isspace", "isalpha", "isalnum", "isupper"), NUMBER),
    "encode": BYTES,
}
_LISTS_OF_STR = frozenset(("split", "rsplit", "splitlines"))
_TEXT_PARTS = frozenset(("strip", "lstrip", "rstrip"))
_ENCODES = frozenset(("encode", "encode_ordinary", "encode_with_unstable"))
_BATCHES = frozenset(("encode_batch", "encode_ordinary_batch"))
_INTS_OF_ENCODER = frozenset(("eot_token", "n_vocab", "max_token_value"))
_ENCODES_OTHERS = frozenset(("encode", "EncodeAsIds", "encode_as_ids", "convert_tokens_to_ids", "tokenize_ids"))
_OF_PATH = frozenset(("parent", "resolve", "absolute", "with_suffix", "with_name", "joinpath", "expanduser", "cwd"))
_ARRAY_GIVES: dict[str, Entity] = {
    **dict.fromkeys(("tofile", "sort", "fill", "put", "flush", "write", "close"), NONE),
    **dict.fromkeys(("sum", "max", "min", "mean", "std", "item", "any", "all"), NUMBER),
    **dict.fromkeys(("size", "nbytes", "ndim", "itemsize"), INT),
    "tobytes": BYTES,
    "dtype": OTHER,
}
_WORKERS_ONE = frozenset(("apply", "apply_async", "submit"))


def call_method(
    flow: Flow,
    owner: Entity,
    name: str,
    args: list[Value],
    kwargs: dict[str, Value],
    node: ast.AST,
    nodes: list[ast.AST],
) -> Value:
    """What owner.name(…) gives."""
    if owner.kind == "none":  # it raises
        return frozenset()
    flow.use(frozenset((owner,)), f".{name}()", node, getattr(getattr(node, "func", None), "value", None))
    roles = [f"{owner.kind}.{name}/{number}" for number in range(len(args))]
    roles += [f"{owner.kind}.{name}/{key}" for key in kwargs]
    quiet = owner.kind in _QUIET and name in _QUIET[owner.kind]
    for number, values in enumerate((*args, *kwargs.values())):
        at = nodes[number] if number < len(nodes) else node
        if quiet:
            flow.use(values, roles[number], node, at)
        else:
            flow.escape(values, roles[number], node, at)
    found = _GIVES.get(owner.kind, _unknown)
    return frozenset(found(flow, owner, name, [*args], kwargs, node))


# Methods that keep what they get as it is, or put it where it is followed.
_QUIET: dict[str, frozenset[str]] = {
    "list": frozenset(("append", "extend", "insert")),
    "dict": frozenset(("get", "setdefault", "pop", "update", "items", "values", "keys", "copy")),
    "pool": frozenset(
        ("map", "imap", "imap_unordered", "starmap", "map_async", "starmap_async", *_WORKERS_ONE, "close", "join")
    ),
    "iterator": frozenset(("set_description", "close", "set_postfix")),
}


def _unknown(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    return {UNKNOWN}


def _of_list(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    if name in ("append", "insert") and args:
        flow.put(owner, MEMBERS, args[-1])
    elif name == "extend" and args:
        flow.put(owner, MEMBERS, flow.members(args[0]))
    elif name == "pop":
        return set(flow.members(frozenset((owner,))))
    elif name == "copy":
        found = flow.list_of(node, "copy", flow.members(frozenset((owner,))))
        flow.made_of(found, (owner,))
        return {found}
    elif name in ("index", "count"):
        return {INT}
    return {NONE}


def _of_text(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    if owner.kind == "text" and name in _TEXT_PARTS:
        found = flow.thing("text", node, name)
    elif owner.kind == "text" and name in _LISTS_OF_STR:
        found = flow.thing("texts", node, name)
    else:
        return {_STR_GIVES.get(name, STR)}
    flow.made_of(found, (owner,))
    return {found}


def _of_str(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    if name in _LISTS_OF_STR:
        return {flow.list_of(node, name, (STR,))}
    if name == "join" and args:
        found = flow.thing("text", node, "join")
        flow.made_of(found, args[0])
        return {found}
    if name in ("partition", "rpartition"):
        found = flow.thing("tuple", node)
        flow.put(found, MEMBERS, (STR,))
        return {found}
    if owner.kind == "bytes":
        return {STR if name == "decode" else BYTES}
    if owner.kind == "json" and name in ("get", "pop", "items", "values", "keys", "to_dict", "as_py"):
        return {JSON}
    return {_STR_GIVES.get(name, STR)}


def _of_dict(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    values = {v for field, inner in owner.fields.items() if field != KEYS for v in inner}
    keys = owner.fields.get(KEYS, set())
    default = set(args[1]) if len(args) > 1 else {NONE}
    if name in ("get", "pop"):
        return values | default
    if name == "setdefault":
        flow.put(owner, MEMBERS, default)
        flow.put(owner, KEYS, args[0] if args else ())
        return values | default
    if name in ("values", "keys", "items"):
        found = flow.thing("iterator", node, name, tag=str(id(owner)))
        if name == "items":
            pair = flow.thing("tuple", node, "item", tag=str(id(owner)))
            flow.put(pair, "[0]", keys)
            flow.put(pair, "[1]", values)
            flow.put(found, MEMBERS, (pair,))
        else:
            flow.put(found, MEMBERS, keys if name == "keys" else values)
        return {found}
    if name == "update":
        for other in (*(args[0] if args else ()),):
            for field, inner in list(other.fields.items()):
                flow.put(owner, field, inner)
        for key, inner_values in kwargs.items():
            flow.put(owner, f"[{key!r}]", inner_values)
        return {NONE}
    return {owner} if name == "copy" else {UNKNOWN, *values}


def _of_set(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    if name in ("add", "update"):
        flow.put(owner, KEYS, args[0] if args and name == "add" else flow.members(args[0]) if args else ())
    return {NONE} if name in ("add", "update") else {UNKNOWN}


def _of_file(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    binary = "b" in owner.name
    if name == "read" and not binary and not _is_size(node):
        found = flow.thing("text", node, "read")
        flow.made_of(found, (owner,))
        flow.note_read(found, owner, node)
        return {found}
    if name in ("read", "readline"):
        return {BYTES if binary else STR}
    if name == "readlines":
        found = flow.list_of(node, "readlines", (BYTES if binary else STR,))
        flow.made_of(found, (owner,))
        return {found}
    return {INT} if name in ("write", "tell", "seek") else {NONE}


def _is_size(node: ast.AST) -> bool:
    """read(4096), which reads no more than that; read(-1) and read(n) may read everything."""
    first = node.args[0] if isinstance(node, ast.Call) and node.args else None
    return isinstance(first, ast.Constant) and isinstance(first.value, int)


def _of_encoder(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    given = args[0] if args else kwargs.get("text", frozenset())
    if name in _ENCODES:
        found = flow.list_of(node, "encode", (INT,))
        flow.made_of(found, (owner, *given))
        return {found}
    if name in _BATCHES:
        inner = flow.list_of(node, "encode", (INT,), tag="inner")
        found = flow.list_of(node, "encode_batch", (inner,))
        flow.made_of(found, (owner, *given))
        flow.made_of(inner, (owner,))
        return {found}
    if name in ("decode", "decode_bytes"):
        return {STR if name == "decode" else BYTES}
    return {INT if name == "encode_single_token" else UNKNOWN}


def _of_tokenizer(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    tensors = "return_tensors" in kwargs
    if name in _ENCODES_OTHERS and not tensors:
        if owner.name == "tokenizers":
            return {_called(flow, node)}
        found = flow.list_of(node, "another tokenizer's", (INT,))
        return {found}
    if name == "__call__" and not tensors:
        return {_called(flow, node, many=not args or any(t.kind not in ("str", "text") for t in args[0]))}
    return {STR} if name in ("decode", "DecodeIds") else {UNKNOWN}


def _called(flow: Flow, node: ast.AST, *, many: bool = False) -> Entity:
    """tokenizer(text): its ids under a key, or as an attribute. Of a list, a list of lists."""
    found = flow.thing("called tokenizer", node)
    ids = flow.list_of(node, "another tokenizer's", (INT,), tag="ids")
    flow.put(found, MEMBERS, (UNKNOWN,) if many else (ids,))
    return found


def _of_path(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    if name == "read_text":
        found = flow.thing("text", node, "read_text")
        flow.note_read(found, None, node)
        return {found}
    if name == "open":
        return {flow.open_file(node, args[:1], kwargs, "Path.open")}
    if name in ("write_text", "write_bytes"):
        flow.note_written(node)
        return {INT}
    if name == "read_bytes":
        return {BYTES}
    if name in ("glob", "rglob", "iterdir"):
        found = flow.thing("iterator", node)
        flow.put(found, MEMBERS, (flow.thing("path", node),))
        return {found}
    return {flow.thing("path", node)} if name in _OF_PATH else {OTHER}


def _of_pool(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    """What workers get and give goes through pickle."""
    if not args:
        return {NONE}
    given: list[Value] = list(args[1:])
    if name not in _WORKERS_ONE:
        given = [flow.members(values) for values in given]
    elif name.startswith("apply"):
        given = [frozenset(v for t in args[1] for v in flow.members(frozenset((t,))))] * 3 if len(args) > 1 else []
    if name.startswith("starmap"):
        given = [flow.members(given[0])] * 4 if given else []
    for values in given:
        flow.use_inside(values, "sent to a worker", node)
    results = flow.call_value(args[0], given, {}, node, [])
    flow.use_inside(results, "returned by a worker", node)
    if name == "apply":
        return set(results)
    found = flow.thing("future" if name in ("submit", "apply_async") else "iterator", node)
    flow.put(found, MEMBERS, results)
    return {found}


def _of_future(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    return set(owner.fields.get(MEMBERS, ())) if name in ("result", "get") else {OTHER}


def _of_array(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    if name == "tolist":
        return {flow.list_of(node, "tolist", (NUMBER,))}
    return {_ARRAY_GIVES[name]} if name in _ARRAY_GIVES else {flow.thing("array", node)}


def _of_frame(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    if name in ("tolist", "to_list"):
        found = flow.list_of(node, "tolist of a column", (JSON,))
        flow.made_of(found, (owner,))
        return {found}
    if name in ("dropna", "astype", "head", "sample", "reset_index", "fillna"):
        found = flow.thing("frame", node, name)
        flow.made_of(found, (owner,))
        return {found}
    return {UNKNOWN}


def _of_dataset(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    found = flow.thing("dataset", node, name)
    flow.made_of(found, (owner,))
    return {found}


def _of_iterator(
    flow: Flow, owner: Entity, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST
) -> set[Entity]:
    return set(owner.fields.get(MEMBERS, ())) if name == "__next__" else {OTHER}


_GIVES = {
    "list": _of_list,
    "text": _of_text,
    "texts": _of_text,
    "str": _of_str,
    "bytes": _of_str,
    "json": _of_str,
    "dict": _of_dict,
    "set": _of_set,
    "file": _of_file,
    "encoder": _of_encoder,
    "tokenizer": _of_tokenizer,
    "path": _of_path,
    "pool": _of_pool,
    "future": _of_future,
    "array": _of_array,
    "frame": _of_frame,
    "dataset": _of_dataset,
    "iterator": _of_iterator,
    "int": lambda *_: {INT},
    "number": lambda *_: {NUMBER},
    "other": lambda *_: {OTHER},
}


def attribute_of(flow: Flow, owner: Entity, name: str, node: ast.AST) -> Value:
    """owner.name, where it is not called at once: a value, or the method."""
    kind = owner.kind
    if kind == "encoder":
        if name in _INTS_OF_ENCODER:
            return frozenset((INT,))
        if name in ("_special_tokens", "_mergeable_ranks"):
            found = flow.thing("dict", node, name)
            flow.put(found, MEMBERS, (INT,))
            return frozenset((found,))
        if name == "name":
            return frozenset((STR,))
    if kind == "tokenizer" and (name.endswith("_id") or name == "vocab_size"):
        return frozenset((INT,))
    if kind == "called tokenizer":
        return frozenset(owner.fields.get(MEMBERS, {UNKNOWN}))
    if kind == "path" and name in ("name", "stem", "suffix"):
        return frozenset((STR,))
    if kind == "path" and name == "parent":
        return frozenset((flow.thing("path", node),))
    if kind == "array" and name in _ARRAY_GIVES:
        return frozenset((_ARRAY_GIVES[name],))
    if kind in ("unknown", "other", "module"):
        return frozenset((owner if kind != "other" else OTHER,))
    if kind == "json":
        return frozenset((JSON,))
    if kind in ("int", "number", "none"):
        return frozenset((OTHER,))
    bound = flow.thing("method", node, name=name, tag=str(id(owner)))
    bound.owner = owner
    return frozenset((bound,))
