"""numpy, torch, tokenizers, pandas, pyarrow, datasets, process pools: what their functions give. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from memguard.script.numbers import number_of
from memguard.script.operations.growth import extend
from memguard.script.state import Transient
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Constant,
    Encoder,
    Extent,
    File,
    Generator,
    Module,
    Number,
    Path,
    Pool,
    Row,
    Sequence,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["FAMILIES", "FUNCTIONS", "item_size", "make_array", "worker_count"]

Args = list[Any]
Kwargs = dict[str, Any]

_MOST_WORKERS = 4096.0  # no machine has the cores, and no estimate the patience

_ITEMS = {"8": 1, "16": 2, "32": 4, "64": 8}
_NAMES = {"byte": 1, "short": 2, "ushort": 2, "long": 8, "int": 8, "float": 8, "u1": 1, "u2": 2, "u4": 4, "i2": 2}


def item_size(dtype: Any, default: int) -> int:
    """Bytes per element of np.uint16, "uint16", torch.long, int."""
    name = ""
    if isinstance(dtype, Module):
        name = dtype.name.rpartition(".")[2]
    elif isinstance(dtype, Constant) and isinstance(dtype.value, str):
        name = dtype.value.lstrip("<>=")
    for digits, size in _ITEMS.items():
        if name.endswith(digits):
            return size
    return _NAMES.get(name, default)


def make_array(reader: Evaluator, value: Any, item: int, node: ast.AST, kind: str = "array") -> Any:
    """np.array(value): an array of its own."""
    state = reader.state
    result = state.make("array", node, item=item)
    state.temps.append(result)
    if isinstance(value, Generator):
        reader.iterate(value, lambda element: extend(reader, result, element, node), node)
    elif isinstance(value, Buffer):
        result.parts.update(value.parts)
        result.source = value
        if item == 8 and value.kind in ("ids", "lists", "chars"):
            state.facts.setdefault("int64", []).append(result)
    elif isinstance(value, (Row, File)):
        result.parts[state.site(node)] = value.extent
    elif isinstance(value, Sequence):
        for index, member in enumerate(member for member in value.items if isinstance(member, Buffer)):
            result.parts.update({(*state.site(node), index, key): part for key, part in member.parts.items()})
    state.record_moment(node, kind, "")
    return result


def _dtype(args: Args, kwargs: Kwargs, place: int) -> Any:
    return kwargs.get("dtype", args[place] if len(args) > place else None)


def _np_array(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    value = args[0] if args else UNKNOWN
    default = value.item if isinstance(value, Buffer) and value.kind in ("array", "view") else 8
    return make_array(reader, value, item_size(_dtype(args, kwargs, 1), default), node)


def _np_asarray(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    value = args[0] if args else UNKNOWN
    if isinstance(value, Buffer) and value.kind in ("array", "view"):
        item = item_size(_dtype(args, kwargs, 1), value.item)
        return value if item == value.item else make_array(reader, value, item, node)
    return _np_array(reader, args, kwargs, node)


def _np_empty(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """np.empty, np.zeros: pages count once they are written to."""
    shape = kwargs.get("shape", args[0] if args else UNKNOWN)
    if isinstance(shape, Sequence) and shape.items:
        shape = shape.items[0]
    result = reader.state.make("array", node, item=item_size(_dtype(args, kwargs, 1), 8))
    result.capacity = number_of(shape)
    result.origin = "prealloc"
    return result


def _np_full(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    result = _np_empty(reader, args, kwargs, node)
    result.parts[reader.state.site(node)] = Extent()
    result.origin = "full"
    return result


def _np_concatenate(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    value = args[0] if args else UNKNOWN
    state = reader.state
    if isinstance(value, Sequence):
        result = state.make("array", node, item=max((i.item for i in value.items if isinstance(i, Buffer)), default=2))
        state.temps.append(result)
        for index, item in enumerate(value.items):
            if isinstance(item, Buffer):
                site = state.site(node)
                result.created_in = (
                    item.created_in if len(item.created_in) < len(result.created_in) else result.created_in
                )
                result.parts[(*site, index)] = state.gathered(item.extent, result.created_in, node)
        state.record_moment(node, "concatenate", "")
        return result
    item = value.item if isinstance(value, Buffer) else 8
    return make_array(reader, value, item_size(kwargs.get("dtype"), item), node, "concatenate")


def _np_append(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """np.append(all, more): a new array each time, the old one alive meanwhile."""
    if len(args) < 2 or not isinstance(args[0], Buffer):
        return UNKNOWN
    state, old, more = reader.state, args[0], args[1]
    result = state.make("array", node, item=old.item)
    result.created_in = old.created_in
    result.parts.update(old.parts)
    if isinstance(more, Buffer):
        site = state.site(node)
        result.parts[site] = state.gathered(more.extent, old.created_in, node)
    state.temps.append(result)
    state.facts["container"] = "np.append"
    state.record_moment(node, "append", "")
    return result


def _np_fromiter(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    return make_array(reader, args[0] if args else UNKNOWN, item_size(_dtype(args, kwargs, 1), 8), node)


def _np_frombuffer(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    value = args[0] if args else UNKNOWN
    if not isinstance(value, Buffer):
        return UNKNOWN
    return Buffer("view", dict(value.parts), value.created_in, value.line, 1, refs=[value], of=value)


def _np_fromfile(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    from memguard.script.interpreter.calls import open_file, read_all

    file = open_file(reader, args[0] if args else UNKNOWN, Constant("rb"), "text")
    return read_all(reader, file, node)


def _numpy(reader: Evaluator, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """Other functions of numpy give numbers, or arrays as large as what they get."""
    function = name.rpartition(".")[2]
    if function in ("memmap", "open_memmap", "load", "seed", "save", "savez", "dtype", "iinfo", "default_rng"):
        return UNKNOWN  # memory-mapped: the kernel takes those pages back
    if function in ("sum", "max", "min", "mean", "all", "any", "count_nonzero", "prod", "ceil", "floor", "log2"):
        return UNKNOWN
    if item_size(Module(name), 0) or function in ("random", "permutation", "arange", "linspace"):
        return UNKNOWN
    from memguard.script.interpreter.calls import unknown

    buffer = next(
        (value for value in args if isinstance(value, Buffer) and value.kind in ("array", "view", "ids")), None
    )
    if buffer is None:
        return unknown(reader, args, kwargs, node)
    return make_array(reader, buffer, 8 if buffer.kind == "ids" else buffer.item, node)


def _torch_tensor(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    return make_array(reader, args[0] if args else UNKNOWN, item_size(kwargs.get("dtype"), 8), node)


# -- tokenizers -----------------------------------------------------------------------------------------------


def _tiktoken(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    name = args[0] if args else kwargs.get("encoding_name")
    if isinstance(name, Constant) and isinstance(name.value, str):
        reader.state.facts["encoding"] = name.value
    return Encoder("tiktoken")


def _other_tokenizer(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    reader.state.facts["other_tokenizer"] = True
    reader.state.not_understood(node)  # what it needs while it encodes is not known
    return Encoder("other")


# -- tables ---------------------------------------------------------------------------------------------------


def _read_table(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """pd.read_parquet, pq.read_table, pd.read_csv: all rows at once."""
    from memguard.script.interpreter.calls import open_file

    state = reader.state
    path = args[0] if args else UNKNOWN
    file = path if isinstance(path, File) else open_file(reader, path, None, "parquet")
    state.facts["parquet"] = True
    if "chunksize" in kwargs or kwargs.get("iterator") is not None:
        rows = number_of(kwargs.get("chunksize")) or 10_000.0
        return _batches(reader, file, rows, node)
    table = state.make("table", node, file.extent, origin="parquet")
    state.temps.append(table)
    state.record_moment(node, "read")
    return Row(file.extent, "parquet", refs=[table])


def _parquet_file(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    from memguard.script.interpreter.calls import open_file

    reader.state.facts["parquet"] = True
    return open_file(reader, args[0] if args else UNKNOWN, None, "parquet")


def _batches(reader: Evaluator, file: File, rows: float, node: ast.AST) -> Generator:
    """Record batches of `rows` documents, one at a time."""
    from memguard.script.interpreter.loops import iterate_twice

    reader.state.facts["batches"] = rows

    def element(loop: int) -> Row:
        extent = file.extent.window(loop, "lines", rows)
        table = reader.state.make("table", node, extent, origin="batches")
        return Row(extent, "parquet", refs=[table])

    return Generator(lambda consume: iterate_twice(reader, node, element, consume), (file,))


def _from_dict(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """Dataset.from_dict: Arrow copies every string."""
    state = reader.state
    state.facts["from_dict"] = True
    columns = args[0] if args else UNKNOWN
    buffer = [v for v in columns.items if isinstance(v, Buffer)] if isinstance(columns, Sequence) else []
    extent = buffer[0].extent if buffer else Extent()
    table = state.make("table", node, extent, origin="dataset")
    state.temps.append(table)
    state.record_moment(node, "from_dict", "")
    return Row(extent, "dataset", refs=[table])


def _load_dataset(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """datasets.load_dataset: Arrow files, mapped into memory; the kernel takes those pages back."""
    state = reader.state
    state.facts["dataset"] = True
    path = kwargs.get("data_files", args[0] if args else UNKNOWN)
    text = path.text if isinstance(path, Path) else path.value if isinstance(path, Constant) else None
    if "data_files" in kwargs and text:
        state.inputs.setdefault(str(text))
    kept = state.make("table", node, Extent(), origin="loaded")
    state.temps.append(kept)
    state.record_moment(node, "load_dataset", "", (Transient("the Arrow file being made", "loading", Extent()),))
    return Row(Extent(), "dataset", refs=[kept])


def _dataset_from(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    reader.state.facts["dataset"] = True
    return Row(Extent(), "dataset")


# -- processes ------------------------------------------------------------------------------------------------


def _pool(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    workers = next((kwargs[k] for k in ("processes", "max_workers", "n_jobs") if k in kwargs), None)
    count = worker_count(workers if workers is not None else args[0] if args else None)
    reader.state.facts["pool"] = count
    initializer = kwargs.get("initializer")
    if initializer is not None:
        given = kwargs.get("initargs")
        reader.call(initializer, list(given.items) if isinstance(given, Sequence) else [], {}, node)
    return Pool(count)


def _thread_pool(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    return Pool(worker_count(kwargs.get("max_workers", args[0] if args else None)))


def worker_count(value: Any) -> float | None:
    """Processes; None where that is not known."""
    count = number_of(value)
    return None if count is None else min(_MOST_WORKERS, max(1.0, count))


FUNCTIONS: dict[str, Callable[[Evaluator, Args, Kwargs, ast.AST], Any]] = {
    "numpy.array": _np_array,
    "numpy.asarray": _np_asarray,
    "numpy.ascontiguousarray": _np_asarray,
    "numpy.empty": _np_empty,
    "numpy.zeros": _np_empty,
    "numpy.ones": _np_full,
    "numpy.full": _np_full,
    "numpy.concatenate": _np_concatenate,
    "numpy.hstack": _np_concatenate,
    "numpy.append": _np_append,
    "numpy.fromiter": _np_fromiter,
    "numpy.frombuffer": _np_frombuffer,
    "numpy.fromfile": _np_fromfile,
    "torch.tensor": _torch_tensor,
    "torch.as_tensor": _torch_tensor,
    "torch.LongTensor": _torch_tensor,
    "torch.IntTensor": lambda r, a, k, n: make_array(r, a[0] if a else UNKNOWN, 4, n),
    "torch.from_numpy": lambda r, a, k, n: a[0] if a else UNKNOWN,
    "torch.cat": _np_concatenate,
    "tiktoken.get_encoding": _tiktoken,
    "tiktoken.encoding_for_model": lambda r, a, k, n: Encoder("tiktoken"),
    "pandas.read_parquet": _read_table,
    "pandas.read_csv": _read_table,
    "pandas.read_json": _read_table,
    "pandas.read_table": _read_table,
    "polars.read_parquet": _read_table,
    "pyarrow.parquet.read_table": _read_table,
    "pyarrow.parquet.ParquetFile": _parquet_file,
    "pyarrow.csv.read_csv": _read_table,
    "datasets.load_dataset": _load_dataset,
    "datasets.load_from_disk": _load_dataset,
    "datasets.Dataset.from_dict": _from_dict,
    "datasets.Dataset.from_list": _from_dict,
    "datasets.Dataset.from_pandas": _from_dict,
    "datasets.Dataset.from_generator": _dataset_from,
    "datasets.Dataset.from_parquet": _dataset_from,
    "datasets.Dataset.from_text": _dataset_from,
    "datasets.Dataset.from_json": _dataset_from,
    "multiprocessing.Pool": _pool,
    "multiprocessing.pool.Pool": _pool,
    "multiprocessing.pool.ThreadPool": _thread_pool,
    "concurrent.futures.ProcessPoolExecutor": _pool,
    "concurrent.futures.ThreadPoolExecutor": _thread_pool,
    "torch.multiprocessing.Pool": _pool,
}

FAMILIES: tuple[tuple[str, Callable[[Evaluator, str, Args, Kwargs, ast.AST], Any]], ...] = (
    ("numpy.", _numpy),
    ("transformers.", lambda r, name, a, k, n: _other_tokenizer(r, a, k, n)),
    ("tokenizers.", lambda r, name, a, k, n: _other_tokenizer(r, a, k, n)),
    ("sentencepiece.", lambda r, name, a, k, n: _other_tokenizer(r, a, k, n)),
)


def workers_of(pool: Pool) -> float:
    return pool.workers or 0.0


def known(value: Any) -> float | None:
    return value.known if isinstance(value, Number) else None
