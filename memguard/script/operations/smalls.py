"""Objects whose size does not follow the input's, but whose number may: an index, a digest, a tuple, a dict. Pure.

A list of them is a Buffer of kind objects. What a container of them holds of the input's size is a Buffer of its own.
"""

from __future__ import annotations

from typing import Any

from memguard.script.liveness import buffers_in
from memguard.script.source import dotted_name
from memguard.script.values import (
    Buffer,
    Class,
    Instance,
    Module,
    Number,
    Path,
    Row,
    Sequence,
    Small,
    Unknown,
)

__all__ = ["larger", "made_of", "names_of", "slots"]

_MOST_MEMBERS = 12  # of a tuple of a path and what goes with it
_DEEPEST = 6  # containers inside one another
# A short text of the script's own making, such as a name or a path.
_SHORT_TEXT = 24.0


def made_of(value: Any, depth: int = 0) -> tuple[Small, ...]:
    """The objects of its own that `value` is made of. Constants are shared, Buffers and documents are priced apart."""
    if isinstance(value, Small):
        return (value,)
    if isinstance(value, Number):
        return () if value.symbol is None else (Small("int"),)
    if isinstance(value, Unknown):
        return (Small("int"),)
    if isinstance(value, Path):
        return (Small("str", float(len(value.text)) if value.text else _SHORT_TEXT),)
    if depth > _DEEPEST:
        return ()
    if isinstance(value, Sequence):
        members = list(value.items)
        kind = "tuple" if not value.mutable else "list" if value.keys is None else "dict"
    elif isinstance(value, Instance):
        members = list(value.attributes.values())
        kind = _kind_of_instance(value)
    elif isinstance(value, Buffer) and value.kind == "list":
        members, kind = [], "list"
    else:
        return ()
    inner = [part for member in members for part in made_of(member, depth + 1)]
    return (Small(kind, float(len(members))), *inner)


def _kind_of_instance(value: Instance) -> str:
    if not isinstance(value.cls, Class):
        return "instance"
    bases = (base.name.rpartition(".")[2] for base in value.cls.bases if isinstance(base, Module))
    if any(name == "NamedTuple" or name.startswith("namedtuple") for name in bases):
        return "tuple"
    if "__slots__" in value.cls.scope:
        return "slots"
    for decorator in value.cls.node.decorator_list:
        for keyword in getattr(decorator, "keywords", ()):
            if keyword.arg == "slots" and dotted_name(keyword.value) == "" and getattr(keyword.value, "value", False):
                return "slots"
    return "instance"


def slots(value: Any) -> float:
    """References that the price of what is inside `value` has in it already: one for each Buffer or document."""
    return float(_members(value, 0))


def _members(value: Any, depth: int) -> int:
    if isinstance(value, (Buffer, Row)):
        return 1
    if depth > _DEEPEST:
        return 0
    if isinstance(value, Sequence):
        return sum(_members(item, depth + 1) for item in value.items)
    if isinstance(value, Instance):
        return sum(_members(item, depth + 1) for item in value.attributes.values())
    return 0


def larger(first: tuple[Small, ...], second: tuple[Small, ...]) -> tuple[Small, ...]:
    """Of what two branches add, that with more objects."""
    return max(first, second, key=lambda found: (len(found), sum(small.size for small in found)))


def names_of(value: Any) -> Path | Sequence | None:
    """The path of one of many files, or a tuple or dict that has one and nothing of the input's size."""
    if isinstance(value, Path):
        of_many = tuple(window for window in value.windows if window.unit == "files")
        return Path(None, value.argument, False, value.key, of_many)
    if isinstance(value, Sequence) and len(value.items) <= _MOST_MEMBERS and not buffers_in([value]):
        items = [names_of(item) or item for item in value.items]
        if any(isinstance(item, Sequence) or (isinstance(item, Path) and item.windows) for item in items):
            return Sequence(items, value.keys, value.mutable)
    return None
