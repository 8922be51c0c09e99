"""six: str and bytes that are one or the other already."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.models.builtins import decode
from memguard.script.registry import function, nothing
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant

__all__: list[str] = []


@function("six.ensure_text six.ensure_str six.ensure_binary")
def ensured(call: Call) -> Any:
    """The same object, or a decoded or encoded copy of it."""
    value = call.arg(0, "s")
    wanted = "bytes" if call.name.endswith("binary") else "text"
    if not isinstance(value, Buffer):
        return NOTHING if isinstance(value, Constant) else UNKNOWN
    if value.kind not in ("text", "bytes") or value.kind == wanted:
        return value if value.kind in ("text", "bytes", "char") else UNKNOWN
    if wanted == "text":
        return decode(call, value)
    result = call.hold("bytes", value.extent)
    call.record("encode to bytes")
    return result


function("six.moves.*")(nothing("a module of the standard library"))
