"""The shape of values: what two calls of a function have in common when they do the same. Pure.

    first = shape_of([env, module's names], loops)
    first.key == second.key   the same kinds, sizes and links; objects[i] of one stands for objects[i] of the other

Identities are left out: a Buffer is known by what is in it, a loop by its place among those that run. What keeps an
identity (a class, a closure's scope, a library's name) is compared as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from memguard.script.extents import Extent, Window
from memguard.script.values import (
    Buffer,
    Choice,
    Class,
    File,
    Function,
    Generator,
    Instance,
    Method,
    Number,
    Path,
    Range,
    Row,
    Sequence,
)

__all__ = ["Shape", "shape_of"]

_MOST = 2_000  # values; what leads to more is not compared


@dataclass(slots=True)
class Shape:
    key: tuple[Any, ...]
    objects: list[Any]  # what has an identity, in the order in which it is reached
    loops: list[int]  # their numbers, in the order in which they are met

    @property
    def encoded(self) -> tuple[bool, ...]:
        """Which of the texts tiktoken has left its copy in: a call may change that much and no more."""
        return tuple(value.encoded for value in self.objects if isinstance(value, Buffer))


@dataclass(slots=True)
class _Visitor:
    words: list[Any] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)
    loops: dict[int, int] = field(default_factory=dict)
    running: frozenset[tuple[int, int]] = frozenset()
    idents: dict[str, int] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    todo: list[Any] = field(default_factory=list)

    def loop(self, number: int) -> int:
        return self.loops.setdefault(number, len(self.loops))

    def extent(self, extent: Extent) -> tuple[Any, ...]:
        windows = self.windows(extent.windows)
        return extent.source, extent.low, extent.high, windows, extent.times, extent.columns

    def windows(self, windows: tuple[Window, ...]) -> tuple[Any, ...]:
        return tuple((self.loop(window.loop), window.unit, window.amount) for window in windows)

    def since(self, created_in: Iterable[tuple[int, int]]) -> tuple[int, ...]:
        """Which of the iterations that run now a value was made in."""
        return tuple(self.loop(loop) for loop, number in created_in if (loop, number) in self.running)

    def visit(self, value: Any) -> None:
        kind = type(value)
        if kind is Number:
            symbol = value.symbol
            ident = None if symbol is None else self.idents.setdefault(symbol.ident, len(self.idents))
            unit = None if symbol is None else symbol.unit
            loop = self.loop(value.loop) if value.loop else None
            self.words.append((value.offset, value.factor, value.step, loop, ident, unit))
            if symbol is not None and symbol.of is not None:
                self.todo.append(symbol.of)
        elif kind is Path:
            self.words.append((value.text, value.argument, value.many, value.key, self.windows(value.windows)))
        elif kind is Class:
            self.words.append(id(value))
        elif kind is Range:
            self.words.append((value.step, value.count))
            self.todo.append(value.stop)
        elif kind in _PARTS:
            number = self.seen.get(id(value))
            if number is None:
                self.seen[id(value)] = len(self.objects)
                self.objects.append(value)
                self.words.append(kind)
                _PARTS[kind](self, value)
            else:
                self.words.append((kind, number))
        else:
            self.words.append(value)

    def buffer(self, value: Buffer) -> None:
        self.words += (
            *(value.kind, value.item, value.capacity, value.bound, value.copies, value.origin, value.file_item),
            *(value.steps, self.since(value.created_in)),
            tuple(map(self.extent, value.parts.values())),
            tuple(map(self.extent, value.pieces.values())),
            tuple(map(self.since, value.grown_in.values())),
        )
        self.todo += (value.of, value.source, value.shares, value.once_of, len(value.refs), *value.refs)

    def sequence(self, value: Sequence) -> None:
        self.words += (value.mutable, len(value.items), value.keys is None, value.like, self.since(value.created_in))
        self.todo += (*value.items, *(value.keys or ()))

    def instance(self, value: Instance) -> None:
        self.words.append(tuple(value.attributes))
        self.todo += (value.cls, *value.attributes.values())

    def row(self, value: Row) -> None:
        self.words += (self.extent(value.extent), value.origin, value.column, value.path, tuple(value.fields))
        self.todo += (value.source, len(value.refs), *value.refs, *value.fields.values())

    def file(self, value: File) -> None:
        self.words += (self.extent(value.extent), value.binary, value.write, value.format, self.since(value.created_in))
        self.todo.append(value.path)

    def function(self, value: Function) -> None:
        self.words += (value.node, tuple(map(id, value.scopes)), len(value.bound[0]), tuple(value.bound[1]))
        self.todo += (value.owner, *value.bound[0], *value.bound[1].values())

    def generator(self, value: Generator) -> None:
        self.words += (id(value.run) if value.node is None else value.node, len(value.refs))
        self.todo += value.refs

    def method(self, value: Method) -> None:
        self.words.append(value.name)
        self.todo.append(value.owner)

    def choice(self, value: Choice) -> None:
        self.words.append(len(value.items))
        self.todo += value.items


_PARTS: dict[type, Callable[[_Visitor, Any], None]] = {
    Buffer: _Visitor.buffer,
    Sequence: _Visitor.sequence,
    Instance: _Visitor.instance,
    Row: _Visitor.row,
    File: _Visitor.file,
    Function: _Visitor.function,
    Generator: _Visitor.generator,
    Method: _Visitor.method,
    Choice: _Visitor.choice,
}


def shape_of(spaces: Iterable[dict[str, Any]], loops: Collection[tuple[int, int]] = ()) -> Shape | None:
    """The shape of all that the names of `spaces` lead to, while `loops` run; None for too much to compare."""
    visitor = _Visitor(running=frozenset(loops))
    for loop, _ in loops:
        visitor.loop(loop)
    for space in spaces:
        visitor.words.append(tuple(space))
        for value in space.values():
            visitor.todo.append(value)
            while visitor.todo:
                visitor.visit(visitor.todo.pop())
        if len(visitor.words) > 12 * _MOST or len(visitor.objects) > _MOST:
            return None
    return Shape(tuple(visitor.words), visitor.objects, list(visitor.loops))
