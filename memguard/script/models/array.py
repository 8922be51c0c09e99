"""array.array: elements of a fixed width; what all arrays have beside their methods, which are in numpy.py."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.elements import view
from memguard.script.operations.growth import extend
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.values import UNKNOWN, Constant, Module

__all__: list[str] = []

# Bytes per element by typecode (x86-64, Linux).
_ITEMS = {
    "b": 1,
    "B": 1,
    "h": 2,
    "H": 2,
    "i": 4,
    "I": 4,
    "l": 8,
    "L": 8,
    "q": 8,
    "Q": 8,
    "f": 4,
    "d": 8,
    "u": 4,
    "w": 4,
}


@function("array.array")
def array(call: Call) -> Any:
    """array.array("H", ids)"""
    if call.reaches(call.arg(0)):
        return UNKNOWN
    result = call.state.make("array", call.node, item=_ITEMS.get(call.text(0) or "H", 8))
    call.state.facts.container = "array.array"
    if len(call.args) > 1:
        call.state.temps.append(result)
        extend(call.interpreter, result, call.args[1], call.node)
    return result


@method("array", "extend fromlist append frombytes fromfile fromunicode")
def grown(call: Call) -> Any:
    extend(call.interpreter, call.owner, call.arg(0), call.node)
    return Constant(None)


# -- attributes -------------------------------------------------------------------------------------------------------

_DTYPES = {1: "numpy.uint8", 2: "numpy.uint16", 4: "numpy.int32", 8: "numpy.int64"}


@attribute("array view mapped arrays", "T mT real flat")
def turned(call: Call) -> Any:
    """The same memory."""
    return call.owner if call.owner.kind == "arrays" else view(call.owner)


@attribute("array view mapped", "dtype")
def dtype_of(call: Call) -> Any:
    return Module(_DTYPES.get(call.owner.item, "numpy.int64"))


attribute("array view mapped", "device ndim strides flags")(nothing("a number or a name"))
