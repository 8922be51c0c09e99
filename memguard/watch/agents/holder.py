"""What a process has answered to an inspection, its stack, and the script's text: which line fills which variable.

A cell of a notebook is on no disk: its name, `In[3]`, and its text come with the answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memguard.watch.agents import source
from memguard.watch.agents.stacks import Frame
from memguard.watch.process.fixed import Fixed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Inspection", "Sources", "Stack", "read_cells", "read_inspections"]

_SHARE = 0.1  # of what its process holds: below that, a variable is not what the memory went to
_MOST = 0.5  # of it: with less, the memory may be in what the line is just making
_SOURCE_BYTES = 1 << 20  # a source file larger than this is not read for its lines
_PARSED = 32 << 10  # characters: their tree takes 1.5 MiB (measured on the standard library's files)
_LINE = 4096
_KINDS = {"variable": str, "type": str, "length": int, "bytes": int, "bytes_as_uint16": int, "advice": str}


@dataclass(frozen=True, slots=True)
class Inspection:
    """One container of an answer, which comes from the user's own process: what is not of its type is left out."""

    variable: Mapping[str, Any]  # fields of Culprit
    names: tuple[str, ...]  # of the variable, and what other frames call it
    file: str | None
    line: int | None
    function: str
    unnamed: bool  # it is in no variable that is known
    built: bool  # nothing refers to it yet
    little: bool  # most of the memory is elsewhere
    tiny: bool  # nearly all of it is


def read_inspections(containers: Sequence[Any], held: int | None) -> list[Inspection]:
    """Largest first."""
    found = (_read_inspection(container, held) for container in containers)
    return [inspection for inspection in found if inspection is not None]


def _read_inspection(container: Any, held: int | None) -> Inspection | None:
    if not isinstance(container, dict):
        return None
    size, name, file = (container.get(key) for key in ("bytes", "variable", "file"))
    if not isinstance(name, str) or not isinstance(size, int):
        return None
    variable = {key: value for key, kind in _KINDS.items() if isinstance(value := container.get(key), kind)}
    if held is not None:
        variable["bytes"] = min(size, held)
    line, function, aliases = (container.get(key) for key in ("line", "function", "aliases"))
    return Inspection(
        variable,
        (name, *(alias for alias in (aliases if isinstance(aliases, list) else ()) if isinstance(alias, str))),
        file if isinstance(file, str) else None,
        line if isinstance(line, int) else None,
        function if isinstance(function, str) else "<module>",
        unnamed=container.get("unnamed") is True,
        built=container.get("built") is True,
        little=size < _MOST * (held or 0),
        tiny=size < _SHARE * (held or 0),
    )


def read_cells(containers: Sequence[Any]) -> dict[str, tuple[str, str]]:
    """{file: (In[3], the cell's text)} of the notebook's cells on the stack."""
    found: dict[str, tuple[str, str]] = {}
    for container in containers:
        cells = container.get("cells") if isinstance(container, dict) else None
        for file, cell in cells.items() if isinstance(cells, dict) else ():
            if isinstance(cell, dict) and isinstance(cell.get("name"), str) and isinstance(cell.get("source"), str):
                found[file] = (cell["name"], cell["source"])
    return found


class Sources:
    """The script's files, as they are now, each read once; of `fixed` what runs in its place."""

    def __init__(self, cwd: str, cells: Mapping[str, tuple[str, str]], fixed: Fixed | None = None) -> None:
        self._cwd, self._cells, self._fixed = cwd, cells, fixed
        self._texts: dict[str, str] = {}
        self._trees: dict[tuple[str, int], Any] = {}

    def name(self, file: str) -> str:
        """`In[3]` for a notebook's cell; empty for all else."""
        return self._cells[file][0] if file in self._cells else ""

    def path(self, file: str) -> str:
        path = os.path.join(self._cwd, file)
        return path if not file.startswith("<") and os.path.isfile(path) else ""

    def text(self, file: str) -> str:
        if file not in self._texts:
            self._texts[file] = self._cells[file][1] if file in self._cells else self._read(self.path(file))
        return self._texts[file]

    def _read(self, path: str) -> str:
        fixed = self._fixed is not None and os.path.realpath(path) == self._fixed.path
        data = self._fixed.source if self._fixed is not None and fixed else _read(path)
        return data.decode("utf-8", "replace").replace("\r\n", "\n")

    def tree(self, frame: Frame) -> Any | None:
        """Of the whole file, or, where that would cost the watcher too much, of what is around the frame's line."""
        text, key = self.text(frame.file), (frame.file, 0)
        if frame.line is None:
            return None
        if len(text) > _PARSED:
            text = source.block(text, frame.line)
            key = (frame.file, text.count("\n"))
        if key not in self._trees:
            self._trees[key] = source.parse(text) if len(text) <= _PARSED + key[1] else None
        return self._trees[key]

    def line(self, file: str, number: int | None) -> str | None:
        lines = self.text(file).split("\n", number)[:number] if number else []
        return (lines[number - 1][:_LINE].strip() or None) if number and len(lines) >= number else None


def _read(path: str) -> bytes:
    try:
        if not path or os.path.getsize(path) > _SOURCE_BYTES:
            return b""
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


class Stack:
    """The script's own frames, innermost first, each with the call that it was inside of."""

    def __init__(self, frames: tuple[tuple[Frame, Frame | None], ...], sources: Sources) -> None:
        self.frames, self.sources = frames, sources

    def _statement(self, frame: Frame) -> Any | None:
        tree = self.sources.tree(frame)
        return source.statement_at(tree, frame.line) if tree is not None and frame.line else None

    def builder(self, at: Frame) -> tuple[Frame, Frame | None]:
        """The innermost frame whose statement has a comprehension; else where the process itself says it was built."""
        for pair in self.frames:
            statement = self._statement(pair[0])
            if statement is not None and source.comprehends(statement):
                return pair
        return next((pair for pair in self.frames if pair[0] == at), (at, None))

    def keeper(self) -> tuple[Frame, Frame | None]:
        """The innermost frame that is no generator's: what that yields, its caller keeps."""
        for pair in self.frames:
            tree = self.sources.tree(pair[0])
            if tree is None or not pair[0].line or not source.is_generator(tree, pair[0].line):
                return pair
        return self.frames[0]

    def filled(self) -> str:
        return self.filled_from(self.keeper()[0])

    def filled_from(self, frame: Frame) -> str:
        """The variable that the frame's statement fills, or, where it returns its value, its caller's; else what the
        statement hands to a call, or "the value of encode(…)" where that is in no variable. Empty if nothing is known.
        """
        position = next((n for n, pair in enumerate(self.frames) if pair[0] == frame), len(self.frames))
        call = self.frames[position][1] if position < len(self.frames) else None
        for one in (frame, *(pair[0] for pair in self.frames[position + 1 :])):
            statement, tree = self._statement(one), self.sources.tree(one)
            modules = source.imported(tree) if tree is not None else frozenset()
            name = source.target(statement, modules)
            if name != source.RETURN:
                value = f"the value of {call.function}(…)" if call is not None and statement is not None else ""
                return name or value or source.given(statement, modules)
            call = one
        return ""

    def grows(self, names: tuple[str, ...]) -> bool:
        """Whether one of the lines, or a line of the loop that it is in, makes what has these names larger."""
        for frame, _ in self.frames:
            statement, tree = self._statement(frame), self.sources.tree(frame)
            if statement is None or frame.line is None:
                continue
            if source.grows(statement, names):
                return True
            if source.filling_line(tree, frame.line, names, growing_only=True) is not None:
                return True
        return False

    def line_of(self, names: tuple[str, ...]) -> tuple[Frame, Frame | None] | None:
        """The innermost line that says one of the variable's `names`, or the nearest in its loop that fills it.

        A script that sleeps, prints or reads in the loop in which it fills a list stands there most of its time.
        """
        for frame, inside in self.frames:
            statement = self._statement(frame)
            if source.mentions(statement, names):
                return frame, inside
            if statement is not None and frame.line:
                line = source.filling_line(self.sources.tree(frame), frame.line, names)
                if line is not None:
                    return Frame(frame.file, line, frame.function), None
        return None
