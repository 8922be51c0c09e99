"""Doors of rooms that are heavy to import: their names load on first use, as the public names of memguard do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["door"]


def door(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for `package` (PEP 562). `places`: name → the module that has it, of the package or by its full
    name."""

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place = places[name]
        return getattr(import_module(place if "." in place else f"{package}.{place}"), name)

    return load
