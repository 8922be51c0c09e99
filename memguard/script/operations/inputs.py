"""Files of the script: which are its input, and what reading all of one or a piece of it gives. Pure."""

from __future__ import annotations

import ast
import os.path as paths  # its string functions alone: nothing is looked up
import re
from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Interpreter
from memguard.script.trace import Transient
from memguard.script.values import Buffer, Constant, File, Path

__all__ = ["is_pattern", "joined_path", "next_piece", "one_of_many", "open_file", "path_text", "read_all", "read_piece"]

_LONGEST_PATH = 4096  # PATH_MAX of linux/limits.h
_MAGIC = re.compile(r"([*?[])")  # glob.escape()'s


def open_file(interpreter: Interpreter, path: Any, mode: Any = None, form: str = "text") -> File:
    """A file of the input, unless its mode writes. `form`: text, parquet or compressed."""
    if isinstance(path, File):
        return path
    text = mode.value if isinstance(mode, Constant) and isinstance(mode.value, str) else "r"
    write = any(letter in text for letter in "wax")
    extent = Extent() if write else _extent_of(interpreter, path)
    return File(path, extent, "b" in text, write, tuple(interpreter.state.loops), form)


def _extent_of(interpreter: Interpreter, path: Any) -> Extent:
    state = interpreter.state
    text = path_text(path)
    if text:
        state.inputs.setdefault(text)
    key = text or (path.key if isinstance(path, Path) else "") or None
    if key and not text and is_pattern(key) and "/" not in key.partition("*")[0]:
        key = None  # in any directory
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


def read_all(interpreter: Interpreter, file: File, node: ast.AST) -> Buffer:
    """file.read() of all that is left."""
    state = interpreter.state
    result = state.hold("bytes" if file.binary else "text", node, file.extent)
    transients = () if file.binary else (Transient("the file's bytes", "read", file.extent, state.copies),)
    state.record_moment(node, "read", "", transients)
    return result


def next_piece(interpreter: Interpreter, file: File, unit: str, amount: float) -> Extent:
    """A piece of `file`: each iteration of the outermost loop since it was opened reads the next one."""
    loops = interpreter.state.new_loops(file.created_in)
    for loop in loops[:1]:
        interpreter.state.consumes_input(loop)
    return file.extent.window(loops[0] if loops else 0, unit, amount)


def read_piece(interpreter: Interpreter, file: File, unit: str, amount: float, node: ast.AST) -> Buffer:
    """file.read(n): `amount` of bytes, chars or lines."""
    state = interpreter.state
    extent = next_piece(interpreter, file, unit, amount)
    piece = state.hold("bytes" if file.binary else "text", node, extent)
    state.facts.chunks.append((unit, amount))
    state.record_moment(node, "read", "", (Transient("the piece being decoded", "bytes", extent, state.copies),))
    return piece


def joined_path(parts: list[Any]) -> Path:
    """os.path.join and Path / name."""
    texts = [path_text(part) for part in parts]
    argument = any(isinstance(part, Path) and part.argument for part in parts)
    many = any(isinstance(part, Path) and part.many for part in parts)
    windows = next((part.windows for part in parts if isinstance(part, Path) and part.windows), ())
    key = next((part.key for part in parts if isinstance(part, Path) and part.key), "")
    if all(texts) and sum(map(len, texts)) <= _LONGEST_PATH:
        return Path(paths.join(*texts), argument, many, key, windows)
    if not windows and not many and (not key or is_pattern(key)):
        key = _pattern(parts, "/")
    return Path(None, argument, many, key, windows)


def one_of_many(parts: list[Any], *, all_of_it: bool = False) -> Path:
    """A text with `parts` in it: f"{name}.txt" is one of many files where `name` is. `all_of_it`: they stand one after
    the other, with nothing between them; what is known of them is then the pattern of its name.
    """
    windows = next((part.windows for part in parts if isinstance(part, Path) and part.windows), ())
    texts = [text for part in parts if (text := path_text(part)) or part == Constant("")]
    if all_of_it and not windows and len(texts) == len(parts) and sum(map(len, texts)) <= _LONGEST_PATH:
        return Path("".join(texts), any(isinstance(part, Path) and part.argument for part in parts))
    return Path(key="" if windows or not all_of_it else _pattern(parts, ""), windows=windows)


def _pattern(parts: list[Any], between: str) -> str:
    """A pattern as glob has it, a * for what is not known; "" for one that does not end in a suffix, or is too long."""
    names = []
    for part in parts:
        text = path_text(part)
        known = part.key if isinstance(part, Path) and is_pattern(part.key) else ""
        names.append(_MAGIC.sub(r"[\1]", text) if text or part == Constant("") else known or "*")
    found = between.join(names)
    suffix = paths.splitext(found)[1]
    return found if suffix and not set("*?[]") & set(suffix) and len(found) <= _LONGEST_PATH else ""


def is_pattern(key: str) -> bool:
    """Whether `key` is one of a path whose name is known in part."""
    return "*" in key
