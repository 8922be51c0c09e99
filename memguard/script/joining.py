"""One value for a name that has two, depending on the branch that was taken. Pure."""

from __future__ import annotations

from typing import Any

from memguard.script.values import UNKNOWN, Buffer, Constant, Number, Path, Row, Unknown

__all__ = ["joined"]


def joined(first: Any, second: Any) -> Any:
    """The larger of the two; UNKNOWN for a flag that is true after one branch and may be false after the other."""
    if first is second:
        return first
    if isinstance(first, Buffer) and isinstance(second, Buffer):
        if first.weight == second.weight and first.kind == second.kind:  # ids[:512], or padded to 512
            return second if isinstance(second.capacity, float) and first.capacity is None else first
        return second if second.weight > first.weight else first
    if _may_differ(first, second):
        return UNKNOWN
    for one, other in ((first, second), (second, first)):
        if isinstance(one, Buffer):  # a line that is parsed where it is still a text
            return other if isinstance(other, Row) and other.extent == one.extent and one.kind == "text" else one
        if isinstance(one, Unknown) or (isinstance(one, Constant) and one.value is None):
            return other
    if first == Constant("") and isinstance(second, Path):  # the name of a file, once there is one
        return second
    if isinstance(first, Number) and isinstance(second, Number) and first != second:
        return first if first.symbol is not None else second if second.symbol is not None else first
    return first


def _may_differ(first: Any, second: Any) -> bool:
    """Whether a flag may be true after one branch and false after the other: neither way of an `if` is left out."""
    if not any(isinstance(value, Constant) and isinstance(value.value, bool) for value in (first, second)):
        return False
    if isinstance(first, Constant) and isinstance(second, Constant):
        return bool(first.value) != bool(second.value) or first.assumed or second.assumed
    return isinstance(first, Unknown) or isinstance(second, Unknown)
