"""Holds the import rules of docs/architecture.md: imports go down only, pure parts stay pure, light parts light."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "memguard"

# From the top floor down. A room imports only rooms of lower floors, never one of its own floor.
FLOORS = (
    ("cli", "notebook"),
    ("estimate",),
    ("watch",),
    ("script", "tokens", "diagnose", "report"),
    ("system",),
    ("records", "pressure"),
    ("units",),
    ("errors", "_version"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
RECORDS_ONLY = ("diagnose", "report")  # beside errors and units
PURE = (
    "watch/decide/policy.py",
    "watch/decide/forecast.py",
    "estimate/plans/costs.py",
    "estimate/model.py",
    "estimate/plans/catalogue.py",
    "estimate/plans/documents.py",
    "estimate/plans/pools.py",
    "estimate/plans/text.py",
    "estimate/plans/quantities.py",
    "diagnose/kernel.py",
    "diagnose/userspace.py",
    "diagnose/python.py",
    "diagnose/rules.py",
    "records/codec.py",
    "units.py",
)
IMPURE_MODULES = {"os", "time", "subprocess", "threading", "psutil", "memguard.system", "pathlib", "socket"}

FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
PURE += tuple(f for f in FILES if f.startswith(("script/", "estimate/script/")))


def imported(path: str) -> set[str]:
    """Every module that `path` imports anywhere, absolute; `from memguard.system import proc` counts as both."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or path.startswith("inject/"), f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room_of(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


def rooms_used(path: str) -> set[str]:
    parts = (name.split(".") for name in imported(path) if name.startswith("memguard."))
    return {names[1] for names in parts if names[1] in FLOOR or names[1] == "inject"}


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in FILES} - set(FLOOR) == {"__init__", "__main__", "inject"}


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) in FLOOR])
def test_imports_go_down_only(path: str) -> None:
    room = room_of(path)
    used = rooms_used(path) - {room}
    # inject/ stands alone and is data to everybody else, but for what it shares: the vocabulary with tokens/, the
    # spelling of control characters with records/, the standard library's own modules with guard(), pressure/, cli/
    wrong = {other for other in used - {"inject"} if FLOOR[other] <= FLOOR[room]}
    assert not wrong, f"{path} imports {sorted(wrong)}"
    if "inject" in used:
        assert room in ("tokens", "watch", "cli", "records", "pressure"), f"{path} imports inject"
    if room in RECORDS_ONLY:
        assert used <= {"records", "errors", "units"}, f"{path} imports {sorted(used)}"


@pytest.mark.parametrize("path", [p for p in FILES if p.startswith("inject/")])
def test_inject_stands_alone(path: str) -> None:
    outside = {
        name.split(".")[0]
        for name in imported(path)
        if name and not name.startswith(("_memguard", "gpt2_files", "sitecustomize"))
    }
    assert outside <= set(sys.stdlib_module_names) | {"tiktoken"}, outside


@pytest.mark.parametrize("path", PURE)
def test_pure_parts_touch_no_machine(path: str) -> None:
    wrong = {n for n in imported(path) if n in IMPURE_MODULES or n.startswith("memguard.system")}
    assert not wrong, f"{path} imports {sorted(wrong)}"


def modules_after(code: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return set(result.stdout.split())


HEAVY = {
    "numpy",
    "rich",
    "tiktoken",
    "gigatoken",
    "psutil",
    "subprocess",
    "logging",
    "ctypes",
    "pathlib",
    "tempfile",
}


def test_the_watcher_stays_light() -> None:
    loaded = modules_after("import memguard.cli.main, memguard.cli.run, memguard.watch.run, memguard.report.run")
    bare = modules_after("pass")
    assert not (loaded - bare) & HEAVY


def test_importing_memguard_loads_nothing_heavy() -> None:
    assert not (modules_after("import memguard") - modules_after("pass")) & HEAVY


def test_long_files_and_functions() -> None:
    """Files under 400 lines, functions under 60 (the house aims at 50)."""
    too_long = []
    for path in FILES:
        text = (PACKAGE / path).read_text(encoding="utf-8")
        if text.count("\n") > 400:
            too_long.append(f"{path}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60:
                too_long.append(f"{path}:{node.lineno} {node.name}")
    assert not too_long
