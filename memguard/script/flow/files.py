"""Files that are read: in which way, inside which try, and whether the script writes to them later. Pure."""

from __future__ import annotations

import ast

from memguard.script.flow.statements import Follower
from memguard.script.flow.values import Entity, Value

__all__ = ["Files"]

_MOST_WAYS = 50  # in which a line may be come to


class Files(Follower):
    """The follower with its files."""

    def __init__(self, tree: ast.Module) -> None:
        super().__init__(tree)
        self.reads: list[tuple[Entity, str, ast.AST, tuple[ast.AST, ...]]] = []  # text, path, place, functions around
        self.writes: list[tuple[str, ast.AST, tuple[ast.AST, ...]]] = []
        self._paths: dict[Entity, str] = {}

    def open_file(self, node: ast.AST, args: list[Value], kwargs: dict[str, Value], made: str) -> Entity:
        assert isinstance(node, ast.Call)
        mode = _mode(node, 1 if made == "open" else 0)
        thing = self.thing("file", node, f"{made} {mode}", name=mode)
        where = node.args[0] if made == "open" and node.args else getattr(node.func, "value", node)
        self._paths[thing] = ast.dump(where)
        if set(mode) & set("wax+?"):
            self.writes.append((ast.dump(where), node, tuple(self.inside)))
        return thing

    def note_read(self, text: Entity, file: Entity | None, node: ast.AST) -> None:
        if self.broad:
            self.use(frozenset((text,)), "inside a broad try", self.broad[-1], node)
        where = self._paths.get(file, "") if file is not None else ast.dump(_owner(node))
        self.reads.append((text, where, node, tuple(self.inside)))

    def note_written(self, node: ast.AST) -> None:
        self.writes.append((ast.dump(_owner(node)), node, tuple(self.inside)))

    def conflicts(self) -> None:
        """A use of its own for each text whose file is written to after it was read."""
        for text, where, node, _ in self.reads:
            first = min(self._ways(node, self._around(node)), default=())
            for path, writer, _ in self.writes:
                if where and path == where:
                    last = max(self._ways(writer, self._around(writer)), default=())
                    if last > first:
                        self.use(frozenset((text,)), "its file is written to", writer)

    def _around(self, node: ast.AST) -> ast.AST | None:
        """The function that `node` stands in."""
        best: ast.AST | None = None
        for function in self.functions:
            inner = any(child is node for child in ast.walk(function))
            if inner and (best is None or any(child is function for child in ast.walk(best))):
                best = function
        return best

    def _ways(self, node: ast.AST, function: ast.AST | None, depth: int = 0) -> list[tuple[int, ...]]:
        """Lines from the module's own down to `node`, for each way of calls to it."""
        line = getattr(node, "lineno", 0)
        if function is None:
            return [(line,)]
        found: list[tuple[int, ...]] = []
        for call in self.calls_of.get(function, ()) if depth < 8 else ():
            found += [(*way, line) for way in self._ways(call, self._around(call), depth + 1)]
        return found[:_MOST_WAYS] or [(1 << 30, line)]


def _mode(node: ast.Call, place: int) -> str:
    """The mode as it stands there; ? for one that is not known."""
    given = next((k.value for k in node.keywords if k.arg == "mode"), None)
    if given is None and len(node.args) > place:
        given = node.args[place]
    if given is None:
        return "r"
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else "?"


def _owner(node: ast.AST) -> ast.AST:
    """path of path.read_text()"""
    owner = getattr(getattr(node, "func", None), "value", node)
    assert isinstance(owner, ast.AST)
    return owner
