"""Is a statement half done that has loaded what a callback reaches?

    tokens.extend(await encode(doc))      tokens.extend is loaded, the task sleeps: a callback that rebinds `tokens` now
    tokens += encode(doc)                 would lose what comes back; so would one in a checkpoint inside encode()

A frame's position (code.co_positions) names the expression that it waits in. Of the statement around that, what Python
has evaluated before (the order of evaluation in the language reference, 6.16) and still holds is looked at: does it
name what a callback reaches, or is it the same object? Without the source (exec'd text) the names that its
line has loaded before serve.
"""

from __future__ import annotations

import sys

from memguard.inject.standard_library import First
from memguard.pressure.reach import Reach, is_library, is_library_holder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType
    from typing import Any

    Span = tuple[int, int, int, int]  # line, end line, column, end column: of an AST node, columns in UTF-8 bytes

__all__ = ["forget", "source_line", "suspended_frames", "unfinished"]

_ONLY_AST = 0x400  # PyCF_ONLY_AST (Include/cpython/compile.h): `ast` itself would be an import
_OPTIMIZED = 0x1  # CO_OPTIMIZED: a function's frame, whose f_locals is a copy
_CONTAINERS = ("list", "dict", "set", "bytearray", "array", "deque", "defaultdict", "Counter", "OrderedDict")
_LARGEST = 2 << 20  # bytes of source: parsing takes some 100 times as much memory
_trees: dict[str, Any] = {}


def unfinished(frame: FrameType, reach: Reach) -> str | None:
    """The half-done statement of one frame, as "line 12: tokens.extend(await get())"; None where there is none."""
    if is_library(frame.f_code.co_filename):
        return None
    if _tree(frame.f_code) is None:
        return _loaded_before(frame, reach)
    path = _path_to(frame)
    start = max((n for n, node in enumerate(path) if _begins(node)), default=None)
    if start is None:
        return None
    held = [e for outer, inner in zip(path[start:], path[start + 1 :], strict=False) for e in _held(outer, inner)]
    variables = _Variables(frame)
    try:
        held += _held_by_call(path[-1], variables)
        if any(_reaches(expression, variables, reach) for expression in held):
            return f"line {path[start].lineno}: {source_line(frame, path[start].lineno)}"
        return None
    finally:
        variables.close()


def _loaded_before(frame: FrameType, reach: Reach) -> str | None:
    """Without a source (exec'd text): what its line has loaded before the instruction that it is at, by bytecode."""
    with First():
        import dis
    variables = _Variables(frame)
    try:
        for instruction in dis.get_instructions(frame.f_code):
            if instruction.offset >= frame.f_lasti:
                break
            line = instruction.positions.lineno if instruction.positions else None
            if line != frame.f_lineno or not instruction.opname.startswith("LOAD_"):
                continue
            names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
            if any(isinstance(n, str) and n in reach.names and not _is_code(variables.get(n)) for n in names):
                return f"line {line} of {frame.f_code.co_filename}"
        return None
    finally:
        variables.close()


def forget() -> None:
    """Drops what was parsed: some megabytes for a long script."""
    _trees.clear()


class _Variables:
    """The names of a frame, without leaving a copy of them behind."""

    def __init__(self, frame: FrameType) -> None:
        self._frame, self._locals = frame, frame.f_locals

    def get(self, name: str) -> Any:
        for names in (self._locals, self._frame.f_globals, self._frame.f_builtins):
            if name in names:
                return names[name]
        return None

    def close(self) -> None:
        """Up to 3.12 a function's frame keeps its f_locals, and so every object in it, alive."""
        if self._frame.f_code.co_flags & _OPTIMIZED and type(self._locals) is dict:
            self._locals.clear()
        self._locals = {}


def suspended_frames() -> Iterator[FrameType]:
    """The frames of all asyncio tasks that wait, of the loop that runs in this thread."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return
    loop = asyncio._get_running_loop()
    if loop is None:
        return
    running = asyncio.current_task(loop)
    for task in asyncio.all_tasks(loop):
        waiting: Any = None if task is running else task.get_coro()
        while waiting is not None:
            frame = next(
                (f for kind in ("cr", "gi", "ag") if (f := getattr(waiting, f"{kind}_frame", None)) is not None), None
            )
            if frame is not None:
                yield frame
            names = ("cr_await", "gi_yieldfrom", "ag_await")
            waiting = next((w for name in names if (w := getattr(waiting, name, None)) is not None), None)


def _path_to(frame: FrameType) -> list[Any]:
    """From the module down to the expression that the frame is in."""
    code = frame.f_code
    span = _position(code, frame.f_lasti)
    tree = None if span is None else _tree(code)
    path: list[Any] = []
    while tree is not None and span is not None:
        path.append(tree)
        tree = next((child for child in _children(tree) if _contains(child, span)), None)
    return path


def _position(code: CodeType, offset: int) -> Span | None:
    """None for a frame that has not begun, or for code without positions (python -X no_debug_ranges)."""
    if offset < 0:
        return None
    for number, (line, end_line, column, end_column) in enumerate(code.co_positions()):
        if number == offset // 2:
            if line is None or end_line is None or column is None or end_column is None:
                return None
            return line, end_line, column, end_column
    return None


def _tree(code: CodeType) -> Any:
    name = code.co_filename
    if name not in _trees:
        _trees[name] = _parse(name)
    return _trees[name]


def _parse(name: str) -> Any:
    try:
        source = _source(name)
        return None if source is None or len(source) > _LARGEST else compile(source, name, "exec", _ONLY_AST)
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _source(name: str) -> str | bytes | None:
    linecache = sys.modules.get("linecache")  # a notebook's cells are there
    lines = linecache.cache.get(name) if linecache is not None else None
    if lines is not None and len(lines) == 4 and name.startswith("<"):
        return "".join(lines[2])
    if not name.startswith("<"):
        with open(name, "rb") as file:
            return file.read(_LARGEST + 1)
    cached = linecache.getlines(name) if linecache is not None else None
    return "".join(cached) if cached else None


def _children(node: Any) -> Iterator[Any]:
    for field in node._fields:
        value = getattr(node, field, None)
        for child in value if isinstance(value, list) else (value,):
            if hasattr(child, "_fields"):
                if hasattr(child, "lineno"):
                    yield child
                else:  # a comprehension's clause, arguments, a match case: no position of its own
                    yield from _children(child)


def _contains(node: Any, span: Span) -> bool:
    line, end_line, column, end_column = span
    starts = (node.lineno, node.col_offset) <= (line, column)
    return starts and (end_line, end_column) <= (node.end_lineno, node.end_col_offset)


def _begins(node: Any) -> bool:
    """A statement, or a lambda: what stands around that is another frame's."""
    return type(node).__name__ == "Lambda" or any(kind.__name__ == "stmt" for kind in type(node).__mro__)


def _held(outer: Any, inner: Any) -> list[Any]:
    """The parts of `outer` that Python has evaluated, and holds, when it comes to its part `inner`."""
    kind = type(outer).__name__
    if kind in ("BoolOp", "IfExp", "Assign", "AnnAssign", "NamedExpr", "Lambda", "If", "While", "Assert"):
        # Tests are dropped once they are known. An assignment evaluates its value first; targets come when it is done.
        return [outer.value] if kind == "Assign" and inner is not outer.value else []
    if kind == "AugAssign":
        return [outer.target] if inner is outer.value else []
    if kind in ("ListComp", "SetComp", "GeneratorExp", "DictComp", "For", "AsyncFor", "With", "AsyncWith", "Try"):
        return []
    before: list[Any] = []
    for child in _in_order(outer):
        if child is inner:
            return before
        before.append(child)
    return []


def _held_by_call(node: Any, variables: _Variables) -> list[Any]:
    """What the operation at the end of the path works on: the list of `tokens.extend(rows())`, the target of +=. A
    method of the script's own, or a library's, is a frame of its own.
    """
    if type(node).__name__ == "AugAssign":
        return [node.target]
    if type(node).__name__ != "Call" or type(node.func).__name__ != "Attribute":
        return []
    return [node.func.value] if type(_value(node.func.value, variables)).__name__ in _CONTAINERS else []


def _value(expression: Any, variables: _Variables) -> Any:
    """Of a name, or of an instance's attribute; nothing is called for it."""
    if type(expression).__name__ == "Name":
        return variables.get(expression.id)
    if type(expression).__name__ == "Attribute":
        holder = _value(expression.value, variables)
        found = getattr(holder, "__dict__", None)
        return found.get(expression.attr) if isinstance(found, dict) else None
    return None


def _in_order(node: Any) -> Iterator[Any]:
    if type(node).__name__ == "Dict":
        for key, value in zip(node.keys, node.values, strict=True):
            yield from (part for part in (key, value) if part is not None)
    elif type(node).__name__ == "Call":
        func = node.func  # of a method it is the object that is held
        yield from (
            func.value if type(func).__name__ == "Attribute" else func,
            *node.args,
            *(keyword.value for keyword in node.keywords),
        )
    else:
        yield from _children(node)


def _reaches(expression: Any, variables: _Variables, reach: Reach) -> bool:
    kind = type(expression).__name__
    if kind == "Name":
        value = variables.get(expression.id)
        return not _is_code(value) and (expression.id in reach.names or id(value) in reach.objects)
    if kind == "Attribute":
        holder = _value(expression.value, variables)
        if _is_code(holder):  # np.uint16 is not data, Buffers.tokens is
            return not is_library_holder(holder) and expression.attr in reach.names
        return expression.attr in reach.names or _reaches(expression.value, variables, reach)
    return any(_reaches(child, variables, reach) for child in _in_order(expression))


def _is_code(value: Any) -> bool:
    """A function, a class or a module: what a callback does leaves it as it is."""
    return isinstance(value, (type, type(sys))) or (callable(value) and hasattr(value, "__name__"))


def source_line(frame: FrameType, number: int) -> str:
    """The text of a line of the frame's file, without the white space around it."""
    source = _source(frame.f_code.co_filename)
    lines = (source if isinstance(source, bytes) else (source or "").encode()).splitlines()
    return lines[number - 1].decode("utf-8", "replace").strip()[:120] if 0 < number <= len(lines) else "?"
