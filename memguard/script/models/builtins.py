"""Python's builtins: how they hand on, gather and copy what they get. open() is in files.py, str in text.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memguard.script.interface import Call
from memguard.script.numbers import limited, number_of
from memguard.script.operations.access import store_more
from memguard.script.operations.digits import DIGITS, digits
from memguard.script.operations.elements import one_of, view
from memguard.script.operations.growth import ARRAYS, append, elementwise, extend
from memguard.script.operations.tables import distinct, table_for, tabled
from memguard.script.registry import function, nothing
from memguard.script.state import joined
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

__all__ = ["decode", "entries", "first", "make_list", "mapped"]

# Kinds whose elements are few however many there are: the characters of Unicode, the ids of a vocabulary.
_FEW_DISTINCT = ("char", "token")
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
    return Range(stop, step, count)


# -- containers -------------------------------------------------------------------------------------------------------


@function("builtins.list builtins.tuple collections.deque")
def make_list(call: Call) -> Any:
    """list(x): a list of x's elements."""
    if not call.args:
        return call.state.make("list", call.node)
    value = call.args[0]
    if isinstance(value, (Sequence, Path)) or (isinstance(value, Row) and not value.column):
        return value
    if isinstance(value, Unknown):
        return call.state.make("list", call.node)
    result = call.hold("list")
    if isinstance(value, File):
        result.origin = "lines"
    if isinstance(value, Buffer) and value.kind in ("strings", "lists", "records", "arrays"):
        result.of, result.kind, result.refs = value, value.kind, [value]
        result.parts.update(value.parts)
        result.pieces.update(value.pieces)
    elif isinstance(value, Buffer):
        extend(call.interpreter, result, value, call.node)
    else:
        call.interpreter.iterate(value, lambda item: append(call.interpreter, result, item, call.node), call.node)
        call.record("list")
    return result


@function("builtins.sorted", frees="its key sees the elements alone")
def sorted_list(call: Call) -> Any:
    value = call.arg(0)
    if isinstance(value, Unknown):
        return NOTHING
    return make_list(call) if isinstance(value, (Buffer, Generator, File, Row, Range)) else value


@function("builtins.set builtins.frozenset", frees="few characters and ids differ; of a dict only the keys")
def make_set(call: Call) -> Any:
    """set(x): as if all elements differed, where they are texts; few ones, where they are characters or ids."""
    if not call.args:
        return call.state.make("list", call.node)
    value = call.args[0]
    if isinstance(value, (Unknown, Constant)):
        return NOTHING
    if isinstance(value, Sequence):
        return Sequence(list(value.items if value.keys is None else value.keys), mutable=True)
    if isinstance(value, Buffer):
        return entries(call, value, "set")
    gathered = call.hold("list")
    call.interpreter.iterate(value, lambda item: append(call.interpreter, gathered, item, call.node), call.node)
    return entries(call, gathered, "set", priced=1)


def entries(call: Call, elements: Buffer, origin: str, priced: int = 0) -> Any:
    """A set or dict (`origin`) of `elements`, which it shares; `priced`: those stand in no list beside it."""
    kind = KINDS[elements.kind]
    if kind.small or kind.element in _FEW_DISTINCT:
        return NOTHING
    if not kind.element:
        return UNKNOWN
    result = call.hold(elements.kind, of=elements, refs=[elements], origin=elements.origin)
    result.capacity, result.made_of, result.source = elements.capacity, elements.made_of, elements
    result.parts.update(distinct(elements.parts) if elements.kind == "words" else elements.parts)
    result.pieces.update(elements.pieces)
    tabled(call.interpreter, result, origin, priced, call.node)
    if not priced:  # those are there all the while, and the table grows by being copied
        call.state.temps.append(table_for(call.interpreter, result, f"{origin} before", 0, call.node))
        call.record(origin)
        call.state.temps.pop()
    return result


@function("builtins.dict collections.OrderedDict")
def make_dict(call: Call) -> Any:
    """dict(a=1), dict(other), dict(pairs): values of keys that are not known are as if in a list."""
    result = Sequence(list(call.kwargs.values()), [Constant(name) for name in call.kwargs], mutable=True)
    value = call.arg(0)
    if not call.args or isinstance(value, Unknown):
        return result
    if isinstance(value, Sequence) and value.keys is not None:
        result.items[:0], result.keys = value.items, [*value.keys, *(result.keys or ())]
        return result
    if isinstance(value, (Instance, Row)):
        return value

    def add(pair: Any) -> None:
        members = pair.items if isinstance(pair, Sequence) else [pair]
        for member in members:
            if isinstance(member, (Buffer, Row, Sequence, Instance)):
                store_more(call.interpreter, result, member, call.node)

    call.interpreter.iterate(value, add, call.node)
    return result


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
    numbers = [value for value in call.args if isinstance(value, Number)]
    if len(call.args) > 1 and numbers:  # min(longest, 512)
        known = [value for value in numbers if value.symbol is None]
        if len(known) == len(call.args):  # max(1, cpu_count() - 2)
            return (min if call.name.endswith("min") else max)(known, key=lambda n: n.offset)
        return known[0] if known and call.name.endswith("min") else max(numbers, key=lambda n: n.symbol is not None)
    if len(call.args) > 1:
        result = call.args[0]
        for other in call.args[1:]:
            result = joined(result, other)
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
