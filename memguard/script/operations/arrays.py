"""Arrays of numpy and torch: their element widths, their shapes, and what is made of others. Pure."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from memguard.script.extents import MOST_TIMES, Extent
from memguard.script.interface import Call
from memguard.script.numbers import arithmetic, number_of
from memguard.script.operations.growth import extend
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Constant,
    File,
    Generator,
    Module,
    Number,
    Row,
    Sequence,
    Symbol,
)

__all__ = [
    "dimensions",
    "filled",
    "item_size",
    "library_of",
    "make_array",
    "of_objects",
    "references",
    "repeated_array",
    "shaped",
]

_ITEMS = {"8": 1, "16": 2, "32": 4, "64": 8}
_NAMES = {"byte": 1, "short": 2, "ushort": 2, "long": 8, "int": 8, "float": 8, "u1": 1, "u2": 2, "u4": 4, "i2": 2}
_NAMES.update({"u8": 8, "i1": 1, "i4": 4, "i8": 8, "f2": 2, "f4": 4, "f8": 8, "bool": 1, "bool_": 1, "double": 8})
_NAMES.update({"half": 2, "intc": 4, "uintc": 4, "longlong": 8, "H": 2, "I": 4, "L": 8, "B": 1, "Q": 8, "object": 8})
_TORCH = {"float": 4, "int": 4}


def item_size(dtype: Any, default: int) -> int:
    """Bytes per element of np.uint16, "uint16", torch.long, int."""
    name = ""
    if isinstance(dtype, Module):
        library, _, name = dtype.name.rpartition(".")
        if library.startswith("torch"):
            return _TORCH.get(name) or _item(name, default)
    elif isinstance(dtype, Constant) and isinstance(dtype.value, str):
        name = dtype.value.lstrip("<>=|")
    return _item(name, default)


def _item(name: str, default: int) -> int:
    if name in _NAMES:
        return _NAMES[name]
    return next((size for digits, size in _ITEMS.items() if name.endswith(digits)), default)


def library_of(call: Call) -> str:
    """torch for what torch makes; numpy is none worth a name."""
    owner = call.owner
    if isinstance(owner, Buffer):
        return owner.library
    return "torch" if call.name.startswith("torch.") else ""


def make_array(call: Call, value: Any, item: int, step: str = "array") -> Any:
    """np.array(value): an array of its own. UNKNOWN for what is in none of its elements that are known here."""
    state = call.state
    result = call.hold("array", item=item)
    result.library = library_of(call)
    if isinstance(value, Generator):
        call.interpreter.iterate(value, lambda element: extend(call.interpreter, result, element, call.node), call.node)
    elif isinstance(value, Buffer):
        result.parts.update(value.parts)
        result.source, result.file_item = value, value.file_item
        result.capacity, result.row = _length_of(value)
        if item == 8 and value.kind in ("ids", "lists", "chars"):
            state.facts.wide_arrays.append(result)
    elif isinstance(value, (Row, File)):
        result.parts[state.site(call.node)] = value.extent
    elif isinstance(value, Sequence):
        for index, member in enumerate(member for member in value.items if isinstance(member, Buffer)):
            result.parts.update({(*state.site(call.node), index, key): part for key, part in member.parts.items()})
    if not result.parts and call.reaches(value):
        return UNKNOWN
    call.record(step)
    return result


def _length_of(value: Buffer) -> tuple[Any, float | None]:
    """How many elements an array of `value` has, and each of its rows, where that is known."""
    if value.kind in ("lists", "arrays"):
        return None, value.row
    known = isinstance(value.capacity, float) or value.kind in ("array", "view")
    return (value.capacity if known else None), value.row


def of_objects(call: Call) -> bool:
    """dtype=object"""
    kind = call.arg(1, "dtype", None)
    name = kind.name if isinstance(kind, Module) else getattr(kind, "value", None)
    return name in ("builtins.object", "numpy.object_", "object", "O")


def references(call: Call, lists: Buffer) -> Buffer:
    """Lists that differ in length stay the same lists, with a reference to each beside them."""
    slots = call.hold("objects", source=lists)
    slots.pieces.update(lists.pieces)
    slots.parts.update(lists.parts)
    lists.refs.append(slots)
    call.record("array")
    return lists


# -- shapes -----------------------------------------------------------------------------------------------------------


def dimensions(values: list[Any]) -> tuple[Number, ...] | None:
    """np.zeros((n, m)), torch.zeros(n, m): the lengths, frozen as they are now; None where one is not known."""
    if len(values) == 1 and isinstance(values[0], Sequence) and values[0].items:
        values = values[0].items
    found = [_frozen(value) for value in values]
    return tuple(value for value in found if value is not None) if None not in found and found else None


def _frozen(value: Any) -> Number | None:
    if not isinstance(value, Number):
        return None
    symbol = value.symbol
    if symbol is None:
        return value
    if symbol.of is None:
        return None
    of = replace(symbol.of, parts=dict(symbol.of.parts), pieces=dict(symbol.of.pieces), refs=[])
    return replace(value, symbol=Symbol(symbol.ident, of, symbol.unit))


def shaped(call: Call, values: list[Any], item: int) -> Buffer:
    """An array of a shape, whose pages count once they are written to."""
    result = call.state.make("array", call.node, item=item)
    result.origin, result.library = "prealloc", library_of(call)
    dims = dimensions(values)
    if dims is None:
        return result
    known = [number_of(dim) for dim in dims]
    if len(dims) == 1:
        result.capacity = dims[0].known if dims[0].symbol is None else dims
        return result
    rows = [dim for dim in known[1:] if dim is not None]
    if len(rows) == len(dims) - 1:
        result.row = 1.0
        for row in rows:
            result.row = min(MOST_TIMES, result.row * row)
    result.capacity = dims
    return result


def filled(call: Call, array: Buffer) -> Buffer:
    """The same with all of its pages written to."""
    array.parts[call.state.site(call.node)] = Extent()
    array.origin = "full"
    call.state.temps.append(array)
    call.record("array")
    return array


def repeated_array(call: Call, value: Buffer, times: float, item: int) -> Any:
    """`value` `times` over."""
    result = make_array(call, value, item, "copy")
    if isinstance(result, Buffer):
        for key, part in result.parts.items():
            result.parts[key] = replace(part, times=min(MOST_TIMES, part.times * times))
        result.capacity = _scaled(result.capacity, times)
    return result


def _scaled(length: Any, times: float) -> Any:
    if isinstance(length, tuple):
        first = arithmetic(ast.Mult(), length[0], Number(times))
        return (first, *length[1:]) if first is not None else None
    return length * times if isinstance(length, float) else None
