"""datasets: Arrow files that are mapped into memory, tables copied from memory, and Dataset.map with its processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memguard.script.extents import ALL_FIELDS, Extent
from memguard.script.interface import Call
from memguard.script.models.processes import worker_count
from memguard.script.models.tables import column, rows_together
from memguard.script.operations.access import field_of
from memguard.script.operations.elements import batch_of, ids_of, look_at
from memguard.script.operations.fields import of_all_fields
from memguard.script.operations.inputs import open_file
from memguard.script.registry import function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import UNKNOWN, Buffer, Constant, Generator, Path, Row, Sequence

__all__: list[str] = []

# What Arrow takes beside the table while it is built from str: 5.3 times the text of 20 MB, 6.2 of 10 MB, the same for
# one column and two, from_dict and from_list (datasets 5.2.0, pyarrow 26.0.1).
_BUILDERS = 5.3
_ROWS = Extent(columns=(ALL_FIELDS,))  # all of them, as a table holds them
_BUILDERS_OF_FILES = frozenset(("json", "csv", "parquet", "text", "arrow", "pandas"))
_TEST_SHARE = 0.25  # train_test_split's own


@function("datasets.Dataset.from_dict datasets.Dataset.from_list datasets.Dataset.from_pandas")
def from_memory(call: Call) -> Any:
    """Arrow copies every string."""
    call.state.facts.from_dict = True
    columns = call.arg(0)
    if isinstance(columns, Row):  # a frame, whose texts are Arrow's already
        return Row(columns.extent, "dataset", refs=[columns])
    data = [columns] if isinstance(columns, Buffer) else []
    data += [v for v in columns.items if isinstance(v, Buffer)] if isinstance(columns, Sequence) else []
    extent = data[0].extent if data else Extent()
    table = call.hold("table", extent, origin="dataset")
    others = [made for value in data[1:] for made in column(call, value, shares_strings=False)]
    if data and data[0].kind not in ("strings", "words", "records", "text"):
        others += column(call, data[0], shares_strings=False)
    texts = data[:1] if data and data[0].kind in ("strings", "records") else []
    building = [
        Transient("Arrow's builders", "bytes", replace(value.extent, times=value.extent.times * _BUILDERS))
        for value in texts
    ] or [Transient("what is kept of making it", "from memory", extent)]
    call.record("from_dict", "", *building)
    return Row(extent, "dataset", refs=[table, *others])


@function("datasets.load_from_disk", frees="the path of a directory")
def load_from_disk(call: Call) -> Any:
    """Arrow files that are there already."""
    call.state.facts.dataset = True
    return Row(_ROWS, "dataset", refs=[call.state.make("pages", call.node, item=0)])


@function("datasets.load_dataset")
def load_dataset(call: Call) -> Any:
    """Arrow files, mapped into memory: their pages count once they are looked at. With streaming=True, an
    IterableDataset, whose class asks torch for one of its own.
    """
    state = call.state
    state.facts.dataset = True
    if _is_true(call.kwargs.get("streaming")):
        state.facts.imports.add("torch")
        state.facts.imported.setdefault("torch")
    files = call.kwargs.get("data_files", call.arg(0))
    text = files.text if isinstance(files, Path) else files.value if isinstance(files, Constant) else None
    if "data_files" in call.kwargs and text:
        state.inputs.setdefault(str(text))
    everything = replace(_ROWS, source=_source(call, text))
    if _is_true(call.kwargs.get("streaming")):  # row group after row group, and no file is made
        state.facts.brings("torch")
        call.record("load_dataset")
        batch = call.hold("table", everything.window(0, "lines", 1000), origin="batches")
        return Row(everything, "dataset", refs=[batch])
    kept = call.hold("table", everything, origin="loaded")
    call.record("load_dataset", "", Transient("the Arrow file being made", "loading", everything))
    pages = call.state.make("pages", call.node, item=0)
    parts = {}
    if isinstance(files, Sequence) and files.keys is not None:
        for key, path in zip(files.keys, files.items, strict=False):
            if isinstance(key, Constant) and isinstance(path, (Path, Constant)):
                extent = of_all_fields(open_file(call.interpreter, path, None, "parquet").extent)
                parts[str(key.value)] = Row(extent, "dataset", refs=[kept, pages])
    return Row(everything, "dataset", dict(parts), refs=[kept, pages])


def _source(call: Call, text: Any) -> str | None:
    """What is loaded, where that is named: a file, a directory, a data set."""
    if not text or text in _BUILDERS_OF_FILES:
        return None
    call.state.sources.setdefault(str(text))
    return str(text)


@function(
    "datasets.Dataset.from_generator datasets.Dataset.from_parquet datasets.Dataset.from_text",
    frees="written to a file as it goes",
)
@function("datasets.Dataset.from_json datasets.Dataset.from_csv datasets.Dataset.from_file", frees="the path of a file")
def from_files(call: Call) -> Any:
    call.state.facts.dataset = True
    return Row(_ROWS, "dataset", refs=[call.state.make("pages", call.node, item=0)])


@function("datasets.concatenate_datasets datasets.interleave_datasets")
def concatenated(call: Call) -> Any:
    """The same memory, in one table."""
    parts = call.arg(0)
    rows = [item for item in parts.items if isinstance(item, Row)] if isinstance(parts, Sequence) else []
    if not rows:
        return UNKNOWN
    refs = list({id(ref): ref for row in rows for ref in row.refs}.values())
    return Row(rows_together([row.extent for row in rows]), "dataset", dict(rows[0].fields), refs)


function("datasets.disable_* datasets.enable_* datasets.set_* datasets.logging.* datasets.Features datasets.Value")(
    nothing("a setting or a type")
)
function("datasets.Sequence datasets.utils.logging.* datasets.get_dataset_split_names")(nothing("a setting or a type"))


@function("datasets.DatasetDict datasets.IterableDatasetDict")
def dataset_dict(call: Call) -> Any:
    """Of data sets by name: one of several parts, as load_dataset gives it."""
    value = call.arg(0)
    if not (isinstance(value, Sequence) and value.keys and all(isinstance(item, Row) for item in value.items)):
        return value
    refs = list({id(ref): ref for row in value.items for ref in row.refs}.values())
    parts = {str(key.value): row for key, row in zip(value.keys, value.items, strict=True) if isinstance(key, Constant)}
    return Row(rows_together([row.extent for row in value.items]), "dataset", parts, refs)


# -- methods ----------------------------------------------------------------------------------------------------------


@method(
    "dataset",
    "shard shuffle rename_column rename_columns remove_columns select_columns filter "
    "cast cast_column flatten_indices sort skip with_transform set_transform flatten pop reset_format "
    "class_encode_column unique add_column repeat to_iterable_dataset",
)
def same(call: Call) -> Any:
    owner = call.owner
    return Row(owner.extent, "dataset", dict(owner.fields), list(owner.refs), owner.column)


@method("dataset", "with_format set_format formatted_as")
def formatted(call: Call) -> Any:
    """The library that rows come as arrays of is imported."""
    if call.text(0, "type") in ("torch", "pt", "pytorch"):
        call.state.facts.imports.add("torch")
        call.state.facts.brings("torch")
    return same(call)


@method("dataset", "select take")
def selected(call: Call) -> Any:
    """select(range(n)), take(n): so many rows."""
    found = same(call)
    first = call.arg(0, "indices", call.kwargs.get("n", UNKNOWN))
    amount = getattr(first, "count", None) if call.name == "select" else call.number("n", 0)
    if amount:
        found.extent = found.extent.window(0, "lines", amount)
    return found


@method("dataset", "train_test_split")
def split_in_two(call: Call) -> Any:
    """A DatasetDict: rows in an order of their own, of the same table."""
    owner = call.owner
    share = call.number("test_size", 0)
    share = _TEST_SHARE if share is None or not 0 < share < 1 else share
    cuts = {"train": (0.0, 1.0 - share), "test": (1.0 - share, 1.0)}
    parts = {
        name: Row(owner.extent.part(*cut), "dataset", dict(owner.fields), list(owner.refs))
        for name, cut in cuts.items()
    }
    return Row(owner.extent, "dataset", dict(parts), list(owner.refs))


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
            return batch_of(call.interpreter, owner, owner.extent.window(loop, "lines", rows), call.node)

        call.interpreter.iterate_twice(call.node, element, consume)

    return Generator(run, (owner,))


@method("dataset", "tolist to_list to_pylist to_numpy list to_dict")
def as_list(call: Call) -> Any:
    """A str for every row; to_list also a dict."""
    look_at(call.owner)
    rows = call.name == "to_list" and not call.owner.column
    result = call.hold("records" if rows else "strings", call.owner.extent, origin="parquet")
    call.record("to_list")
    return Row(call.owner.extent, "batch", {"text": result}) if call.name == "to_dict" else result


@method("dataset", "to_pandas to_polars")
def as_frame(call: Call) -> Any:
    """The same memory."""
    return Row(call.owner.extent, "parquet", refs=[call.owner])


@method("dataset", "column get __getitem__")
def field(call: Call) -> Any:
    return field_of(call.interpreter, call.owner, call.arg(0), call.node)


@method("dataset", "save_to_disk to_parquet to_csv to_json push_to_hub")
def written(call: Call) -> Any:
    """Batch by batch, from the pages of the file."""
    look_at(call.owner)
    call.record("write")
    return Constant(None)


method("dataset", "cleanup_cache_files keys is* with_rank set_epoch state_dict load_state_dict")(nothing("names"))


@method("dataset", "map")
def mapped(call: Call) -> Any:
    """dataset.map(function, num_proc=w): rows in, rows out, written in batches of 1000."""
    state, owner = call.state, call.owner
    if not call.args and "function" not in call.kwargs:
        return UNKNOWN
    given = call.kwargs.get("num_proc", Constant(None))
    state.facts.maps = True
    here = isinstance(given, Constant) and given.value is None
    workers = 1.0 if here else worker_count(given) or 1.0
    kind = "mapping a table in memory" if state.facts.from_dict else "mapping"
    if here:
        kind = "mapping here"
    else:
        state.facts.map_workers = workers
    batched = isinstance(call.kwargs.get("batched"), Constant) and call.kwargs["batched"].value
    rows = call.number("batch_size") or 1000.0
    outcome: list[Any] = []
    args = [UNKNOWN] if _is_true(call.kwargs.get("with_indices")) else []

    def each(row: Any) -> None:
        before = state.copies, state.workers
        state.copies = workers
        try:
            outcome.append(call.interpreter.call(call.arg(0, "function"), [row, *args], {}, call.node))
            if _padded(outcome[-1]):
                state.temps.append(outcome[-1])  # alive while it is written
            words = "the processes of map, with 1,000 rows of ids each"
            call.record("map", "", Transient(words, kind, owner.extent, workers))
        finally:
            state.copies, state.workers = before

    def element(loop: int) -> Row:
        if batched:
            return batch_of(call.interpreter, owner, owner.extent.window(loop, "lines", rows), call.node)
        extent = owner.extent.window(loop, "lines", 1.0)
        look_at(owner)
        fields = {name: ids_of(extent, tuple(state.loops)) for name in _columns_of_ids(owner)}
        return Row(extent, "row", dict(fields))

    call.interpreter.iterate_twice(call.node, element, each)
    result = Row(owner.extent, "dataset", dict(owner.fields), refs=list(owner.refs))
    return _with_columns(call, result, outcome[-1] if outcome else None)


def _is_true(value: Any) -> bool:
    return isinstance(value, Constant) and bool(value.value)


def _padded(given: Any) -> bool:
    """Rows padded to a fixed length: GPT2Tokenizer, 1,000 rows of 256, 512 and 1,024 tokens, 10 MB of English, datasets
    5.2, transformers 5.24: 324, 361 and 487 MiB, where 308 are needed without padding.
    """
    fields = given.fields.values() if isinstance(given, Row) else ()
    return any(isinstance(f, Buffer) and (f.row is not None or f.origin.endswith("padded")) for f in fields)


def _columns_of_ids(rows: Row) -> list[str]:
    return [name for name, value in rows.fields.items() if isinstance(value, Row) and value.origin == "ids"]


def _with_columns(call: Call, result: Row, last: Any) -> Row:
    """The columns that the mapped function gave, for one row or a batch. Ids are int64 in the file."""
    if isinstance(last, Sequence) and last.keys is not None:
        for key, value in zip(last.keys, last.items, strict=False):
            if isinstance(key, Constant) and isinstance(value, Buffer):
                ids = value.kind in ("ids", "array", "opaque", "chars", "lists", "arrays")
                made = Row(result.extent, "ids" if ids else "dataset", column=True)
                if ids:
                    made.refs.append(call.state.make("pages", call.node, item=8))
                    result.refs.append(made.refs[0])
                result.fields[str(key.value)] = made
    return result
