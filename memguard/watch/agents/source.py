"""What a line of a script fills, by its own text: for a process that was inside one long call and could not say.

    target(statement_at(tree, 22))        `train_ids` of `train_ids = enc.encode_ordinary(train_data)`
    filling_line(tree, 13, ["rows"])      12: `rows.append(…)`, in the loop that line 13 is in

Pure. The parser's own tree (compile(…) with ONLY_AST), read by its field names: the module `ast` is not loaded, which
the watcher would pay for. A script for another Python than the watcher's may not parse: then nothing is known.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "RETURN",
    "block",
    "comprehends",
    "enclosing_loop",
    "filling_line",
    "given",
    "grows",
    "imported",
    "is_generator",
    "mentions",
    "parse",
    "statement_at",
    "target",
]

RETURN = "return"  # the statement's value is its caller's
_ONLY_AST = 0x400  # PyCF_ONLY_AST (Include/cpython/compile.h)
_LOOPS = ("For", "AsyncFor", "While")
_ASSIGNMENTS = ("Assign", "AugAssign", "AnnAssign")
_COMPREHENSIONS = ("ListComp", "SetComp", "DictComp")
_IMPORTS = ("Import", "ImportFrom")
_SCOPES = ("FunctionDef", "AsyncFunctionDef", "ClassDef", "Lambda")
_FILLS = frozenset(("append", "extend", "add", "update", "insert", "setdefault", "appendleft", "push", "put", "write"))


def parse(text: str) -> Any | None:
    """The module's tree; None where it is no Python of the watcher's version."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(text, "<script>", "exec", _ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def block(text: str, line: int) -> str:
    """What stands around `line` between two lines that begin in the first column, its lines' numbers kept."""
    lines = text.split("\n")
    first, last = min(line, len(lines)) - 1, min(line, len(lines))
    while first > 0 and (
        lines[first][:1] in ("", " ", "\t", "#", ")", "]", "}") or lines[first][:4] in ("else", "elif")
    ):
        first -= 1
    while last < len(lines) and (lines[last][:1] in ("", " ", "\t", "#", ")", "]", "}")):
        last += 1
    return "\n" * first + "\n".join(lines[first:last])


def _children(node: Any) -> Iterator[Any]:
    for field in node._fields:
        value = getattr(node, field, None)
        for child in value if isinstance(value, list) else (value,):
            if hasattr(child, "_fields"):
                yield child


def _walk(node: Any) -> Iterator[Any]:
    waiting = [node]
    while waiting:
        node = waiting.pop(0)
        yield node
        waiting[:0] = _children(node)


def _kind(node: Any) -> str:
    return type(node).__name__


def _path(tree: Any, line: int) -> list[Any]:
    """The statements around `line`, the outermost first."""
    found: list[Any] = []
    inside: Any | None = tree
    while inside is not None:
        blocks = [inside.body] if isinstance(getattr(inside, "body", None), list) else []
        blocks += [getattr(inside, name, None) or [] for name in ("orelse", "finalbody", "handlers", "cases")]
        here = [statement for block in blocks for statement in block if _spans(statement, line)]
        # Of several on one line the last is the one that works, most likely.
        inside = next((statement for statement in reversed(here) if _kind(statement) not in _IMPORTS), None)
        if inside is not None:
            found.append(inside)
    return found


def _spans(node: Any, line: int) -> bool:
    if not hasattr(node, "lineno"):  # match_case
        return any(_spans(statement, line) for statement in node.body)
    first = min([node.lineno, *(part.lineno for part in getattr(node, "decorator_list", ()))])
    return bool(first <= line <= (node.end_lineno or node.lineno))


def statement_at(tree: Any, line: int) -> Any | None:
    """The innermost statement that `line` belongs to; of a compound one its head alone is meant."""
    path = _path(tree, line)
    return path[-1] if path else None


def _head(statement: Any) -> list[Any]:
    """The expressions of a statement without the statements inside it."""
    return [child for child in _children(statement) if not _is_statement(child)]


def _is_statement(node: Any) -> bool:
    """_ast.stmt's subclasses, and an `except` with its statements."""
    return any(base.__name__ == "stmt" for base in type(node).__mro__) or _kind(node) == "ExceptHandler"


_SMALL = frozenset(("len", "sum", "max", "min", "any", "all", "next", "hash", "bool", "int", "float"))


def imported(tree: Any) -> frozenset[str]:
    """The names of the modules, and what is taken from them, in the whole file."""
    names = [name for node in _walk(tree) if _kind(node) in _IMPORTS for name in node.names]
    return frozenset(name.asname or name.name.partition(".")[0] for name in names)


def target(statement: Any | None, modules: frozenset[str] = frozenset()) -> str:
    """What the statement fills: a variable's text, RETURN, or empty. `modules`: names that hold nothing."""
    kind = _kind(statement)
    if statement is None or kind in _SCOPES:
        return ""
    if kind == "Return":
        return RETURN
    if kind in ("Assign", "AnnAssign") and statement.value is not None and _is_small(statement.value):
        return given(statement, modules) or _assigned(statement)
    if kind == "Assign":
        return _assigned(statement)
    if kind in ("AugAssign", "AnnAssign", "For", "AsyncFor"):
        return text(statement.target)
    for item in getattr(statement, "items", ()):  # with
        if item.optional_vars is not None:
            return text(item.optional_vars)
    for part in _head(statement):
        for node in _walk(part):
            if _kind(node) == "NamedExpr":
                return text(node.target)
            if _kind(node) == "Call" and _fills(node) and _root(node.func) not in modules:
                return text(node.func.value)
    return ""


def _assigned(statement: Any) -> str:
    return text(statement.targets[0] if _kind(statement) == "Assign" else statement.target)


def _is_small(value: Any) -> bool:
    """One element, a number or a truth: what the memory is in is what it is taken from."""
    if _kind(value) == "Call":
        return _kind(value.func) == "Name" and value.func.id in _SMALL
    return _kind(value) in ("Compare", "BoolOp") or (_kind(value) == "Subscript" and _kind(value.slice) == "Constant")


def given(statement: Any | None, modules: frozenset[str] = frozenset()) -> str:
    """The variable that the statement hands to a call, or that it calls a method of; empty if there is none."""
    if statement is None or _kind(statement) in _SCOPES:
        return ""
    return next((name for part in _head(statement) for name in _given(part, modules)), "")


def _fills(call: Any) -> bool:
    return _kind(call.func) == "Attribute" and call.func.attr in _FILLS and _kind(call.func.value) != "Call"


def _given(node: Any, modules: frozenset[str]) -> Iterator[str]:
    """What its calls are given, the innermost call's first; then the objects that they are asked of."""
    calls = [inner for inner in reversed(list(_walk(node))) if _kind(inner) == "Call" and not _is_path(inner.func)]
    for call in calls:
        values = [*call.args, *(word.value for word in call.keywords)]
        if not values and _kind(call.func) == "Attribute":  # buffer[:count].tolist()
            values = [call.func.value]
        for value in values:
            value = value.value if _kind(value) in ("Starred", "Subscript") else value
            if _kind(value) in ("Name", "Attribute") and _root(value) not in modules:
                yield text(value)
    for call in calls:
        if _kind(call.func) == "Attribute" and _kind(call.func.value) == "Name" and _root(call.func) not in modules:
            yield text(call.func.value)


def _is_path(function: Any) -> bool:
    """open(PATH), os.path.join(…): not what the memory is in."""
    return _kind(function) in ("Name", "Attribute") and text(function).startswith(
        ("os.", "open", "Path", "str", "print")
    )


def _root(node: Any) -> str:
    """`np` of np.uint16, `sys` of sys.argv[1]."""
    while _kind(node) in ("Attribute", "Subscript"):
        node = node.value
    return str(node.id) if _kind(node) == "Name" else ""


def text(node: Any) -> str:
    """An expression as a variable's name: `self.buffers['train']`; what is inside brackets only where it is plain."""
    kind = _kind(node)
    if kind == "Name":
        return str(node.id)
    if kind == "Attribute":
        return f"{text(node.value)}.{node.attr}"
    if kind == "Subscript":
        plain = _kind(node.slice) == "Constant"
        return f"{text(node.value)}[{node.slice.value!r}]" if plain else f"{text(node.value)}[…]"
    if kind in ("Tuple", "List"):
        return ", ".join(map(text, node.elts))
    if kind == "Starred":
        return text(node.value)
    return f"{text(node.func)}(…)" if kind == "Call" else "…"


def mentions(statement: Any | None, names: Iterable[str]) -> bool:
    """`names` as the look gives them: any word of `self.writer.buffer` counts, but `self`."""
    wanted = _words(names)
    return statement is not None and any(_says(node, wanted) for part in _head(statement) for node in _walk(part))


def grows(statement: Any, names: Iterable[str]) -> bool:
    """Whether the statement makes what has these `names` larger, and does not only put something in its place."""
    return _grows(statement, _words(names))


def comprehends(statement: Any) -> bool:
    """Whether the statement builds a container by a comprehension."""
    return any(_kind(node) in _COMPREHENSIONS for part in _head(statement) for node in _walk(part))


def _says(node: Any, words: frozenset[str]) -> bool:
    kind = _kind(node)
    return (kind == "Name" and node.id in words) or (kind == "Attribute" and node.attr in words)


def _words(names: Iterable[str]) -> frozenset[str]:
    dotted = [name.partition("[")[0].partition("(")[0].partition(",")[0].strip().split(".") for name in names]
    return frozenset({word for parts in dotted for word in parts} - {"self", "cls"})


def is_generator(tree: Any, line: int) -> bool:
    """Whether `line` is in a function that yields: what it makes, its caller keeps."""
    function = next((node for node in reversed(_path(tree, line)) if _kind(node) in _SCOPES[:2]), None)
    if function is None:
        return False
    waiting = list(function.body)
    while waiting:
        node = waiting.pop()
        if _kind(node) in ("Yield", "YieldFrom"):
            return True
        if _kind(node) not in _SCOPES:
            waiting += _children(node)
    return False


def enclosing_loop(tree: Any, line: int) -> int | None:
    """The line of the innermost `for` or `while` around `line`, in the same function; None where there is none."""
    path = _path(tree, line)
    start = max((n for n, node in enumerate(path) if _kind(node) in _SCOPES), default=-1)
    return next((node.lineno for node in reversed(path[start + 1 :]) if _kind(node) in _LOOPS), None)


def filling_line(tree: Any, line: int, names: Iterable[str], *, growing_only: bool = False) -> int | None:
    """The nearest line that fills what has these `names`, in the loops around `line`, the innermost loop first."""
    wanted = _words(names)
    path = _path(tree, line)
    scopes = [position for position, node in enumerate(path) if _kind(node) in _SCOPES]
    for loop in reversed(path[max(scopes, default=-1) + 1 :]):
        if _kind(loop) in _LOOPS:
            inner = list(_inner_statements(loop))
            growing = [node.lineno for node in inner if _grows(node, wanted)]
            filled = growing or [node.lineno for node in inner if not growing_only and _is_filled(node, wanted)]
            if filled:
                return int(min(filled, key=lambda number: abs(number - line)))
    return None


def _inner_statements(loop: Any) -> Iterator[Any]:
    waiting = [*loop.body, *loop.orelse]
    while waiting:
        node = waiting.pop()
        if _is_statement(node):
            yield node
        if _kind(node) not in _SCOPES:
            waiting += [child for child in _children(node) if _is_statement(child) or _kind(child) == "match_case"]


def _is_filled(statement: Any, words: frozenset[str]) -> bool:
    if _kind(statement) in _ASSIGNMENTS:
        targets = getattr(statement, "targets", None) or [statement.target]
        return any(_says(node, words) for one in targets for node in _walk(one))
    return _is_called_to_grow(statement, words)


def _grows(statement: Any, words: frozenset[str]) -> bool:
    """Filled without being replaced: `x += …`, `x[…] = …`, `x = f(x, …)`, `x.append(…)`."""
    if not _is_filled(statement, words):
        return False
    if _kind(statement) not in ("Assign", "AnnAssign"):
        return True
    targets = getattr(statement, "targets", None) or [statement.target]
    if any(_kind(one) == "Subscript" for one in targets):
        return True
    return statement.value is not None and any(_says(node, words) for node in _walk(statement.value))


def _is_called_to_grow(statement: Any, words: frozenset[str]) -> bool:
    calls = (node for part in _head(statement) for node in _walk(part) if _kind(node) == "Call" and _fills(node))
    return any(_says(node, words) for call in calls for node in _walk(call.func.value))
