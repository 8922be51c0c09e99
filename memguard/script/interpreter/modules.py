"""Modules of the script's own: those beside it, in its package, or in a directory that it adds to sys.path. Pure.

Who opens files is given: finder.py says how. A module is read once, its top-level code where it is
imported first, as Python runs it. What is imported of a library stays a library's name.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from memguard.errors import InputError
from memguard.script import registry
from memguard.script.finder import Finder
from memguard.script.source import parse_script
from memguard.script.state import Frame, State
from memguard.script.trace import ModuleSource
from memguard.script.values import Constant, Namespace, Path

__all__ = ["Modules", "public_names"]

_MOST_MODULES = 200


class Modules:
    """What the script has imported of its own modules so far."""

    def __init__(self, state: State, finder: Finder | None, run: Callable[[ast.Module], None]) -> None:
        self._state, self._finder, self._run = state, finder, run
        self._loaded: dict[str, Namespace] = {}  # by path
        self.sources: list[ModuleSource] = []
        self.trees: list[ast.Module] = []  # of the same ones

    def load(self, name: str, importer: str, node: ast.AST, *, optional: bool = False) -> Namespace | None:
        """The module itself, its packages loaded before it; None for a library's. `optional`: the script expects that
        it may not be there."""
        if self._finder is None or not name.strip("."):
            return self._relative_package(name, importer)
        level = len(name) - len(name.lstrip("."))
        parts = name[level:].split(".")
        outer: Namespace | None = None
        for count in range(1, len(parts) + 1):
            found = self._load_one("." * level + ".".join(parts[:count]), importer, node)
            if found is None:
                if (outer is not None or level or self._lacks(parts[0])) and not optional:
                    self._state.missing.setdefault(name)
                return None
            if outer is not None:
                outer.env[parts[count - 1]] = found
            outer = found
        return outer

    def _relative_package(self, name: str, importer: str) -> Namespace | None:
        """`from . import x`: the package is a place to look in, and its own names where it is loaded."""
        if self._finder is None or not name:
            return None
        found = self._finder.find(name, importer, ())
        return None if found is None else self._loaded.get(found.path) or Namespace(name, found.path, {})

    def _lacks(self, library: str) -> bool:
        assert self._finder is not None
        return not registry.knows(library) and not self._finder.installed(library)

    def _load_one(self, name: str, importer: str, node: ast.AST) -> Namespace | None:
        assert self._finder is not None
        found = self._finder.find(name, importer, tuple(self._state.search))
        if found is None or (found.bare and not name.startswith(".") and not self._lacks(name.split(".")[0])):
            return None
        if found.path in self._loaded:
            return self._loaded[found.path]
        module = self._loaded[found.path] = Namespace(self._full_name(name, importer), found.path, {})
        if found.source is None or len(self._loaded) > _MOST_MODULES:
            self._state.not_understood(node)
            self._state.missing.setdefault(name)
        elif found.source:
            self._read(module, found.source, node)
        return module

    def _full_name(self, name: str, importer: str) -> str:
        level = len(name) - len(name.lstrip("."))
        outer = self._loaded.get(importer)
        packages = outer.name.split(".") if level and outer is not None else []
        packages = packages[: len(packages) - level + importer.endswith("__init__.py")]
        return ".".join((*packages, name[level:]))

    def _read(self, module: Namespace, source: str, node: ast.AST) -> None:
        try:
            tree = parse_script(source, module.path)
        except InputError:
            self._state.not_understood(node)
            self._state.missing.setdefault(module.name)
            return
        state = self._state
        before = state.places.add(module.path, source)
        ast.increment_lineno(tree, before)
        self.trees.append(tree)
        self.sources.append(ModuleSource(module.name, module.path, source))
        module.env.update({"__name__": Constant(module.name), "__file__": Path(module.path)})
        state.spaces.append(module.env)
        state.modules.append(module.env)
        state.spend(len(source) // 400)  # for the parser
        outside = state.frame, state.loops, state.conditions, state.calls, state.members
        state.frame = Frame(module.env, (module.env,), tree)
        state.loops, state.conditions, state.calls, state.members = [], [], [], []
        try:
            self._run(tree)
        finally:
            state.frame, state.loops, state.conditions, state.calls, state.members = outside


def public_names(module: Namespace) -> dict[str, Any]:
    """What `from module import *` binds."""
    exported = module.env.get("__all__")
    names = {item.value for item in getattr(exported, "items", ()) if isinstance(item, Constant)}
    return {n: v for n, v in module.env.items() if (n in names if names else not n.startswith("_"))}
