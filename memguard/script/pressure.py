"""Whether a script that registers a flush ever lets it run: callbacks of memguard.on_pressure run in
memguard.checkpoint() and memguard.checkpoints(), nowhere else. Pure.

    pressure_notes(tree) -> ("flush() is registered, but the script never calls memguard.checkpoint(): …",)

The line that is named is the loop's that fills what the callback empties: it grows a name that the callback reaches,
itself or through the functions of the script that it calls. Where no loop does, the innermost one that grows anything,
and where none grows anything, the first.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

__all__ = ["pressure_notes"]

_REGISTERING = ("memguard.on_pressure", "memguard.pressure.register", "memguard.pressure.registered")
_GUARDING = ("memguard.guard", "memguard.limited", "memguard.watch.guard.guard", "memguard.watch.guard.limited")
_CHECKING = tuple(f"memguard.{room}{name}" for room in ("", "pressure.") for name in ("checkpoint", "checkpoints"))
_EXPORTED = ("on_pressure", "guard", "limited", "checkpoint", "checkpoints")

_GROWING = frozenset(
    ["append", "appendleft", "extend", "extendleft", "add", "update", "insert", "put", "push", "frombytes", "fromlist"]
)
_JOINING = frozenset(["append", "concatenate", "hstack", "vstack", "concat", "cat", "chain", "union", "join"])
_EMPTYING = frozenset(["clear", "pop", "popleft", "popitem", "truncate", "get", "get_nowait", "drain", "reset"])
_MEMORY_FILES = frozenset(["BytesIO", "StringIO"])
_MOST_NOTES = 5

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Loop = ast.For | ast.AsyncFor | ast.While
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands: the functions around it, outermost first, and the loops of the innermost one."""

    functions: tuple[_Function, ...] = ()
    loops: tuple[_Loop, ...] = ()


@dataclass(slots=True)
class _Script:
    nodes: list[tuple[ast.AST, _Place]]
    known: dict[str, str] = field(default_factory=dict)  # a name of the script's → what it is of memguard
    functions: dict[str, list[_Function]] = field(default_factory=dict)
    memory_files: set[str] = field(default_factory=set)
    calls: dict[str, list[_Place]] = field(default_factory=dict)  # a function's name → where it is called


def pressure_notes(tree: ast.Module) -> tuple[str, ...]:
    """One note for each callback, in a script that registers some and never lets them run."""
    script = _Script(list(_places(tree)))
    _learn(script)
    callbacks = list(islice(_callbacks(script), _MOST_NOTES))
    if not callbacks or _checks(script):
        return ()
    notes = (_note(script, name, reached) for name, reached in callbacks)
    return tuple(dict.fromkeys(notes))


def _note(script: _Script, name: str, callback: ast.expr | _Function) -> str:
    loop = _filling_loop(script, callback)
    where = f"put it at the top of the loop at line {loop.lineno}" if loop else "call it whenever the buffer has grown"
    return f"{name} is registered, but the script never calls memguard.checkpoint(): {where}"


# -- what there is ----------------------------------------------------------------------------------------------------


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, _Place]]:
    """Every node, in the order of the source, with where it stands."""
    todo: list[tuple[ast.AST, _Place]] = [(tree, _Place())]
    while todo:
        node, place = todo.pop()
        yield node, place
        inner = place
        if isinstance(node, _FUNCTIONS):
            inner = _Place((*place.functions, node))
        elif isinstance(node, _LOOPS):
            inner = _Place(place.functions, (*place.loops, node))
        todo += [(child, inner) for child in reversed(list(ast.iter_child_nodes(node)))]


def _learn(script: _Script) -> None:
    for node, place in script.nodes:
        if isinstance(node, ast.Call):
            for name in _keys(node.func)[:1]:
                script.calls.setdefault(name, []).append(place)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "memguard":
                    script.known[alias.asname or "memguard"] = alias.name if alias.asname else "memguard"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "memguard" and not node.level:
            for alias in node.names:
                for name in _EXPORTED if alias.name == "*" else [alias.name]:
                    script.known[(alias.asname if alias.asname else name)] = f"{node.module}.{name}"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            script.functions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign):
            _learn_assigned(script, node)


def _learn_assigned(script: _Script, node: ast.Assign) -> None:
    names = [name for target in node.targets for name in _keys(target)]
    value = node.value
    if isinstance(value, ast.Lambda):
        for name in names:
            script.functions.setdefault(name, []).append(value)
    elif isinstance(value, ast.Call) and _dotted(value.func).split(".")[-1] in _MEMORY_FILES:
        script.memory_files.update(names)
    elif isinstance(value, ast.Attribute) and _of_memguard(script, value):
        script.known.update(dict.fromkeys(names, _of_memguard(script, value)))


def _of_memguard(script: _Script, node: ast.AST) -> str:
    """memguard's own name of what `node` names; "" for anything else."""
    first, dot, rest = _dotted(node).partition(".")
    return script.known.get(first, "") + dot + rest if first in script.known else ""


def _dotted(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _keys(node: ast.AST) -> list[str]:
    """The names by which a value is known: buf of buf[0], buf and ids of self.buf.ids."""
    parts: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, (ast.Subscript, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        else:
            return parts
    return parts if parts and node.id in ("self", "cls") else [*parts, node.id]


# -- registered, and checked ------------------------------------------------------------------------------------------


def _callbacks(script: _Script) -> Iterator[tuple[str, ast.expr | _Function]]:
    """(what to call it, the callback), in the order of the source."""
    for node, _ in script.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if _of_memguard(script, called) in _REGISTERING:
                    yield f"{node.name}()", node
        if isinstance(node, ast.Call):
            yield from _given(script, node)


def _given(script: _Script, node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    what = _of_memguard(script, node.func)
    values: list[ast.expr] = []
    if what in _REGISTERING:
        values = node.args[:1] or [k.value for k in node.keywords if k.arg == "callback"]
    elif what in _GUARDING:
        values = [k.value for k in node.keywords if k.arg == "on_pressure"]
    for value in values:
        for one in value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]:
            if not isinstance(one, ast.Constant):
                yield _called(one), one


def _called(node: ast.expr) -> str:
    if isinstance(node, ast.Lambda):
        return f"the lambda of line {node.lineno}"
    if isinstance(node, ast.Call) and node.args and _dotted(node.func).split(".")[-1] == "partial":
        return _called(node.args[0])
    return f"{_dotted(node)}()" if _dotted(node) else f"the callback of line {node.lineno}"


def _checks(script: _Script) -> bool:
    """Whether memguard.checkpoint or checkpoints is called, or handed to something that may call it."""
    for node, _ in script.nodes:
        if isinstance(node, ast.Call):
            named = [node.func, *node.args, *(keyword.value for keyword in node.keywords)]
            if any(_of_memguard(script, name) in _CHECKING for name in named):
                return True
    return False


# -- the loop ---------------------------------------------------------------------------------------------------------


def _filling_loop(script: _Script, callback: ast.expr | _Function) -> _Loop | None:
    own = _own_functions(script, callback)
    emptied, reached = _reached(own, callback)
    outside = [(node, place) for node, place in script.nodes if own.isdisjoint(place.functions)]
    sites = [(keys, place) for node, place in outside if (keys := _grown(script, node))]
    for names in (emptied, reached):
        for keys, place in sites:
            loop = _loop_around(script, own, place) if names.intersection(keys) else None
            if loop is not None:
                return loop
    deepest = max((place for _, place in sites if place.loops), key=lambda place: len(place.loops), default=None)
    if deepest is not None:
        return deepest.loops[-1]
    return next((node for node, _ in outside if isinstance(node, _LOOPS)), None)


def _own_functions(script: _Script, callback: ast.expr | _Function) -> set[_Function]:
    """The callback, and the functions of the script that it calls."""
    todo: list[ast.AST] = [callback]
    found: set[_Function] = set()
    if not isinstance(callback, _FUNCTIONS):
        todo += [function for key in _keys(callback)[:1] for function in script.functions.get(key, [])]
    while todo:
        node = todo.pop()
        if isinstance(node, _FUNCTIONS):
            if node in found:
                continue
            found.add(node)
        for inner in ast.walk(node):
            named = inner.args[0] if isinstance(inner, ast.Call) and _is_partial(inner) else None
            for called in filter(None, (inner.func if isinstance(inner, ast.Call) else None, named)):
                todo += [f for key in _keys(called)[:1] for f in script.functions.get(key, [])]
    return found


def _is_partial(node: ast.Call) -> bool:
    return bool(node.args) and _dotted(node.func).split(".")[-1] == "partial"


def _reached(functions: Iterable[_Function], callback: ast.AST) -> tuple[set[str], set[str]]:
    """The names that the callback empties, and all that it names."""
    emptied: set[str] = set()
    reached: set[str] = set()
    for root in (*functions, callback):
        for node in ast.walk(root):
            if isinstance(node, (ast.Name, ast.Attribute)):
                reached.update(_keys(node))
            for target in _emptied(node):
                emptied.update(_keys(target))
    return emptied, reached


def _emptied(node: ast.AST) -> list[ast.expr]:
    """What `node` lets go: x.clear(), del x[:], x = [], x, y = [], []."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _EMPTYING:
        return [node.func.value]
    if isinstance(node, ast.Delete):
        return node.targets
    if isinstance(node, ast.Assign):
        targets = node.targets
        return [e for t in targets for e in (t.elts if isinstance(t, (ast.Tuple, ast.List)) else [t])]
    return []


def _grown(script: _Script, node: ast.AST) -> list[str]:
    """The names of what `node` makes longer; empty for what makes nothing longer."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        keys = _keys(node.func.value)
        written = node.func.attr == "write" and script.memory_files.intersection(keys)
        return keys if node.func.attr in _GROWING or written else []
    if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.BitOr)):
        return [] if _is_count(node.value) else _keys(node.target)
    if isinstance(node, ast.Assign):
        return [key for target in node.targets for key in _grown_target(target, node.value)]
    return []


def _grown_target(target: ast.expr, value: ast.expr) -> list[str]:
    if isinstance(target, ast.Subscript):  # d[key] = ids, buffer[used : used + n] = ids
        return [] if isinstance(target.slice, ast.Constant) else _keys(target)
    name = _dotted(target)
    if not name:
        return []
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _keys(target) if any(_dotted(side) == name for side in (value.left, value.right)) else []
    if isinstance(value, ast.Call) and _dotted(value.func).split(".")[-1] in _JOINING:
        return _keys(target) if any(_dotted(inner) == name for inner in ast.walk(value)) else []
    return []


def _is_count(value: ast.expr) -> bool:
    """`n += 1`, `n += len(ids)`: a number that counts."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, (int, float))
    return isinstance(value, ast.Call) and _dotted(value.func) in ("len", "sum", "int", "float")


def _loop_around(script: _Script, own: set[_Function], place: _Place) -> _Loop | None:
    """The innermost loop around a place, or around the calls of the function that it stands in; none of `own`'s."""
    todo, seen = [place], set()
    while todo:
        here = todo.pop(0)
        if here.loops:
            return here.loops[-1]
        function = here.functions[-1] if here.functions else None
        name = getattr(function, "name", "")
        if not name or name in seen:
            continue
        seen.add(name)
        todo += [at for at in script.calls.get(name, []) if own.isdisjoint(at.functions)]
    return None
