"""Edits on a source's bytes, and where the import of memguard goes. Pure.

Places are offsets into the source in UTF-8, as ast counts columns; what no edit touches keeps every byte. There are two
forms of the result: the file's, with the import on a line of its own, and the one that runs in memory, whose lines keep
their numbers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

from memguard.fix.changes import Edit
from memguard.script.source import Places

__all__ = ["Importing", "applied", "find_import", "overlapping"]

_NAMES = ("memguard", "memguard_dropin", "memguard_dropin_objects")
_INLINE = '__import__("memguard")'  # where no line has room for an import


@dataclass(frozen=True, slots=True)
class Importing:
    """How the source gets at memguard: the name to use, and the edit that imports it (None: it is there)."""

    name: str
    edit: Edit | None


def find_import(source: str, tree: ast.Module, *, keep_lines: bool) -> Importing:
    """At the end of the leading block of imports, behind the docstring and `from __future__`."""
    leading, first = _leading(tree)
    used, bound = _names(tree)
    for statement in leading:
        for alias in statement.names if isinstance(statement, ast.Import) else ():
            if alias.name == "memguard" and (alias.asname or "memguard") not in bound:
                return Importing(alias.asname or "memguard", None)
    name = next(name for name in _NAMES if name not in used | bound)
    line = "import memguard" if name == "memguard" else f"import memguard as {name}"
    data, places = source.encode("utf-8", "surrogatepass"), Places(source)
    if leading:
        end = places.span(leading[-1]).end
        own_line = not keep_lines and _ends_line(data, end)
        if own_line:
            end = _line_end(data, end)
            return Importing(name, Edit(end, end, f"{_newline(data)}{line}"))
        return Importing(name, Edit(end, end, f"; {line}"))
    if first is None or (keep_lines and not isinstance(first, _SIMPLE)):
        return Importing(_INLINE, None)
    start = places.span(first).start
    decorators = getattr(first, "decorator_list", [])
    if decorators:
        start = data.rfind(b"@", 0, places.span(decorators[0]).start)
    after = "; " if keep_lines else _newline(data)
    return Importing(name, Edit(start, start, f"{line}{after}"))


def _names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """(names that are looked at, names that something else than memguard is bound to)"""
    used: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound |= {alias.asname or alias.name.partition(".")[0] for alias in node.names if alias.name != "memguard"}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
    return used, bound


_SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Assert, ast.Delete, ast.Pass)


def _leading(tree: ast.Module) -> tuple[list[ast.stmt], ast.stmt | None]:
    """The docstring and the imports at the head of the module, and the statement after them."""
    found: list[ast.stmt] = []
    for number, statement in enumerate(tree.body):
        docstring = (
            number == 0
            and isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        )
        if not docstring and not isinstance(statement, (ast.Import, ast.ImportFrom)):
            return found, statement
        found.append(statement)
    return found, None


def _ends_line(data: bytes, end: int) -> bool:
    """Whether nothing but blanks and a comment follows on the line."""
    rest = data[end : _line_end(data, end)].strip()
    return not rest or rest.startswith(b"#")


def _line_end(data: bytes, start: int) -> int:
    found = re.search(rb"\r\n|\r|\n", data[start:])
    return len(data) if found is None else start + found.start()


def _newline(data: bytes) -> str:
    found = re.search(rb"\r\n|\r|\n", data)
    return "\n" if found is None else found.group().decode()


def overlapping(edits: Iterable[Edit]) -> bool:
    """Whether two of them touch the same bytes."""
    end = -1
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        if edit.start < end:
            return True
        end = max(end, edit.end)
    return False


def applied(source: str, edits: Iterable[Edit], importing: Importing, *, keep_lines: bool = False) -> str:
    """The source with all of them, and the import where there is any edit."""
    found = list(edits)
    if found and importing.edit is not None:
        found.append(importing.edit)
    data = source.encode("utf-8", "surrogatepass")
    for edit in sorted(found, key=lambda one: (one.start, one.end), reverse=True):
        text = edit.text.replace("{mg}", importing.name).encode()
        if keep_lines and edit.lines:
            text = text.replace(b"(", b"(" + edit.lines * _newline(data).encode(), 1)
        data = data[: edit.start] + text + data[edit.end :]
    return data.decode("utf-8", "surrogatepass")
