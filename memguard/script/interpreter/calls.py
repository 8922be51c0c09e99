"""Functions of the standard library, numpy, tiktoken and the buffer libraries: what a call of each gives. Pure.

What stands in none of the tables is unknown: with something of the input's size among its arguments it is listed,
and its result counts as a list of all the token ids it could have made.
"""

from __future__ import annotations

import ast
import os.path as paths  # its string functions alone: nothing is looked up
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from memguard.script.models import builtins as script_builtins
from memguard.script.models import libraries as script_libraries
from memguard.script.operations.growth import extend
from memguard.script.source import dotted_name
from memguard.script.state import Transient
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Constant,
    Extent,
    File,
    Function,
    Generator,
    Method,
    Module,
    Number,
    Path,
    Row,
    Sequence,
    Symbol,
    measure,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["call", "joined_path", "open_file", "read_all", "unknown"]

Args = list[Any]
Kwargs = dict[str, Any]

# Small kinds: an argument of these does not make a call's result grow with the input.
_SMALL = ("char", "token", "list")
# Modules whose functions give something small, whatever they get.
_HARMLESS = (
    "os.",
    "sys.",
    "time.",
    "datetime.",
    "math.",
    "random.",
    "logging.",
    "warnings.",
    "gc.",
    "shutil.",
    "pickle.dump",
    "json.dump",
    "yaml.",
    "hashlib.",
    "zlib.crc32",
    "struct.",
    "psutil.",
    "resource.",
    "platform.",
    "uuid.",
    "signal.",
    "atexit.",
    "threading.",
    "traceback.",
    "numpy.random.seed",
    "numpy.dtype",
    "numpy.iinfo",
    "numpy.save",
    "numpy.uint",
    "numpy.int",
    "torch.save",
    "torch.manual_seed",
    "requests.",
    "urllib.",
    "multiprocessing.cpu_count",
    "multiprocessing.set_start_method",
    "multiprocessing.freeze_support",
    "typing.",
    "collections.Counter",
    "pprint.",
    "rich.",
    "re.compile",
    "dataclasses.",
    "abc.",
    "functools.lru_cache",
    "wandb.",
    "huggingface_hub.",
)
_HARMLESS_BUILTINS_WORDS = (
    "print len min max sum abs round any all isinstance issubclass hasattr getattr setattr id hash repr "
    "format ord chr type bool divmod pow input vars dir callable super object property staticmethod "
    "classmethod exit quit set frozenset dict memoryview slice help breakpoint Exception ValueError "
    "RuntimeError SystemExit KeyError TypeError FileNotFoundError AssertionError IndexError OSError "
    "StopIteration NotImplementedError MemoryError"
)
_HARMLESS_BUILTINS = frozenset(_HARMLESS_BUILTINS_WORDS.split())


_LONGEST_PATH = 4096  # PATH_MAX of linux/limits.h

# memguard's own names, and what is had from them: memguard.ShardWriter.write.
_GUARDED = tuple(
    f"memguard.{name}" for name in ("checkpoint", "guard", "headroom", "limited", "on_pressure", "ShardWriter")
)

# Methods of unknown objects that sound like keeping what they get.
_GATHERING = ("append", "appendleft", "extend", "put", "push")
# Those that give an object whose methods are as harmless.
_OBJECTS = ("hashlib.", "logging.", "random.Random", "threading.", "struct.", "re.compile")


def call(reader: Evaluator, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    handler = _FUNCTIONS.get(name) or script_builtins.FUNCTIONS.get(name) or script_libraries.FUNCTIONS.get(name)
    if handler is not None:
        return handler(reader, args, kwargs, node)
    if name.startswith("builtins."):
        if name[9:] in _HARMLESS_BUILTINS:
            return _small(reader, name, args, node)
        return unknown(reader, args, kwargs, node)
    if name.startswith("sys.stdin"):
        return _stdin(reader, name, args, kwargs, node)
    if name.startswith(("os.path.", "posixpath.")):
        return _os_path(name.rpartition(".")[2], args)
    if name.startswith(_GUARDED):
        return _of_memguard(reader, name, args)
    for prefix, family in script_libraries.FAMILIES:
        if name.startswith(prefix):
            return family(reader, name, args, kwargs, node)
    if name.startswith(_HARMLESS):
        return Module("sys.object") if name.startswith(_OBJECTS) else UNKNOWN
    return unknown(reader, args, kwargs, node)


def _of_memguard(reader: Evaluator, name: str, args: Args) -> Any:
    """A checkpoint costs nothing, nor does what registers or guards; a ShardWriter keeps what it gets on the disk."""
    for value in args:
        if isinstance(value, Generator):
            value.run(lambda element: None)
    return args[0] if name == "memguard.on_pressure" and args else Module(name)


def unknown(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """A call that nobody here has read."""
    state = reader.state
    given = [*args, *kwargs.values()]
    large = [value for value in given if isinstance(value, Buffer) and value.kind not in _SMALL]
    extents = [value.extent for value in large]
    extents += [value.extent for value in given if isinstance(value, Row)]
    extents += [value.extent for value in given if isinstance(value, File) and not value.write]
    extents += [Extent(value.key or None, windows=value.windows) for value in given if _is_input(value)]
    for value in given:
        if isinstance(value, Generator):
            value.run(lambda element: None)
            extents.append(Extent())
        elif isinstance(value, Function):  # a callback: followed once, with nothing known
            extents.append(Extent())
    if not extents:
        return UNKNOWN
    state.not_understood(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GATHERING:
        _hidden(reader, max(extents, key=measure), node)
    result = state.make("opaque", node, max(extents, key=measure))
    state.temps.append(result)
    state.record_moment(node, "unknown", "")
    return result


def _hidden(reader: Evaluator, extent: Extent, node: ast.Call) -> None:
    """x.append(ids) on an x that is not known: a list of all of them, alive to the end."""
    state = reader.state
    found = Buffer("opaque", {}, (), node.lineno)
    state.frames[0].env[dotted_name(node.func)] = found
    state.grow(found, state.site(node), extent, node)


def _is_input(value: Any) -> bool:
    return isinstance(value, Path) and value.argument


def _small(reader: Evaluator, name: str, args: Args, node: ast.AST) -> Any:
    """len(x) remembers x; sum() and the like run a generator; ord(c) is an element of its own."""
    first = args[0] if args else None
    function = name[9:]
    listing = function == "sum" and len(args) > 1
    if (
        isinstance(first, Generator)
        and not listing
        and function in ("sum", "min", "max", "any", "all", "set", "frozenset")
    ):
        first.run(lambda element: None)
    if function == "len" and isinstance(first, (Buffer, Row)):
        buffer = first if isinstance(first, Buffer) else None
        return Number(0.0, Symbol(id(first) & 0xFFFFFFFF, buffer, "sum"))
    if function == "ord" and isinstance(first, Buffer):
        return first
    if listing and isinstance(args[1], (Buffer, Sequence)):  # sum(lists, [])
        result = reader.state.make("list", node)
        reader.state.temps.append(result)
        reader.iterate(first, lambda element: extend(reader, result, element, node), node)
        return result
    if function == "sum" and first is not None:
        return Number(0.0, Symbol(hash(("sum", reader.state.site(node))) & 0xFFFFFFFF, None, "sum"))
    if function == "round" and args:
        return first
    return UNKNOWN


# -- files ----------------------------------------------------------------------------------------------------


def _open(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    mode = kwargs.get("mode", args[1] if len(args) > 1 else None)
    return open_file(reader, args[0] if args else kwargs.get("file"), mode, "text")


def _open_compressed(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    file = _open(reader, args, kwargs, node)
    mode = kwargs.get("mode", args[1] if len(args) > 1 else None)
    file.binary = not (isinstance(mode, Constant) and "t" in str(mode.value))
    file.format = "compressed"
    return file


def open_file(reader: Evaluator, path: Any, mode: Any, form: str) -> File:
    """A file of the input, unless its mode writes."""
    text = mode.value if isinstance(mode, Constant) and isinstance(mode.value, str) else "r"
    write = any(letter in text for letter in "wax")
    extent = Extent()
    if not write:
        extent = _extent_of(reader, path)
    return File(path, extent, "b" in text, write, tuple(reader.state.loops), form)


def _extent_of(reader: Evaluator, path: Any) -> Extent:
    state = reader.state
    text = path_text(path)
    if text:
        state.inputs.setdefault(text)
    key = text or (path.key if isinstance(path, Path) else "") or None
    if key and not (isinstance(path, Path) and path.windows):
        state.sources.setdefault(key)
    if isinstance(path, Path) and path.windows:
        return Extent(None, windows=path.windows)
    return Extent(key)


def path_text(path: Any) -> str:
    """The path as far as it is known; "" where it is not."""
    if isinstance(path, Constant) and isinstance(path.value, str):
        return path.value
    return path.text or "" if isinstance(path, Path) else ""


def read_all(reader: Evaluator, file: File, node: ast.AST, kind: str = "") -> Buffer:
    """file.read() of all that is left."""
    state = reader.state
    kind = kind or ("bytes" if file.binary else "text")
    result = state.make(kind, node, file.extent)
    state.temps.append(result)
    transients = (Transient("the file's bytes", "read", file.extent, state.copies),) if kind == "text" else ()
    state.record_moment(node, "read", "", transients)
    return result


def _stdin(reader: Evaluator, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    from memguard.script.models import methods as script_methods

    binary = ".buffer" in name
    state = reader.state
    file = File(Path("-"), Extent("-"), binary, False, (state.loops[:0] and ()) or ())
    state.sources.setdefault("-")
    return script_methods.call(reader, Method(file, name.rpartition(".")[2]), args, kwargs, node)


# -- paths ----------------------------------------------------------------------------------------------------


def joined_path(parts: Args) -> Path:
    """os.path.join and Path / name."""
    texts = [path_text(part) for part in parts]
    known = [isinstance(p, Path) and p.argument for p in parts]
    argument = any(known)
    many = any(isinstance(part, Path) and part.many for part in parts)
    windows = next((part.windows for part in parts if isinstance(part, Path) and part.windows), ())
    key = next((part.key for part in parts if isinstance(part, Path) and part.key), "")
    if all(texts) and sum(map(len, texts)) <= _LONGEST_PATH:
        return Path(paths.join(*texts), argument, many, key, windows)
    return Path(None, argument, many, key, windows)


def _os_path(name: str, args: Args) -> Any:
    first = args[0] if args else UNKNOWN
    text = path_text(first)
    if name == "join":
        return joined_path(args)
    if name in ("exists", "isfile", "isdir"):
        return Constant(True)  # a script is estimated as it runs once its input is there
    if name in ("abspath", "realpath", "expanduser", "normpath", "expandvars"):
        return first
    if name in ("dirname", "basename", "splitext") and text:
        result = getattr(paths, name)(text)
        return Sequence([Path(part) for part in result]) if isinstance(result, tuple) else Path(result or ".")
    if name == "splitext":
        return Sequence([Path(), Path()])
    if name == "getsize":
        return Number(0.0, Symbol(1, None, "size"))
    return Path() if name in ("dirname", "basename", "relpath") else UNKNOWN


def _path_class(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if not args:
        return Path(".")
    return args[0] if len(args) == 1 and isinstance(args[0], Path) else joined_path(args)


def _listing(reader: Evaluator, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    """glob.glob, os.listdir: many files."""
    first = args[0] if args else Path(".")
    text = path_text(first)
    if text:
        reader.state.inputs.setdefault(text)
    return Path(text or None, isinstance(first, Path) and first.argument, True, getattr(first, "key", ""))


_FUNCTIONS: dict[str, Callable[[Evaluator, Args, Kwargs, ast.AST], Any]] = {
    "builtins.open": _open,
    "io.open": _open,
    "codecs.open": _open,
    "gzip.open": _open_compressed,
    "bz2.open": _open_compressed,
    "lzma.open": _open_compressed,
    "pathlib.Path": _path_class,
    "pathlib.PurePath": _path_class,
    "os.listdir": _listing,
    "os.scandir": _listing,
    "os.walk": _listing,
    "glob.glob": _listing,
    "glob.iglob": _listing,
}
