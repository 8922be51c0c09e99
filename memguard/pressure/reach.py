"""What callbacks reach, read from their code without running it: names, objects, locks.

Names are what their code, and the functions of the script that it calls, say: globals, closure cells, attributes.
Objects are what those names are bound to now. Data that is hidden behind getattr, globals()[…] or a library's registry
is not seen.
"""

from __future__ import annotations

import os
import sys

from memguard.pressure.registry import unwrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType
    from typing import Any

__all__ = ["Reach", "is_library", "is_library_holder", "is_standard", "reach_of"]


class _Bound:
    def method(self) -> None: ...


_DEEPEST = 3  # functions that call functions
_FUNCTION, _METHOD, _CODE_OBJECT = type(lambda: None), type("".join), type((lambda: None).__code__)
_BOUND = type(_Bound().method)
_NO_DATA = (_FUNCTION, _METHOD, _BOUND, type(sys), type)
_LOCKS = ("lock", "RLock")  # of the module _thread
_PACKAGES = ("/site-packages/", "/dist-packages/")
_STANDARD = os.path.dirname(os.__file__) + "/"
_OWN = __file__.rpartition("/pressure/")[0] + "/"


class Reach:
    """`names` of data, the ids of `objects` bound to them, and `locks` as (name, lock)."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.objects: set[int] = set()
        self.locks: list[tuple[str, Any]] = []
        self._seen: set[int] = set()

    def add_callback(self, callback: Any) -> None:
        function, _, _ = unwrap(callback)
        holder = getattr(callback, "__self__", None)
        for argument in (*getattr(callback, "args", ()), *dict(getattr(callback, "keywords", None) or {}).values()):
            self._add_value("", argument)
        if holder is None and not isinstance(callback, _FUNCTION) and hasattr(callback, "__dict__"):
            holder = callback  # an object with __call__
        self._add_function(function, _DEEPEST)
        if holder is not None and not isinstance(holder, _NO_DATA):
            self._add_attributes(holder)
            if not hasattr(function, "__code__"):  # list.clear: what it clears
                self.objects.add(id(holder))

    def _add_function(self, function: Any, depth: int) -> None:
        code = getattr(function, "__code__", None)
        if depth == 0 or code is None or id(function) in self._seen or is_library(code.co_filename):
            return
        self._seen.add(id(function))
        words, bound = _words(code), dict(function.__globals__)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                bound[name] = cell.cell_contents
            except ValueError:  # not assigned yet
                bound.pop(name, None)
        self.names |= words - bound.keys()  # attributes, and builtins
        for word in words & bound.keys():
            value = bound[word]
            if isinstance(value, (_FUNCTION, _BOUND)):
                self._add_function(getattr(value, "__func__", value), depth - 1)
            self._add_value(word, value)

    def _add_value(self, name: str, value: Any) -> None:
        if isinstance(value, _NO_DATA):
            return
        if type(value).__module__ == "_thread" and type(value).__name__ in _LOCKS:
            self.locks.append((name, value))
            return
        self.names.add(name)
        if not isinstance(value, (int, str, float, bytes, type(None))):  # shared by everything
            self.objects.add(id(value))
        if not isinstance(value, (list, dict, set, tuple)):
            self._add_attributes(value)

    def _add_attributes(self, holder: Any) -> None:
        """Of an instance of the script's own classes: those whose names the code says."""
        attributes = getattr(holder, "__dict__", None)
        if not isinstance(attributes, dict) or id(holder) in self._seen or _is_library_class(type(holder)):
            return
        self._seen.add(id(holder))
        for name, value in tuple(attributes.items()):
            if name in self.names:
                self._add_value(name, value)


def reach_of(callbacks: Iterable[Callable[[], object]]) -> Reach:
    found = Reach()
    for callback in callbacks:
        found.add_callback(callback)
    return found


def is_library(path: str) -> bool:
    """Whether a code object of that file is the standard library's, a package's or memguard's, not the script's."""
    if path.startswith("<frozen") or any(part in path for part in _PACKAGES):
        return True
    return path.startswith((_STANDARD, _OWN))


def is_standard(path: str) -> bool:
    """Whether it is the standard library's own."""
    return path.startswith(("<frozen", _STANDARD)) and not any(part in path for part in _PACKAGES)


def is_library_holder(holder: Any) -> bool:
    """Whether a class or a module is a library's: what hangs on it is not the script's data."""
    if isinstance(holder, type):
        return _is_library_class(holder)
    path = getattr(holder, "__file__", None)
    return path is None or is_library(path)


def _is_library_class(kind: type) -> bool:
    module = sys.modules.get(kind.__module__)
    path = getattr(module, "__file__", None)
    return (path is None and kind.__module__ != "__main__") or (path is not None and is_library(path))


def _words(code: CodeType) -> set[str]:
    """All names in the code and in what is defined inside it."""
    words = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, _CODE_OBJECT):
            words |= _words(constant)
    return words
