"""What a model of a library's call gets, and what it may ask the interpreter for. Imports nothing of the interpreter.

@function("numpy.empty numpy.zeros")
def empty(call: Call) -> Any:
    result = call.state.make("array", call.node, item=item_size(call.arg(1, "dtype"), 8))
    result.capacity = call.number("shape", 0)
    return result
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from memguard.script.extents import Extent
from memguard.script.liveness import reach
from memguard.script.numbers import number_of
from memguard.script.state import Frame, State
from memguard.script.trace import Transient
from memguard.script.values import UNKNOWN, Buffer, Class, Constant, Function, Instance

__all__ = ["Call", "Interpreter"]


class Interpreter(Protocol):
    """Whoever follows the script. Raises state.BudgetSpent from anywhere once its steps are spent."""

    state: State

    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression; it stays at hand until the statement around it is done."""

    def constant_value(self, node: ast.expr) -> Any:
        """The value of an expression that changes nothing; UNKNOWN for others."""

    def call(self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        """The result of calling `function`, whatever it is."""

    def iterate(self, value: Any, body: Callable[[Any], None], node: ast.AST) -> None:
        """Calls `body` with what one iteration over `value` sees, twice: the first one's values are still there."""

    def iterate_twice(
        self,
        node: ast.AST,
        element: Callable[[int], Any],
        body: Callable[[Any], None],
        count: float | None = None,
        consumes_input: bool = True,
    ) -> None:
        """The same for a loop that is none over a value: `element` makes what iteration `loop` sees."""

    def inline_call(
        self, function: Function, env: dict[str, Any], yield_to: Callable[[Any], None] | None = None
    ) -> Any:
        """Runs a function of the script's own with its parameters bound in `env`; its result."""

    def yield_to(self, consumer: Callable[[Any], None], value: Any, caller: Frame) -> None:
        """Hands what a generator yields to who iterates, in that one's own scope."""

    def assign(self, target: ast.expr, value: Any) -> None:
        """target = value"""

    def attribute(self, owner: Any, name: str, node: ast.AST) -> Any:
        """owner.name"""

    def class_attribute(self, owner: Instance, cls: Class, name: str, node: ast.AST) -> Any:
        """The attribute as the class or its bases define it, bound to `owner`."""

    def load_module(self, name: str, node: ast.AST) -> Any:
        """import name: the script's own module, or the library's name"""

    def enter_context(self, value: Any) -> Any:
        """What `with value as …` gives."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that the script makes, its arguments evaluated."""

    interpreter: Interpreter
    args: list[Any]
    kwargs: dict[str, Any]
    node: ast.AST
    name: str = ""  # dotted for a function (numpy.array), bare for a method (reshape)
    owner: Any = field(default=None)  # whose method it is

    @property
    def state(self) -> State:
        return self.interpreter.state

    @property
    def given(self) -> list[Any]:
        """All that the function gets at directly: the owner of a method, the arguments."""
        mine = [] if self.owner is None else [self.owner]
        return [*mine, *self.args, *self.kwargs.values()]

    def arg(self, index: int, name: str = "", default: Any = UNKNOWN) -> Any:
        """The argument, by its place or by its name; `default` where the script does not give it."""
        if index < len(self.args):
            return self.args[index]
        return self.kwargs.get(name, default)

    def number(self, name: str, index: int = 1 << 30) -> float | None:
        """The argument where it is a number that is known."""
        return number_of(self.arg(index, name))

    def text(self, index: int, name: str = "") -> str | None:
        """The argument where it is a str that is known."""
        value = self.arg(index, name)
        return value.value if isinstance(value, Constant) and isinstance(value.value, str) else None

    def with_args(self, *args: Any) -> Call:
        return replace(self, args=list(args))

    def reaches(self, *values: Any) -> bool:
        """Whether something of the input's size can be reached from `values`, or from all that is given."""
        found = reach(values or self.given)
        self.state.spend(found.visited // 2)
        return bool(found)

    def hold(self, kind: str, extent: Extent | None = None, **fields: Any) -> Buffer:
        """A Buffer made by this call, alive until the expression around it is done."""
        return self.state.hold(kind, self.node, extent, **fields)

    def record(self, kind: str, variable: str = "", *transients: Transient) -> None:
        """All that is alive now, while this call runs."""
        self.state.record_moment(self.node, kind, variable, transients)
