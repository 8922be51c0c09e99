"""Holds the rules of docs/architecture.md.

Imports go down only and in no circle, pure parts stay pure, light parts light, files and functions short, and a name
with an underscore stays in its file.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "memguard"

# From the top floor down. A room imports only rooms of lower floors, never one of its own floor.
FLOORS = (
    ("cli", "notebook"),
    ("fix",),
    ("estimate",),
    ("watch", "dropin"),
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
    "records/codec.py",
    "units.py",
)
IMPURE_MODULES = {"os", "time", "subprocess", "threading", "psutil", "memguard.system", "pathlib", "socket"}

FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
PURE += tuple(f for f in FILES if f.startswith(("script/", "estimate/script/", "diagnose/")))
PURE += tuple(f for f in FILES if f.startswith("fix/") and f not in ("fix/job.py", "fix/verify.py"))


@functools.cache
def imported(path: str) -> set[str]:
    """Every module that `path` imports anywhere, absolute; `from memguard.system import proc` counts as both."""
    tree = parsed(path)
    typing_only = {
        id(inner)
        for node in walked(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in walked(tree):
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


# -- circles, imports inside functions, other files' underscore names, lengths ----------------------------------------

# Rooms that still break a law. A room that keeps it must leave the list: its test says so.
EXCEPTIONS: dict[str, set[str]] = {
    "import circle": set(),
    "import inside a function": set(),
    "underscore name of another file": set(),
    "long function": set(),
    "long file": set(),
    "words": set(),
}
# Rooms that load their own package inside functions, and why: commands start fast (cli, notebook, the public names),
# the watcher stays light (watch), a script's own modules stay out of the way (pressure, inject).
LAZY_ROOMS = {"cli", "notebook", "__init__", "watch", "pressure", "inject"}
MOST_LINES, MOST_FUNCTION_LINES, MEDIAN_LINES = 400, 50, 170
# Underscore names of other people's objects that have no public one, or are public under this name.
BORROWED = {
    *("_replace", "_asdict", "_fields", "_make"),  # namedtuple
    *("_mergeable_ranks", "_special_tokens", "_pat_str"),  # tiktoken.Encoding
    *("_is_owned", "_get_running_loop"),  # threading.RLock, asyncio
    "_ipython_magic_output_can_be_silenced",
}


def name_of(path: str) -> str:
    return "memguard." + path.removesuffix(".py").replace("/", ".") if path != "__init__.py" else "memguard"


MODULES = {name_of(path).removesuffix(".__init__"): path for path in FILES}


def source(path: str) -> str:
    return (PACKAGE / path).read_text(encoding="utf-8")


@functools.cache
def parsed(path: str) -> ast.Module:
    return ast.parse(source(path))


@functools.cache
def walked(tree: ast.AST) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree))


def own_imports(tree: ast.AST) -> set[str]:
    """Modules of this package that are imported anywhere below `tree`, for type checkers and in functions included."""
    found: set[str] = set()
    for node in walked(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module or "" for name in full]
        else:
            continue
        inject = {f"memguard.inject.{name}" for name in names}  # inside the user's Python they have no package
        found |= {*names, *inject} & MODULES.keys()
    return found


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components of more than one module (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in graph[module]:
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            at = stack.index(module)
            found.append(set(stack[at:]))
            del stack[at:]

    for module in graph:
        if module not in order:
            visit(module)
    return [component for component in found if len(component) > 1]


def holds(law: str, broken: dict[str, list[str]]) -> None:
    """`broken`: what breaks the law, by room."""
    wrong = [f"{room}: {what}" for room, all_of in broken.items() if room not in EXCEPTIONS[law] for what in all_of]
    assert not wrong, f"{law}: {wrong}"
    unneeded = EXCEPTIONS[law] - broken.keys()
    assert not unneeded, f"{law}: the exception for {sorted(unneeded)} is not needed any more: delete it"


def by_room(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    rooms: dict[str, list[str]] = {}
    for path, what in pairs:
        rooms.setdefault(room_of(path), []).append(f"{path}{what}")
    return rooms


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "d"}}) == [{"b", "c"}]


def test_no_import_circle() -> None:
    graph = {module: own_imports(parsed(path)) - {module} for module, path in MODULES.items()}
    assert sum(map(len, graph.values())) > len(MODULES)
    rooms: dict[str, list[str]] = {}
    for circle in circles(graph):
        for room in {room_of(MODULES[module]) for module in circle} - {"__init__"}:
            rooms.setdefault(room, []).append(" - ".join(sorted(circle)))
    holds("import circle", rooms)


def functions(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in walked(parsed(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def test_no_import_of_the_package_inside_a_function() -> None:
    found = by_room(
        (path, f":{function.lineno} {function.name} imports {sorted(used)}")
        for path in FILES
        if room_of(path) not in LAZY_ROOMS
        for function in functions(path)
        if (used := own_imports(function))
    )
    holds("import inside a function", found)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in BORROWED


def private_imports(tree: ast.Module) -> Iterator[str]:
    """from memguard.x import _y"""
    for node in walked(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("memguard"):
            for alias in node.names:
                if is_private(alias.name) and f"{node.module}.{alias.name}" not in MODULES:
                    yield f":{node.lineno} {alias.name} of {node.module}"


def own_names(tree: ast.Module) -> set[str]:
    """Names that this file gives: to functions, classes, variables, attributes of self and cls."""
    names: set[str] = set()
    for node in walked(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) in ("self", "cls")
        ):
            names.add(node.attr)
    return names


def private_attributes(tree: ast.Module) -> Iterator[str]:
    """x._y, where no object of this file has a _y; other people's modules (os._exit, sys._getframe) may be asked."""
    imports = [n for n in walked(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    foreign = {
        (alias.asname or alias.name).split(".")[0]
        for node in imports
        for alias in node.names
        if not (node.module or "" if isinstance(node, ast.ImportFrom) else alias.name).startswith("memguard")
    }
    own = own_names(tree)
    for node in walked(tree):
        if not isinstance(node, ast.Attribute) or not is_private(node.attr) or node.attr in own:
            continue
        if not isinstance(node.value, ast.Name) or node.value.id not in foreign:
            yield f":{node.lineno} {ast.unparse(node)}"


def test_private_names_are_found() -> None:
    text = "import os\nfrom memguard.units import _a\nimport memguard.units as u\nu._b, os._exit, thing._c, self._d\n"
    tree = ast.parse(text + "self._d = u.d = 1\n")
    assert list(private_imports(tree)) == [":2 _a of memguard.units"]
    assert list(private_attributes(tree)) == [":4 u._b", ":4 thing._c"]


def test_no_underscore_name_of_another_file() -> None:
    found = by_room(
        (path, what)
        for path, tree in ((path, parsed(path)) for path in FILES)
        for what in (*private_imports(tree), *private_attributes(tree))
    )
    holds("underscore name of another file", found)


def test_files_and_functions_are_short() -> None:
    lengths = {path: source(path).count("\n") for path in FILES}
    holds("long file", by_room((path, f": {n} lines") for path, n in lengths.items() if n > MOST_LINES))
    long = by_room(
        (path, f":{function.lineno} {function.name}: {length} lines")
        for path in FILES
        for function in functions(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MOST_FUNCTION_LINES
    )
    holds("long function", long)
    assert statistics.median(length for length in lengths.values() if length) <= MEDIAN_LINES


# Words that readers of English as a second language stumble over. `mend` is a key of doctor/1, so the field stays.
STRANGE = re.compile(
    r"\b(?:mend(?:s|ed|ing)?|oftener|as ever|thereof|whence|n?ought|anew)\b"
    r"|come to yet|no matter of|size that is none|everybody but",
    re.IGNORECASE,
)
DOCTORS_KEY = re.compile(r"    mend: str = |ability\.mend\b")


def test_plain_words() -> None:
    lines = [(path, n, line) for path in FILES for n, line in enumerate(source(path).split("\n"), 1)]
    holds("words", by_room((p, f":{n}{line}") for p, n, line in lines if STRANGE.search(DOCTORS_KEY.sub("", line))))
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        assert not STRANGE.findall(page.read_text(encoding="utf-8")), page


def test_the_page_about_the_rooms_names_files_that_are_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = {room_of(path) for path in FILES} - {"__init__", "__main__"}
    named = [path for path in re.findall(r"`([\w/]+(?:\.py|/))`", text) if "NAME" not in path]
    assert len(named) > 40
    assert [path for path in named if not (PACKAGE / path).exists() and not (ROOT / path).exists()] == []
    assert [room for room in rooms if not re.search(rf"^  {room}(?:/|\.py| )", text, re.MULTILINE)] == []
    folders = {path.split("/")[1] for path in FILES if path.count("/") == 2}
    assert [folder for folder in folders if f" {folder}/ " not in text] == []
