"""A script's directory may hold a module of any name: the agent, and what memguard imports, run none of them."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from memguard.watch.journal import RunDirectory
from tests.inject.jobs import INJECT, Job, plain

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")

_REMOVED_SINCE = {"asynchat", "asyncore", "binhex", "distutils", "formatter", "imp", "parser", "smtpd", "symbol"}
_STARTED = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"


def pythons() -> list[str]:
    """One of each minor version that the agent is for."""
    found = {sys.version_info[1]: sys.executable}
    for minor in range(8, 15):
        places = sorted(map(str, Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")))
        place = next(iter(places), shutil.which(f"python3.{minor}", path="/usr/local/bin:/usr/bin"))
        if place:
            found.setdefault(minor, place)
    return list(found.values())


def newest() -> list[str]:
    """Those that memguard itself runs on."""
    return [python for python in pythons() if not python.split("/3.")[-1].startswith(("8.", "9.", "10."))]


def started(python: str) -> set[str]:
    """What it has loaded when a script begins: more than itself needs, where a package's .pth file imports."""
    result = subprocess.run([python, "-c", _STARTED], capture_output=True, text=True, check=True, env=plain())
    return set(result.stdout.split())


def fill(place: Path, python: str) -> None:
    """A module that says so and ends the script, for every name of the library that Python has not loaded at start."""
    place.mkdir()
    for name in (set(sys.stdlib_module_names) | _REMOVED_SINCE) - started(python):
        body = f"print({name!r}, 'runs', flush=True)\nraise SystemExit('usage: {name}.py FILE')\n"
        if name in ("collections", "concurrent", "email", "json"):  # a package is as good
            (place / name).mkdir()
            (place / name / "__init__.py").write_text(body)
        else:
            (place / f"{name}.py").write_text(body)


def without(python: str, path: Path) -> tuple[int, str, str]:
    result = subprocess.run([python, str(path)], env=plain(), input="\n", capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout, result.stderr


SCRIPT = """
import sys
tokens = list(range(300, 300000))
before = set(sys.modules)
print("ready", flush=True)
sys.stdin.readline()
new = set(sys.modules) - before - set(sys.builtin_module_names)
print(sorted(name for name in new if not name.startswith("_memguard")))
try:
    import json
except SystemExit as stop:
    print("own", stop)
sys.exit(3)
"""


@pytest.mark.parametrize("python", pythons())
def test_no_module_of_the_users_is_run_by_an_ask(
    python: str, directory: RunDirectory, jobs: list[Job], tmp_path: Path
) -> None:
    fill(tmp_path / "scripts", python)
    path = tmp_path / "scripts" / "prepare.py"
    path.write_text(SCRIPT)
    job = Job(python, path, directory)
    jobs.append(job)
    reclaimed, held, salvaged = job.ask("reclaim", "inspect", "salvage", salvage=str(tmp_path / "kept"))
    assert reclaimed["event"] == "reclaimed" and "errors" not in reclaimed
    assert held["containers"][0]["variable"] == "tokens" and held["containers"][0]["tokens"] == 299700
    assert salvaged["count"] == 299700 and salvaged["dtype"] == "uint32", salvaged
    note = json.loads(Path(salvaged["path"] + ".json").read_text(encoding="utf-8"))
    assert note["variable"] == "tokens" and note["source"] == str(path)
    assert job.end() == without(python, path) == (3, "ready\n[]\njson runs\nown usage: json.py FILE\n", "")


@pytest.mark.parametrize("python", pythons())
def test_the_error_alone_reaches_the_script(
    python: str, directory: RunDirectory, jobs: list[Job], tmp_path: Path
) -> None:
    fill(tmp_path / "scripts", python)
    path = tmp_path / "scripts" / "prepare.py"
    path.write_text(
        textwrap.dedent("""
        import sys, time
        tokens = list(range(300, 300000))
        try:
            print("ready", flush=True)
            while True:
                time.sleep(0.01)
        except MemoryError as error:
            print(type(error).__name__, error)
        raise MemoryError("at the end")
        """)
    )
    job = Job(python, path, directory)
    jobs.append(job)
    job.ask("inspect", "raise", message="the limit")
    code, out, err = job.end()
    assert (code, out.split("(")[0]) == (1, "ready\nMemoryLimitExceeded the limit; tokens ")
    # Python itself imports traceback to show an error, from 3.13 on.
    assert " runs" not in out.replace("traceback runs\n", "") and "at the end" in err
    assert [event["error"] for event in job.told("memory-error")] == ["at the end"]


POOL = """
import sys
own = sys.path.pop(0)
import multiprocessing.pool, os, signal, time
sys.path.insert(0, own)
if __name__ == "__main__":
    pool = multiprocessing.get_context("fork").Pool(1)
    first = pool._pool[0].pid
    pool.apply_async(os.kill, (first, signal.SIGKILL))
    while [worker.pid for worker in list(pool._pool)] in ([], [first]):
        time.sleep(0.01)
    pool.terminate()
    pool.join()
    print("over", flush=True)
"""


@pytest.mark.parametrize("python", pythons())
def test_a_dead_worker_is_reported(python: str, directory: RunDirectory, jobs: list[Job], tmp_path: Path) -> None:
    fill(tmp_path / "scripts", python)
    path = tmp_path / "scripts" / "prepare.py"
    path.write_text(POOL)
    job = Job(python, path, directory)
    jobs.append(job)
    code, out, err = job.end()
    assert (code, out, err) == without(python, path) and (code, out) == (0, "over\n")
    assert [event["exitcode"] for event in job.told("pool-worker-died")] == [-9]


@pytest.mark.parametrize("python", pythons())
def test_the_vocabulary_is_unpacked_by_the_library(
    python: str, directory: RunDirectory, jobs: list[Job], tmp_path: Path
) -> None:
    fill(tmp_path / "scripts", python)
    package = tmp_path / "scripts" / "tiktoken"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "load.py").write_text("def read_file(url): return b'downloaded'\n")
    path = tmp_path / "scripts" / "prepare.py"
    path.write_text(
        "import sys, tiktoken.load\n"
        "url = 'https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/vocab.bpe'\n"
        "print(len(tiktoken.load.read_file(url)) in (456318, 10), 'hashlib' in sys.modules, 'lzma' in sys.modules)\n"
    )
    job = Job(python, path, directory)
    jobs.append(job)
    loaded = {"hashlib", "lzma"} & started(python)
    assert job.end() == (0, f"True {'hashlib' in loaded} {'lzma' in loaded}\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("python", newest())
def test_a_guarded_block_among_such_modules(python: str, tmp_path: Path) -> None:
    """memguard itself, and all that its guard needs, loaded beside them; afterwards they are the script's."""
    fill(tmp_path / "scripts", python)
    path = tmp_path / "scripts" / "prepare.py"
    path.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.append({str(ROOT)!r})
        import memguard
        with memguard.guard(limit="1GiB") as block:
            pass
        print(block.record.exit_code, memguard.headroom() > 0, memguard.ShardWriter is None)
        for name in ("dataclasses", "threading", "json"):
            try:
                __import__(name)
            except SystemExit as stop:
                print(stop)
        """)
    )
    if subprocess.run([python, "-c", "import numpy, tiktoken"], env=plain(), capture_output=True).returncode:
        path.write_text(path.read_text().replace("memguard.ShardWriter is None", "False"))
    code, out, err = without(python, path)
    names = [name for name in ("dataclasses", "threading", "json") if name not in started(python)]
    own = "".join(f"{name} runs\nusage: {name}.py FILE\n" for name in names)
    assert names and (code, out, err) == (0, "0 True False\n" + own, "")


def test_a_module_of_the_users_that_is_loaded_stays(tmp_path: Path) -> None:
    """And memguard, which needs the library's one of that name, gets it."""
    (tmp_path / "queue.py").write_text("waiting = ['mine']\n")
    (tmp_path / "prepare.py").write_text(
        "import sys, queue\n"
        "from memguard.inject.standard_library import First\n"
        "with First():\n"
        "    import queue as library, concurrent.futures.thread\n"
        "    assert library.SimpleQueue\n"
        "with First():\n"
        "    import queue as again\n"
        "    assert again is library\n"
        "import queue as after\n"
        "assert after is queue and 'concurrent.futures.thread' not in sys.modules\n"
        "print(queue.waiting)\n"
    )
    result = subprocess.run(
        [sys.executable, str(tmp_path / "prepare.py")],
        env=plain(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("['mine']\n", "")


def test_what_nobody_shadows_stays_loaded() -> None:
    code = (
        "import sys\nfrom memguard.inject.standard_library import First\n"
        "with First():\n    import json\n"
        "print('json' in sys.modules, len(sys.meta_path))"
    )
    bare = subprocess.run([sys.executable, "-c", "import sys; print(len(sys.meta_path))"], capture_output=True)
    result = subprocess.run(
        [sys.executable, "-c", code], env=plain(PYTHONPATH=str(ROOT)), capture_output=True, text=True, cwd="/"
    )
    assert (result.stdout, result.stderr) == (f"True {int(bare.stdout)}\n", "")


ALWAYS_THERE = {"__future__", "_collections", "_imp", "_signal", "_thread", "atexit", "faulthandler", "gc", "itertools"}
ALWAYS_THERE |= {"marshal", "os", "stat", "sys", "time"}  # os brings stat; the others are built into every Python

WITHIN_FIRST = {"_memguard_fixed.py": {"traceback"}}  # to print the script's own, when that has ended


@pytest.mark.parametrize("path", [*sorted(p.name for p in INJECT.glob("*memguard_*.py")), "standard_library.py"])
def test_the_agent_imports_what_is_there_already(path: str) -> None:
    tree = ast.parse((INJECT / path).read_text(encoding="utf-8"))
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"  # what is for type checkers
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and id(node) not in unseen:
            names.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and id(node) not in unseen:
            names.add(node.module or "")
    assert names <= ALWAYS_THERE | {"_frozen_importlib_external"} | WITHIN_FIRST.get(path, set())


def test_a_json_py_beside_the_script_is_not_run(tmp_path: Path) -> None:
    """The whole of it: memguard run, a script that registers a callback, and memory that nears the limit."""
    (tmp_path / "json.py").write_text(
        "import sys\nprint('json.py runs', flush=True)\nsys.exit('usage: json.py FILE')\n"
    )
    (tmp_path / "prepare.py").write_text(
        textwrap.dedent("""
        import time
        import memguard

        rows = []

        @memguard.on_pressure
        def flush():
            rows.clear()

        for i in range(120):
            rows.append(bytearray(b"x" * 1_000_000))
            if len(rows) > 110:
                rows.clear()
            time.sleep(0.003)
        print("done")
        """)
    )
    result = subprocess.run(
        [sys.executable, "-m", "memguard", "run", "--python", sys.executable, "--limit", "140MiB", "prepare.py"],
        env=plain(PYTHONPATH=str(ROOT)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


def test_a_child_that_is_forked_meanwhile_imports_all_the_same() -> None:
    """Another thread is in the midst of such imports: in the child it never comes to its end."""
    code = """
import os, sys, threading
from memguard.inject.standard_library import First
inside, end = threading.Event(), threading.Event()
def held():
    with First():
        inside.set(); end.wait(20)
thread = threading.Thread(target=held)
thread.start(); inside.wait()
pid = os.fork()
if pid == 0:
    import memguard
    memguard.checkpoint
    os._exit(len(sys.meta_path))
end.set(); thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == len(sys.meta_path))
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert (result.stdout, result.stderr) == ("True\n", "")


def test_what_is_loaded_so_does_not_meet_other_threads_imports() -> None:
    """One thread loads compiled modules, another one whatever needs collections: each gets the library's own."""
    code = """
import sys, threading
from memguard.inject import standard_library
def load():
    for name in ("mmap", "_ctypes", "array") * 200:
        standard_library._modules.clear()
        standard_library.extension(name)
sys.setswitchinterval(1e-6)
thread = threading.Thread(target=load)
thread.start()
while thread.is_alive():
    for name in ("pkgutil", "collections.abc", "mmap"):
        __import__(name)
    for name in ("pkgutil", "mmap"):
        sys.modules.pop(name, None)
thread.join()
from collections import namedtuple
print("mmap" in sys.modules, type(namedtuple).__name__)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("False function\n", "")
