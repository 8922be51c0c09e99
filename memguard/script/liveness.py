"""What is alive: a Buffer lives while a name, an attribute, a container or a value at hand leads to it.

So rebinding, del, the end of a function and the next iteration of a loop free it without being told. `reach` asks the
same of the arguments of a call: all that a function could keep of what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from memguard.script.extents import Extent
from memguard.script.values import (
    KINDS,
    Buffer,
    Choice,
    Class,
    Constant,
    Encoder,
    File,
    Function,
    Generator,
    Held,
    Instance,
    Method,
    Module,
    Namespace,
    Number,
    Path,
    Pool,
    Range,
    Row,
    Sequence,
    Unknown,
)

__all__ = ["Liveness", "Reach", "buffers_in", "children", "reach"]

# What keeps nothing of the input's size alive.
_LEAVES = frozenset((Class, Constant, Encoder, File, Module, Namespace, Number, Path, Pool, Range, Unknown))
_CONSTANTS = frozenset((Constant, Module, Namespace, Number, Unknown))  # what leads to no input either
_LEAVES_A_STEP = 64  # members of a tuple, list or dict that are looked at in one step
_MOMENT = 40  # steps for a moment that differs from the last one


def children(value: Any, label: str = "") -> list[tuple[Any, str]]:
    """What `value`, which is no Buffer, keeps alive beside itself, and how to call it."""
    if isinstance(value, Instance):
        return [(child, f"{label}.{name}") for name, child in value.attributes.items()]
    if isinstance(value, Sequence):
        found = [(child, label) for child in value.items if type(child) not in _CONSTANTS]
        return found + [(child, label) for child in value.keys or () if type(child) not in _CONSTANTS]
    if isinstance(value, Row):
        return [(child, label) for child in (*value.refs, *value.fields.values())]
    if isinstance(value, Generator):
        return [(child, label) for child in value.refs]
    if isinstance(value, Method):
        return [(value.owner, label)]
    if isinstance(value, Choice):
        return [(child, label) for child in value.items]
    if isinstance(value, Function):
        kept = [] if value.owner is None else [(value.owner, label)]
        return kept + [(child, label) for child in (*value.bound[0], *value.bound[1].values())]
    return []


def buffers_in(values: Iterable[Any]) -> list[Buffer | Row]:
    """The Buffers and documents inside `values`, however deep the containers, each once and in order."""
    found: list[Buffer | Row] = []
    seen: set[int] = set()
    todo = list(values)[::-1]
    while todo:
        value = todo.pop()
        if type(value) in _LEAVES or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, (Buffer, Row)):
            found.append(value)
        else:
            todo += [child for child, _ in children(value)][::-1]
    return found


@dataclass(slots=True)
class Reach:
    """All of the input that a function can get at through what it is given."""

    extents: list[Extent] = field(default_factory=list)
    generators: list[Generator] = field(default_factory=list)  # what they yield is not known before they run
    callbacks: list[Function] = field(default_factory=list)  # may be called with anything
    visited: int = 0

    def __bool__(self) -> bool:
        return bool(self.extents or self.generators or self.callbacks)


def reach(values: Iterable[Any]) -> Reach:
    """Each Buffer, document, file and path of an input that can be reached from `values`, once."""
    found = Reach()
    seen: set[int] = set()
    paths: set[Path] = set()
    todo = list(values)
    while todo:
        value = todo.pop()
        if isinstance(value, Path):
            if value.argument and value not in paths:
                paths.add(value)
                found.extents.append(Extent(value.key or None, windows=value.windows))
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        found.visited += 1
        if isinstance(value, Buffer):
            if not KINDS[value.kind].small:
                found.extents += value.parts.values()
        elif isinstance(value, Row):
            found.extents.append(value.extent)
            todo += [
                field for field in value.fields.values() if not (isinstance(field, Buffer) and field.kind == "text")
            ]
        elif isinstance(value, File):
            if not value.write:
                found.extents.append(value.extent)
        elif isinstance(value, Generator):
            found.generators.append(value)
        elif isinstance(value, Function):
            found.callbacks.append(value)
        else:
            below = (child for child, _ in children(value))
            todo += [c for c in below if not (isinstance(value, Instance) and isinstance(c, Function))]
    return found


class Liveness:
    """Looks at all that is alive again and again; what has not changed since the last look is the same object."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, str], Held] = {}  # the last one of each
        self._last: tuple[Held, ...] = ()

    def look(self, named: Iterable[tuple[Any, str]], loops: list[tuple[int, int]]) -> tuple[tuple[Held, ...], int]:
        """(the values of `named` with their names, and all that they keep alive; steps that the look takes)"""
        held: list[Held] = []
        seen: set[int] = set()
        spent = 2
        for count, (value, label) in enumerate(named):
            spent += self._visit(value, label, loops, held, seen) + (count % 4 == 3)
        spent += len(seen) // 2
        found = tuple(held)
        if found != self._last:
            spent += _MOMENT + len(found) * 2
            self._last = found
        return self._last, spent

    def _visit(self, value: Any, label: str, loops: list[tuple[int, int]], held: list[Held], seen: set[int]) -> int:
        todo = [(value, label)]
        spent = 0
        while todo:
            value, label = todo.pop()
            if type(value) in _LEAVES or id(value) in seen:
                continue
            if isinstance(value, Buffer):
                seen.add(id(value))
                now = Held(
                    label,
                    value,
                    tuple(value.parts.values()),
                    value.kind,
                    value.encoded,
                    _not_yet_added(value, loops) if value.grown_in and loops else (),
                )
                before = self._held.get((id(value), label))
                if before == now and before is not None:
                    now = before
                else:
                    self._held[id(value), label] = now
                    spent += 3 * len(value.parts)
                held.append(now)
                todo += [(child, label) for child in value.refs]
            else:
                seen.add(id(value))
                todo += children(value, label)
                if isinstance(value, Sequence):
                    spent += len(value.items) // _LEAVES_A_STEP
        return spent


def _not_yet_added(buffer: Buffer, loops: list[tuple[int, int]]) -> tuple[Extent, ...]:
    """In the last iteration a list holds all but what that iteration is about to add."""
    now = dict(loops)
    return tuple(
        piece
        for site, piece in buffer.pieces.items()
        if site in buffer.parts
        and any(
            now.get(loop, number) != number and all(window.loop != loop for window in buffer.parts[site].windows)
            for loop, number in buffer.grown_in.get(site, ())
        )
        and piece != buffer.parts[site]
    )
