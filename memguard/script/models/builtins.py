"""Builtins, itertools, functools and json: how they hand on, gather and copy what they get. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from memguard.script.numbers import limited, number_of
from memguard.script.operations.growth import append, extend
from memguard.script.state import Transient
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Constant,
    File,
    Function,
    Generator,
    Instance,
    Method,
    Module,
    Number,
    Path,
    Range,
    Row,
    Sequence,
    Symbol,
    Unknown,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["FUNCTIONS", "mapped"]

Args = list[Any]
Kwargs = dict[str, Any]


def _first(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """tqdm(x), sorted(paths), reversed(x), iter(x), int(x): what they get."""
    if not args:
        return kwargs.get("iterable", UNKNOWN)
    return args[0]


def _sorted(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    first = args[0] if args else UNKNOWN
    return _list(reader, args, kwargs, node) if isinstance(first, (Buffer, Generator)) else first


def _iter(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if len(args) != 2:
        return args[0] if args else UNKNOWN
    from memguard.script.interpreter.loops import iterate_twice

    def run(consume: Callable[[Any], None]) -> None:
        iterate_twice(reader, node, lambda loop: reader.call(args[0], [], {}, node), consume, consumes_input=False)

    return Generator(run, tuple(args))


def _enumerate(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    counter = Number(0.0, Symbol(hash(("enumerate", getattr(node, "lineno", 0))) & 0xFFFFFFFF, None, "items"))
    return mapped(reader, args[0] if args else UNKNOWN, lambda element: Sequence([counter, element]), node)


def _zip(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    large = next((i for i, a in enumerate(args) if isinstance(a, (Buffer, Generator, File, Row))), 0)
    if not args:
        return UNKNOWN
    if all(isinstance(a, Sequence) and a.keys is None for a in args):
        return Sequence([Sequence(list(group)) for group in zip(*(a.items for a in args), strict=False)])
    return mapped(
        reader,
        args[large],
        lambda element: Sequence([element if i == large else UNKNOWN for i in range(len(args))]),
        node,
    )


def mapped(reader: Evaluator, value: Any, function: Callable[[Any], Any], node: ast.AST) -> Any:
    if isinstance(value, Sequence) and value.keys is None:
        return Sequence([function(item) for item in value.items])

    def run(consume: Callable[[Any], None]) -> None:
        reader.iterate(value, lambda element: consume(function(element)), node)

    return Generator(run, (value,))


def _map(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if len(args) < 2:
        return UNKNOWN
    return mapped(reader, args[1], lambda element: reader.call(args[0], [element], {}, node), node)


def _filter(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    return args[1] if len(args) > 1 else UNKNOWN


def _range(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    numbers = [number_of(value) for value in args]
    stop = args[1] if len(args) > 1 else args[0] if args else UNKNOWN
    step = numbers[2] if len(numbers) > 2 else 1.0
    start = numbers[0] if len(numbers) > 1 else 0.0
    last = number_of(stop)
    count = limited(max(0.0, (last - start) / step)) if last is not None and start is not None and step else None
    return Range(stop, step, count)


def _chain(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    def run(consume: Callable[[Any], None]) -> None:
        for value in args:
            reader.iterate(value, lambda inner: reader.iterate(inner, consume, node), node)

    return Generator(run, tuple(args))


def _chain_all(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    def run(consume: Callable[[Any], None]) -> None:
        for value in args:
            reader.iterate(value, consume, node)

    return Generator(run, tuple(args))


def _islice(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """islice(file, 10_000): that many lines at a time."""
    count = number_of(args[-1]) if len(args) == 2 else None
    if count is None or not isinstance(args[0], File):
        return args[0] if args else UNKNOWN
    file, state = args[0], reader.state
    loops = state.new_loops(file.created_in)
    return state.make("strings", node, file.extent.window(loops[0] if loops else 0, "lines", count))


# -- lists ----------------------------------------------------------------------------------------------------


def _list(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """list(x): a list of x's elements."""
    if not args:
        return reader.state.make("list", node)
    value = args[0]
    if isinstance(value, (Sequence, Path, Row)):
        return value
    if isinstance(value, Unknown):
        return reader.state.make("list", node)
    result = reader.state.make("list", node)
    reader.state.temps.append(result)
    if isinstance(value, File):
        result.origin = "lines"
    if isinstance(value, Buffer) and value.kind in ("strings", "lists", "records", "arrays"):
        result.of, result.kind = value, value.kind
        result.parts.update(value.parts)
        result.pieces.update(value.pieces)
    elif isinstance(value, Buffer):
        extend(reader, result, value, node)
    else:
        reader.iterate(value, lambda element: append(reader, result, element, node), node)
    return result


def _str(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    first = args[0] if args else Constant("")
    if isinstance(first, Buffer) and first.kind == "bytes":
        from memguard.script.models import data_methods as script_data_methods

        return script_data_methods.decode(reader, first, node)
    return first if isinstance(first, (Path, Buffer, Constant)) else UNKNOWN


def _int(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    first = args[0] if args else UNKNOWN
    return first if isinstance(first, (Number, Buffer)) else UNKNOWN


def _array(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """array.array("H", ids)"""
    code = args[0].value if args and isinstance(args[0], Constant) else "H"
    item = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "l": 8, "L": 8, "q": 8, "Q": 8}.get(str(code), 8)
    result = reader.state.make("array", node, item=item)
    reader.state.facts["container"] = "array.array"
    if len(args) > 1:
        reader.state.temps.append(result)
        extend(reader, result, args[1], node)
    return result


def _bytearray(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    result = reader.state.make("bytes", node)
    if args and isinstance(args[0], Buffer):
        result.parts.update(args[0].parts)
    return result


def _partial(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if args and isinstance(args[0], Function):
        return Function(args[0].node, args[0].scopes, args[0].owner, (tuple(args[1:]), kwargs))
    if not args:
        return UNKNOWN
    return Method(Sequence([args[0], Sequence(args[1:]), Sequence(list(kwargs.values()), list(kwargs))]), "__partial__")


def _instance(name: str) -> Callable[[Evaluator, Args, Kwargs, ast.AST], Any]:
    def make(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
        instance = Instance(name, {})
        reader.state.spaces.append(instance.attributes)
        return instance

    return make


def _loads(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """json.loads(line): a document; of all the text: all of them."""
    first = args[0] if args else UNKNOWN
    if isinstance(first, Buffer):
        reader.state.facts["json"] = True
        return Row(first.extent, "json")
    if isinstance(first, Row):
        return Row(first.extent, "json")
    return UNKNOWN


def _load(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """json.load(file): the text, and everything in it as objects."""
    if not args or not isinstance(args[0], File):
        return UNKNOWN
    state = reader.state
    state.facts["json"] = True
    file = args[0]
    result = state.make("records", node, file.extent, origin="json")
    state.temps.append(result)
    transients = (Transient("the file's text", "text", file.extent, state.copies),)
    state.record_moment(node, "parse", "", transients)
    return result


def _text_copy(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """re.sub(pattern, new, text), unicodedata.normalize("NFC", text): a copy."""
    buffer = next((value for value in args if isinstance(value, Buffer) and value.kind in ("text", "bytes")), None)
    if buffer is None:
        return UNKNOWN
    result = reader.state.make(buffer.kind, node, buffer.extent)
    reader.state.temps.append(result)
    reader.state.record_moment(node, "copy", "")
    return result


def _findall(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    buffer = next((value for value in args if isinstance(value, Buffer)), None)
    if buffer is None:
        return UNKNOWN
    result = reader.state.make("words", node, buffer.extent)
    reader.state.temps.append(result)
    reader.state.record_moment(node, "split", "")
    return result


def _next(reader: Evaluator, value: Any, node: ast.AST) -> Any:
    found: list[Any] = []
    reader.iterate(value, found.append, node)
    return found[0] if found else UNKNOWN


def _defaultdict(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """defaultdict(list): one value for all of its keys, which holds what all of them hold."""
    value = reader.call(args[0], [], {}, node) if args else UNKNOWN
    return Sequence([value], [UNKNOWN], mutable=True)


def _thread(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """threading.Thread(target=f): f runs beside the rest, in the same memory."""
    given = kwargs.get("args")
    if "target" in kwargs:
        reader.call(kwargs["target"], list(given.items) if isinstance(given, Sequence) else [], {}, node)
    return Module("threading.object")


FUNCTIONS: dict[str, Callable[[Evaluator, Args, Kwargs, ast.AST], Any]] = {
    "builtins.list": _list,
    "builtins.tuple": _list,
    "builtins.sorted": _sorted,
    "builtins.reversed": _first,
    "builtins.iter": _iter,
    "builtins.next": lambda r, a, k, n: UNKNOWN if not a else _next(r, a[0], n),
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "builtins.map": _map,
    "builtins.filter": _filter,
    "builtins.range": _range,
    "builtins.str": _str,
    "builtins.bytes": _first,
    "builtins.bytearray": _bytearray,
    "builtins.int": _int,
    "builtins.float": _int,
    "os.fspath": _first,
    "itertools.chain": _chain_all,
    "itertools.chain.from_iterable": _chain,
    "itertools.islice": _islice,
    "array.array": _array,
    "functools.partial": _partial,
    "argparse.ArgumentParser": _instance("parser"),
    "contextlib.ExitStack": _instance("stack"),
    "collections.deque": _list,
    "collections.defaultdict": _defaultdict,
    "threading.Thread": _thread,
    "memguard.checkpoints": _first,
    "memguard.pressure.checkpoints": _first,
    "tqdm.tqdm": _first,
    "tqdm.trange": _range,
    "tqdm.auto.tqdm": _first,
    "rich.progress.track": _first,
    "json.loads": _loads,
    "orjson.loads": _loads,
    "ujson.loads": _loads,
    "json.load": _load,
    "re.sub": _text_copy,
    "unicodedata.normalize": _text_copy,
    "html.unescape": _text_copy,
    "ftfy.fix_text": _text_copy,
    "re.split": _findall,
    "re.findall": _findall,
}
