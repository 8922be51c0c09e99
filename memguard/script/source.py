"""A script's source → its syntax tree, whatever stands in the file. Pure.

Python's own parser reads almost everything in linear time. What it does not, and what is far larger than any script, is
refused before it is tried: what takes the parser minutes or gigabytes cannot be interrupted.
"""

from __future__ import annotations

import ast
import bisect
import gc
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from memguard.errors import InputError

__all__ = ["Places", "Span", "deep_recursion", "dotted_name", "parse_script", "quiet_collector", "too_deep"]

# Words and signs of some 15,000 lines; their tree takes 100 MB and half a second (CPython 3.11).
_MOST_WORDS = 150_000
# `import a.a.a…`: the parser takes memory by the square of the names: 3,000 take 10 MB, 100,000 10 GB.
_LONGEST_CHAIN = 3_000
# Before Python 3.12 each field of an f-string is looked for in all of the string: 5 GB are searched in a second.
_MOST_SEARCHED = 10_000_000_000

_WORD = re.compile(r"\w+|[^\w\s]")

# Frames for a tree as deep as the parser allows: 3,000 levels (CPython 3.11) to 10,000 (3.13), three frames each.
_FRAMES = 40_000


def parse_script(source: str, path: str) -> ast.Module:
    """Raises InputError for what is not Python, and for what is too large or too deep to be read."""
    _refuse_monsters(source, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes, which are the script's own matter
            return ast.parse(source, path)
    except (RecursionError, MemoryError):
        raise too_deep(path) from None
    except (SyntaxError, ValueError, OverflowError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        message = (getattr(error, "msg", None) or str(error)).splitlines()[0]
        raise InputError(
            f"{path}{where}: not Python that this interpreter can read: {message}",
            "run it once with its own Python to see the error",
            path=path,
        ) from None


def too_deep(path: str) -> InputError:
    hint = "an expression of thousands of operators, or as many elif: write it as a loop or a table"
    return InputError(f"{path}: nested too deeply to be read", hint, path=path)


def _refuse_monsters(source: str, path: str) -> None:
    hint = "--script reads a prep script; the files that it reads follow it"
    words = chain = longest = 0
    after_name = False
    for words, match in enumerate(_WORD.finditer(source), 1):
        word = match.group()
        if word == ".":
            chain, after_name = chain + 1, False
            longest = max(longest, chain)
        elif word != "\\":
            if after_name or not word.isidentifier():
                chain = 0
            after_name = True
        if words > _MOST_WORDS:
            raise InputError(f"{path}: too long for a script: more than {_MOST_WORDS:,} words", hint, path=path)
    if longest > _LONGEST_CHAIN:
        raise InputError(f"{path}: nested too deeply to be read: {longest:,} names joined by dots", hint, path=path)
    if sys.version_info < (3, 12) and source.count("{") * len(source) > _MOST_SEARCHED:
        raise InputError(f"{path}: too long for a script with so many braces", hint, path=path)


class Span(NamedTuple):
    """A place of a source: its first byte, and the one behind the last, in UTF-8; (0, 0) for no place at all."""

    start: int
    end: int
    file: str = ""  # the path of the module that it is in; "" for the script itself


class Places:
    """Places of the syntax trees as byte offsets into the sources, and back.

    The lines of a module that the script imports are numbered on from those of the files before it, so that every node
    knows its file: `ast.increment_lineno(tree, places.add(path, source))`.
    """

    def __init__(self, source: str, modules: Iterable[tuple[str, str]] = ()) -> None:
        self._before: list[int] = []  # lines of the files before each
        self._files: list[_Lines] = []
        self._named: dict[str, _Lines] = {}
        for path, text in (("", source), *modules):
            self.add(path, text)

    def add(self, path: str, source: str) -> int:
        """How many lines there are before the first one of this file."""
        before = self._before[-1] + len(self._files[-1].starts) if self._files else 0
        self._before.append(before)
        self._files.append(_Lines(path, source))
        self._named[path] = self._files[-1]
        return before

    def span(self, node: ast.AST) -> Span:
        line = getattr(node, "lineno", None)
        if line is None:
            return Span(0, 0)
        number = bisect.bisect_left(self._before, line) - 1
        file, before = self._files[number], self._before[number]
        start = file.offset(line - before, getattr(node, "col_offset", 0))
        end_line, end_col = getattr(node, "end_lineno", None), getattr(node, "end_col_offset", None)
        end = start if end_line is None or end_col is None else file.offset(end_line - before, end_col)
        return Span(start, max(start, end), file.path)

    def position(self, offset: int, file: str = "") -> tuple[int, int]:
        """(line from 1, column from 0 in bytes), as ast counts them."""
        starts = self._named[file].starts
        line = bisect.bisect_right(starts, offset)
        return line, offset - starts[line - 1]


class _Lines:
    """Where the lines of one file begin."""

    def __init__(self, path: str, source: str) -> None:
        data = source.encode("utf-8", "surrogatepass")
        self.path = path
        self.starts = [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", data))]  # as Python counts lines
        self._length = len(data)

    def offset(self, line: int, col: int) -> int:
        """Kept within the line: nodes inside f-strings have columns beyond it, before Python 3.12."""
        start = self.starts[min(line, len(self.starts)) - 1]
        end = self.starts[line] if line < len(self.starts) else self._length + 1
        return min(start + col, max(start, end - 1))


def dotted_name(node: ast.AST) -> str:
    """`a.b.c`, also where it is called or indexed; what cannot be followed is a `?`."""
    parts: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Subscript):
            node = node.value
        else:
            return ".".join(["?", *reversed(parts)])
    return ".".join([node.id, *reversed(parts)])


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Room for walking a tree that is as deep as the parser allows. Not for the parser: its own stack is C's."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@contextmanager
def quiet_collector() -> Iterator[None]:
    """No garbage collector that walks a growing tree again and again: it takes as long as the parser itself."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
