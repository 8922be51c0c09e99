"""A thing that may become a drop-in object → the edits that make it one. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from memguard.fix.changes import Change, Edit
from memguard.fix.reasons import Reason
from memguard.fix.sites import TENSOR, Sites
from memguard.script.flow import Thing, Use
from memguard.script.source import Places, Span

__all__ = ["Refused", "Rewriter"]

_OPEN_ERRORS = ("strict", "ignore", "replace", "backslashreplace", None)
_OPEN_NAMES = frozenset(("file", "mode", "buffering", "encoding", "errors", "newline"))
_BUFFERS = {"ids": ("token-buffer", "TokenBuffer"), "token lists": ("token-buffers", "TokenBuffers")}
_BUFFERS["text list"] = ("text-list", "TextList")


class Refused(Exception):
    """The place cannot be changed."""

    def __init__(self, reason: Reason, what: str, node: ast.AST | None = None) -> None:
        super().__init__(reason, what)
        self.reason, self.what, self.line = reason, what, getattr(node, "lineno", 0)


class Rewriter:
    """Knows the nodes of one source by their spans."""

    def __init__(self, source: str, tree: ast.Module) -> None:
        self.tree = tree
        self.places = Places(source)
        self.data = source.encode("utf-8", "surrogatepass")
        self.nodes: dict[Span, list[ast.AST]] = {}
        self.parents: dict[ast.AST, ast.AST] = {}
        for node in ast.walk(tree):
            if isinstance(node, (ast.expr, ast.stmt)):
                self.nodes.setdefault(self.places.span(node), []).append(node)
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node

    def node(self, span: Span, kind: type | tuple[type, ...]) -> ast.AST:
        """Raises Refused where nothing of that kind is there."""
        for node in self.nodes.get(span, ()):
            if isinstance(node, kind):
                return node
        raise Refused(Reason.OTHER, "the way in which it is written")

    def text(self, node: ast.AST) -> str:
        span = self.places.span(node)
        return self.data[span.start : span.end].decode("utf-8", "surrogatepass")

    # -- one thing --------------------------------------------------------------------------------------------

    def change(self, thing: Thing, drop_in: str, sites: Sites) -> Change:
        """Raises Refused."""
        rule, edits = _REWRITES[drop_in](self, thing, drop_in, sites)
        needs = frozenset(sites.needs.get(thing.number, ()))
        return Change(thing.number, rule, thing.line, thing.span, tuple(edits), needs)

    def encoder(self, thing: Thing, drop_in: str, sites: Sites) -> tuple[str, list[Edit]]:
        call = self.node(thing.span, ast.Call)
        assert isinstance(call, ast.Call)
        return "get-encoding", [self._replace(call.func, f"{{mg}}.{thing.made}")]

    def file(self, thing: Thing, drop_in: str, sites: Sites) -> tuple[str, list[Edit]]:
        call = self.node(thing.span, ast.Call)
        assert isinstance(call, ast.Call)
        self._check_open(call)
        if thing.made.startswith("Path"):
            return "open-text", self._method_to_function(call, "open_text")
        return "open-text", [self._replace(call.func, "{mg}.open_text")]

    def read_text(self, thing: Thing, drop_in: str, sites: Sites) -> tuple[str, list[Edit]]:
        call = self.node(thing.span, ast.Call)
        assert isinstance(call, ast.Call)
        self._check_open(call)
        return "read-text", self._method_to_function(call, "read_text")

    def buffer(self, thing: Thing, drop_in: str, sites: Sites) -> tuple[str, list[Edit]]:
        rule, name = _BUFFERS[drop_in]
        made = f"{{mg}}.{name}"
        edits = list(self._uses_of_list(thing, sites))
        if thing.made == "tolist of a column":
            return "parquet-texts", [*edits, self._column(thing)]
        if thing.made == "comprehension":
            return self._comprehension(thing, rule, made, sites, edits)
        if thing.made == "factory":
            node = self.node(thing.span, (ast.Name, ast.Attribute))
            return rule, [*edits, self._replace(node, made)]
        if thing.made == "list()":
            call = self.node(thing.span, ast.Call)
            assert isinstance(call, ast.Call)
            if not (isinstance(call.func, ast.Name) and call.func.id == "list"):
                raise Refused(Reason.OTHER, f"{ast.unparse(call.func)}()", call)
            return rule, [*edits, self._replace(call.func, made)]
        display = self.node(thing.span, ast.List)
        assert isinstance(display, ast.List)
        if not display.elts:
            return rule, [*edits, self._replace(display, f"{made}()")]
        return rule, [*edits, *self._around(display, f"{made}(", ")")]

    def _comprehension(
        self, thing: Thing, rule: str, made: str, sites: Sites, edits: list[Edit]
    ) -> tuple[str, list[Edit]]:
        node = self.node(thing.span, ast.ListComp)
        assert isinstance(node, ast.ListComp)
        table = looked_up(node)
        if table is not None and rule == "token-buffer" and self._is_text(node.generators[0].iter, sites):
            over = self.text(node.generators[0].iter)
            return "look-up", [*edits, self._replace(node, f"{{mg}}.look_up({self.text(table)}, {over})")]
        for inner in ast.walk(node):
            stops = isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "next"
            if (
                stops
                or isinstance(inner, (ast.Await, ast.NamedExpr))
                or (isinstance(inner, ast.comprehension) and inner.is_async)
            ):
                raise Refused(Reason.OTHER, "a comprehension that awaits, names or stops something", node)
        span = thing.span
        return rule, [
            *edits,
            Edit(span.start, span.start + 1, f"{made}("),
            Edit(span.end - 1, span.end, ")"),
        ]

    def _column(self, thing: Thing) -> Edit:
        """pd.read_parquet(path)[column].dropna().tolist(), in one expression."""
        node = self.node(thing.span, ast.Call)
        at = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else node
        more = ""
        if isinstance(at, ast.Call) and isinstance(at.func, ast.Attribute) and at.func.attr == "dropna":
            more, at = ", dropna=True", at.func.value if not at.args and not at.keywords else at
        read = at.value if isinstance(at, ast.Subscript) else None
        column = at.slice.value if isinstance(at, ast.Subscript) and isinstance(at.slice, ast.Constant) else None
        if not isinstance(read, ast.Call) or not isinstance(column, str) or len(read.args) != 1:
            raise Refused(Reason.FRAME, "", node)
        if any(k.arg != "columns" or not _names(k.value, column) for k in read.keywords):
            raise Refused(Reason.FRAME, "", node)
        assert isinstance(at, ast.Subscript)
        return self._replace(node, f"{{mg}}.parquet_texts({self.text(read.args[0])}, {self.text(at.slice)}{more})")

    def dataset(self, thing: Thing, drop_in: str, sites: Sites) -> tuple[str, list[Edit]]:
        call = self.node(thing.span, ast.Call)
        assert isinstance(call, ast.Call)
        return "dataset-of", [self._replace(call.func, "{mg}.dataset_of")]

    def _is_text(self, node: ast.expr, sites: Sites) -> bool:
        span = self.places.span(node)
        uses = [use for use in sites.uses.uses if use.inside == span and use.role == "iterate"]
        return bool(uses) and all(
            sites.things[use.thing].kind == "text" and use.others <= {"text", "str"} for use in uses
        )

    # -- uses that change with a list -------------------------------------------------------------------------

    def _uses_of_list(self, thing: Thing, sites: Sites) -> Iterable[Edit]:
        for use in sites.used(thing.number):
            if use.role == ".append()" and sites.drop_ins.get(thing.number) == "ids":
                yield from self._loop_of_appends(use)
            if use.role in ("str.join/0", "text.join/0"):
                joined = [t.number for t in sites.things if t.made == "join" and t.span == use.span]
                if any(number in sites.drop_ins for number in joined):
                    yield from self._join(use)
            elif use.role.endswith("shuffle/0"):
                yield from self._shuffle(use)
            elif use.role == "numpy.concatenate/0" and sites.drop_ins.get(thing.number) == "token lists":
                yield from self._concatenate(use)

    def _loop_of_appends(self, use: Use) -> list[Edit]:
        """for t in ids: all.append(t) → all.extend(ids), where nobody asks for `t` any more."""
        call = self.node(use.span, ast.Call)
        statement = self.parents.get(call)
        loop = self.parents.get(statement) if statement is not None else None
        plain = (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(loop, ast.For)
            and loop.body == [statement]
            and not loop.orelse
            and isinstance(loop.target, ast.Name)
            and isinstance(loop.iter, (ast.Name, ast.Call))
            and len(call.args) == 1
            and isinstance(call.args[0], ast.Name)
            and call.args[0].id == loop.target.id
        )
        if not plain or not isinstance(loop, ast.For) or not isinstance(call, ast.Call):
            return []
        assert isinstance(loop.target, ast.Name) and isinstance(call.func, ast.Attribute)
        owner, text = self.text(call.func.value), self.text(loop)
        names = [node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)]
        inside = [node.id for node in ast.walk(loop.iter) if isinstance(node, ast.Name)]
        simple = isinstance(call.func.value, ast.Name) and call.func.value.id not in inside
        if names.count(loop.target.id) != 2 or not simple or "#" in text or ":=" in text:
            return []
        made = f"{owner}.extend({self.text(loop.iter)})"
        return [Edit(*self.places.span(loop)[:2], made, lines=text.count("\n") - made.count("\n"))]

    def tensors(self, root: int, sites: Sites) -> Iterable[Change]:
        """torch.tensor(ids) → torch.from_numpy(ids.to_numpy("int64")), for ids that `root` makes. Raises Refused."""
        for number, roots in sites.spread().items():
            for use in sites.used(number) if root in roots and sites.drop_ins[number] == "ids" else ():
                if use.role == TENSOR:
                    edits = self._tensor(use)
                    yield Change(-1 - use.span.start, "torch-ids", use.line, use.span, edits, frozenset(roots))

    def _tensor(self, use: Use) -> tuple[Edit, ...]:
        call = self.node(use.span, ast.Call)
        assert isinstance(call, ast.Call)
        wide = all(k.arg == "dtype" and self.text(k.value) in ("torch.long", "torch.int64") for k in call.keywords)
        if not wide or len(call.args) != 1 or self.text(call.func) != "torch.tensor":
            raise Refused(Reason.TENSOR, "torch.tensor()", call)
        given, whole = self.places.span(call.args[0]), self.places.span(call)
        opened = "" if isinstance(call.args[0], (ast.Name, ast.Call, ast.Attribute)) else "("
        return (
            self._replace(call.func, "torch.from_numpy"),
            Edit(given.start, given.start, opened),
            Edit(given.end, whole.end, f'{")" if opened else ""}.to_numpy("int64"))'),
        )

    def _join(self, use: Use) -> list[Edit]:
        """sep.join(docs) → docs.join(sep)"""
        call = self.node(use.span, ast.Call)
        assert isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        given, separator = call.args[0], call.func.value
        simple = isinstance(given, (ast.Name, ast.Attribute)) and isinstance(separator, ast.Constant)
        if not simple or len(call.args) != 1 or call.keywords:
            raise Refused(Reason.WHOLE_TEXT, "join()", call)
        return [self._replace(call, f"{self.text(given)}.join({self.text(separator)})")]

    def _shuffle(self, use: Use) -> list[Edit]:
        """random.shuffle(docs) → docs.shuffle(random)"""
        call = self.node(use.span, ast.Call)
        assert isinstance(call, ast.Call)
        given = call.args[0] if call.args else None
        if not isinstance(given, (ast.Name, ast.Attribute)) or len(call.args) != 1 or call.keywords:
            raise Refused(Reason.CHANGED, "shuffle()", call)
        if not isinstance(call.func, ast.Attribute):
            raise Refused(Reason.CHANGED, "shuffle()", call)
        return [self._replace(call, f"{self.text(given)}.shuffle({self.text(call.func.value)})")]

    def _concatenate(self, use: Use) -> list[Edit]:
        """np.concatenate(lists) → lists.concatenated(): NumPy would make an object of each list first."""
        call = self.node(use.span, ast.Call)
        assert isinstance(call, ast.Call)
        given = call.args[0] if len(call.args) == 1 and not call.keywords else None
        if use.others or not isinstance(given, (ast.Name, ast.Attribute, ast.ListComp)):
            return []  # it is right as it is, and takes more memory
        whole, inner = self.places.span(call), self.places.span(given)
        if self.data[whole.start : inner.start].count(b"\n") or self.data[inner.end : whole.end].strip() != b")":
            return []
        return [Edit(whole.start, inner.start, ""), Edit(inner.end, whole.end, ".concatenated()")]

    # -- spans ------------------------------------------------------------------------------------------------

    def _replace(self, node: ast.AST, text: str) -> Edit:
        span = self.places.span(node)
        return Edit(span.start, span.end, text)

    def _around(self, node: ast.AST, before: str, after: str) -> list[Edit]:
        span = self.places.span(node)
        return [Edit(span.start, span.start, before), Edit(span.end, span.end, after)]

    def _method_to_function(self, call: ast.Call, name: str) -> list[Edit]:
        """path.method(…) → {mg}.name(path, …)"""
        assert isinstance(call.func, ast.Attribute)
        whole, owner = self.places.span(call), self.places.span(call.func.value)
        bracket = self.data.index(b"(", self.places.span(call.func).end)
        between = self.data[owner.end : bracket]
        if b"\n" in between or b"#" in between or self.data[whole.start : owner.start].strip():
            raise Refused(Reason.OTHER, "the way in which it is written", call)
        comma = ", " if call.args or call.keywords else ""
        return [Edit(whole.start, whole.start, f"{{mg}}.{name}("), Edit(owner.end, bracket + 1, comma)]

    def _check_open(self, call: ast.Call) -> None:
        """open()'s and read_text()'s arguments that open_text knows."""
        names = {keyword.arg for keyword in call.keywords}
        starred = any(isinstance(argument, ast.Starred) for argument in call.args)
        if starred or not names <= _OPEN_NAMES or len(call.args) > 6:
            raise Refused(Reason.OPENED, f"{ast.unparse(call.func)}() with these arguments", call)
        for keyword in call.keywords:
            value = keyword.value
            if keyword.arg == "errors" and not (isinstance(value, ast.Constant) and value.value in _OPEN_ERRORS):
                raise Refused(Reason.SURROGATES, f"errors={ast.unparse(value)}", call)


def _names(node: ast.expr, column: str) -> bool:
    """columns=[column]"""
    items = node.elts if isinstance(node, (ast.List, ast.Tuple)) else []
    return any(isinstance(item, ast.Constant) and item.value == column for item in items)


def looked_up(node: ast.ListComp) -> ast.expr | None:
    """The table of [table[c] for c in text]."""
    generator = node.generators[0]
    fits = (
        len(node.generators) == 1
        and not generator.ifs
        and not generator.is_async
        and isinstance(generator.target, ast.Name)
        and isinstance(node.elt, ast.Subscript)
        and isinstance(node.elt.value, (ast.Name, ast.Attribute))
        and isinstance(node.elt.slice, ast.Name)
        and node.elt.slice.id == generator.target.id
    )
    if not fits or not isinstance(node.elt, ast.Subscript) or not isinstance(generator.target, ast.Name):
        return None
    table = node.elt.value
    return None if isinstance(table, ast.Name) and table.id == generator.target.id else table


_REWRITES: dict[str, Callable[[Rewriter, Thing, str, Sites], tuple[str, list[Edit]]]] = {
    "encoder": Rewriter.encoder,
    "file": Rewriter.file,
    "text": Rewriter.read_text,
    "dataset": Rewriter.dataset,
    "ids": Rewriter.buffer,
    "text list": Rewriter.buffer,
    "token lists": Rewriter.buffer,
}
