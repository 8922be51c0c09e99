"""datasets: Arrow files that are mapped into memory, tables copied from memory, and Dataset.map with its processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.models.processes import worker_count
from memguard.script.models.tables import column, to_list
from memguard.script.operations.access import field_of
from memguard.script.registry import function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import UNKNOWN, Buffer, Constant, Generator, Path, Row, Sequence

__all__: list[str] = []


@function("datasets.Dataset.from_dict datasets.Dataset.from_list datasets.Dataset.from_pandas")
def from_memory(call: Call) -> Any:
    """Arrow copies every string."""
    call.state.facts.from_dict = True
    columns = call.arg(0)
    data = [v for v in columns.items if isinstance(v, Buffer)] if isinstance(columns, Sequence) else []
    extent = data[0].extent if data else Extent()
    table = call.hold("table", extent, origin="dataset")
    others = [made for value in data[1:] for made in column(call, value, shares_strings=False)]
    if data and data[0].kind not in ("strings", "words", "records", "text"):
        others += column(call, data[0], shares_strings=False)
    call.record("from_dict")
    return Row(extent, "dataset", refs=[table, *others])


@function("datasets.load_dataset datasets.load_from_disk")
def load_dataset(call: Call) -> Any:
    """Arrow files, mapped into memory; the kernel takes those pages back."""
    state = call.state
    state.facts.dataset = True
    path = call.kwargs.get("data_files", call.arg(0))
    text = path.text if isinstance(path, Path) else path.value if isinstance(path, Constant) else None
    if "data_files" in call.kwargs and text:
        state.inputs.setdefault(str(text))
    kept = call.hold("table", Extent(), origin="loaded")
    call.record("load_dataset", "", Transient("the Arrow file being made", "loading", Extent()))
    return Row(Extent(), "dataset", refs=[kept])


@function(
    "datasets.Dataset.from_generator datasets.Dataset.from_parquet datasets.Dataset.from_text",
    frees="written to a file as it goes",
)
@function("datasets.Dataset.from_json datasets.Dataset.from_csv datasets.Dataset.from_file", frees="the path of a file")
def from_files(call: Call) -> Any:
    call.state.facts.dataset = True
    return Row(Extent(), "dataset")


@function("datasets.concatenate_datasets datasets.interleave_datasets")
def concatenated(call: Call) -> Any:
    parts = call.arg(0)
    rows = [item for item in parts.items if isinstance(item, Row)] if isinstance(parts, Sequence) else []
    return Row(rows[0].extent, "dataset", refs=[*rows]) if rows else UNKNOWN


function("datasets.disable_* datasets.enable_* datasets.set_* datasets.logging.* datasets.Features datasets.Value")(
    nothing("a setting or a type")
)
function("datasets.Sequence datasets.utils.logging.* datasets.get_dataset_split_names")(nothing("a setting or a type"))


# -- methods ----------------------------------------------------------------------------------------------------------


@method(
    "dataset",
    "shard select shuffle with_format set_format rename_column rename_columns remove_columns select_columns filter "
    "train_test_split cast cast_column flatten_indices sort take skip with_transform set_transform flatten pop "
    "class_encode_column unique add_column repeat to_iterable_dataset",
)
def same(call: Call) -> Any:
    owner = call.owner
    return Row(owner.extent, "dataset", dict(owner.fields), list(owner.refs))


@method("dataset", "items values")
def splits(call: Call) -> Any:
    part = same(call)
    return Sequence([Sequence([UNKNOWN, part])]) if call.name == "items" else Sequence([part])


@method("dataset", "iter batch")
def batches(call: Call) -> Any:
    owner = call.owner
    rows = call.number("batch_size", 0) or 1000.0

    def run(consume: Callable[[Any], None]) -> None:
        def element(loop: int) -> Row:
            return Row(owner.extent.window(loop, "lines", rows), "dataset")

        call.interpreter.iterate_twice(call.node, element, consume)

    return Generator(run, (owner,))


@method("dataset", "tolist to_list to_pylist to_numpy list")
def as_list(call: Call) -> Any:
    return to_list(call, call.owner)


@method("dataset", "to_pandas to_dict to_polars")
def as_frame(call: Call) -> Any:
    table = call.state.make("table", call.node, call.owner.extent, origin="parquet")
    return Row(call.owner.extent, "parquet", refs=[table])


@method("dataset", "column get __getitem__")
def field(call: Call) -> Any:
    return field_of(call.interpreter, call.owner, call.arg(0), call.node)


method("dataset", "save_to_disk to_parquet to_csv to_json push_to_hub cleanup_cache_files keys is* with_rank")(
    nothing("written to files, or names")
)


@method("dataset", "map")
def mapped(call: Call) -> Any:
    """dataset.map(function, num_proc=w): rows in, rows out, written in batches of 1000."""
    state, owner = call.state, call.owner
    if not call.args and "function" not in call.kwargs:
        return UNKNOWN
    workers = worker_count(call.kwargs.get("num_proc")) or 1.0
    kind = "mapping a table in memory" if state.facts.from_dict else "mapping"
    state.facts.map_workers = workers
    batched = isinstance(call.kwargs.get("batched"), Constant) and call.kwargs["batched"].value
    rows = call.number("batch_size") or 1000.0
    outcome: list[Any] = []

    def each(row: Any) -> None:
        before = state.copies, state.workers
        state.copies = workers
        try:
            outcome.append(call.interpreter.call(call.arg(0, "function"), [row], {}, call.node))
            words = "the processes of map, with 1,000 rows of ids each"
            call.record("map", "", Transient(words, kind, owner.extent, workers))
        finally:
            state.copies, state.workers = before

    def element(loop: int) -> Row:
        origin, amount = ("dataset", rows) if batched else ("row", 1.0)
        return Row(owner.extent.window(loop, "lines", amount), origin)

    call.interpreter.iterate_twice(call.node, element, each)
    return _with_columns(Row(owner.extent, "dataset", refs=list(owner.refs)), outcome[-1] if outcome else None)


def _with_columns(result: Row, last: Any) -> Row:
    """The columns that the mapped function gave, for one row or a batch."""
    if isinstance(last, Sequence) and last.keys is not None:
        for key, value in zip(last.keys, last.items, strict=False):
            if isinstance(key, Constant) and isinstance(value, Buffer):
                ids = value.kind in ("ids", "array", "opaque", "chars")
                result.fields[str(key.value)] = Row(result.extent, "ids" if ids else "dataset", column=True)
    return result
