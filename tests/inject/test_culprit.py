"""The look: each case is a script of its own that fills its memory, looks at itself, and prints what it saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.inject.test_agent import interpreters

INJECT = Path(__file__).resolve().parents[2] / "memguard" / "inject"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")

HEAD = f"""\
import gc, json, os, resource, sys, time
sys.path.insert(0, {str(INJECT)!r})
import _memguard_agent
inspect = _memguard_agent.load("_memguard_culprit").inspect
def resident():
    with open("/proc/self/statm") as file: return int(file.read().split()[1]) * resource.getpagesize()
def show(before):
    held = resident() - before
    began = time.process_time()
    found = inspect(sys._getframe(1))
    print(json.dumps(dict(held=held, found=found, seconds=time.process_time() - began)))
"""


def look(text: str, tmp_path: Path, python: str = sys.executable) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    script = tmp_path / "prepare.py"
    script.write_text(HEAD + textwrap.dedent(text))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MEMGUARD"))}
    command = [python, "-W", "error", str(script)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    answer = json.loads(result.stdout)
    return answer, answer["found"]


HOLDERS = {
    "ids": ("[n % 50257 for n in range(1500000)]", 0.03),
    "ids, a third of them small": ("[n % 300 * 160 if n % 3 else n % 256 for n in range(1500000)]", 0.05),
    "shared ids": ("[vocabulary[n * 7919 % 5000] for n in range(3000000)]", 0.05),
    "a tuple": ("tuple(range(1000, 1001000))", 0.03),
    "lists": ("[list(range(1000, 1000 + n % 997)) for n in range(2500)]", 0.06),
    "strings": ("['line number %d of many' % n for n in range(300000)]", 0.03),
    "a text": ("'x' * 40000000", 0.03),
    "bytes": ("bytearray(40000000)", 0.03),
    "dicts": ("[{'id': n, 'text': 'document %d' % n} for n in range(100000)]", 0.05),
    "a dict": ("{n: str(n) for n in range(400000)}", 0.05),
    "a set": ("{n * 7 for n in range(500000)}", 0.05),
    "a deque": ("deque(range(1000, 1001000))", 0.05),
    "an array": ("array('H', bytes(40000000))", 0.03),
    "instances": ("[Record(n) for n in range(100000)]", 0.15),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_it_measures_what_is_resident(name: str, tmp_path: Path) -> None:
    expression, tolerance = HOLDERS[name]
    answer, found = look(
        f"""
        from array import array
        from collections import deque
        vocabulary = list(range(1000, 6000))
        class Record:
            def __init__(self, n): self.number, self.name, self.ids = n + 1000, 'x%d' % n, [n + 5000]
        def main():
            before = resident()
            held = {expression}
            show(before)  # line 21
        main()
        """,
        tmp_path,
    )
    assert (found[0]["variable"], found[0]["line"], found[0]["function"]) == ("held", 21, "main")
    assert found[0]["bytes"] == pytest.approx(answer["held"], rel=tolerance)
    assert sum(one["bytes"] for one in found) < 1.1 * answer["held"], "nothing is counted twice"


@pytest.mark.slow
@pytest.mark.parametrize("python", [p for p in interpreters() if not p.endswith(("2.7.18/bin/python", "3.6", "3.7"))])
def test_on_every_python_from_3_8_on(python: str, tmp_path: Path) -> None:
    version = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
    if tuple(map(int, version.stdout.split())) < (3, 8):
        pytest.skip("the agent stays away from this Python")
    answer, (found,) = look(
        """
        def main():
            before = resident()
            tokens = [n % 50257 for n in range(1500000)]
            show(before)
        main()
        """,
        tmp_path,
        python,
    )
    assert found["variable"] == "tokens"
    assert found["bytes"] == pytest.approx(answer["held"], rel=0.05)


def test_the_sentence_says_it_all(tmp_path: Path) -> None:
    _, (found,) = look("all_tokens = list(range(300, 50300)) * 30\nshow(0)\n", tmp_path)
    # 50,000 ints of 32 bytes that 30 slots each refer to: 8 bytes a slot and 1.07 of the int
    assert found["text"] == (
        "all_tokens (list, 1,500,000 ints) at prepare.py:13 holds 13.0 MiB, 9.1 bytes a token; "
        "as uint16 it would be 2.86 MiB"
    )
    assert found["bytes_as_uint16"] == 3_000_000 and "array('H')" in found["advice"]


NAMED = [
    ("class Shard: pass\nshard = Shard(); shard.ids = list(range(300, 500300)); shard.n = 1", "shard.ids"),
    ("class Slots: __slots__ = 'ids',\ns = Slots(); s.ids = list(range(300, 500300))", "s.ids"),
    ("data = {'train': list(range(300, 500300)), 'val': [1, 2]}", "data['train']"),
    ("data = {'train': list(range(300, 500300)), 'val': list(range(300, 200300))}", "data['train'] data['val']"),
    ("parts = [list(range(300, 500300)), [1]]", "parts[0]"),
    ("a = list(range(300, 500300)); b = a; c = [a]", "a"),
    ("docs = ['word %d' % n for n in range(200000)]; doc = docs[7]", "docs"),
    ("small = list(range(300, 900)); text = 'x'", ""),
    ("def produce():\n    buffer = list(range(300, 500300))\n    yield 1\nit = produce(); next(it)", "it(buffer)"),
    ("loop = list(range(300, 500300)); loop.append(loop)", "loop"),
    (
        "class Odd(list):\n    def __len__(self): raise OSError\n"
        "odd = Odd(range(300, 500300)); even = [odd, list(range(300, 500300))]",
        "even[1]",  # a class that breaks when it is looked at is passed over
    ),
]


@pytest.mark.parametrize(("text", "names"), NAMED)
def test_what_it_is_called(text: str, names: str, tmp_path: Path) -> None:
    _, found = look(text + "\nshow(0)\n", tmp_path)
    assert " ".join(one["variable"] for one in found) == names


def test_the_frame_it_lives_in_is_named_not_the_one_it_is_passed_to(tmp_path: Path) -> None:
    _, (found,) = look(
        """
        def add(buffer):
            show(0)
        def main():
            all_tokens = list(range(300, 500300))
            add(all_tokens)
        main()
        """,
        tmp_path,
    )
    assert (found["variable"], found["function"], found["line"]) == ("all_tokens", "main", 17)


def test_other_threads_are_looked_at(tmp_path: Path) -> None:
    _, found = look(
        """
        import threading
        ready, done = threading.Event(), threading.Event()
        def work():
            loaded = list(range(300, 500300))
            ready.set(); done.wait()
        thread = threading.Thread(target=work); thread.start(); ready.wait()
        show(0)
        done.set(); thread.join()
        """,
        tmp_path,
    )
    assert [(one["variable"], one["function"]) for one in found] == [("loaded", "work")]


def test_it_leaves_nothing_alive_and_the_collector_as_it_was(tmp_path: Path) -> None:
    _, found = look(
        """
        import weakref
        class Big(list): pass
        def main():
            gc.disable()
            held = Big(range(300, 500300)); kept = locals()
            first = inspect(sys._getframe())
            assert not gc.isenabled() and kept['held'] is held, "locals() is the script's own"
            del kept
            gc.enable()
            inspect(sys._getframe())
            assert gc.isenabled()
            gone = weakref.ref(held)
            del held
            gc.collect()
            assert gone() is None, gc.get_referrers(gone())
            print(json.dumps(dict(found=first)))
        main()
        """,
        tmp_path,
    )
    assert found[0]["variable"] == "held"


def test_numpys_views_count_once_and_untouched_pages_nothing(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    answer, found = look(
        """
        import numpy as np
        def main():
            np.ones(10).sum()
            before = resident()
            ids = np.full(4_000_000, 40_000)
            every_second, table = ids[::2], ids.reshape(-1, 4)
            sparse = np.empty(10**9, np.uint8)
            mapped = np.memmap(sys.argv[0] + '.bin', np.uint16, 'w+', shape=(8_000_000,))
            show(before)
        main()
        """,
        tmp_path,
    )
    (one,) = found
    assert (one["variable"], one["length"], one["bytes"]) == ("ids", 4_000_000, 32_000_000)
    assert one["bytes"] == pytest.approx(answer["held"], rel=0.05)
    assert one["bytes_as_uint16"] == 8_000_000 and one["advice"].startswith("dtype uint16")


def test_it_works_when_nothing_more_can_be_allocated(tmp_path: Path) -> None:
    """As under a request: the reserve is given back first, then the look must do with what that leaves."""
    _, found = look(
        """
        sys.modules["_memguard_agent"] = _memguard_agent
        requests = _memguard_agent.load("_memguard_requests")
        class Run: events = os.devnull
        requests.handle({"seq": 1, "do": ["reclaim", "inspect"], "within": 1.0}, Run, sys._getframe())
        tokens = list(range(300, 500300))
        resource.setrlimit(resource.RLIMIT_DATA, (1, resource.getrlimit(resource.RLIMIT_DATA)[1]))
        filled = []
        try:
            while True: filled.append(bytes(1 << 16))
        except MemoryError:
            pass
        try:
            while True: filled.append(object())
        except MemoryError:
            pass
        requests.handle({"seq": 2, "do": ["inspect"], "within": 1.0}, Run, sys._getframe())
        resource.setrlimit(resource.RLIMIT_DATA, [resource.getrlimit(resource.RLIMIT_DATA)[1]] * 2)
        print(json.dumps(dict(found=requests._held)))
        """,
        tmp_path,
    )
    assert "tokens" in [one["variable"] for one in found]


@pytest.mark.slow
def test_a_list_of_millions_takes_milliseconds(tmp_path: Path) -> None:
    answer, (found,) = look("tokens = list(range(300, 20000300))\nshow(0)\n", tmp_path)
    assert found["length"] == 20_000_000
    assert answer["seconds"] < 0.05


CACHED = "def f(n): return [n] * 100\nfor n in range(9999): f(n)"
KEPT = {
    "class Store:\n    rows = list(range(300, 500300))": "Store.rows",
    "def add(row, seen=list(range(300, 500300))): pass": "add(seen)",
    "def make():\n    kept = list(range(300, 500300))\n    return lambda: kept\nread = make()": "kept",
    "def encode(text): pass\nencode.cache = list(range(300, 500300))": "encode.cache",
    "import functools\n@functools.lru_cache(None)\n" + CACHED: "f (its cache)",
    "import functools\n@functools.lru_cache(9999)\n" + CACHED: "f (its cache)",
    "class Job:\n    @staticmethod\n    def run(done=list(range(300, 500300))): pass": "Job.run(done)",
    "def read():\n    rows = list(range(300, 500300))\n    yield 1\nit = read(); next(it)": "it(rows)",
    "def fail():\n    lost = list(range(300, 500300))\n    1 / 0\ntry: fail()\n"
    "except ZeroDivisionError as e: sys.last_traceback = e.__traceback__": "lost, kept by the last error's traceback",
}


@pytest.mark.parametrize("code", KEPT)
def test_where_else_a_script_keeps_things(code: str, tmp_path: Path) -> None:
    _, found = look(code + "\nshow(0)\n", tmp_path)
    assert found[0]["variable"] == KEPT[code] and not found[0].get("unnamed")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ids = [step(n) for n in range(900000)]", "list"),
        ("ids = {step(n) for n in range(900000)}", "set"),
        ("ids = sorted(step(n) for n in range(900000))", "list"),
        ("texts = [str(step(n)) + 'x' * 400000 for n in range(0, 900000, 10000)]", "list"),
    ],
)
def test_what_is_in_no_variable_yet_is_found_and_let_go(code: str, kind: str, tmp_path: Path) -> None:
    text = f"""
        def step(n):
            global found
            if n == 890000:
                found = inspect(sys._getframe())
            return n + 1000
        {code}
        assert not [one for one in gc.get_objects() if type(one).__name__ == "Candidate"], "a cycle keeps it alive"
        print(json.dumps(dict(found=found)))
        """
    _, found = look(text, tmp_path)
    assert found[0]["unnamed"] and found[0]["built"], found
    own_frame = "sorted" not in code and sys.version_info < (3, 12)
    assert (found[0]["type"], found[0]["line"]) == (kind, 18 if own_frame else 16)
    assert found[0]["variable"] == f"a {kind} under construction"
    if "texts" not in code:
        assert found[0]["length"] in (890_000, 890_001)


def test_what_is_frozen_stays_so_and_nothing_is_looked_for_without_room(tmp_path: Path) -> None:
    text = """
        rows = [[] for n in range(300000)]
        def step(n):
            global found
            if n == 890000:
                found = inspect(sys._getframe())
            return n + 1000
        FREEZE
        before = gc.get_freeze_count()
        ids = [step(n) for n in range(900000)]
        assert gc.get_freeze_count() == before
        print(json.dumps(dict(found=found)))
        """
    for freeze in ("gc.freeze()", ""):
        _, found = look(text.replace("FREEZE", freeze), tmp_path)
        assert not any(one.get("unnamed") for one in found), "300,000 objects of 60 MiB: a list of them takes 2.4"
