"""The memory of the script that is being read: scopes, loops, what is alive, and the moments at which that was noted.

Liveness is reachability: a Buffer is alive while a name, an attribute, a container or a value at hand leads to it, so
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
    Buffer,
    Class,
    Constant,
    Encoder,
    Extent,
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
    Range,
    Row,
    Sequence,
    Threshold,
    Unknown,
    measure,
)

__all__ = ["DEEPEST", "BudgetSpent", "Frame", "LoopInfo", "Moment", "State", "Transient", "children"]

# Steps of some 4 µs (CPython 3.11) that the reader takes at most: for expressions and statements looked at, values
# alive at a moment, names copied for a branch, and for what each moment takes to be weighed later. The scripts of
# tests/programs take 400 to 6,000.
_STEPS = 300_000
_MOMENT = 40  # steps for one that differs from the last one
DEEPEST = 200  # expressions, statements and calls inside one another

# What a bound counts, per kind of Buffer, where the script compares len(x) with it.
_ELEMENTS = {"text": "chars", "strings": "pieces", "lists": "pieces", "arrays": "pieces"}


@dataclass(frozen=True, slots=True)
class Transient:
    """Memory that a call needs while it runs. kinds: those of Buffer, and read, rust (ids inside tiktoken)."""

    words: str
    kind: str
    extent: Extent
    copies: float = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """All that is alive at one point of the script's run."""

    node: ast.AST
    kind: str  # read, encode, extend, array, …; line: after a statement
    variable: str
    alive: tuple[Held, ...]
    transients: tuple[Transient, ...] = ()
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
    yield_to: Callable[[Any], None] | None = None  # for a generator: who takes what it yields


@dataclass(frozen=True, slots=True)
class LoopInfo:
    node: ast.AST
    count: float | None  # iterations, where they are a constant
    consumes_input: bool  # over the input, piece by piece


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
    growing: list[Buffer] = field(default_factory=list)  # every list that may grow
    calls: list[tuple[int, int]] = field(default_factory=list)  # positions of the calls being followed
    workers: float = 0.0
    copies: float = 1.0
    generators: dict[ast.AST, bool] = field(default_factory=dict)  # functions: whether each of them yields
    steps: int = 0
    depth: int = 0  # of the expression or statement at hand
    statement: ast.AST = field(default_factory=ast.Pass)  # the one at hand
    ended: Moment | None = None  # where the reading ended before the script did
    _loop_count: int = 0
    _held: dict[tuple[int, str], Held] = field(default_factory=dict)  # the last one of each, to be shared
    _alive: tuple[Held, ...] = ()  # at the last moment

    # -- the budget -------------------------------------------------------------------------------------------

    def spend(self, steps: int = 1) -> None:
        """Raises BudgetSpent once no steps are left; `ended` is then what was alive, and all that may come yet."""
        self.steps += steps
        if self.steps <= _STEPS:
            return
        if self.ended is None:
            self.steps, limit = -_STEPS, self.steps  # room for this last look
            everything = (
                Transient("what the unread lines may gather", "lists", Extent()),
                Transient("a text that they may hold", "text", Extent()),
            )
            self.ended = Moment(self.statement, "unread", "", self.alive(), everything, self.workers)
            self.steps = limit
        raise BudgetSpent

    def unread(self, node: ast.AST) -> Buffer:
        """`node` lies too deep to be looked at: as if it gave all the token ids there are, and something kept them."""
        self.not_understood(node)
        result = self.make("opaque", node, Extent())
        result.created_in = ()
        self.frames[0].env[f"line {getattr(node, 'lineno', 0)}"] = result
        self.record_moment(node, "unknown")
        return result

    # -- making and growing Buffer ------------------------------------------------------------------------------

    def site(self, node: ast.AST) -> Any:
        """Tells the places of the script apart, each call of a function on its own."""
        place = (getattr(node, name, 0) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"))
        return (*self.calls, tuple(place))  # a + b and a + b + c begin at the same place

    def make(self, kind: str, node: ast.AST, extent: Extent | None = None, **fields: Any) -> Buffer:
        parts = {} if extent is None else {self.site(node): extent}
        buffer = Buffer(kind, parts, tuple(self.loops), getattr(node, "lineno", 0), copies=self.copies, **fields)
        if kind in ("list", "ids", "strings", "lists", "arrays", "array", "opaque", "text", "chars", "bytes"):
            self.growing.append(buffer)
        return buffer

    def make_ids(self, node: ast.AST, extent: Extent) -> Buffer:
        """A list of token ids: its slots, and the int objects, which slices and sums of it share."""
        ids = self.make("ids", node, extent)
        ints = self.make("ints", node, source=ids)
        ints.parts, ints.pieces = ids.parts, ids.pieces
        ids.refs.append(ints)
        return ids

    def new_loops(self, created_in: Iterable[tuple[int, int]]) -> list[int]:
        """The loops, outermost first, that have gone round since `created_in`."""
        self.spend(len(self.loops) // 4)
        known = set(created_in)
        return [loop for loop, number in self.loops if (loop, number) not in known]

    def gathered(self, extent: Extent, created_in: Iterable[tuple[int, int]], node: ast.AST) -> Extent:
        """What has come together by the end of every loop since `created_in`, when each iteration adds `extent`."""
        loops = self.new_loops(created_in)
        window = {c.loop for c in extent.windows}
        result = extent.over_all_iterations(set(loops))
        for loop in loops:
            info = self.loop_info[loop]
            if loop in window or info.consumes_input:
                continue
            if info.count is not None:
                times = min(MOST_TIMES, result.times * info.count)
                result = Extent(result.source, result.low, result.high, result.windows, times)
            elif window & set(loops) == set():
                # It goes round an unknown number of times: as if it gathered all of the input.
                self.not_understood(node)
                result = Extent(result.source, result.low, result.high)
        return result

    def grow(self, buffer: Buffer, site: Any, piece: Extent, node: ast.AST) -> None:
        """`buffer` gets `piece` in each iteration of the loops since its created_in."""
        buffer.parts[site] = self.gathered(piece, buffer.created_in, node)
        buffer.pieces[site] = piece
        buffer.grown_in[site] = tuple(self.loops)

    def not_understood(self, node: ast.AST) -> None:
        line = getattr(node, "lineno", 0)
        if line:
            self.unrecognised.setdefault((line, getattr(node, "col_offset", 0)), node)

    # -- emptying ---------------------------------------------------------------------------------------------

    def drained(self, buffer: Buffer, node: ast.AST) -> bool:
        """`buffer` is reset or let go: under a condition inside its loop that bounds it. True if it was bounded."""
        since = set(self.new_loops(buffer.created_in))
        inside = [(t, n) for t, n, loops in self.conditions if since & {loop for loop, _ in loops}]
        for threshold, _ in reversed(inside):
            if threshold is not None:
                buffer.bound = Bound(threshold.amount, _bound_unit(threshold, buffer))
                return True
        if inside and buffer.weight > 0 and any(p.is_whole for p in buffer.parts.values()):
            self.not_understood(inside[-1][1])
        return False

    # -- loops and branches -----------------------------------------------------------------------------------

    def new_loop(self, node: ast.AST, count: float | None = None, consumes_input: bool = False) -> int:
        self.spend(10)
        self._loop_count += 1
        self.loop_info[self._loop_count] = LoopInfo(node, count, consumes_input)
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

    def save(self) -> tuple[list[dict[str, Any]], list[tuple[Buffer, Any]]]:
        # In steps of an expression's price: a name copied takes a hundredth of that, a list's state a quarter.
        self.spend((sum(map(len, self.spaces)) + 8 * len(self.spaces)) // 50 + len(self.growing) // 4)
        buffers = [(d, (d.kind, dict(d.parts), list(d.refs), d.created_in)) for d in self.growing]
        return [dict(space) for space in self.spaces], buffers

    def restore(self, saved: tuple[list[dict[str, Any]], list[tuple[Buffer, Any]]]) -> None:
        for space, old in zip(self.spaces, saved[0], strict=False):
            space.clear()
            space.update(old)
        for buffer, (kind, parts, refs, created_in) in saved[1]:
            _reset(buffer, kind, parts, refs, created_in)

    def join(self, other: tuple[list[dict[str, Any]], list[tuple[Buffer, Any]]]) -> None:
        """After two branches: every name has what is larger, every list the branch that leaves it larger."""
        for space, old in zip(self.spaces, other[0], strict=False):
            for name, value in old.items():
                space[name] = joined(space[name], value) if name in space else value
        for buffer, (kind, parts, refs, created_in) in other[1]:
            if sum(measure(p) for p in parts.values()) > buffer.weight:
                _reset(buffer, kind, parts, refs, created_in)

    # -- what is alive ----------------------------------------------------------------------------------------

    def record_moment(self, node: ast.AST, kind: str, variable: str = "", transients: Iterable[Transient] = ()) -> None:
        self.moments.append(Moment(node, kind, variable, self.alive(), tuple(transients), self.workers))

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
            if isinstance(value, Buffer):
                seen.add(id(value))
                not_yet_added = self._not_yet_added(value) if value.grown_in and self.loops else ()
                held.append(self._shared(label, value, not_yet_added))
                todo += [(child, label) for child in value.refs]
            else:
                below = children(value, label)
                if below:
                    seen.add(id(value))
                    todo += below

    def _shared(self, label: str, buffer: Buffer, not_yet_added: tuple[Extent, ...]) -> Held:
        """`buffer` as it is now; the same object as before where it is as before."""
        held = Held(label, buffer, tuple(buffer.parts.values()), buffer.kind, buffer.encoded, not_yet_added)
        before = self._held.get((id(buffer), label))
        if before is not None and before == held:
            return before
        self.spend(3 * len(buffer.parts))
        self._held[id(buffer), label] = held
        return held

    def _not_yet_added(self, buffer: Buffer) -> tuple[Extent, ...]:
        """In the last iteration a list holds all but what that iteration is about to add."""
        now = dict(self.loops)
        return tuple(
            piece
            for site, piece in buffer.pieces.items()
            if site in buffer.parts
            and any(
                now.get(loop, number) != number
                and any(window.loop == loop for window in buffer.parts[site].windows) is False
                for loop, number in buffer.grown_in.get(site, ())
            )
            and piece != buffer.parts[site]
        )

    def label_of(self, buffer: Buffer) -> str:
        """The name under which the script knows `buffer` now; "" for a value without one."""
        return next((held.label for held in self.alive() if held.buffer is buffer), "")


# What keeps nothing of the input's size alive.
_LEAVES = frozenset((Class, Constant, Encoder, File, Module, Number, Path, Pool, Range, Unknown))


def _reset(buffer: Buffer, kind: str, parts: dict[Any, Extent], refs: list[Any], created_in: Any) -> None:
    """In place: the int objects of a list share its parts."""
    saved = dict(parts)
    buffer.parts.clear()
    buffer.parts.update(saved)
    buffer.kind, buffer.refs, buffer.created_in = kind, list(refs), created_in


def children(value: Any, label: str) -> list[tuple[Any, str]]:
    """What `value` keeps alive beside itself, and how to call it."""
    if isinstance(value, Instance):
        return [(child, f"{label}.{name}") for name, child in value.attributes.items()]
    if isinstance(value, Sequence):
        return [(child, label) for child in value.items]
    if isinstance(value, Row):
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
    if isinstance(first, Buffer) and isinstance(second, Buffer):
        return second if second.weight > first.weight else first
    for one, other in ((first, second), (second, first)):
        if isinstance(one, Buffer):
            return one
        if isinstance(one, Unknown) or (isinstance(one, Constant) and one.value is None):
            return other
    if isinstance(first, Number) and isinstance(second, Number) and first != second:
        return first if first.symbol is not None else second if second.symbol is not None else first
    return first


def _bound_unit(threshold: Threshold, buffer: Buffer) -> str:
    element = _ELEMENTS.get(buffer.kind, "tokens")
    if threshold.unit == "items":
        return "pieces"
    if threshold.unit == "len" and threshold.of is buffer:
        return element
    if threshold.unit == "sum" or threshold.of is None:
        return "chars" if buffer.kind in ("text", "strings") else "tokens"
    return "chars" if buffer.kind in ("text", "strings") else "tokens"
