"""Rows, tables, datasets and process pools: methods that hand out documents or run a function elsewhere. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from memguard.script.interpreter import loops as script_loops
from memguard.script.models import builtins as script_builtins
from memguard.script.models.libraries import worker_count
from memguard.script.numbers import number_of
from memguard.script.operations import elements as script_members
from memguard.script.operations import growth as script_lists
from memguard.script.state import Transient
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Constant,
    Extent,
    Generator,
    Pool,
    Row,
    Sequence,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["pool", "record"]

Args = list[Any]
Kwargs = dict[str, Any]

_DATASET_SAME_WORDS = (
    "shard select shuffle with_format set_format rename_column rename_columns remove_columns "
    "select_columns filter train_test_split cast flatten_indices sort take skip with_transform flatten"
)
_DATASET_SAME = frozenset(_DATASET_SAME_WORDS.split())
_LISTS = ("tolist", "to_list", "to_pylist", "to_numpy", "list")


def record(reader: Evaluator, owner: Row, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if owner.origin == "dataset":
        return _dataset(reader, owner, name, args, kwargs, node)
    if name in _LISTS:
        return _to_list(reader, owner, node)
    if name in ("column", "get", "pop", "__getitem__"):
        key = args[0] if args else UNKNOWN
        return script_members.field_of(reader, owner, key, node)
    if name in ("items", "values"):
        text = script_members.field_of(reader, owner, Constant("text"), node)
        return Sequence([Sequence([UNKNOWN, text])]) if name == "items" else Sequence([text])
    if name in ("apply", "map"):
        return _apply(reader, owner, args, node)
    if name in ("iterrows", "itertuples", "to_dict", "to_batches", "iter_rows"):
        rows = Row(owner.extent, owner.origin, refs=[owner])
        if name == "iterrows":
            return script_builtins.mapped(reader, rows, lambda row: Sequence([UNKNOWN, row]), node)
        return rows
    if name in ("as_py", "strip", "item", "decode"):
        return script_members.field_of(reader, owner, UNKNOWN, node)
    return (
        owner if name.startswith(("to_", "drop", "fillna", "astype", "sample", "reset", "head", "select")) else UNKNOWN
    )


def _to_list(reader: Evaluator, owner: Row, node: ast.AST) -> Buffer:
    """column.to_pylist(): a Python str for every row."""
    state = reader.state
    origin = "parquet" if owner.origin in ("parquet", "row") else owner.origin
    kind = "lists" if owner.origin == "ids" else "strings"
    result = state.make(kind, node, owner.extent, origin=origin)
    state.temps.append(result)
    state.record_moment(node, "to_list", "")
    return result


def _apply(reader: Evaluator, owner: Row, args: Args, node: ast.AST) -> Any:
    """frame["text"].apply(encode): a list of what it returns."""
    if not args:
        return UNKNOWN
    result = reader.state.make("list", node)
    reader.state.temps.append(result)
    reader.iterate(
        owner,
        lambda row: script_lists.append(reader, result, reader.call(args[0], [row], {}, node), node),
        node,
    )
    return result


def _dataset(reader: Evaluator, owner: Row, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    state = reader.state
    if name == "map" and args:
        return _dataset_map(reader, owner, args, kwargs, node)
    if name in ("items", "values"):
        part = Row(owner.extent, "dataset", dict(owner.fields), list(owner.refs))
        return Sequence([Sequence([UNKNOWN, part])]) if name == "items" else Sequence([part])
    if name in _DATASET_SAME or name == "pop":
        return Row(owner.extent, "dataset", dict(owner.fields), list(owner.refs))
    if name == "iter":
        rows = number_of(kwargs.get("batch_size", args[0] if args else None)) or 1000.0

        def run(consume: Callable[[Any], None]) -> None:
            script_loops.iterate_twice(
                reader, node, lambda loop: Row(owner.extent.window(loop, "lines", rows), "dataset"), consume
            )

        return Generator(run, (owner,))
    if name in _LISTS:
        return _to_list(reader, owner, node)
    if name in ("to_pandas", "to_dict"):
        table = state.make("table", node, owner.extent, origin="parquet")
        return Row(owner.extent, "parquet", refs=[table])
    return UNKNOWN


def _dataset_map(reader: Evaluator, owner: Row, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """dataset.map(function, num_proc=w): rows in, rows out, written in batches of 1000."""
    state = reader.state
    workers = worker_count(kwargs.get("num_proc")) or 1.0
    kind = "mapping a table in memory" if "from_dict" in state.facts else "mapping"
    state.facts["map"] = workers
    batched = isinstance(kwargs.get("batched"), Constant) and kwargs["batched"].value
    rows = number_of(kwargs.get("batch_size")) or 1000.0
    outcome: list[Any] = []

    def each(row: Any) -> None:
        before = state.copies, state.workers
        state.copies = workers
        try:
            outcome.append(reader.call(args[0], [row], {}, node))
            transients = (Transient("the processes of map, with 1,000 rows of ids each", kind, owner.extent, workers),)
            state.record_moment(node, "map", "", transients)
        finally:
            state.copies, state.workers = before

    if batched:
        element = lambda loop: Row(owner.extent.window(loop, "lines", rows), "dataset", column=False)  # noqa: E731
        script_loops.iterate_twice(reader, node, element, each)
    else:
        script_loops.iterate_twice(reader, node, lambda loop: Row(owner.extent.window(loop, "lines", 1), "row"), each)
    result = Row(owner.extent, "dataset", refs=list(owner.refs))
    last = outcome[-1] if outcome else None
    if isinstance(last, Sequence) and last.keys is not None:
        for key, value in zip(last.keys, last.items, strict=False):
            if isinstance(key, Constant) and isinstance(value, Buffer):
                kind = "ids" if value.kind in ("ids", "array", "opaque", "chars") else "text"
                result.fields[str(key.value)] = Row(owner.extent, "ids" if kind == "ids" else "dataset", column=True)
    return result


# -- pools ----------------------------------------------------------------------------------------------------


def pool(reader: Evaluator, owner: Pool, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """Pool.map and its kin: the function runs in the workers, its results come back as copies."""
    if name in ("map", "imap", "imap_unordered", "starmap", "map_async", "starmap_async"):
        if len(args) < 2:
            return UNKNOWN
        run = _runner(reader, owner, args[0], args[1], node, star=name.startswith("starmap"))
        if name.startswith("imap"):
            return Generator(run, tuple(args))
        result = reader.state.make("list", node)
        reader.state.temps.append(result)
        run(lambda element: script_lists.append(reader, result, element, node))
        return result
    if name in ("apply_async", "submit", "apply"):
        found: list[Any] = []
        given = list(args[1:])
        if name != "submit" and given and isinstance(given[0], Sequence):
            given = list(given[0].items)
        _in_worker(reader, owner, args[0] if args else UNKNOWN, given, found.append, node)
        return found[0] if found and isinstance(found[0], (Buffer, Row)) else UNKNOWN
    return UNKNOWN


def _runner(
    reader: Evaluator, owner: Pool, function: Any, items: Any, node: ast.AST, *, star: bool
) -> Callable[[Callable[[Any], None]], None]:
    def run(consume: Callable[[Any], None]) -> None:
        def each(item: Any) -> None:
            args = list(item.items) if star and isinstance(item, Sequence) else [item]
            _in_worker(reader, owner, function, args, consume, node)

        reader.iterate(items, each, node)

    return run


def _in_worker(
    reader: Evaluator, owner: Pool, function: Any, args: Args, consume: Callable[[Any], None], node: ast.AST
) -> None:
    state = reader.state
    before = state.copies, state.workers
    if owner.workers is None:
        state.not_understood(node)  # as many workers as the machine has cores
    state.copies = state.workers = owner.workers or 1.0
    try:
        result = reader.call(function, args, {}, node)
        state.record_moment(node, "pool", "")
    finally:
        state.copies, state.workers = before
    if isinstance(result, Buffer):
        copy = state.make(result.kind, node, item=result.item)
        copy.parts.update(result.parts)
        copy.pieces.update(result.pieces)
        copy.refs = [script_lists.new_ints(reader, copy, node)] if result.kind == "ids" else []
        result = copy
    consume(result)


def whole() -> Extent:
    return Extent()
