"""%%memguard: a notebook's cell under the guard. `%load_ext memguard`, then

    %%memguard --limit 8GiB
    ids = []
    for line in open("train.txt"):
        ids.extend(encoding.encode_ordinary(line))

It is memguard.guard() around the cell (watch/guard.py): at the limit the cell ends with MemoryLimitExceeded, the report
says which line and which variable held the memory, and the kernel lives on, with everything that it held. The cell's
code runs as it would without the first line: in the notebook's own namespace, its last expression shown, its line
numbers those that the notebook shows.

Needs IPython, which is there wherever there is a notebook; nothing of it is imported before it calls.
"""

from __future__ import annotations

import ast
import linecache
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace

from memguard.errors import ConfigError
from memguard.records.run import Culprit
from memguard.watch.agents.stacks import HEADER, Frame, parse_dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from types import FrameType
    from typing import Any, NoReturn

    from memguard.records.run import RunRecord
    from memguard.watch.guard import Guard

__all__ = ["load", "unload"]

_NAME = "memguard"


def load(shell: Any) -> None:
    """What `%load_ext memguard` does: registers the magic with IPython's `shell`."""

    def memguard(line: str, cell: str) -> object:
        return _run(shell, line, cell)

    memguard.__doc__ = _parser().format_help()  # what `%%memguard?` shows
    memguard._ipython_magic_output_can_be_silenced = True  # type: ignore[attr-defined] # IPython.core.magic's own name
    shell.register_magic_function(memguard, magic_kind="cell", magic_name=_NAME)


def unload(shell: Any) -> None:
    shell.magics_manager.magics["cell"].pop(_NAME, None)


def _parser() -> argparse.ArgumentParser:
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise ConfigError(message, self.format_usage().strip())

    parser = Parser(prog="%%memguard", add_help=False, allow_abbrev=False, description="Run this cell under the guard.")
    limit = "what this kernel and all it starts may use together: 512M, 8GiB, 75%% of the machine's memory"
    parser.add_argument("--limit", metavar="SIZE", help=limit)
    parser.add_argument("--reserve", metavar="SIZE", help="memory to leave to the rest of the machine")
    salvage = "at the limit, write the token ids of the largest variable to DIR"
    parser.add_argument("--salvage", metavar="DIR", help=salvage)
    return parser


def _run(shell: Any, line: str, cell: str) -> object:
    guarded = _guard(line)
    code = _Code(shell, cell)
    try:
        with guarded:
            return code.run()
    except ConfigError as error:
        if guarded.directory is not None:  # the cell's own error, not ours
            raise
        raise _usage_error(error) from None
    finally:
        record = guarded.record
        if record is not None and record.termination_reason == "memory":
            _show(record, shell, code.magic)


def _guard(line: str) -> Guard:
    from memguard.watch.guard import guard

    try:
        chosen = _parser().parse_args(_words(line))
        return guard(chosen.limit, reserve=chosen.reserve, salvage=chosen.salvage)
    except ConfigError as error:
        raise _usage_error(error) from None


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise ConfigError(f"{error}: {line.strip()}", "%%memguard --limit 8GiB") from None


def _usage_error(error: ConfigError) -> Exception:
    """IPython shows these as one line, without a traceback."""
    from IPython.core.error import UsageError

    usage_error: Exception = UsageError(f"{error.message}\n  {error.hint}" if error.hint else error.message)
    return usage_error


class _Code:
    """The cell's code, compiled as IPython compiles a cell, its lines counted as the notebook shows them."""

    def __init__(self, shell: Any, cell: str) -> None:
        self._shell = shell
        text = shell.transform_cell(cell)
        # Above it stand the magic's own line, and the empty ones that IPython takes away.
        above = 1 + next((n for n, line in enumerate(cell.splitlines()) if line.strip()), 0)
        self.magic, number = _running_cell(shell)
        # Its text is kept under this name for tracebacks: other code than that of a cell without the magic.
        name = shell.compile.cache("\n" * above + text, number, raw_code=f"%%{_NAME}\n{cell}")
        tree = shell.transform_ast(shell.compile.ast_parse(text, filename=name))
        ast.increment_lineno(tree, above)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self._body = shell.compile(tree, name, "exec")
        self._last = shell.compile(ast.Expression(last.value), name, "eval") if last else None

    def run(self) -> object:
        namespace = self._shell.user_ns
        exec(self._body, namespace)
        return eval(self._last, namespace) if self._last else None


def _running_cell(shell: Any) -> tuple[str, int]:
    """The name under which the cell that called the magic was compiled, and its number in the notebook."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        file = frame.f_code.co_filename
        _, _, number = _cell_name(shell, file).partition("[")
        if number:
            return file, int(number.rstrip("]"))
        frame = frame.f_back
    return "", int(shell.execution_count)  # called by a program


def _cell_name(shell: Any, filename: str) -> str:
    """`In[3]` for the name under which the code of that cell was compiled; empty for all other files."""
    named = shell.compile.format_code_name(filename)
    return str(named[1]) if named else ""


def _show(record: RunRecord, shell: Any, magic: str) -> None:
    """The report, with the innermost line of a cell's as the one that held the memory."""
    from memguard.report.run import render

    culprit = record.culprit or Culprit()
    named = (culprit.file or "").startswith("In[")  # the process has said the cells' names with the variable
    for frame in () if named else _frames(record.stack or ""):
        name = _cell_name(shell, frame.file)
        if name and frame.file != magic:
            text = linecache.getline(frame.file, frame.line or 0).strip() or None
            culprit = replace(
                culprit, file=name, line=frame.line, function=frame.function, source_text=text, inside=None
            )
            break
    shown = replace(record, script="the cell", culprit=culprit)
    print(render(shown, width=100), end="", file=sys.stderr)


def _frames(stack: str) -> Iterator[Frame]:
    """The newest dump's first: the very last may be from after the cell, which the memory outlives."""
    for dump in reversed(stack.split(HEADER)):
        for threads in parse_dumps(HEADER + dump).values():
            for thread in threads:
                yield from thread.frames
