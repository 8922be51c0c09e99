"""Python's builtins: how they hand on, gather and copy what they get. open() is in files.py, str in text.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memguard.script.interface import Call
from memguard.script.joining import joined
from memguard.script.numbers import limited, number_of
from memguard.script.operations.digits import DIGITS, digits
from memguard.script.operations.elements import one_of, view
from memguard.script.operations.growth import extend
from memguard.script.operations.lengths import ARRAYS, elementwise
from memguard.script.registry import function, nothing
from memguard.script.trace import Transient
from memguard.script.values import (
    KINDS,
    NOTHING,
    UNKNOWN,
    Buffer,
    Constant,
    File,
    Generator,
    Instance,
    Number,
    Path,
    Range,
    Row,
    Sequence,
    Small,
    Symbol,
    Unknown,
)

__all__ = ["decode", "first", "mapped"]

# What sum() does not make a number of.
_NO_NUMBERS = ("array", "arrays", "lists", "view")


@function("builtins.reversed os.fspath")
def first(call: Call) -> Any:
    """What they get."""
    return call.arg(0, "iterable")


# -- what is gone round over ------------------------------------------------------------------------------------------


@function("builtins.iter")
def iterator(call: Call) -> Any:
    """iter(x); iter(call, sentinel)"""
    if len(call.args) != 2:
        return call.arg(0)

    def run(consume: Callable[[Any], None]) -> None:
        def element(loop: int) -> Any:
            return call.interpreter.call(call.args[0], [], {}, call.node)

        call.interpreter.iterate_twice(call.node, element, consume, consumes_input=False)

    return Generator(run, tuple(call.args))


@function("builtins.next builtins.anext", frees="one element")
def next_of(call: Call) -> Any:
    found: list[Any] = []
    if call.args:
        call.interpreter.iterate(call.args[0], found.append, call.node)
    return found[0] if found else UNKNOWN


@function("builtins.enumerate")
def enumerated(call: Call) -> Any:
    counter = Number(0.0, Symbol(f"enumerate {getattr(call.node, 'lineno', 0)}", None, "items"))
    return mapped(call, call.arg(0, "iterable"), lambda element: Sequence([counter, element]))


@function("builtins.zip")
def zipped(call: Call) -> Any:
    args = call.args
    large = next((i for i, a in enumerate(args) if isinstance(a, (Buffer, Generator, File, Row))), 0)
    if not args:
        return NOTHING
    if all(isinstance(a, Sequence) and a.keys is None for a in args):
        return Sequence([Sequence(list(group)) for group in zip(*(a.items for a in args), strict=False)])

    def element(value: Any, index: int, found: Any) -> Any:
        if index == large:
            return found
        loops = call.state.loops
        iterable = isinstance(value, Buffer) and KINDS[value.kind].element
        return one_of(call.interpreter, value, loops[-1][0] if loops else 0) if iterable else UNKNOWN

    return mapped(
        call,
        args[large],
        lambda found: Sequence([element(value, index, found) for index, value in enumerate(args)]),
        *args,
    )


def mapped(call: Call, value: Any, each: Callable[[Any], Any], *kept: Any) -> Any:
    """What `each` makes of the elements of `value`, one at a time. `kept`: what it keeps alive beside `value`."""
    if isinstance(value, Sequence) and value.keys is None:
        return Sequence([each(item) for item in value.items])

    def run(consume: Callable[[Any], None]) -> None:
        call.interpreter.iterate(value, lambda element: consume(each(element)), call.node)

    return Generator(run, kept or (value,))


@function("builtins.map")
def map_of(call: Call) -> Any:
    if len(call.args) < 2:
        return UNKNOWN
    apply = call.args[0]
    return mapped(call, call.args[1], lambda element: call.interpreter.call(apply, [element], {}, call.node))


@function("builtins.filter")
def filtered(call: Call) -> Any:
    return call.arg(1)


@function("builtins.range tqdm.trange", frees="numbers")
def counted(call: Call) -> Any:
    numbers = [number_of(value) for value in call.args]
    stop = call.args[1] if len(call.args) > 1 else call.arg(0)
    step = numbers[2] if len(numbers) > 2 else 1.0
    start = numbers[0] if len(numbers) > 1 else 0.0
    last = number_of(stop)
    count = limited(max(0.0, (last - start) / step)) if last is not None and start is not None and step else None
    return Range(stop, step, count, call.args[0] if len(call.args) > 1 else None)


# -- numbers and texts ------------------------------------------------------------------------------------------------


@function("builtins.len", frees="a number")
def length(call: Call) -> Any:
    value = call.arg(0)
    if isinstance(value, Buffer) and value.capacity is not None:
        if isinstance(value.capacity, tuple):
            return value.capacity[0]
        return value.capacity if isinstance(value.capacity, Number) else Number(value.capacity)
    if isinstance(value, (Buffer, Row)):
        of = value if isinstance(value, Buffer) else None
        return Number(0.0, Symbol(f"len {call.state.site(call.node)}" if of is None else "len", of, "sum"))
    return Number(float(len(value.items))) if isinstance(value, Sequence) and not value.mutable else NOTHING


@function("builtins.sum math.fsum", frees="a number")
def sum_all(call: Call) -> Any:
    """A number; sum(lists, []) is a list."""
    value, start = call.arg(0), call.arg(1, "start", None)
    if isinstance(start, (Buffer, Sequence)):
        result = call.hold("list")
        call.interpreter.iterate(value, lambda item: extend(call.interpreter, result, item, call.node), call.node)
        return result
    found: list[Any] = [value]
    if isinstance(value, Generator):
        value.run(found.append)
    if any(isinstance(item, Sequence) or (isinstance(item, Buffer) and item.kind in _NO_NUMBERS) for item in found):
        return UNKNOWN if call.reaches() else NOTHING  # arrays added up
    return Number(0.0, Symbol(f"sum {call.state.site(call.node)}", None, "sum"))


@function("builtins.min builtins.max", frees="one element")
def extreme(call: Call) -> Any:
    """One of the elements, or one of the arguments."""
    if len(call.args) > 1:
        result = call.args[0]
        for other in call.args[1:]:
            result = joined(result, other)
        known = [number for value in call.args if (number := number_of(value)) is not None]
        if len(known) == len(call.args):  # max(1, cpu_count() - 2)
            return Number(min(known) if call.name.endswith("min") else max(known))
        if known and call.name.endswith("min"):  # min(longest, 512): at most that
            return Number(min(known))
        if isinstance(result, Number):
            return result
        return result if isinstance(result, (Buffer, Row, Sequence)) else NOTHING
    value = call.arg(0)
    if isinstance(value, Buffer) and KINDS[value.kind].element not in ("", "char", "token"):
        return one_of(call.interpreter, value, 0)
    found: list[Any] = list(value.items) if isinstance(value, Sequence) and value.keys is None else []
    if isinstance(value, Generator):
        value.run(found.append)
    lengths = [item for item in found if isinstance(item, Number) and item.symbol is not None and item.symbol.of]
    if lengths and call.name.endswith("max"):  # max(len(line) for line in lines)
        longest = lengths[-1]
        return replace(longest, symbol=replace(longest.symbol, unit="longest") if longest.symbol else None)
    largest = NOTHING
    for item in found:
        largest = joined(largest, item)
    return largest if isinstance(largest, (Buffer, Row, Sequence)) else NOTHING


@function("builtins.round builtins.abs")
def rounded(call: Call) -> Any:
    value = call.arg(0)
    if isinstance(value, Buffer) and value.kind in ARRAYS:
        return elementwise(call.interpreter, value, None, call.node)
    return value if call.name.endswith("round") else UNKNOWN


@function("builtins.ord")
def code_point(call: Call) -> Any:
    """An element of its own."""
    return call.arg(0) if isinstance(call.arg(0), Buffer) else UNKNOWN


@function("builtins.str builtins.repr builtins.ascii")
def make_text(call: Call) -> Any:
    value = call.arg(0, "object", Constant(""))
    if isinstance(value, Buffer) and value.kind == "bytes" and call.name.endswith("str"):
        return decode(call, value)
    if isinstance(value, Buffer) and value.kind in ("ids", "lists", "objects"):
        result = digits(call, value, DIGITS + 2)
        call.record("copy")
        return result
    if isinstance(value, Buffer) and value.kind in ("token", "object"):
        return Small("str", DIGITS)
    if isinstance(value, Buffer):
        return value if value.kind == "text" or KINDS[value.kind].small else UNKNOWN
    if isinstance(value, Row):
        return call.hold("text", value.extent)
    if isinstance(value, (Number, Small)):
        return Small("str", DIGITS)
    return value if isinstance(value, (Path, Constant)) else UNKNOWN


def decode(call: Call, data: Buffer) -> Buffer:
    """bytes.decode(): the bytes, the text, and what decoding needs meanwhile."""
    result = call.hold("text", data.extent)
    call.record("decode", "", Transient("the text while it is decoded", "decode", data.extent, call.state.copies))
    return result


@function("builtins.bytes")
def make_bytes(call: Call) -> Any:
    value = call.arg(0)
    if not isinstance(value, Buffer) or value.kind == "bytes" or KINDS[value.kind].small:
        return value if isinstance(value, (Buffer, Constant, Path)) else UNKNOWN
    result = call.hold("bytes")
    result.parts.update(value.parts)
    call.record("copy")
    return result


@function("builtins.bytearray")
def make_bytearray(call: Call) -> Any:
    value = call.arg(0)
    result = call.state.make("bytes", call.node)
    if isinstance(value, Buffer):
        result.parts.update(value.parts)
        return result
    return UNKNOWN if call.reaches() else result


@function("builtins.memoryview")
def view_of(call: Call) -> Any:
    value = call.arg(0)
    if not isinstance(value, Buffer):
        return UNKNOWN
    found = view(value)
    if value.kind == "bytes":
        found.item = found.file_item = 1
    return found


@function("builtins.int builtins.float")
def make_number(call: Call) -> Any:
    value = call.arg(0)
    if isinstance(value, (Number, Buffer)):
        return value
    return NOTHING if isinstance(value, (Path, Constant, Unknown)) else UNKNOWN


# -- attributes -------------------------------------------------------------------------------------------------------


@function("builtins.getattr")
def get_attribute(call: Call) -> Any:
    name = call.text(1)
    if name is None:
        return UNKNOWN
    found = call.interpreter.attribute(call.arg(0), name, call.node)
    return found if isinstance(found, (Buffer, Row, Sequence, Path, Number, Constant)) else call.arg(2, "", NOTHING)


@function("builtins.setattr", frees="the object keeps it")
def set_attribute(call: Call) -> Any:
    owner, name = call.arg(0), call.text(1)
    if isinstance(owner, Instance):
        owner.attributes[name or f"line {getattr(call.node, 'lineno', 0)}"] = call.arg(2)
        return Constant(None)
    return UNKNOWN


@function("builtins.vars")
def attributes(call: Call) -> Any:
    """vars(arguments): a dict of them."""
    owner = call.arg(0)
    if isinstance(owner, Instance):
        return Sequence(list(owner.attributes.values()), [Constant(name) for name in owner.attributes], mutable=True)
    return UNKNOWN


function("builtins.print builtins.input builtins.help builtins.breakpoint builtins.exit builtins.quit")(
    nothing("what is shown is let go, what is typed is a line")
)
function("builtins.isinstance builtins.issubclass builtins.hasattr builtins.callable builtins.bool")(nothing("a bool"))
function("builtins.any builtins.all")(nothing("a bool", runs=True))
function("builtins.id builtins.hash builtins.divmod builtins.pow")(nothing("a number"))
function("builtins.chr builtins.format builtins.bin builtins.hex builtins.oct")(nothing("a short text"))
function("builtins.dir builtins.type builtins.object builtins.super builtins.slice")(
    nothing("names, classes and bounds, not values")
)
function("builtins.property builtins.staticmethod builtins.classmethod")(nothing("a function, wrapped"))
function("builtins.delattr")(nothing("frees an attribute"))
function(
    "builtins.*Error builtins.*Exception builtins.*Interrupt builtins.*Warning builtins.SystemExit "
    "builtins.StopIteration builtins.StopAsyncIteration"
)(nothing("an exception ends what is at hand, or is reported"))
