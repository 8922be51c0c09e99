"""A script's source → its syntax tree, whatever stands in the file. Pure.

Python's own parser reads almost everything in linear time. What it does not, and what is far larger than any script, is
refused before it is tried: what takes the parser minutes or gigabytes cannot be interrupted.
"""

from __future__ import annotations

import ast
import gc
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from memguard.errors import InputError

__all__ = ["deep_recursion", "dotted_name", "parse_script", "quiet_collector", "too_deep"]

# Words and signs of some 30,000 lines; their tree takes 200 MB and a second (CPython 3.11).
_MOST_WORDS = 300_000
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
