"""itertools, functools, contextlib, tqdm: what goes over an input piece by piece, or calls what it got before."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from memguard.script.interface import Call
from memguard.script.models.builtins import mapped
from memguard.script.numbers import number_of
from memguard.script.operations.growth import append
from memguard.script.registry import function, method, nothing
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Constant,
    File,
    Function,
    Generator,
    Instance,
    Method,
    Number,
    Sequence,
)

__all__: list[str] = []


@function("itertools.chain.from_iterable")
def chain_of(call: Call) -> Any:
    def run(consume: Callable[[Any], None]) -> None:
        for value in call.args:
            call.interpreter.iterate(
                value, lambda inner: call.interpreter.iterate(inner, consume, call.node), call.node
            )

    return Generator(run, tuple(call.args))


@function("itertools.chain heapq.merge more_itertools.interleave")
def chain(call: Call) -> Any:
    spread = spread_of(call)

    def run(consume: Callable[[Any], None]) -> None:
        for index, value in enumerate(call.args):
            if index in spread:
                call.interpreter.iterate(value, lambda i: call.interpreter.iterate(i, consume, call.node), call.node)
            else:
                call.interpreter.iterate(value, consume, call.node)

    return Generator(run, tuple(call.args))


def spread_of(call: Call) -> set[int]:
    """Which arguments stand for all of their elements: chain(*documents)."""
    given = getattr(call.node, "args", [])
    if len(given) != len(call.args):
        return set()
    return {index for index, argument in enumerate(given) if isinstance(argument, ast.Starred)}


@function("itertools.islice")
def islice(call: Call) -> Any:
    """islice(file, 10_000): that many lines at a time."""
    count = number_of(call.args[-1]) if len(call.args) == 2 else None
    file, state = call.arg(0), call.state
    if count is None or not isinstance(file, File):
        return file
    loops = state.new_loops(file.created_in)
    return state.make("strings", call.node, file.extent.window(loops[0] if loops else 0, "lines", count))


@function("itertools.batched more_itertools.chunked more_itertools.ichunked toolz.partition_all")
def batched(call: Call) -> Any:
    """Lists of n elements."""
    value, amount = call.arg(0), call.number("n", 1)
    if not isinstance(value, File) or amount is None:
        return UNKNOWN

    def element(loop: int) -> Buffer:
        extent = value.extent.window(loop, "lines", amount)
        return call.state.make("strings", call.node, extent, origin="lines")

    return Generator(lambda consume: call.interpreter.iterate_twice(call.node, element, consume), (value,))


@function("itertools.takewhile itertools.dropwhile itertools.filterfalse")
def some_of(call: Call) -> Any:
    return call.arg(1)


@function("itertools.cycle itertools.accumulate tqdm.tqdm tqdm.auto.tqdm tqdm.notebook.tqdm tqdm.rich.tqdm")
@function("rich.progress.track alive_progress.alive_it")
def same_elements(call: Call) -> Any:
    """tqdm(x): what it gets, one at a time."""
    return call.arg(0, "iterable" if "tqdm" in call.name else "sequence")


@function("itertools.starmap")
def starmap(call: Call) -> Any:
    if len(call.args) < 2:
        return UNKNOWN

    def each(element: Any) -> Any:
        args = list(element.items) if isinstance(element, Sequence) else [element]
        return call.interpreter.call(call.args[0], args, {}, call.node)

    return mapped(call, call.args[1], each)


@function("itertools.tee")
def tee(call: Call) -> Any:
    """The iterators keep what one of them is ahead of the other: all of it at worst. They hold what they go over, too:
    of a dict also its values.
    """
    gathered = call.hold("list")
    value = call.arg(0)
    call.interpreter.iterate(value, lambda element: append(call.interpreter, gathered, element, call.node), call.node)
    if isinstance(value, Sequence) and value.keys is not None:
        for item in value.items:
            append(call.interpreter, gathered, item, call.node)
    return Sequence([gathered, gathered])


@function("itertools.count", frees="numbers")
def count(call: Call) -> Any:
    def run(consume: Callable[[Any], None]) -> None:
        call.interpreter.iterate_twice(call.node, lambda loop: UNKNOWN, consume, consumes_input=False)

    return Generator(run)


@function("itertools.repeat")
def repeat(call: Call) -> Any:
    times = call.number("times", 1)

    def run(consume: Callable[[Any], None]) -> None:
        call.interpreter.iterate_twice(call.node, lambda loop: call.arg(0), consume, times, consumes_input=False)

    return Generator(run, tuple(call.args))


# -- functools, contextlib --------------------------------------------------------------------------------------------


@function("functools.partial")
def partial(call: Call) -> Any:
    args, kwargs = call.args, call.kwargs
    if args and isinstance(args[0], Function):
        return Function(args[0].node, args[0].scopes, args[0].owner, (tuple(args[1:]), kwargs))
    if not args:
        return UNKNOWN
    named = Sequence(list(kwargs.values()), [Constant(name) for name in kwargs])
    return Method(Sequence([args[0], Sequence(args[1:]), named]), "__partial__")


@method(Sequence, "__partial__")
def call_partial(call: Call) -> Any:
    function_of, given, named = call.owner.items
    more = {key.value: item for key, item in zip(named.keys or (), named.items, strict=False)}
    return call.interpreter.call(function_of, [*given.items, *call.args], {**more, **call.kwargs}, call.node)


@function("functools.reduce")
def reduce(call: Call) -> Any:
    """reduce(f, x, start): the last of what f gives, and as if f had kept nothing that it did not give."""
    if len(call.args) < 2:
        return UNKNOWN
    latest = [call.arg(2, "initial")]

    def step(element: Any) -> None:
        latest[0] = call.interpreter.call(call.args[0], [latest[0], element], {}, call.node)

    call.interpreter.iterate(call.args[1], step, call.node)
    return latest[0] if isinstance(latest[0], (Buffer, Number, Sequence, Instance)) else UNKNOWN


@function("contextlib.ExitStack contextlib.AsyncExitStack", frees="it gets nothing")
def exit_stack(call: Call) -> Any:
    instance = Instance("stack", {})
    call.state.spaces.append(instance.attributes)
    return instance


@method("stack", "enter_context enter_async_context push")
def enter_context(call: Call) -> Any:
    value = call.interpreter.enter_context(call.arg(0))
    call.owner.attributes[f"context{len(call.owner.attributes)}"] = value
    return value


@function("contextlib.closing contextlib.nullcontext contextlib.aclosing")
def same_value(call: Call) -> Any:
    return call.arg(0)


method("stack", "close callback pop_all __exit__")(nothing("what it entered ends"))
function("contextlib.suppress contextlib.redirect_stdout contextlib.contextmanager")(nothing("a context"))
function("functools.lru_cache functools.cache functools.wraps functools.singledispatch functools.total_ordering")(
    nothing("a function, wrapped")
)
function("tqdm.*")(nothing("a bar is shown"))
function("operator.itemgetter operator.attrgetter operator.*")(nothing("a function of one element"))
