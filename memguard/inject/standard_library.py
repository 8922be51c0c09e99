"""Imports from the standard library's own directories, whatever lies beside the user's script.

    with standard_library.First():            json, types, queue … are Python's own in here
        import json
    standard_library.extension("_ctypes")     one compiled module, without the import system's locks
    standard_library.go_first()               for good, in a process that is memguard's alone

A script's directory stands first on sys.path: a json.py in it is what `import json` finds, and running it may print, or
end the script. Whoever imports within somebody else's program does it in here. Afterwards sys.modules is what it was
for the names that the user's own modules have: the script's `import json` gives what it gives without memguard.

Built-in modules of the interpreter alone are needed for this. Standard library only, Python 3.8 or later.
"""

import _imp
import _thread
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec  # noqa: F401
    from types import ModuleType  # noqa: F401
    from typing import Any, Sequence  # noqa: F401

_external = sys.modules["_frozen_importlib_external"]  # type: Any  # importlib.machinery, as it lies in every Python
_own = {}  # type: dict[str, ModuleType]  # the standard library's modules that are not in sys.modules, by name
_modules = {}  # type: dict[str, ModuleType]  # those of extension()
_NAMES = getattr(sys, "stdlib_module_names", frozenset())  # type: frozenset[str]  # of all platforms; 3.10 and later
_lock = _thread.RLock()
_depth = 0
_outermost = None  # type: First | None


def _find_directories():
    # type: () -> list[str]
    """The library's archive (python311.zip, usually not there), its modules, its compiled modules."""
    home = os.path.dirname(os.__file__)
    version = "python%d.%d" % sys.version_info[:2]
    platform = getattr(sys, "platlibdir", "lib")  # 3.9 and later
    archive = os.path.join(os.path.dirname(home), "python%d%d.zip" % sys.version_info[:2])
    compiled = [os.path.join(prefix, platform, version) for prefix in (sys.base_exec_prefix, sys.base_prefix)]
    places = [archive, home] + [os.path.join(place, "lib-dynload") for place in [home] + compiled]
    return [place for place in dict.fromkeys(places) if os.path.exists(place)]


_DIRECTORIES = _find_directories()


def find(name):
    # type: (str) -> ModuleSpec | None
    """Where the standard library has its top-level module `name`; None where it has none, or none in a file."""
    if _is_built_in(name):
        return None
    spec = _external.PathFinder.find_spec(name, _DIRECTORIES)  # type: Any
    return spec if spec is not None and spec.loader is not None else None  # site-packages is a directory in there


def _is_built_in(name):
    # type: (str) -> bool
    """Python itself takes these before it looks at any directory."""
    return name in sys.builtin_module_names or bool(_imp.is_frozen(name))


class _Finder:
    """Goes before all others, for the one thread that is inside First()."""

    def __init__(self):
        # type: () -> None
        self.thread = _thread.get_ident()

    def find_spec(self, name, path=None, target=None):
        # type: (str, Sequence[str] | None, ModuleType | None) -> ModuleSpec | None
        if path is not None or _thread.get_ident() != self.thread or _is_built_in(name):
            return None  # of a package's modules its own __path__ says where they are
        spec = find(name)
        if spec is None and name in _NAMES:  # msvcrt, winreg: of another platform
            raise ModuleNotFoundError("No module named %r" % name, name=name)
        return spec


class First:
    """A with-block. What the user's modules have shadowed is put aside in it, and put back behind it."""

    def __enter__(self):
        # type: () -> None
        global _depth, _outermost
        _lock.acquire()
        _depth += 1
        if _depth > 1:
            return
        _outermost = self
        self._aside = _shadowing(sys.modules)
        for name in self._aside:
            del sys.modules[name]
        sys.modules.update(_own)
        self._known = set(sys.modules)
        self._finder = _Finder()
        sys.meta_path.insert(0, self._finder)

    def __exit__(self, *_):
        # type: (object) -> None
        global _depth
        _depth -= 1
        if _depth == 0:
            self._undo()
        _lock.release()

    def _undo(self):
        # type: () -> None
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        self._hide()

    def _hide(self):
        # type: () -> None
        """All of the library that was loaded in here, where any of it is a name of the user's: `import logging` is then
        to load logging itself, which loads the user's string.py, as it does without memguard.
        """
        new = [name for name in sys.modules if name not in self._known and find(_top(name)) is not None]
        if self._aside or any(_is_shadowed(name) for name in set(map(_top, new))):
            _own.update((name, sys.modules[name]) for name in new)
        for name in _own:
            sys.modules.pop(name, None)
        sys.modules.update(self._aside)


def _top(name):
    # type: (str) -> str
    return name.partition(".")[0]


def _shadowing(modules):
    # type: (dict[str, ModuleType]) -> dict[str, ModuleType]
    """Those of `modules` that are not the library's own, though they have the name of one of its own."""
    foreign = {name for name, module in list(modules.items()) if "." not in name and _is_foreign(name, module)}
    return {name: module for name, module in list(modules.items()) if _top(name) in foreign}


def _is_foreign(name, module):
    # type: (str, ModuleType) -> bool
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")  # no lazy module is loaded by the question
        if not isinstance(file, str) or os.path.dirname(file) in _DIRECTORIES:
            return False
        spec = find(name)
        return spec is not None and os.path.realpath(spec.origin or "") != os.path.realpath(file)
    except Exception:  # what a script puts into sys.modules may be anything
        return False


def _is_shadowed(name):
    # type: (str) -> bool
    """Whether the script's own `import name` would find something else."""
    spec, here = find(name), _external.PathFinder.find_spec(name)
    if spec is None or here is None:
        return False
    return here.loader is None or os.path.realpath(here.origin or "") != os.path.realpath(spec.origin or "")


def go_first():
    # type: () -> None
    """The library's directories first on sys.path, before those of PYTHONPATH and the working directory."""
    sys.path.sort(key=lambda place: place not in _DIRECTORIES)


def extension(name):
    # type: (str) -> Any
    """The compiled module `name`; sys.modules is as before. It may be called while an import is going on.

    Raises ImportError where this Python has none.
    """
    loaded = sys.modules.get(name)
    if loaded is not None and not _is_foreign(name, loaded):
        return loaded
    if name not in _modules:
        _modules[name] = _load_array() if name == "array" else _load(name)
        if sys.modules.get(name) is _modules[name]:  # else it was never there, or another thread has imported its own
            del sys.modules[name]
    return _modules[name]


def _load_array():
    # type: () -> ModuleType
    """array asks for collections.abc while it is being loaded. What is behind that name is in every Python from the
    start; the name is lent for the moment, where the library's own is not there: other threads may be importing.
    """
    package = sys.modules.get("collections")
    if package is not None and not _is_foreign("collections", package):
        return _load("array")
    lent = _Lent("collections")
    lent.put_in_place()
    try:
        return _load("array")
    finally:
        lent.take_back()


class _Lent(type(sys)):  # type: ignore[misc]
    """Stands for collections for a moment. A thread that imports it just then gets what the real one has."""

    def put_in_place(self):
        # type: () -> None
        names = {"collections": self, "collections.abc": sys.modules["_collections_abc"]}  # type: dict[str, ModuleType]
        self.__before = {name: sys.modules[name] for name in names if name in sys.modules}
        sys.modules.update(names)

    def take_back(self):
        # type: () -> None
        """Both names in one call of the interpreter: no thread sees one of them alone."""
        found = sys.modules.get("collections")
        if found is self:
            list(map(sys.modules.pop, ("collections", "collections.abc"), (None, None)))
            sys.modules.update(self.__before)
        elif found is not None and not _is_foreign("collections", found):  # a thread was already loading it
            found.__dict__.setdefault("abc", sys.modules["_collections_abc"])  # its `import collections.abc` found ours

    def __getattr__(self, name):
        # type: (str) -> Any
        if name in ("__spec__", "__path__", "__file__"):  # the import system asks for them
            raise AttributeError(name)
        self.take_back()
        __import__("collections.abc")
        real = sys.modules["collections"]
        self.__dict__.update(real.__dict__)
        return getattr(real, name)


def _load(name):
    # type: (str) -> ModuleType
    if name in sys.builtin_module_names:
        return __import__(name)
    spec = find(name)
    if spec is None or not isinstance(spec.loader, _external.ExtensionFileLoader):
        raise ImportError("no compiled module " + name, name=name)
    module = _imp.create_dynamic(spec)  # type: ModuleType
    _imp.exec_dynamic(module)
    return module


def _forget_lock():
    # type: () -> None
    """In a forked child: another thread that held it is not there, and will not put back what it has put aside."""
    global _lock, _depth
    if _lock._is_owned():  # type: ignore[attr-defined]
        return
    if _depth and _outermost is not None:
        _outermost._undo()
    _lock, _depth = _thread.RLock(), 0


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forget_lock)
