"""Which of the named plans a script follows, with its parameters. Pure.

The name is for people and for the next command; the figures come from the script's own steps.
"""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent, measure
from memguard.script.state import State
from memguard.script.values import Held

__all__ = ["name_plan", "parameters"]

# Lists of ids of one kind or another; a list of texts that is emptied again is a batch, not a shard.
_GATHERED = ("ids", "lists", "arrays", "array", "chars")
# Less than this share of a 1 GB input is a piece of it.
_LARGE = 0.02


def _kept(state: State, kinds: tuple[str, ...]) -> list[Held]:
    """Buffer of `kinds` that at some moment hold a large part of the input, and are not emptied again."""
    return [
        held
        for held in _all(state)
        if held.kind in kinds
        and held.buffer.limit is None
        and held.buffer.copies == 1
        and held.buffer.of is None
        and sum(measure(part) for part in held.parts) >= _LARGE
    ]


def _by_file(parts: tuple[Extent, ...]) -> bool:
    return all(any(window.unit == "files" for window in part.windows) for part in parts)


def name_plan(state: State) -> str:
    facts = state.facts
    if facts.from_dict:
        return "from-dict-map"
    if facts.maps or facts.dataset:
        of_hugging_face = "transformers" in facts.imports and "tiktoken" not in facts.imports
        return "hf-map" if of_hugging_face and facts.maps else "datasets-map"
    if facts.pool:
        filled = any(held.buffer.origin == "prealloc" for held in _all(state) if held.parts)
        return "pool-shard" if filled else "pool-files"
    return _single_process(state)


def _single_process(state: State) -> str:
    facts = state.facts
    strings = _kept(state, ("strings", "records"))
    chars = _kept(state, ("chars",))
    ids = _kept(state, ("ids", "lists", "arrays", "array", "opaque"))
    texts = [h for h in _kept(state, ("text", "bytes")) if not _by_file(h.parts)]
    if all(held.kind in ("opaque", "ids", "ints") and held.buffer.kind == "opaque" for held in _all(state)):
        return "unknown"
    if "duckdb" in facts.imports and not facts.parquet:
        return "duckdb-list" if ids or strings else "duckdb-batches"
    if facts.parquet:
        if "polars" in facts.imports and not facts.imports & {"pandas", "pyarrow"} and (ids or strings):
            return "polars-list"
        return "parquet-list" if ids or strings or facts.batches is None else "iter-batches"
    if chars:
        return "char-list"
    if facts.narrowed and any(array.weight >= _LARGE for array in facts.wide_arrays):
        return "int64-list"
    if strings:
        json = any(held.buffer.origin == "json" or held.kind == "records" for held in strings)
        return "jsonl-list" if json else "line-list"
    if texts:
        return "read-all"
    bounded = [held for held in _all(state) if held.buffer.bound is not None and held.kind in _GATHERED]
    if bounded and not ids:
        return "sharded-list"
    return "chunked-list" if ids else "stream"


def _all(state: State) -> list[Held]:
    """Each as often as it changes."""
    found = {id(held): held for moment in state.moments for held in moment.alive if held.parts}
    return list(found.values())


def parameters(state: State) -> dict[str, Any]:
    """chunk, shard, workers, dtype, slices, container: what distinguishes two scripts of one plan."""
    facts = state.facts
    result: dict[str, Any] = {}
    if facts.chunks:
        unit, amount = max(facts.chunks, key=lambda chunk: chunk[1])
        result["chunk"] = f"{amount:.0f} {unit}"
    bounds = {(b.amount, b.unit) for b in (h.buffer.limit for h in _all(state)) if b is not None}
    capacities = {h.buffer.capacity for h in _all(state) if h.buffer.origin == "prealloc"}
    if bounds:
        amount, unit = max(bounds)
        result["shard"] = f"{amount:.0f} {unit}"
    elif lengths := [length for length in capacities if isinstance(length, float)]:
        result["shard"] = f"{max(lengths):.0f} tokens"
    workers = facts.pool_workers or facts.map_workers
    if workers:
        result["workers"] = int(workers)
    if facts.batches is not None:
        result["batch"] = int(facts.batches)
    items = {held.buffer.item for held in _all(state) if held.kind == "array"}
    if items:
        result["dtype"] = f"{8 * min(items)} bits"
    result["container"] = facts.container or _container(state)
    split = _split(state)
    if split is not None:
        result["val_fraction"] = split
    return {key: value for key, value in result.items() if value}


def _container(state: State) -> str:
    kinds = {held.kind for held in _kept(state, ("ids", "lists", "arrays", "opaque", "array", "chars"))}
    for kind, words in (
        ("lists", "list of lists"),
        ("arrays", "list of arrays"),
        ("ids", "list"),
        ("chars", "list"),
        ("array", "array"),
    ):
        if kind in kinds:
            return words
    return ""


def _split(state: State) -> float | None:
    """The share of the text that is sliced off as validation text."""
    found = [
        1 - part.low
        for held in _all(state)
        if held.kind == "text"
        for part in held.parts
        if not part.windows and part.high == 1.0 and 0 < part.low < 1
    ]
    return round(max(found), 6) if found else None
