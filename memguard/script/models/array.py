"""array.array: elements of a fixed width. Its methods are an array's: see numpy.py."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.growth import extend
from memguard.script.registry import function
from memguard.script.values import UNKNOWN

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
