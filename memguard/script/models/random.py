"""Numbers that stand in no input: ranges, random ones, samples and orders, of the standard library, numpy and torch."""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.numbers import arithmetic, number_of
from memguard.script.operations.arrays import dimensions, filled, item_size, make_array, shaped
from memguard.script.operations.elements import one_of
from memguard.script.operations.lengths import ARRAYS
from memguard.script.registry import function, gives, nothing
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, Number, Range, Sequence, Small

__all__: list[str] = []


# -- the standard library ---------------------------------------------------------------------------------------------


@function("random.sample random.choices random.SystemRandom.sample")
def sample(call: Call) -> Any:
    """A list of k of the elements. Of a range each is an int of its own; random.sample lists all of a population that
    is not much larger than k, and keeps the sample in a set beside otherwise.
    """
    population, k = call.arg(0, "population"), call.arg(1, "k")
    if len(call.args) < 2 and "k" not in call.kwargs:
        k = Number(1.0)
    if isinstance(population, Sequence):
        return population
    if not isinstance(population, (Range, Buffer)):
        return UNKNOWN
    size = _length(population)
    result = _listed(call, k, population)
    if result is None or size is None:
        return result or (UNKNOWN if call.reaches(population) else NOTHING)
    if call.name.endswith("sample"):
        many = _listed(call, size, population)
        if many is not None:
            whole = _share(k, size) * 12 >= 1  # between 3 and 12 times k: CPython's setsize
            many.made_of = result.made_of if whole else ()
            if whole:
                result.made_of = ()
                result.refs.append(_pool(call, many))
            call.state.temps.append(many if whole else result)
            call.record("sample")
    return result


def _pool(call: Call, population: Buffer) -> Buffer:
    """The ints of a population that is listed: those that are not chosen leave holes in the heap's pools."""
    ints = call.state.make("objects", call.node, origin="pool")
    ints.parts, ints.pieces, ints.capacity = population.parts, population.pieces, population.capacity
    ints.made_of = (Small("slots of others", 1.0), *population.made_of)
    population.made_of = ()
    return ints


def _share(k: Any, size: Any) -> float:
    """k / size, where both count the same; a number is few of what follows the input; 1 where nothing is known."""
    if isinstance(k, Number) and isinstance(size, Number):
        if k.symbol is None and size.symbol is not None:
            return 0.0
        if k.symbol is None and size.symbol is None:
            return k.offset / max(1.0, size.offset)
        if k.symbol is not None and size.symbol is not None and k.symbol.of is size.symbol.of and size.factor:
            return k.factor / size.factor
    return 1.0


def _length(population: Any) -> Any:
    if isinstance(population, Range):
        return Number(population.count) if population.count is not None else population.stop
    return None


def _listed(call: Call, k: Any, population: Any) -> Buffer | None:
    """A list of k ints, or of k of the elements of a list; None where k is not known."""
    dims = dimensions([k])
    if dims is None:
        return None
    made = (Small("int"),) if isinstance(population, Range) else ()
    result = call.state.make("objects", call.node, made_of=made)
    result.parts[call.state.site(call.node)] = Extent()
    result.capacity = dims[0].known if dims[0].symbol is None else dims
    if isinstance(population, Buffer):
        result.refs.append(population)
    call.state.temps.append(result)
    return result


function("random.shuffle numpy.random.shuffle numpy.random.default_rng().shuffle numpy.random.RandomState().shuffle")(
    nothing("in place")
)
function("numpy.random.default_rng numpy.random.RandomState numpy.random.Generator")(gives("a generator's own state"))


# -- numpy and torch --------------------------------------------------------------------------------------------------


def _dtype(call: Call, default: int) -> int:
    return item_size(call.arg(1 << 30, "dtype", Constant(None)), default)


@function("numpy.arange torch.arange torch.range")
def arange(call: Call) -> Any:
    """arange(n), arange(a, b): int64 where dtype does not say otherwise."""
    first = call.arg(1, "stop", None) if len(call.args) > 1 else call.arg(0, "stop", call.arg(0, "end"))
    if len(call.args) > 2 and number_of(call.args[2]):
        first = arithmetic(ast.Div(), first, call.args[2]) if isinstance(first, Number) else None
    return _of_length(call, [first])


@function("numpy.linspace numpy.logspace torch.linspace")
def linspace(call: Call) -> Any:
    return _of_length(call, [call.arg(2, "num", Number(50.0))])


@function(
    "torch.randperm numpy.random.permutation "
    "numpy.random.default_rng().permutation numpy.random.RandomState().permutation"
)
def permutation(call: Call) -> Any:
    """Of a number, or of an array, which is copied."""
    value = call.arg(0, "n")
    if isinstance(value, Buffer):
        return make_array(call, value, value.item if value.kind in ARRAYS else 8, "copy")
    return _of_length(call, [value])


@function(
    "numpy.random.choice numpy.random.default_rng().choice numpy.random.RandomState().choice", frees="one element"
)
def choice(call: Call) -> Any:
    """As many as `size` says. Without replacement the order of all of them is made first."""
    value, size = call.arg(0, "a"), call.arg(1, "size", Constant(None))
    if isinstance(size, Constant):  # one element
        return one_of(call.interpreter, value, 0) if isinstance(value, Buffer) else NOTHING
    item = value.item if isinstance(value, Buffer) and value.kind in ARRAYS else 8
    found = _of_length(call, [size], item)
    if not isinstance(found, Buffer):
        return make_array(call, value, item, "copy") if isinstance(value, Buffer) else UNKNOWN
    replaced = call.arg(2, "replace", Constant(True))
    if isinstance(replaced, Constant) and replaced.value is False:
        order = _of_length(call, [value]) if isinstance(value, Number) else None
        if isinstance(order, Buffer):
            call.record("sample")
    return found


@function(
    "numpy.random.randint numpy.random.random_integers torch.randint "
    "numpy.random.default_rng().*int* numpy.random.RandomState().*int*",
    frees="one number",
)
def randint(call: Call) -> Any:
    return _sized(call, call.arg(2, "size", Constant(None)))


@function("numpy.random.rand numpy.random.randn torch.rand torch.randn")
def rand(call: Call) -> Any:
    return _of_length(call, list(call.args)) if call.args else NOTHING


@function(
    "numpy.random.random numpy.random.random_sample numpy.random.uniform numpy.random.normal "
    "numpy.random.default_rng().random numpy.random.RandomState().random "
    "numpy.random.default_rng().uniform numpy.random.RandomState().uniform "
    "numpy.random.default_rng().normal numpy.random.RandomState().normal",
    frees="numbers",
)
def random(call: Call) -> Any:
    place = 0 if ".random" in call.name.removeprefix("numpy.random") else 2
    return _sized(call, call.arg(place, "size", Constant(None)))


def _sized(call: Call, size: Any) -> Any:
    """As many as `size` says, or as the arrays between whose elements they lie; else one number."""
    arrays = [value for value in call.args if isinstance(value, Buffer)]
    if isinstance(size, Constant):
        return make_array(call, arrays[0], 8) if arrays else NOTHING
    return _of_length(call, [size])


def _of_length(call: Call, values: list[Any], item: int = 0) -> Any:
    default = 4 if call.name in ("torch.rand", "torch.randn", "torch.linspace") else 8
    width = item or _dtype(call, default)
    if dimensions(values) is None:
        value = next((value for value in values if isinstance(value, Buffer)), None)
        return make_array(call, value, width, "copy") if value is not None else UNKNOWN
    return filled(call, shaped(call, values, width))
