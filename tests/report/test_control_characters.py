"""Whatever stands in a record: every renderer of report/ shows it without a control character, on lines of its own."""

from __future__ import annotations

import importlib
import pkgutil
import re
import typing
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import memguard.report
from memguard.records.doctor import GROUPS, STATES
from memguard.records.estimate import ProbePoint
from tests.records.test_visible import TEXTS

SGR = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Words by which the renderers look something up; whatever else is text may be anything.
WORDS = {
    "verdict": ["fits", "tight", "killed"],
    "termination_reason": ["memory", "forecast", "hang", "user"],
    "state": list(STATES),
    "group": list(GROUPS),
    "shape": ["linear", "flat", "faster", "slower"],
    "event": ["flushed", "salvaged"],
    "Step.name": ["encode\x1b[2J\n"],
    "peak_step": ["encode\x1b[2J\n"],
    "PlanEstimate.name": ["read\x07-all\n"],
    "recommended": ["read\x07-all\n"],
}
NUMBERS = {"exit_code": 75, "line": 1, "eot_tokens": 3, "exit_signal": 9}  # the others are larger


def renderers() -> list[Callable[..., str]]:
    """Public functions of the room that return text; those of terminal.py are what the others are made with."""
    found = []
    for module in pkgutil.iter_modules(memguard.report.__path__):
        loaded = importlib.import_module(f"memguard.report.{module.name}")
        if module.name != "terminal":
            found += [f for name, f in vars(loaded).items() if re.match("render|summary", name) and callable(f)]
    assert len(found) >= 11
    return [f for f in found if f.__module__.startswith("memguard.report")]


def of_type(kind: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Records that are complete, so that all of a renderer is reached; what is drawn is their text."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is str:
        return st.sampled_from(WORDS[name]) if name in WORDS else TEXTS
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.just(NUMBERS.get(name, 4000))
    if kind is float:
        return st.just(0.5)
    if origin is tuple and arguments[0] is ProbePoint:  # a line through them
        return st.just((ProbePoint(4000, 5000, 0.5, 0), ProbePoint(8000, 9000, 0.7, 0)))
    if origin is tuple:
        return st.tuples(of_type(arguments[0], name), of_type(arguments[0], name))
    if origin is dict:
        return st.dictionaries(of_type(arguments[0]), of_type(arguments[1]), min_size=1, max_size=2)
    if arguments:  # X | None
        return of_type(arguments[0], name)
    hints = {key: hint for key, hint in typing.get_type_hints(kind).items() if key in kind.__dataclass_fields__}
    names = {key: f"{kind.__name__}.{key}" if f"{kind.__name__}.{key}" in WORDS else key for key in hints}
    return st.builds(kind, **{key: of_type(hint, names[key]) for key, hint in hints.items()})


def hints_of(render: Callable[..., str]) -> dict[str, Any]:
    """The types of a renderer's records, which it names for type checkers alone."""
    names: dict[str, Any] = {}
    for module in pkgutil.iter_modules(importlib.import_module("memguard.records").__path__):
        names |= vars(importlib.import_module(f"memguard.records.{module.name}"))
    inner = render.__wrapped__  # type: ignore[attr-defined]  # a renderer without @shows has none
    own = vars(importlib.import_module(render.__module__))
    hints = typing.get_type_hints(inner, {**names, **own})
    return {name: kind for name, kind in hints.items() if name not in ("width", "color", "return")}


@pytest.mark.parametrize("render", renderers(), ids=lambda f: f"{f.__module__.rpartition('.')[2]}.{f.__name__}")
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=10, phases=[Phase.generate])
@given(data=st.data())
def test_no_control_character_is_shown(render: Callable[..., str], data: st.DataObject) -> None:
    arguments = {name: data.draw(of_type(kind, name), label=name) for name, kind in hints_of(render).items()}
    positional = [value for name, value in arguments.items() if hasattr(value, "__dataclass_fields__")]
    named = {name: value for name, value in arguments.items() if not hasattr(value, "__dataclass_fields__")}
    text = render(*positional, **named)
    assert not CONTROL.search(SGR.sub("", text)), ascii(text)
