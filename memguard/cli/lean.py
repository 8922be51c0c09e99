"""Keeps the watcher small: `inspect` is loaded when somebody asks it something, not when `dataclasses` imports it.

dataclasses needs inspect for a class without a docstring, whose signature becomes one, and from 3.13 on for a class's
own annotations. inspect brings ast, dis and tokenize along: 1.0 MiB of the 15 that the watcher may hold, in the limit
that it guards.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["put_off_inspect"]


class _Inspect(ModuleType):
    """Stands in for inspect until it is asked for anything that it does not know itself."""

    def __getattr__(self, name: str) -> Any:
        import importlib

        if sys.modules.get("inspect") is self:
            del sys.modules["inspect"]
        return getattr(importlib.import_module("inspect"), name)

    @staticmethod
    def get_annotations(cls: type) -> dict[str, Any]:
        """A class's own annotations, as they stand there."""
        return dict(cls.__dict__.get("__annotations__", {}))  # noqa: RUF063


def put_off_inspect() -> None:
    """Does nothing where it is loaded already: in a test, or in a program that uses memguard as a library."""
    if "inspect" not in sys.modules and "dataclasses" not in sys.modules:
        sys.modules["inspect"] = _Inspect("inspect")
