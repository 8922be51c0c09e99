"""Which model stands for which call, and what becomes of a call that has none.

The promise of docs/estimate-script.md is kept here, in `unknown`, and nowhere else: a call that nobody has modelled, or
a modelled one that gets what its model does not know (it returns UNKNOWN), counts as a list of all the token ids that
it can reach through its arguments, and its line is listed. So a model is right by default: only one that says why
nothing is kept (`nothing("a number")`) makes the figure smaller.

    @function("numpy.array numpy.asarray")          one function of a library, under all of its names
    @function("numpy.*")                            a family: what has no row of its own
    @method("text bytes", "lower upper strip")      methods, by the kind of a Buffer …
    @method(File, "read*")                          … or by the type of another value
    @attribute("requests.Response", "text")         an attribute that is more than a name
    function("os.stat os.getpid")(nothing("a few fields"))
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from memguard.script.extents import Extent, measure, merged
from memguard.script.interface import Call
from memguard.script.liveness import Reach, buffers_in, reach
from memguard.script.source import dotted_name
from memguard.script.values import (
    NOTHING,
    UNKNOWN,
    Buffer,
    Constant,
    Encoder,
    Function,
    Generator,
    Instance,
    Method,
    Module,
    Number,
    Row,
)

__all__ = [
    "Model",
    "attribute",
    "attribute_of",
    "call_function",
    "call_method",
    "function",
    "gives",
    "knows",
    "lookup",
    "lookup_method",
    "method",
    "nothing",
    "rows",
    "unknown",
]

Handler = Callable[[Call], Any]
_Row = TypeVar("_Row", bound="Handler | Model")

# Methods of unknown objects that sound like keeping what they get.
_GATHERING = ("append", "appendleft", "extend", "put", "push")


@dataclass(frozen=True, slots=True)
class Model:
    """What a call does to memory. `reason` says why nothing of its arguments is kept, where that is so."""

    run: Handler
    reason: str = ""


@dataclass(slots=True)
class _Table:
    exact: dict[str, Model] = field(default_factory=dict)
    families: list[tuple[str, Model]] = field(default_factory=list)  # patterns, the longest first

    def add(self, names: str, model: Model) -> None:
        for name in names.split():
            if "*" in name:
                self.families.append((name, model))
                self.families.sort(key=lambda row: -len(row[0]))
            elif name in self.exact:
                raise ValueError(f"{name} has a model already")
            else:
                self.exact[name] = model

    def find(self, name: str) -> Model | None:
        found = self.exact.get(name)
        return found or next((model for pattern, model in self.families if fnmatchcase(name, pattern)), None)


_FUNCTIONS = _Table()
_METHODS: dict[str, _Table] = {}
_ATTRIBUTES: dict[str, _Table] = {}


def function(names: str, *, frees: str = "") -> Callable[[_Row], _Row]:
    """Registers a model for functions by their dotted names, `builtins.` in front of the builtin ones.

    `frees` is the reason why the result keeps nothing of what the function gets: "the path of a file".
    """

    def register(model: _Row) -> _Row:
        _FUNCTIONS.add(names, _model(model, frees))
        return model

    return register


def method(owners: str | type, names: str) -> Callable[[_Row], _Row]:
    """Registers a model for methods: of kinds of Buffer, of a library's object, or of a type of values.py."""
    return _registering(_METHODS, owners, names)


def attribute(owners: str | type, names: str) -> Callable[[_Row], _Row]:
    """Registers what an attribute gives; the Call has its owner and name, and no arguments."""
    return _registering(_ATTRIBUTES, owners, names)


def _registering(tables: dict[str, _Table], owners: str | type, names: str) -> Callable[[_Row], _Row]:
    def register(model: _Row) -> _Row:
        for owner in owners.split() if isinstance(owners, str) else [owners.__name__]:
            tables.setdefault(owner, _Table()).add(names, _model(model))
        return model

    return register


def _model(model: Handler | Model, frees: str = "") -> Model:
    return model if isinstance(model, Model) else Model(model, frees)


def nothing(reason: str, value: Any = NOTHING, *, runs: bool = False) -> Model:
    """A model for what keeps nothing of the input's size, whatever it gets; it may still run generators that it gets.

    Raises ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("a model that keeps nothing says why")

    def run(call: Call) -> Any:
        for given in call.given if runs else ():
            if isinstance(given, Generator):
                given.run(lambda element: None)
        return value

    return Model(run, reason)


def gives(reason: str) -> Model:
    """A model for what gives an object of its library that keeps nothing either: hashlib.sha256(), re.compile().

    Raises ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("a model that keeps nothing says why")
    return Model(lambda call: Module(f"{call.name}()"), reason)


# -- finding a model --------------------------------------------------------------------------------------------------


def lookup(name: str) -> Model | None:
    """The model of a function."""
    return _FUNCTIONS.find(name)


def knows(library: str) -> bool:
    """Whether a function of `library` has a model."""
    names = (*_FUNCTIONS.exact, *(pattern for pattern, _ in _FUNCTIONS.families))
    return any(name.startswith(f"{library}.") for name in names)


def lookup_method(owner: Any, name: str) -> Model | None:
    table = _METHODS.get(_owner_name(owner))
    return None if table is None else table.find(name)


def rows() -> list[tuple[str, str, Model]]:
    """Every row there is, as (owner or "", name, model)."""
    tables = [("", _FUNCTIONS), *_METHODS.items()]
    return [(owner, *row) for owner, table in tables for row in (*table.exact.items(), *table.families)]


def _owner_name(owner: Any) -> str:
    if isinstance(owner, Buffer):
        return owner.kind
    if isinstance(owner, Encoder):
        return owner.library
    if isinstance(owner, Row) and owner.origin == "dataset":
        return "dataset"
    if isinstance(owner, Instance):
        return owner.cls if isinstance(owner.cls, str) else "Instance"
    return type(owner).__name__


# -- calling ----------------------------------------------------------------------------------------------------------


def call_function(call: Call) -> Any:
    """What a function of a library gives."""
    return _run(call, lookup(call.name))


def call_method(call: Call) -> Any:
    """What a method of a value gives that is none of the script's own classes."""
    return _run(call, lookup_method(call.owner, call.name))


def attribute_of(call: Call) -> Any:
    """The attribute where a model gives it, else the method of that name, not called yet."""
    table = _ATTRIBUTES.get(_owner_name(call.owner))
    model = None if table is None else table.find(call.name)
    return Method(call.owner, call.name) if model is None else model.run(call)


def _run(call: Call, model: Model | None) -> Any:
    if model is None:
        return unknown(call)
    before = len(call.state.recorded)
    result = model.run(call)
    if result is UNKNOWN:
        return unknown(call)
    _connect(call, result, before)
    return result


def _connect(call: Call, result: Any, before: int) -> None:
    """What goes into the call flows into its steps, and they into its result; without steps it only passes through."""
    state = call.state
    span = state.places.span(call.node)
    own = [n for n in dict.fromkeys(state.recorded[before:]) if state.step_spans[n] == span]
    inside = [value for value in buffers_in(call.given) if isinstance(value, Buffer)]
    state.spend(len(inside) // 4)
    for step in own:
        for value in inside:
            state.flow(value, step)
    if isinstance(result, Row):
        made = [ref for ref in result.refs if isinstance(ref, Buffer)]
    else:
        made = [result] if isinstance(result, Buffer) else []
    for buffer in made:
        if any(buffer is value for value in inside):
            continue
        passed = [] if own or buffer.steps else [step for value in inside for step in value.steps]
        state.comes_from(buffer, *own, *passed)


# -- the promise ------------------------------------------------------------------------------------------------------


def unknown(call: Call) -> Any:
    """A call that nobody has modelled: as if it made a list of all the ids that it could, and gave that back."""
    state, node = call.state, call.node
    found = reach(call.given)
    state.spend(found.visited // 2)
    extents = merged(found.extents)
    if _unseen(found) and sum(map(measure, extents)) < 1:
        extents = [Extent()]
    if not extents:
        return UNKNOWN
    state.not_understood(node, (extent.in_all_loops() for extent in extents))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GATHERING:
        _keep_unseen(call, max(extents, key=measure), node)
    result = state.hold("opaque", node)
    site = state.site(node)
    for index, extent in enumerate(extents):
        result.parts[(*site, index) if index else site] = extent
    step = state.record_moment(node, "unknown", "")
    for callback in found.callbacks:
        _call_back(call, callback, result)
    for value in buffers_in(call.given):
        state.flow(value, step)
    state.comes_from(result, step)
    return result


def _call_back(call: Call, function: Function, given: Buffer) -> None:
    """A function of the script that an unknown call gets may be called with anything that the call gets at."""
    state, spec = call.state, function.node.args
    if function.node in state.called_back:
        return
    state.called_back.append(function.node)
    names = [parameter.arg for parameter in (*spec.posonlyargs, *spec.args)][: -len(spec.defaults) or None]
    skipped = (function.owner is not None) + len(function.bound[0])
    try:
        kept = call.interpreter.call(function, [given] * len(names[skipped:]), {}, call.node)
        given.refs += [value for value in buffers_in([kept]) if value is not given]
    finally:
        state.called_back.pop()


def _unseen(found: Reach) -> bool:
    """Whether it may get at more than is seen: a generator, which runs now, may yield anything, and a callback may be
    called with anything.
    """
    for generator in found.generators:
        elements: list[Any] = []
        generator.run(elements.append)
        if not all(isinstance(element, (Number, Constant)) for element in elements):
            return True
    return bool(found.callbacks)


def _keep_unseen(call: Call, extent: Extent, node: ast.Call) -> None:
    """x.append(ids) on an x that is not known: a list of all of them, alive to the end."""
    state = call.state
    found = Buffer("opaque", {}, (), node.lineno)
    state.frames[0].env[dotted_name(node.func)] = found
    state.grow(found, state.site(node), extent, node)
