"""sys.path and importlib: where a script looks for modules of its own, and those that it imports by their name."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.inputs import path_text
from memguard.script.registry import function
from memguard.script.values import NOTHING, Sequence

__all__: list[str] = []


@function("sys.path.insert sys.path.append sys.path.extend", frees="paths of directories")
def look_in(call: Call) -> Any:
    """sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))"""
    given = call.args[-1:]
    for value in given[0].items if given and isinstance(given[0], Sequence) else given:
        if text := path_text(value):
            call.state.search.append(text)
    return NOTHING


@function("importlib.import_module builtins.__import__", frees="the name of a module")
def import_module(call: Call) -> Any:
    name = call.text(0, "name")
    return NOTHING if name is None else call.interpreter.load_module(name, call.node)
