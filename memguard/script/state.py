"""The memory of the script that is being read: scopes, loops, values, and the moments at which they were recorded.

A loop's body is read twice: the second time, the first iteration's values are still there, as they are when the script
runs. liveness.py says what is alive.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, cast

from memguard.script.extents import MOST_TIMES, Extent, measure
from memguard.script.facts import Facts
from memguard.script.joining import joined
from memguard.script.liveness import Liveness
from memguard.script.source import Places
from memguard.script.trace import Flow, Moment, Span, Step, Transient
from memguard.script.values import KINDS, Bound, Buffer, Held, Threshold

__all__ = ["DEEPEST", "BudgetSpent", "Frame", "LoopInfo", "State"]

# Steps of some 4 µs (CPython 3.11) that the interpreter takes at most: for expressions and statements looked at, values
# alive at a moment, names copied for a branch, and for what each moment takes to be weighed later. The scripts of
# tests/programs take 400 to 6,000.
_STEPS = 200_000
DEEPEST = 200  # expressions, statements and calls inside one another
_READ_TWICE = 2  # loops inside one another, whatever runs around them
# What workers have of their own: no name of a script has a space in it.
_IN_WORKERS = "the workers' "
_LATEST = 8  # steps that a Buffer remembers to have come from


class BudgetSpent(Exception):
    """The interpreter has taken all the steps that it has."""


@dataclass(eq=False, slots=True)
class Frame:
    """One function call, or the module."""

    env: dict[str, Any]
    scopes: tuple[dict[str, Any], ...]  # enclosing functions, innermost first, the module last
    node: ast.AST
    outer: dict[str, dict[str, Any]] = field(default_factory=dict)  # names declared global or nonlocal → their scope
    returns: list[Any] = field(default_factory=list)
    yield_to: Callable[[Any], None] | None = None  # for a generator: who takes what it yields
    yields: int = 0  # how often it has
    yielded: set[Any] = field(default_factory=set)  # in which shapes of everything

    @property
    def inner_scopes(self) -> tuple[dict[str, Any], ...]:
        """What a function that is defined here sees: not the names of the class that it is in."""
        return self.scopes if isinstance(self.node, ast.ClassDef) else (self.env, *self.scopes)


@dataclass(frozen=True, slots=True)
class LoopInfo:
    node: ast.AST
    count: float | None  # iterations, where they are a constant
    consumes_input: bool  # goes over the input, piece by piece
    piece: Extent | None = None  # what one iteration sees of it
    part: tuple[float, float] = (0.0, 1.0)  # of the indexes of what it goes over


@dataclass(slots=True)
class State:
    places: Places
    frames: list[Frame] = field(default_factory=list)  # all that are alive
    frame: Frame = field(default_factory=lambda: Frame({}, (), ast.Module([], [])))
    temps: list[Any] = field(default_factory=list)  # values of the expression at hand
    loops: list[tuple[int, int]] = field(default_factory=list)  # (loop, pass)
    loop_info: dict[int, LoopInfo] = field(default_factory=dict)
    conditions: list[tuple[Threshold | None, ast.AST, tuple[tuple[int, int], ...]]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    steps: dict[tuple[str, Span], Step] = field(default_factory=dict)  # in the order in which they first happen
    step_spans: list[Span] = field(default_factory=list)
    recorded: list[int] = field(default_factory=list)  # the number of each moment's step
    flows: dict[Flow, None] = field(default_factory=dict)
    unrecognised: dict[tuple[int, int], ast.AST] = field(default_factory=dict)
    reached: dict[tuple[int, int], dict[Extent, None]] = field(default_factory=dict)  # by what is not understood
    facts: Facts = field(default_factory=Facts)
    inputs: dict[str, None] = field(default_factory=dict)  # paths found, in order
    sources: dict[str, None] = field(default_factory=dict)  # every input's name, arguments included
    spaces: list[dict[str, Any]] = field(default_factory=list)  # every scope and every instance's attributes
    growing: list[Buffer] = field(default_factory=list)  # every list that may grow
    calls: list[tuple[int, int]] = field(default_factory=list)  # positions of the calls being followed
    members: list[int] = field(default_factory=list)  # of the loops that are followed member by member
    workers: float = 0.0
    standing: float = 0.0  # workers of a pool that is there, whether they are at work or not
    copies: float = 1.0
    generators: dict[ast.AST, bool] = field(default_factory=dict)  # functions: whether each of them yields
    followed: dict[ast.AST, int] = field(default_factory=dict)  # functions: how often each of them was called
    summaries: dict[Any, list[Any]] = field(default_factory=dict)  # of interpreter/summaries.py
    begun: dict[tuple[int, str], tuple[Any, Any]] = field(default_factory=dict)  # constant texts: (scope, loops)
    modules: list[dict[str, Any]] = field(default_factory=list)  # the names of other modules that were read
    spent: int = 0
    depth: int = 0  # of the expression or statement at hand
    statement: ast.AST = field(default_factory=ast.Pass)  # the one at hand
    ended: Moment | None = None  # where the reading ended before the script did
    ended_at: ast.AST | None = None
    called_back: list[ast.AST] = field(default_factory=list)  # functions that an unknown call is read to call
    cores: int | None = None  # of the machine that it will run on; None: not known
    search: list[str] = field(default_factory=list)  # directories that the script adds to sys.path
    missing: dict[str, None] = field(default_factory=dict)  # modules that nobody found
    words: tuple[str, ...] | None = None  # that the script is started with; None: not known
    _loop_count: int = 0
    _numbers: dict[tuple[str, Span], int] = field(default_factory=dict)
    _liveness: Liveness = field(default_factory=Liveness)

    # -- the budget -------------------------------------------------------------------------------------------

    def spend(self, steps: int = 1) -> None:
        """Raises BudgetSpent once no steps are left; `ended` is then what was alive, and all that may come yet."""
        self.spent += steps
        if self.spent <= _STEPS:
            return
        if self.ended is None:
            self.spent, limit = -_STEPS, self.spent  # room for this last look
            everything = (
                Transient("what the unread lines may gather", "lists", Extent()),
                Transient("a text that they may hold", "text", Extent()),
            )
            step = Step("unread", self.places.span(self.statement), "")
            self.ended = Moment(step, self.alive(), everything, self.workers)
            self.ended_at = self.statement
            self.spent = limit
        raise BudgetSpent

    def unread(self, node: ast.AST) -> Buffer:
        """`node` lies too deep to be looked at: as if it gave all the token ids there are, and something kept them."""
        self.not_understood(node)
        result = self.make("opaque", node, Extent())
        result.created_in = ()
        self.frames[0].env[f"line {getattr(node, 'lineno', 0)}"] = result
        self.record_moment(node, "unknown")
        return result

    # -- making and growing Buffers ---------------------------------------------------------------------------

    def site(self, node: ast.AST) -> Any:
        """Tells the places of the script apart, each call of a function and each member of a tuple on its own."""
        place = (getattr(node, name, 0) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"))
        return (*self.calls, *self.members, tuple(place))  # a + b and a + b + c begin at the same place

    def make(self, kind: str, node: ast.AST, extent: Extent | None = None, **fields: Any) -> Buffer:
        parts = {} if extent is None else {self.site(node): extent}
        buffer = Buffer(kind, parts, tuple(self.loops), getattr(node, "lineno", 0), copies=self.copies, **fields)
        if KINDS[kind].grows:
            self.growing.append(buffer)
        return buffer

    def hold(self, kind: str, node: ast.AST, extent: Extent | None = None, **fields: Any) -> Buffer:
        """Makes a Buffer that is at hand, and so alive, until the expression around it is done."""
        self.temps.append(self.make(kind, node, extent, **fields))
        return cast(Buffer, self.temps[-1])

    def make_ids(self, node: ast.AST, extent: Extent) -> Buffer:
        """A list of token ids: its slots, and the int objects, which slices and sums of it share."""
        ids = self.make("ids", node, extent)
        ints = self.make("ints", node, source=ids)
        ints.parts, ints.pieces = ids.parts, ids.pieces
        ids.refs.append(ints)
        return ids

    def new_loops(self, created_in: Iterable[tuple[int, int]]) -> list[int]:
        """The loops, outermost first, that have begun another iteration since `created_in`."""
        self.spend(len(self.loops) // 4)
        known = set(created_in)
        return [loop for loop, number in self.loops if (loop, number) not in known]

    def gathered(self, extent: Extent, created_in: Iterable[tuple[int, int]], node: ast.AST) -> Extent:
        """What has come together by the end of every loop since `created_in`, when each iteration adds `extent`."""
        loops, windowed = self.new_loops(created_in), {w.loop for w in extent.windows}
        result = extent.over_all_iterations(set(loops))
        for loop in loops:
            info = self.loop_info[loop]
            if loop in windowed or info.consumes_input:
                continue
            if info.count is not None:
                times = min(MOST_TIMES, result.times * info.count)
                result = replace(result, times=times)
            elif windowed & set(loops) == set():
                # It goes round an unknown number of times: as if it gathered all of the input.
                self.not_understood(node)
                result = replace(result, windows=(), times=1.0)
        return result

    def turn(self, created_in: Iterable[tuple[int, int]]) -> Extent | None:
        """What an iteration of the innermost loop since `created_in` goes over, of those that go over the input."""
        pieces = (self.loop_info[loop].piece for loop in reversed(self.new_loops(created_in)))
        return next((piece for piece in pieces if piece is not None), None)

    def times_round(self, created_in: Iterable[tuple[int, int]]) -> float | None:
        """How often the loops since `created_in` go round, where each says so; None for no loop."""
        counts = [self.loop_info[loop].count for loop in self.new_loops(created_in)]
        known = [count for count in counts if count is not None]
        return min(MOST_TIMES, prod(known)) if known and len(known) == len(counts) else None

    def grow(self, buffer: Buffer, site: Any, piece: Extent, node: ast.AST) -> None:
        """`buffer` gets `piece` in each iteration of the loops since it was created."""
        buffer.parts[site], buffer.pieces[site] = self.grown(buffer, piece, node), piece
        buffer.grown_in[site] = tuple(self.loops)

    def grown(self, buffer: Buffer, piece: Extent, node: ast.AST) -> Extent:
        """What `buffer` has once each iteration has added `piece`; a set or dict has each once."""
        kind = piece.windows[-1].unit.partition("new ")[2] if piece.windows else ""
        seen = replace(piece, windows=piece.windows[:-1]) if kind else piece
        found = self.gathered(seen, buffer.created_in, node)
        return found.once(kind) if kind else found

    def not_understood(self, node: ast.AST, reached: Iterable[Extent] = (Extent(),)) -> None:
        """`reached`: what it can get at, and so may keep; all of the input where nothing is said."""
        if line := getattr(node, "lineno", 0):
            place = line, getattr(node, "col_offset", 0)
            self.unrecognised.setdefault(place, node)
            self.reached.setdefault(place, {}).update(dict.fromkeys(reached))

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

    @property
    def in_worker(self) -> bool:
        """What is read now runs in the workers."""
        return self.workers > 0

    def keep_in_workers(self, name: str, buffer: Buffer) -> None:
        """Each worker has `buffer` from now on, until they end."""
        self.frames[0].env[_IN_WORKERS + name] = buffer

    def end_workers(self) -> None:
        """With all that they have."""
        self.standing = 0.0
        env = self.frames[0].env
        for name in [name for name in env if name.startswith(_IN_WORKERS)]:
            del env[name]

    # -- loops and branches -----------------------------------------------------------------------------------

    def new_loop(self, node: ast.AST, count: float | None = None, consumes_input: bool = False) -> int:
        self.spend(10)
        self._loop_count += 1
        self.loop_info[self._loop_count] = LoopInfo(node, count, consumes_input)
        return self._loop_count

    def consumes_input(self, loop: int) -> None:
        """`loop` turns out to go over the input, piece by piece."""
        self.loop_info[loop] = replace(self.loop_info[loop], consumes_input=True)

    def sees(self, loop: int, piece: Extent, part: tuple[float, float] = (0.0, 1.0)) -> None:
        """An iteration of `loop` goes over `piece`; all of them over `part` of the indexes."""
        self.loop_info[loop] = replace(self.loop_info[loop], piece=piece, part=part)

    def passes(self) -> tuple[int, ...]:
        """Over a loop's body: two. One where loops around it are in their first, which only leaves its values to the
        second: loops inside loops would be read 2, 4, 8, … times.
        """
        first = any(number == 1 for _, number in self.loops)
        return (1,) if first and len(self.loops) >= _READ_TWICE else (1, 2)

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
    def member(self, index: int) -> Iterator[None]:
        """What is done to member `index` of a tuple is another place than what is done to the first."""
        self.members += [index] * bool(index)
        try:
            yield
        finally:
            del self.members[len(self.members) - bool(index) :]

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
        buffers = [(b, (b.kind, dict(b.parts), list(b.refs), b.created_in)) for b in self.growing]
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

    # -- moments, steps, flows --------------------------------------------------------------------------------

    def record_moment(self, node: ast.AST, kind: str, variable: str = "", transients: Iterable[Transient] = ()) -> int:
        """All that is alive now, while `kind` happens at `node`. The number of that step."""
        step = Step(kind, self.places.span(node), variable)
        self.moments.append(Moment(step, self.alive(), tuple(transients), max(self.workers, self.standing)))
        if kind == "line":
            return -1
        key = (kind, step.span)
        known = self.steps.get(key)
        if known is None:
            self._numbers[key] = len(self.steps)
            self.step_spans.append(step.span)
        if known is None or not known.variable:
            self.steps[key] = step
        self.recorded.append(self._numbers[key])
        return self.recorded[-1]

    def flow(self, value: Any, step: int) -> None:
        """`value` goes into `step`."""
        if isinstance(value, Buffer):
            self.flows.update(dict.fromkeys(Flow(earlier, step) for earlier in value.steps if earlier != step))

    def comes_from(self, buffer: Buffer, *steps: int) -> None:
        """`steps` have made `buffer`, or added to it."""
        buffer.steps = (*(s for s in buffer.steps if s not in steps), *steps)[-_LATEST:]

    def alive(self) -> tuple[Held, ...]:
        """The same tuple as at the last moment where nothing has changed since."""
        spaces = (*(frame.env for frame in self.frames), *self.modules)
        named = [(value, name) for space in spaces for name, value in space.items()]
        found, spent = self._liveness.look(named + [(value, "") for value in self.temps], self.loops)
        self.spend(spent)
        return found

    def label_of(self, buffer: Buffer) -> str:
        """The name under which the script knows `buffer` now; "" for a value without one."""
        return next((held.label for held in self.alive() if held.buffer is buffer), "")


def _reset(buffer: Buffer, kind: str, parts: dict[Any, Extent], refs: list[Any], created_in: Any) -> None:
    """In place: the int objects of a list share its parts."""
    saved = dict(parts)
    buffer.parts.clear()
    buffer.parts.update(saved)
    buffer.kind, buffer.refs, buffer.created_in = kind, list(refs), created_in


def _bound_unit(threshold: Threshold, buffer: Buffer) -> str:
    if threshold.unit == "items":
        return "pieces"
    if threshold.unit == "len" and threshold.of is buffer:
        return KINDS[buffer.kind].bound
    return "chars" if buffer.kind in ("text", "strings") else "tokens"
