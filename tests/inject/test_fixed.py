"""A script that runs as it was changed, in real interpreters: what it sees is what it sees without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.watch.process.fixed import Fixed, hand_over, read_fixed, was_served
from tests.inject.test_agent import INJECT, interpreters

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")

SCRIPT = '''"""Its docstring."""
from __future__ import annotations
import inspect, linecache, multiprocessing, os, sys, threading
VALUE = "the file's"
def value(): return VALUE  # é
def show():
    names = {name: kept for name, kept in globals().items() if name.startswith("__") and name != "__builtins__"}
    names["__loader__"] = type(names["__loader__"]).__name__
    names["__spec__"] = names["__spec__"] and names["__spec__"].origin
    frame, depth = sys._getframe(), 0
    while frame.f_back:
        frame, depth = frame.f_back, depth + 1
    print(sorted(names.items()), depth, sys.argv, sys.path, sys.flags, value.__code__.co_filename, VALUE)
    print(inspect.getsource(value), linecache.getlines(__file__)[3])
    print(__loader__ and __loader__.get_source(__loader__.name)[60:120])
    print(open(__file__, encoding="utf-8").readlines()[3], os.environ.get("MEMGUARD_FIXED_NAME"), sys.orig_argv[-2:])
    sys.stdout.flush()
if __name__ == "__main__":
    show()
    for method in sys.argv[1:]:
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(method, pool.apply(value), pool.apply(show))
    thread = threading.Thread(target=lambda: [][len(VALUE)], name="a thread")
    thread.start()
    thread.join()
    assert VALUE == "", VALUE
elif __name__ == "prepare":
    show()
'''
CHANGED = SCRIPT.replace('"the file\'s"', '"changed"')
OLD = re.compile(r"/(?:2\.7|3\.(?:6|7|8|9|10))\.|python3\.(?:6|7|8|9|10)$")
MODERN = [python for python in interpreters() if not OLD.search(python)]
OLDER = [python for python in interpreters() if python not in MODERN]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The script's directory, and a run's beside it."""
    (tmp_path / "run").mkdir()
    for name in ("stack.txt", "events.jsonl"):
        (tmp_path / "run" / name).touch()
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "prepare.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path / "job"


def environment(place: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MEMGUARD"))}
    return {**kept, "PYTHONPATH": str(INJECT), "MEMGUARD_RUN_DIR": str(place.parent / "run")}


def run(words: list[str], place: Path, **variables: str) -> tuple[int, str, str]:
    env = {**environment(place), **variables}
    done = subprocess.run(words, cwd=place, env=env, capture_output=True, encoding="utf-8", timeout=60)
    tidy = [re.sub(r"tracker_fd=\d+|pipe_handle=\d+| at 0x[0-9a-f]+", "", text) for text in (done.stdout, done.stderr)]
    return done.returncode, tidy[0], tidy[1]


def check(words: list[str], place: Path, *, served: bool = True) -> None:
    """The changed script prints what it prints where it is the file itself, but for the file's own text."""
    directory = place.parent / "run"
    found = run(words, place, **hand_over(str(directory), Fixed(str(place / "prepare.py"), CHANGED.encode())))
    assert (place / "prepare.py").read_text(encoding="utf-8") == SCRIPT
    assert not list(place.glob("__pycache__/*")), "byte code of the changed source would stay"
    assert was_served(str(directory)) == served
    (place / "prepare.py").write_text(CHANGED if served else SCRIPT, encoding="utf-8")
    expected = run(words, place, PYTHONDONTWRITEBYTECODE="1")
    text = found[1].replace('VALUE = "the file\'s"\n None', 'VALUE = "changed"\n None') if served else found[1]
    hidden = re.compile(r"dont_write_bytecode=\d|'-B', ")
    assert hidden.sub("", text) == hidden.sub("", expected[1])
    assert (found[0], found[2]) == (expected[0], expected[2])
    assert ("changed" if served else "the file's") in found[1]


def test_a_script_and_its_workers_see_what_they_see_without(place: Path) -> None:
    check([sys.executable, "prepare.py", "fork", "spawn"], place)


FORMS = [
    ["prepare.py", "forkserver"],
    ["./prepare.py"],
    ["-O", "-X", "dev", "-W", "error::ImportWarning", "../job//prepare.py"],
    ["-P", "prepare.py"],
    ["-u", "-B", "link/prepare.py"],
    ["link.py"],
    ["-m", "prepare", "spawn"],
    ["-c", "import prepare, runpy"],
    ["-c", "import runpy; runpy.run_path('prepare.py', run_name='prepare')"],
    ["-c", "from importlib.util import *; s = spec_from_file_location('prepare', 'prepare.py');"
     " s.loader.exec_module(module_from_spec(s))"],
    ["-c", "import subprocess, sys; sys.exit(subprocess.run([sys.executable, 'prepare.py']).returncode)"],
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("python", MODERN)
@pytest.mark.parametrize("words", FORMS, ids=" ".join)
def test_every_way_to_the_script(python: str, words: list[str], place: Path) -> None:
    (place / "link").symlink_to(place)
    (place / "link.py").symlink_to("prepare.py")
    check([python, *words], place)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["-x", "prepare.py"], ["-I", "prepare.py"], ["-S", "prepare.py"]], ids=" ".join)
def test_where_nothing_can_be_served_the_file_runs(words: list[str], place: Path) -> None:
    check([sys.executable, *words], place, served=False)


@pytest.mark.slow
@pytest.mark.parametrize("python", OLDER)
def test_an_older_python_runs_the_file(python: str, place: Path) -> None:
    (place / "prepare.py").write_text("import sys\nprint('the file %s' % sys.argv)\n")
    fixed = Fixed(str(place / "prepare.py"), b"print('changed')\n")
    found = run([python, "prepare.py"], place, **hand_over(str(place.parent / "run"), fixed))
    assert found == (0, "the file ['prepare.py']\n", "") and not was_served(str(place.parent / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("python", MODERN)
def test_a_directory_and_a_package(python: str, place: Path) -> None:
    (place / "package").mkdir()
    (place / "package" / "__init__.py").touch()
    main = place / "package" / "__main__.py"
    main.write_text("import sys\nprint('the file', __name__, __package__, sys.argv, sys.path[0])\n")
    fixed = Fixed(str(main), main.read_bytes().replace(b"the file", b"changed"))
    variables = hand_over(str(place.parent / "run"), fixed)
    for words in (["package", "a"], ["-m", "package", "a"]):
        plain = run([python, *words], place)
        assert "the file" in plain[1] and plain[0] == 0
        assert run([python, *words], place, **variables) == (0, plain[1].replace("the file", "changed"), "")


def test_memguard_is_there_for_the_script_and_nothing_else_of_its_directory(place: Path) -> None:
    (place / "prepare.py").write_text("print('file')\n")
    source = b"import memguard\nprint(memguard.__file__)\ntry: import tests.boxes\nexcept ImportError as e: print(e)\n"
    variables = hand_over(str(place.parent / "run"), Fixed(str(place / "prepare.py"), source))
    others = "[p for p in sys.path if not os.path.isdir(os.path.join(p, 'memguard'))]"
    bare = [sys.executable, "-c", f"import os, sys; sys.path[:] = {others}\nimport prepare"]
    found = run(bare, place, **variables)
    assert found == (0, f"{INJECT.parent}/__init__.py\nNo module named 'tests'\n", "")


def test_what_is_handed_over_is_read_again(tmp_path: Path) -> None:
    script = tmp_path / "a script\n.py"
    assert read_fixed(str(tmp_path)) is None
    variables = hand_over(str(tmp_path), Fixed(str(script), b"x = 1\0\n"))
    assert variables == {"MEMGUARD_FIXED": str(tmp_path / "fixed")}
    assert read_fixed(str(tmp_path)) == Fixed(str(script), b"x = 1\0\n")
    assert not was_served(str(tmp_path))


ENDINGS = {
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError(VALUE)",
    "cause": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise OSError(2, VALUE, 'a') from error",
    "deep": "def f(n): return f(n + 1) if VALUE else 0\nf(0)",
    "group": "raise ExceptionGroup(VALUE, [ValueError(1), ExceptionGroup('b', [KeyError(2)])])",
    "notes": "error = ValueError(VALUE)\nerror.add_note('a note\\nof two lines')\nraise error",
    "syntax": "compile(VALUE + '\\nx = (1,', 'other.py', 'exec')",
    "its own": "import nothing_of_this_name",
    "str fails": "class E(Exception):\n    def __str__(self): raise OSError\nraise E",
    "surrogate": "raise ValueError(VALUE + '\\ud800 é')",
    "several lines": "sum([VALUE,\n     1,\n     2])",
    "exit text": "raise SystemExit(VALUE)",
    "exit code": "print(VALUE)\nraise SystemExit(3)",
    "interrupt": "print(VALUE, flush=True)\nraise KeyboardInterrupt",
    "its own hook": "import sys\nsys.excepthook = lambda *a: print(VALUE, a[1], file=sys.stderr)\n1 / 0",
    "no stderr": "import sys\nprint(VALUE)\nsys.stderr = None\n1 / 0",
    "thread": "import threading\ndef f(): raise OSError(VALUE)\nt = threading.Thread(target=f)\nt.start()\nt.join()",
    "exit in a thread": "import threading\nt = threading.Thread(target=exit)\nt.start()\nt.join()\nprint(VALUE)",
    "unraisable": "class D:\n    def __del__(self): 1 / 0\nD()\nprint(VALUE)",
    "at the end": "import atexit\natexit.register(lambda: 1 / 0)\nprint(VALUE, __file__)",
    "warning": "import warnings\nwarnings.warn(VALUE)",
    "bad escape": "print(VALUE, '\\d')",
}


@pytest.mark.slow
@pytest.mark.parametrize("python", MODERN)
@pytest.mark.parametrize("name", ENDINGS)
def test_every_end_is_shown_as_without(python: str, name: str, place: Path) -> None:
    source = f"VALUE = 'file'\n{ENDINGS[name]}\n"
    changed = source.replace("'file'", "'changed'  # what ran")
    (place / "prepare.py").write_text(source)
    fixed = Fixed(str(place / "prepare.py"), changed.encode())
    found = run([python, "prepare.py"], place, **hand_over(str(place.parent / "run"), fixed))
    (place / "prepare.py").write_text(changed)
    assert found == run([python, "prepare.py"], place)


@pytest.mark.slow
@pytest.mark.parametrize("python", MODERN)
@pytest.mark.parametrize("name", ["traceback", "linecache", "tokenize", "collections", "io", "re"])
def test_a_module_of_a_librarys_name_beside_the_script_is_left_alone(python: str, name: str, place: Path) -> None:
    """It is run where Python itself would run it, and nowhere else."""
    (place / f"{name}.py").write_text(f"print('{name}.py runs', flush=True)\n")
    source = "VALUE = 'file'\nif __name__ == '__main__':\n    raise ValueError(VALUE)\n"
    (place / "prepare.py").write_text(source)
    fixed = Fixed(str(place / "prepare.py"), source.replace("'file'", "'changed'").encode())
    variables = {**hand_over(str(place.parent / "run"), fixed), "PYTHONDONTWRITEBYTECODE": "1"}
    found = run([python, "prepare.py"], place, **variables)
    (place / "prepare.py").write_bytes(fixed.source)
    assert found == run([python, "prepare.py"], place, PYTHONDONTWRITEBYTECODE="1")
