"""The memory of the script that is being read: scopes, loops, what is alive, and the moments at which that was noted.

Liveness is reachability: a Data is alive while a name, an attribute, a container or a value at hand leads to it, so
rebinding, del, the end of a function and the next iteration of a loop free it without being told. A loop's body is
read twice: the second time, the first iteration's values are still there, as they are when the script runs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from memguard.script.values import (
    MOST_TIMES,
    Bound,
    Class,
    Constant,
    Data,
    Encoder,
    File,
    Function,
    Generator,
    Held,
    Instance,
    Method,
    Module,
    Number,
    Path,
    Pool,
    Portion,
    Range,
    Record,
    Sequence,
    Threshold,
    Unknown,
    measure,
)

__all__ = ["DEEPEST", "BudgetSpent", "Extra", "Frame", "LoopInfo", "Moment", "State", "children"]

# Steps of some 4 µs (CPython 3.11) that the reader takes at most: for expressions and statements looked at, values
# alive at a moment, names copied for a branch, and for what each moment takes to be weighed later. The scripts of
# tests/programs take 400 to 6,000.
_STEPS = 300_000
_MOMENT = 40  # steps for one that differs from the last one
DEEPEST = 200  # expressions, statements and calls inside one another

# What a bound counts, per kind of Data, where the script compares len(x) with it.
_ELEMENTS = {"text": "chars", "strings": "pieces", "lists": "pieces", "arrays": "pieces"}


@dataclass(frozen=True, slots=True)
class Extra:
    """Memory that a call needs while it runs. kinds: those of Data, and read, rust (ids inside tiktoken)."""

    words: str
    kind: str
    portion: Portion
    copies: float = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """All that is alive at one point of the script's run."""

    node: ast.AST
    kind: str  # read, encode, extend, array, …; line: after a statement
    variable: str
    alive: tuple[Held, ...]
    extra: tuple[Extra, ...] = ()
    workers: float = 0.0  # processes of a pool that run meanwhile


class BudgetSpent(Exception):
    """The reader has taken all the steps that it has."""


@dataclass(slots=True)
class Frame:
    """One function call, or the module."""

    env: dict[str, Any]
    scopes: tuple[dict[str, Any], ...]  # enclosing functions, innermost first, the module last
    node: ast.AST
    outer: dict[str, dict[str, Any]] = field(default_factory=dict)  # names declared global or nonlocal → their scope
    returns: list[Any] = field(default_factory=list)
    consume: Callable[[Any], None] | None = None  # for a generator: who takes what it yields


@dataclass(frozen=True, slots=True)
class LoopInfo:
    node: ast.AST
    count: float | None  # iterations, where they are a constant
    driven: bool  # over the input, piece by piece


@dataclass(slots=True)
class State:
    frames: list[Frame] = field(default_factory=list)  # all that are alive
    frame: Frame = field(default_factory=lambda: Frame({}, (), ast.Module([], [])))
    temps: list[Any] = field(default_factory=list)  # values of the expression at hand
    loops: list[tuple[int, int]] = field(default_factory=list)  # (loop, pass)
    loop_info: dict[int, LoopInfo] = field(default_factory=dict)
    conditions: list[tuple[Threshold | None, ast.AST, tuple[tuple[int, int], ...]]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    unrecognised: dict[tuple[int, int], ast.AST] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # what the plan's name is made from
    inputs: dict[str, None] = field(default_factory=dict)  # paths found, in order
    sources: dict[str, None] = field(default_factory=dict)  # every input's name, arguments included
    spaces: list[dict[str, Any]] = field(default_factory=list)  # every scope and every instance's attributes
    growing: list[Data] = field(default_factory=list)  # every list that may grow
    calls: list[tuple[int, int]] = field(default_factory=list)  # positions of the calls being followed
    workers: float = 0.0
    copies: float = 1.0
    generators: dict[ast.AST, bool] = field(default_factory=dict)  # functions: whether each of them yields
    steps: int = 0
    depth: int = 0  # of the expression or statement at hand
    statement: ast.AST = field(default_factory=ast.Pass)  # the one at hand
    cut: Moment | None = None  # where the reading ended before the script did
    _loop_count: int = 0
    _held: dict[tuple[int, str], Held] = field(default_factory=dict)  # the last one of each, to be shared
    _alive: tuple[Held, ...] = ()  # at the last moment

    # -- the budget -------------------------------------------------------------------------------------------

    def spend(self, steps: int = 1) -> None:
        """Raises BudgetSpent once there are no steps left; `cut` is then what was alive, and all that may come yet."""
        self.steps += steps
        if self.steps <= _STEPS:
            return
        if self.cut is None:
            self.steps, limit = -_STEPS, self.steps  # room for this last look
            everything = (
                Extra("what the unread lines may gather", "lists", Portion()),
                Extra("a text that they may hold", "text", Portion()),
            )
            self.cut = Moment(self.statement, "unread", "", self.alive(), everything, self.workers)
            self.steps = limit
        raise BudgetSpent

    def unread(self, node: ast.AST) -> Data:
        """`node` lies too deep to be looked at: as if it gave all the token ids there are, and something kept them."""
        self.not_understood(node)
        result = self.make("opaque", node, Portion())
        result.birth = ()
        self.frames[0].env[f"line {getattr(node, 'lineno', 0)}"] = result
        self.note(node, "unknown")
        return result

    # -- making and growing Data ------------------------------------------------------------------------------

    def site(self, node: ast.AST) -> Any:
        """Tells the places of the script apart, each call of a function on its own."""
        place = (getattr(node, name, 0) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"))
        return (*self.calls, tuple(place))  # a + b and a + b + c begin at the same place

    def make(self, kind: str, node: ast.AST, portion: Portion | None = None, **fields: Any) -> Data:
        parts = {} if portion is None else {self.site(node): portion}
        data = Data(kind, parts, tuple(self.loops), getattr(node, "lineno", 0), copies=self.copies, **fields)
        if kind in ("list", "ids", "strings", "lists", "arrays", "array", "opaque", "text", "chars", "bytes"):
            self.growing.append(data)
        return data

    def make_ids(self, node: ast.AST, portion: Portion) -> Data:
        """A list of token ids: its slots, and the int objects, which slices and sums of it share."""
        ids = self.make("ids", node, portion)
        ints = self.make("ints", node, source=ids)
        ints.parts, ints.pieces = ids.parts, ids.pieces
        ids.refs.append(ints)
        return ids

    def new_loops(self, birth: Iterable[tuple[int, int]]) -> list[int]:
        """The loops, outermost first, that have gone round since `birth`."""
        self.spend(len(self.loops) // 4)
        known = set(birth)
        return [loop for loop, number in self.loops if (loop, number) not in known]

    def lift(self, portion: Portion, birth: Iterable[tuple[int, int]], node: ast.AST) -> Portion:
        """What has come together by the end of every loop since `birth`, when each iteration adds `portion`."""
        loops = self.new_loops(birth)
        cut = {c.loop for c in portion.cuts}
        result = portion.lifted(set(loops))
        for loop in loops:
            info = self.loop_info[loop]
            if loop in cut or info.driven:
                continue
            if info.count is not None:
                times = min(MOST_TIMES, result.times * info.count)
                result = Portion(result.source, result.low, result.high, result.cuts, times)
            elif cut & set(loops) == set():
                # It goes round an unknown number of times: as if it gathered all of the input.
                self.not_understood(node)
                result = Portion(result.source, result.low, result.high)
        return result

    def grow(self, data: Data, site: Any, piece: Portion, node: ast.AST) -> None:
        """`data` gets `piece` in each iteration of the loops since its birth."""
        data.parts[site] = self.lift(piece, data.birth, node)
        data.pieces[site] = piece
        data.grown[site] = tuple(self.loops)

    def not_understood(self, node: ast.AST) -> None:
        line = getattr(node, "lineno", 0)
        if line:
            self.unrecognised.setdefault((line, getattr(node, "col_offset", 0)), node)

    # -- emptying ---------------------------------------------------------------------------------------------

    def emptied(self, data: Data, node: ast.AST) -> bool:
        """`data` is reset or let go: under a condition inside its loop that bounds it. True if it was bounded."""
        since = set(self.new_loops(data.birth))
        inside = [(t, n) for t, n, loops in self.conditions if since & {loop for loop, _ in loops}]
        for threshold, _ in reversed(inside):
            if threshold is not None:
                data.bound = Bound(threshold.amount, _bound_unit(threshold, data))
                return True
        if inside and data.weight > 0 and any(p.is_whole for p in data.parts.values()):
            self.not_understood(inside[-1][1])
        return False

    # -- loops and branches -----------------------------------------------------------------------------------

    def new_loop(self, node: ast.AST, count: float | None = None, driven: bool = False) -> int:
        self.spend(10)
        self._loop_count += 1
        self.loop_info[self._loop_count] = LoopInfo(node, count, driven)
        return self._loop_count

    @contextmanager
    def iteration(self, loop: int, number: int) -> Iterator[None]:
        """Pass `number` over the body of `loop`; what is not understood in the first only is forgotten."""
        self.loops.append((loop, number))
        before = dict(self.unrecognised)
        try:
            yield
        finally:
            self.loops.pop()
            if number == 1:
                self.unrecognised = before

    @contextmanager
    def condition(self, threshold: Threshold | None, node: ast.AST) -> Iterator[None]:
        self.conditions.append((threshold, node, tuple(self.loops)))
        try:
            yield
        finally:
            self.conditions.pop()

    def save(self) -> tuple[list[dict[str, Any]], list[tuple[Data, Any]]]:
        # In steps of an expression's price: a name copied takes a hundredth of that, a list's state a quarter.
        self.spend((sum(map(len, self.spaces)) + 8 * len(self.spaces)) // 50 + len(self.growing) // 4)
        datas = [(d, (d.kind, dict(d.parts), list(d.refs), d.birth)) for d in self.growing]
        return [dict(space) for space in self.spaces], datas

    def restore(self, saved: tuple[list[dict[str, Any]], list[tuple[Data, Any]]]) -> None:
        for space, old in zip(self.spaces, saved[0], strict=False):
            space.clear()
            space.update(old)
        for data, (kind, parts, refs, birth) in saved[1]:
            _reset(data, kind, parts, refs, birth)

    def join(self, other: tuple[list[dict[str, Any]], list[tuple[Data, Any]]]) -> None:
        """After two branches: every name has what is larger, every list the branch that leaves it larger."""
        for space, old in zip(self.spaces, other[0], strict=False):
            for name, value in old.items():
                space[name] = joined(space[name], value) if name in space else value
        for data, (kind, parts, refs, birth) in other[1]:
            if sum(measure(p) for p in parts.values()) > data.weight:
                _reset(data, kind, parts, refs, birth)

    # -- what is alive ----------------------------------------------------------------------------------------

    def note(self, node: ast.AST, kind: str, variable: str = "", extra: Iterable[Extra] = ()) -> None:
        self.moments.append(Moment(node, kind, variable, self.alive(), tuple(extra), self.workers))

    def alive(self) -> tuple[Held, ...]:
        """The same tuple as at the last moment where nothing has changed since."""
        held: list[Held] = []
        seen: set[int] = set()
        for frame in self.frames:
            for name, value in frame.env.items():
                self._visit(value, name, held, seen)
        for value in self.temps:
            self._visit(value, "", held, seen)
        self.spend(2 + len(seen) // 2 + (len(self.temps) + sum(len(frame.env) for frame in self.frames)) // 4)
        found = tuple(held)
        if found != self._alive:
            self.spend(_MOMENT + len(found) * 2)
            self._alive = found
        return self._alive

    def _visit(self, value: Any, label: str, held: list[Held], seen: set[int]) -> None:
        todo = [(value, label)]
        while todo:
            value, label = todo.pop()
            if type(value) in _LEAVES or id(value) in seen:
                continue
            if isinstance(value, Data):
                seen.add(id(value))
                missing = self._missing(value) if value.grown and self.loops else ()
                held.append(self._shared(label, value, missing))
                todo += [(child, label) for child in value.refs]
            else:
                below = children(value, label)
                if below:
                    seen.add(id(value))
                    todo += below

    def _shared(self, label: str, data: Data, missing: tuple[Portion, ...]) -> Held:
        """`data` as it is now; the same object as before where it is as before."""
        held = Held(label, data, tuple(data.parts.values()), data.kind, data.encoded, missing)
        before = self._held.get((id(data), label))
        if before is not None and before == held:
            return before
        self.spend(3 * len(data.parts))
        self._held[id(data), label] = held
        return held

    def _missing(self, data: Data) -> tuple[Portion, ...]:
        """In the last iteration a list holds all but what that iteration is about to add."""
        now = dict(self.loops)
        return tuple(
            piece
            for site, piece in data.pieces.items()
            if site in data.parts
            and any(
                now.get(loop, number) != number and any(cut.loop == loop for cut in data.parts[site].cuts) is False
                for loop, number in data.grown.get(site, ())
            )
            and piece != data.parts[site]
        )

    def label_of(self, data: Data) -> str:
        """The name under which the script knows `data` now; "" for a value without one."""
        return next((held.label for held in self.alive() if held.data is data), "")


# What keeps nothing of the input's size alive.
_LEAVES = frozenset((Class, Constant, Encoder, File, Module, Number, Path, Pool, Range, Unknown))


def _reset(data: Data, kind: str, parts: dict[Any, Portion], refs: list[Any], birth: Any) -> None:
    """In place: the int objects of a list share its parts."""
    saved = dict(parts)
    data.parts.clear()
    data.parts.update(saved)
    data.kind, data.refs, data.birth = kind, list(refs), birth


def children(value: Any, label: str) -> list[tuple[Any, str]]:
    """What `value` keeps alive beside itself, and how to call it."""
    if isinstance(value, Instance):
        return [(child, f"{label}.{name}") for name, child in value.attributes.items()]
    if isinstance(value, Sequence):
        return [(child, label) for child in value.items]
    if isinstance(value, Record):
        return [(child, label) for child in (*value.refs, *value.fields.values())]
    if isinstance(value, Generator):
        return [(child, label) for child in value.refs]
    if isinstance(value, Method):
        return [(value.owner, label)]
    if isinstance(value, Function):
        kept = [] if value.owner is None else [(value.owner, label)]
        return kept + [(child, label) for child in (*value.bound[0], *value.bound[1].values())]
    return []


def joined(first: Any, second: Any) -> Any:
    """One value for a name that has two, depending on the branch taken."""
    if first is second:
        return first
    if isinstance(first, Data) and isinstance(second, Data):
        return second if second.weight > first.weight else first
    for one, other in ((first, second), (second, first)):
        if isinstance(one, Data):
            return one
        if isinstance(one, Unknown) or (isinstance(one, Constant) and one.value is None):
            return other
    if isinstance(first, Number) and isinstance(second, Number) and first != second:
        return first if first.symbol is not None else second if second.symbol is not None else first
    return first


def _bound_unit(threshold: Threshold, data: Data) -> str:
    element = _ELEMENTS.get(data.kind, "tokens")
    if threshold.unit == "items":
        return "pieces"
    if threshold.unit == "len" and threshold.of is data:
        return element
    if threshold.unit == "sum" or threshold.of is None:
        return "chars" if data.kind in ("text", "strings") else "tokens"
    return "chars" if data.kind in ("text", "strings") else "tokens"
