"""copy: a list, text or array of its own."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.ints import new_ints
from memguard.script.registry import function
from memguard.script.values import UNKNOWN, Buffer

__all__: list[str] = []


@function("copy.copy copy.deepcopy")
def copied(call: Call) -> Any:
    value = call.arg(0)
    if not isinstance(value, Buffer):
        return UNKNOWN
    result = call.hold(value.kind, item=value.item, source=value, origin=value.origin)
    result.parts.update(value.parts)
    result.pieces.update(value.pieces)
    result.refs = [new_ints(call.interpreter, result, call.node)] if value.kind in ("ids", "lists") else []
    call.record("copy")
    return result
