"""What the script reader asks whoever may open files: where a module of the script's own lies, and what is in it. Pure.

estimate/modules.py answers; without anybody who does, a script is read alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Finder", "Found"]


@dataclass(frozen=True, slots=True)
class Found:
    path: str
    source: str | None  # None: too large, or it cannot be read; "" of a directory without an __init__.py
    package: bool = False
    bare: bool = False  # a directory without an __init__.py: an installed library of this name goes before it


class Finder(Protocol):
    """Looks for the script's own modules. Raises nothing."""

    def find(self, name: str, importer: str, search: tuple[str, ...]) -> Found | None:
        """`name` with a dot in front for each level of a relative import, as the module at path `importer` means it;
        `search`: directories that the script adds to sys.path. None for what is not the script's own."""

    def installed(self, name: str) -> bool:
        """Whether a library of this name is installed, or comes with Python."""
