"""Where the modules of a script's own lie: beside it, in its package or project, where it adds to sys.path.

Python's own order, as far as it can be told without running anything: the script's directory, what it adds to sys.path,
then the root of its package or project (what `python -m` and `pip install -e .` would find there). Installed libraries
are told by their names alone, none is imported and none of their files is read.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys

from memguard.errors import InputError
from memguard.estimate.script_source import read_source
from memguard.script.finder import Found
from memguard.units import MIB

__all__ = ["ModuleFinder"]

_MOST_BYTES = 4 * MIB  # of all modules together
_HIGHEST = 6  # directories above the script that are looked at
_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", ".git", "requirements.txt")
# What every Python has loaded before a script begins: no file beside it is taken instead.
_LOADED = frozenset(
    ["abc", "codecs", "encodings", "genericpath", "io", "ntpath", "os", "posixpath", "site", "sitecustomize", "stat"]
)
_OWN = "memguard"  # its names have models, wherever it lies: beside the script in its own checkout


class ModuleFinder:
    """Finds modules for one script."""

    def __init__(self, script: str) -> None:
        self._directory = os.path.dirname(os.path.abspath(script))
        self._roots = [self._directory, *_roots_above(self._directory)]
        self._room = _MOST_BYTES
        self._sources: dict[str, str | None] = {}

    def find(self, name: str, importer: str, search: tuple[str, ...]) -> Found | None:
        """See script/finder.py."""
        level = len(name) - len(name.lstrip("."))
        parts = [part for part in name[level:].split(".") if part]
        if level:
            base = os.path.dirname(os.path.abspath(importer))
            for _ in range(level - 1):
                base = os.path.dirname(base)
            return self._below(base, parts) if parts else Found(base, "", package=True)
        if parts[0] in sys.builtin_module_names or parts[0] in _LOADED or parts[0] == _OWN:
            return None
        added = [os.path.join(base, path) for path in search for base in (os.getcwd(), self._directory)]
        bare: Found | None = None
        for root in dict.fromkeys([*self._roots[:1], *added, *self._roots[1:]]):
            found = self._below(root, parts)
            if found is not None and not found.bare:
                return found
            bare = bare or found
        return bare

    def installed(self, name: str) -> bool:
        if name in sys.stdlib_module_names or name in sys.builtin_module_names:
            return True
        elsewhere = [path for path in sys.path if path and os.path.abspath(path) not in self._roots]
        try:
            return importlib.machinery.PathFinder.find_spec(name, elsewhere) is not None
        except (ImportError, ValueError, OSError):
            return False

    def _below(self, root: str, parts: list[str]) -> Found | None:
        """The module `parts` of a package below `root`."""
        if not root or "\0" in root or "\0" in "".join(parts) or _is_installed(root):
            return None
        directory = os.path.join(root, *parts[:-1])
        package = os.path.join(directory, parts[-1])
        for path, is_package in ((os.path.join(package, "__init__.py"), True), (f"{package}.py", False)):
            if os.path.isfile(path):
                return Found(path, self._read(path), is_package)
        return Found(package, "", package=True, bare=True) if os.path.isdir(package) else None

    def _read(self, path: str) -> str | None:
        """None where it is too large, with what was read before it, or cannot be read."""
        if path not in self._sources:
            self._sources[path] = None
            try:
                size = os.path.getsize(path)
                if size <= self._room:
                    self._room -= size
                    self._sources[path] = read_source(path)
            except (OSError, InputError):
                pass
        return self._sources[path]


def _is_installed(directory: str) -> bool:
    """No library's own files are read, whatever sys.path has."""
    return "site-packages" in directory or "dist-packages" in directory


def _roots_above(directory: str) -> list[str]:
    """The directory that holds the script's package, and its project's with its `src`."""
    roots: list[str] = []
    here = directory
    while os.path.isfile(os.path.join(here, "__init__.py")) and len(roots) < _HIGHEST:
        here = os.path.dirname(here)
        roots = [here]
    here = directory
    for _ in range(_HIGHEST):
        if any(os.path.exists(os.path.join(here, mark)) for mark in _PROJECT):
            roots += [here, os.path.join(here, "src")]
            break
        if os.path.dirname(here) == here:
            break
        here = os.path.dirname(here)
    return [root for root in dict.fromkeys(roots) if root != directory]
