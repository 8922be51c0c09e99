"""Which line and variable held the memory: the stack file, the evidence, the last look -> Culprit. Runs at the end."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from memguard.records.run import Culprit, RunRecord
from memguard.watch.stacks import Frame, blame, parse_dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["enclosing_loop", "find_culprit"]

_SHARE = 0.2  # of what its process holds: below that, a variable is not what the memory went to

_STACK_BYTES = 1 << 20  # read at most, from the end
_LINE_BYTES = 4096
_SOURCE_BYTES = 16 << 20  # a source file larger than this is not searched for its line


def find_culprit(
    stack_path: str,
    record: RunRecord,
    agent: bool,
    first: int | None = None,
    held: Mapping[int, Sequence[Any]] | None = None,
) -> tuple[str, Culprit | None, str | None]:
    """(the stack file's text, the culprit, why there is none).

    Of process `first` if it is given and has answered, else of the largest one that has, where none holds far more.
    `held` is what each process has answered to its last look, largest first: the line is the dump's, the variable the
    look's.
    """
    text, looks = _read_end(stack_path), held or {}
    dumps = parse_dumps(text)
    order = [*([] if first is None else [first]), *(holder.pid for holder in record.holders)]
    asked = [pid for pid in {*dumps, *looks} if pid == first or not _is_small(record, pid)]
    for pid in sorted(asked, key=lambda pid: order.index(pid) if pid in order else len(order)):
        found = blame(dumps.get(pid, ()))
        variable = _variable(looks.get(pid, ()), _held_by(record, pid))
        if found is not None:
            return text, replace(_culprit(found[0], found[1], record, pid), **variable), None
        if variable and (culprit := _culprit_by_variable(looks[pid][0], variable, record, pid)):
            return text, culprit, None  # no line of the stack is the script's own, but a variable is
    return text, None, _why_none(record, agent, dumped=any(pid in dumps for pid in asked))


def _held_by(record: RunRecord, pid: int) -> int | None:
    return next((holder.bytes for holder in record.holders if holder.pid == pid), None)


def _culprit(frame: Frame, inside: Frame | None, record: RunRecord, pid: int) -> Culprit:
    path = os.path.join(record.cwd, frame.file)
    exists = not frame.file.startswith("<") and os.path.isfile(path)
    return Culprit(
        file=path if exists else frame.file,
        line=frame.line,
        function=frame.function,
        bytes=_held_by(record, pid),
        source_text=_source_line(path, frame.line) if exists else None,
        pid=pid,
        inside=None if inside is None else f"{os.path.basename(inside.file)}:{inside.line} in {inside.function}",
    )


def _culprit_by_variable(container: Any, variable: dict[str, Any], record: RunRecord, pid: int) -> Culprit | None:
    file, line, function = (container.get(key) for key in ("file", "line", "function"))
    if not isinstance(file, str):
        return None
    frame = Frame(file, line if isinstance(line, int) else None, function if isinstance(function, str) else "<module>")
    return replace(_culprit(frame, None, record, pid), **variable)


def _variable(containers: Sequence[Any], held: int | None) -> dict[str, Any]:
    """The largest container's figures as fields of Culprit; none where it holds little of what the process does.

    They come from the user's own process: whatever is not of its type is left out.
    """
    largest = containers[0] if containers else None
    if not isinstance(largest, dict) or not isinstance(largest.get("variable"), str):
        return {}
    size = largest.get("bytes")
    if not isinstance(size, int) or size < _SHARE * (held or 0):
        return {}
    kinds = {"variable": str, "type": str, "length": int, "bytes": int, "bytes_as_uint16": int, "advice": str}
    return {name: value for name, kind in kinds.items() if isinstance(value := largest.get(name), kind)}


def _source_line(path: str, number: int | None) -> str | None:
    try:
        if number is None or os.path.getsize(path) > _SOURCE_BYTES:
            return None
        with open(path, "rb") as file:
            for position, line in enumerate(file, 1):
                if position == number:
                    return line[:_LINE_BYTES].decode("utf-8", "replace").strip() or None
    except OSError:
        pass
    return None


def enclosing_loop(path: str, line: int) -> int | None:
    """The line of the innermost `for` or `while` around `line`, in the same function; None where there is none."""
    import ast

    try:
        if os.path.getsize(path) > _SOURCE_BYTES:
            return None
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    around = [n for n in ast.walk(tree) if isinstance(n, ast.stmt) and n.lineno <= line <= (n.end_lineno or 0)]
    function = max((n.lineno for n in around if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))), default=0)
    loops = (n.lineno for n in around if isinstance(n, (ast.For, ast.AsyncFor, ast.While)) and n.lineno > function)
    return max(loops, default=None)


def _is_small(record: RunRecord, pid: int) -> bool:
    """Whether another process holds so much more that the line of this one, which may just wait, tells nothing."""
    held = _held_by(record, pid)
    return held is not None and held < _SHARE * record.holders[0].bytes


def _why_none(record: RunRecord, agent: bool, *, dumped: bool) -> str:
    if not agent:
        return "--no-agent was given"
    if dumped:
        return "no line of the stack is the script's own"
    if not record.holders:
        return "the tree could not be looked at"
    largest = record.holders[0]
    if "python" not in os.path.basename(largest.command[0] if largest.command else largest.name):
        return f"{largest.name} (pid {largest.pid}), which held most, is not Python"
    usual = "started with -I, -E or -S, with an environment of its own (env -i, sudo), or older than 3.8"
    outside = f"; {record.stack_missing}" if record.stack_missing else ""
    return f"Python (pid {largest.pid}) did not answer: {usual}{outside}"


def _read_end(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _STACK_BYTES))
            return file.read(_STACK_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
