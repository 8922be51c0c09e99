"""The script reader as a house: no circle, one door, every model and every kind in its place."""

from __future__ import annotations

import ast
import dataclasses
import importlib
from pathlib import Path

import pytest

from memguard.estimate.script.prices import PRICES, TRANSIENTS
from memguard.script import models
from memguard.script.interpreter import expressions, statements
from memguard.script.read import read_script
from memguard.script.trace import Trace
from memguard.script.values import KINDS

ROOT = Path(__file__).parents[2]
ROOMS = ("memguard/script", "memguard/estimate/script")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
# Older names of ast, which no parser makes any more.
OLD_NODES = {"Num", "Str", "Bytes", "NameConstant", "Ellipsis", "Index", "ExtSlice"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """Modules of these two rooms that `path` imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names & {module_of(path) for path in FILES}


def test_no_import_goes_round_in_a_circle() -> None:
    graph = {module_of(path): imports_of(path) - {module_of(path)} for path in FILES}
    while graph:
        free = {name for name, used in graph.items() if not used & graph.keys()}
        assert free, f"a circle among {sorted(graph)}"
        graph = {name: used for name, used in graph.items() if name not in free}


def test_imports_stand_at_the_top_and_nothing_is_excused() -> None:
    for path in FILES:
        if path.name == "__init__.py":  # estimate/script has a lazy door
            continue
        source = path.read_text(encoding="utf-8")
        assert "if TYPE_CHECKING" not in source and "noqa" not in source and "type: ignore" not in source, path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                inner = [inner for inner in ast.walk(node) if isinstance(inner, (ast.Import, ast.ImportFrom))]
                assert not inner, f"{path}:{inner[0].lineno}"


def test_the_interface_knows_no_interpreter_and_no_model() -> None:
    for name in ("interface", "registry", "state", "values", "trace"):
        used = imports_of(ROOT / f"memguard/script/{name}.py")
        assert not [module for module in used if ".interpreter" in module or ".models" in module], name


def test_every_model_is_imported() -> None:
    here = {path.stem for path in Path(models.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(models.__all__) == here
    for name in here:
        assert importlib.import_module(f"memguard.script.models.{name}").__doc__


def test_every_kind_has_a_price_and_only_kinds_have_one() -> None:
    assert PRICES.keys() == KINDS.keys()
    assert all(kind.element in (*KINDS, "record", "") and kind.in_list in KINDS for kind in KINDS.values())
    assert all(kind.extends in KINDS for kind in KINDS.values())


def test_every_transient_has_a_price() -> None:
    used: set[str] = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Transient":
                kinds = (inner for kind in node.args[1:2] for inner in ast.walk(kind))
                used.update(str(kind.value) for kind in kinds if isinstance(kind, ast.Constant))
    assert used and used | {"mapping", "mapping a table in memory", "mapping here"} == set(TRANSIENTS)


@pytest.mark.parametrize(("base", "ignored"), [(ast.expr, expressions.IGNORED), (ast.stmt, statements.IGNORED)])
def test_every_node_that_python_has_is_read_or_ignored_on_purpose(base: type[ast.AST], ignored: frozenset[str]) -> None:
    """A new node of a new Python fails here."""
    known = {name.removeprefix("visit_") for name in dir(statements.ScriptInterpreter) if name.startswith("visit_")}
    nodes = {node.__name__ for node in base.__subclasses__() if node.__module__ == "ast"} - OLD_NODES
    assert nodes <= known | ignored, sorted(nodes - known - ignored)
    assert not known & ignored


def test_a_node_that_nobody_knows_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(expressions.Evaluator, "visit_IfExp")
    trace = read_script("a = open('a').read()\nb = a if a else a\n", "s.py")
    assert len(trace.unrecognised) == 1


def test_a_trace_is_frozen_and_knows_no_syntax_tree() -> None:
    trace = read_script("ids = []\nfor line in open('a'):\n    ids.append(line)\n", "s.py")
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.name = "other"  # type: ignore[misc]
    assert isinstance(trace, Trace) and "ast." not in repr(trace)


def test_two_readings_of_a_script_are_equal() -> None:
    """No identity depends on where an object lies in memory."""
    source = (ROOT / "examples/prepare.py").read_text(encoding="utf-8")
    first, second = (read_script(source, "s.py") for _ in range(2))
    assert (first.steps, first.flows, first.variables) == (second.steps, second.flows, second.variables)
