"""A function that is called again and again is followed a few times, then once for each shape of its arguments. Pure.

What a call did is kept as a Summary: what it gave, and what was alive in it at each of its steps beside what was there
before. The next call that finds everything as that one found it (shapes.py) gives a copy of the same, and its moments
are recorded beside what is alive now. A call that changes what was there before has no Summary: it is followed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from memguard.script.extents import Extent, measure
from memguard.script.shapes import Shape, shape_of
from memguard.script.state import State
from memguard.script.trace import Moment, Step, Transient
from memguard.script.values import (
    KINDS,
    Buffer,
    Choice,
    File,
    Function,
    Generator,
    Held,
    Instance,
    Method,
    Number,
    Path,
    Range,
    Row,
    Sequence,
)

__all__ = ["Summary", "is_repeated", "summarised"]

_FOLLOWED = 6  # calls of a function that are followed, whatever they get
_REPEATED = 2  # values of one generator that are handed on, whatever they are
_PRICE = 12  # words of a shape that are one step


class _NotCopied(Exception):
    """A closure, or a generator that has not run: nobody else can have the same."""


@dataclass(frozen=True, slots=True)
class _Passage:
    """One step inside a call: what was alive there that was not alive before."""

    step: Step
    inside: tuple[Held, ...]
    transients: tuple[Transient, ...]
    workers: float


@dataclass(frozen=True, slots=True)
class Summary:
    before: Shape
    result: Any
    passages: tuple[_Passage, ...]
    unrecognised: dict[tuple[int, int], ast.AST]
    encoded: tuple[bool, ...]  # afterwards


def summarised(state: State, function: Function, env: dict[str, Any], depth: int, follow: Callable[[], Any]) -> Any:
    """What `follow()` gives, which runs `function` with its parameters bound in `env`; from a Summary if there is one.

    `depth`: how many calls of it are at work already.
    """
    count = state.followed[function.node] = state.followed.get(function.node, 0) + 1
    if count <= _FOLLOWED:
        return follow()
    spaces = (dict(env), *function.scopes, *state.modules)
    before = _shape(state, spaces)
    if before is None:
        return follow()
    context = (
        depth,
        state.copies,
        state.workers,
        tuple(state.loop_info[loop].consumes_input for loop, _ in state.loops),
    )
    known = state.summaries.setdefault((function.node, before.key, context), [])
    if known:
        return _again(state, known[0], before)
    return _followed(state, spaces, before, known, follow)


def _shape(state: State, spaces: tuple[dict[str, Any], ...]) -> Shape | None:
    state.spend(4)
    shape = shape_of(spaces, state.loops)
    state.spend(200 if shape is None else len(shape.key) // _PRICE)
    return shape


def _followed(
    state: State, spaces: tuple[dict[str, Any], ...], before: Shape, known: list[Summary], follow: Callable[[], Any]
) -> Any:
    outside = {id(held.buffer) for held in state.alive()} | set(map(id, before.objects))
    first = len(state.moments)
    listed, state.unrecognised = state.unrecognised, {}
    info = [state.loop_info[loop] for loop, _ in state.loops]
    try:
        result = follow()
    finally:
        own = state.unrecognised
        state.unrecognised = {**own, **listed}
    after = _shape(state, spaces)
    if after is None or after.key != before.key or info != [state.loop_info[loop] for loop, _ in state.loops]:
        return result
    try:
        _Copier(state, before, before).copied(result)
    except _NotCopied:
        return result
    passages = _passages(state, state.moments[first:], outside)
    known.append(Summary(before, result, passages, own, after.encoded))
    return result


def _passages(state: State, moments: list[Moment], outside: set[int]) -> tuple[_Passage, ...]:
    """Each step at its worst."""
    worst: dict[tuple[Step, tuple[Transient, ...]], tuple[float, _Passage]] = {}
    for moment in moments:
        inside = tuple(held for held in moment.alive if id(held.buffer) not in outside)
        weight = sum(measure(part) for held in inside for part in held.parts)
        key = moment.step, moment.transients
        if key not in worst or weight > worst[key][0]:
            worst[key] = weight, _Passage(moment.step, inside, moment.transients, moment.workers)
        state.spend(1 + len(moment.alive) // 8)
    return tuple(passage for _, passage in worst.values())


def _again(state: State, summary: Summary, now: Shape) -> Any:
    alive = state.alive()
    for passage in summary.passages:
        state.spend(4 + len(alive) // 4)
        state.moments.append(Moment(passage.step, alive + passage.inside, passage.transients, passage.workers))
    for place, node in summary.unrecognised.items():
        state.unrecognised.setdefault(place, node)
    buffers = (value for value in now.objects if isinstance(value, Buffer))
    for buffer, encoded in zip(buffers, summary.encoded, strict=True):
        if encoded:
            buffer.encoded = True
    return _Copier(state, summary.before, now).copied(summary.result)


class _Copier:
    """Values of one call as those of another: what both were given stands for one another, the rest is new."""

    def __init__(self, state: State, then: Shape, now: Shape) -> None:
        self._state = state
        self._known: dict[int, Any] = {id(a): b for a, b in zip(then.objects, now.objects, strict=True)}
        self._loops = dict(zip(then.loops, now.loops, strict=True))
        self._kept: list[Any] = []  # so that no identity is used twice

    def copied(self, value: Any) -> Any:
        kind = type(value)
        if kind is Number and value.symbol is not None and value.symbol.of is not None:
            return replace(value, symbol=replace(value.symbol, of=self.copied(value.symbol.of)))
        if kind is Range:
            return replace(value, stop=self.copied(value.stop))
        if kind is Path and value.windows:
            return replace(value, windows=self._extent(Extent(windows=value.windows)).windows)
        if kind not in _COPIES:
            return value
        if id(value) not in self._known:
            self._state.spend()
            self._kept.append(value)
            _COPIES[kind](self, value)
        return self._known[id(value)]

    def _new(self, value: Any) -> Any:
        found = self._known[id(value)] = copy(value)
        return found

    def buffer(self, value: Buffer) -> None:
        found = self._new(value)
        found.parts = self._parts(value.parts)
        found.pieces = self._parts(value.pieces)
        found.grown_in = self._dict(value.grown_in, lambda since: since)
        found.created_in = tuple(self._state.loops)
        found.refs = [self.copied(ref) for ref in value.refs]
        found.source, found.of = self.copied(value.source), self.copied(value.of)
        found.shares = self.copied(value.shares)
        found.once_of = self.copied(value.once_of)
        if KINDS[value.kind].grows:
            self._state.growing.append(found)

    def _parts(self, parts: dict[Any, Extent]) -> dict[Any, Extent]:
        return self._dict(parts, self._extent)

    def _dict(self, old: dict[Any, Any], change: Callable[[Any], Any]) -> dict[Any, Any]:
        """A list of ids and its ints have the same dict. Each call's keys are its own: two results may be added up."""
        if id(old) not in self._known:
            self._kept.append(old)
            place = tuple(self._state.calls)
            self._known[id(old)] = {(*place, key): change(part) for key, part in old.items()}
        found: dict[Any, Any] = self._known[id(old)]
        return found

    def _extent(self, extent: Extent) -> Extent:
        if not extent.windows:
            return extent
        windows = tuple(replace(w, loop=self._loops.get(w.loop, w.loop)) for w in extent.windows)
        return replace(extent, windows=windows)

    def sequence(self, value: Sequence) -> None:
        found = self._new(value)
        found.items = [self.copied(item) for item in value.items]
        found.keys = None if value.keys is None else [self.copied(key) for key in value.keys]

    def instance(self, value: Instance) -> None:
        found = self._new(value)
        found.attributes = {name: self.copied(child) for name, child in value.attributes.items()}
        self._state.spaces.append(found.attributes)

    def row(self, value: Row) -> None:
        found = self._new(value)
        found.extent = self._extent(value.extent)
        found.fields = {name: self.copied(child) for name, child in value.fields.items()}
        found.refs = [self.copied(ref) for ref in value.refs]
        found.source = self.copied(value.source)

    def file(self, value: File) -> None:
        found = self._new(value)
        found.extent, found.path = self._extent(value.extent), self.copied(value.path)
        found.created_in = tuple(self._state.loops)

    def method(self, value: Method) -> None:
        self._known[id(value)] = Method(self.copied(value.owner), value.name)

    def refused(self, value: Any) -> None:
        raise _NotCopied


_COPIES: dict[type, Callable[[_Copier, Any], None]] = {
    Buffer: _Copier.buffer,
    Sequence: _Copier.sequence,
    Instance: _Copier.instance,
    Row: _Copier.row,
    File: _Copier.file,
    Method: _Copier.method,
    Choice: _Copier.refused,
    Function: _Copier.refused,
    Generator: _Copier.refused,
}


def is_repeated(state: State, value: Any) -> bool:
    """Whether the generator that runs has handed on a value like this before, when everything was as it is now."""
    frame = state.frame
    frame.yields += 1
    if frame.yields <= _REPEATED:
        return False
    spaces = ({"": value}, *(other.env for other in state.frames), *state.modules)
    shape = _shape(state, spaces)
    if shape is None:
        return False
    key = (shape.key, shape.encoded, tuple(number for _, number in state.loops))
    known = key in frame.yielded
    frame.yielded.add(key)
    return known
