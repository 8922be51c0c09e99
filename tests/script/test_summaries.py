"""A function that is summarised gives what following it gives, and a script of many calls is read to its end."""

from __future__ import annotations

import ast
import dis
import time
from pathlib import Path

import pytest

from memguard.script.interpreter import summaries
from memguard.script.read import read_script
from tests.estimate.script_texts import BASELINE, M, at_line, read, unread_lines, weigh

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "tests/programs/scripts").glob("*.py"))

# Each calls a function more often than it is followed.
REPEATED = {
    "results that are kept": "def f(p):\n return open(p).read()\n" + "".join(f"t{i} = f('a')\n" for i in range(10)),
    "a result that is dropped": "def f(p):\n return open(p).read()\n" + "t = f('a')\n" * 10,
    "what it needs meanwhile": """
        def f(t):
            parts = t.split()
            return 1
        t = open('a').read()
        a = [f(t), f(t), f(t), f(t), f(t), f(t), f(t), f(t), f(t), f(t)]
        """,
    "its argument again": """
        def f(t):
            return t
        t = open('a').read()
        a = f(t); a = f(t); a = f(t); a = f(t); a = f(t); a = f(t); a = f(t); b = f(a)
        """,
    "an object with what it got": """
        class Box:
            def __init__(self, t):
                self.t, self.lines = t, t.splitlines()
        def f(t):
            return Box(t)
        t = open('a').read()
        a = [f(t), f(t), f(t), f(t), f(t), f(t), f(t), f(t), f(t), f(t)]
        """,
    "sums of two results": """
        import tiktoken
        enc = tiktoken.get_encoding('gpt2')
        def f(t):
            return enc.encode(t)
        t = open('a').read()
        f(t); f(t); f(t); f(t); f(t); f(t); f(t)
        a = f(t) + f(t)
        """,
    "a list outside that grows": """
        kept = []
        def f(t):
            kept.append(t.split())
            return 1
        t = open('a').read()
        f(t); f(t); f(t); f(t); f(t); f(t); f(t); f(t); f(t)
        """,
    "an argument that grows": """
        def f(x, t):
            x.append(t.lower())
        t, x, y = open('a').read(), [], []
        f(x, t); f(x, t); f(x, t); f(x, t); f(x, t); f(x, t); f(x, t); f(x, t); f(y, t); f(y, t)
        """,
    "lines of a loop": """
        def f(line):
            return [line.lower()]
        x = []
        for line in open('a'):
            a = f(line); a = f(line); a = f(line); a = f(line); a = f(line); a = f(line); a = f(line)
            x += f(line) + f(line)
        """,
    "yields": """
        def g():
            for line in open('a'):
                yield line; yield line; yield line; yield line; yield line; yield line; yield line; yield line
        x = list(g())
        """,
    "an unknown call": "import other\ndef f(t):\n return other.f(t)\nt = open('a').read()\n"
    + "".join(f"t{i} = f(t)\n" for i in range(10)),
}


@pytest.mark.parametrize("name", REPEATED)
def test_a_summary_gives_what_following_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for followed in (0, 6, 1 << 60):
        monkeypatch.setattr(summaries, "_FOLLOWED", followed)
        monkeypatch.setattr(summaries, "_REPEATED", followed)
        report = weigh(REPEATED[name])
        found.append((report.plan, report.lines, report.unrecognised))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_read_alike_with_summaries_from_the_first_call_on(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = script.read_text(encoding="utf-8")
    usual = weigh(source)
    monkeypatch.setattr(summaries, "_FOLLOWED", 0)
    monkeypatch.setattr(summaries, "_REPEATED", 0)
    assert weigh(source) == usual


def chain(length: int) -> str:
    """Functions that call the one before them in both ways of a branch."""
    first = "import sys, numpy, tiktoken\ndef f0(path):\n    return open(path).read()\n"
    twice = "def f{0}(path):\n    if path:\n        return f{1}(path)\n    return f{1}(path + '.txt')\n"
    return first + "".join(twice.format(i, i - 1) for i in range(1, length)) + f"t = f{length - 1}(sys.argv[1])\n"


def pipeline(stages: int) -> str:
    """Generators that each hand on twice what the one before them gives, one loop in another."""
    stage = """\
def stage{0}(items):
    for item in items:
        for part in item.split('{0}'):
            if len(part) > {0}:
                yield part
            else:
                yield part.strip()
"""
    calls = "lines = open('a')\n" + "".join(f"lines = stage{i}(lines)\n" for i in range(stages))
    return "".join(map(stage.format, range(stages))) + calls + "kept = list(lines)\n"


@pytest.mark.parametrize("source", [chain(18), chain(24), pipeline(8), pipeline(12)], ids=lambda source: len(source))
def test_calls_of_calls_are_read_to_their_end(source: str) -> None:
    started = time.process_time()
    trace = read_script(source, "s.py")
    assert not trace.unfinished and not trace.unrecognised
    assert time.process_time() - started < 2.0


def test_a_chain_of_calls_holds_its_text_once() -> None:
    report = weigh(chain(18))
    last = max(found.line for found in report.lines)
    assert at_line(report, last) == 100 * M
    assert report.plan.peak.expected - BASELINE == 200 * M  # the file's bytes beside the text


def test_the_standard_librarys_own_modules_are_read_in_time() -> None:
    for module in (dis, ast):
        started = time.process_time()
        read_script(Path(module.__file__).read_text(encoding="utf-8"), module.__file__)
        assert time.process_time() - started < 2.0


def test_loops_inside_loops_are_read_to_their_end() -> None:
    nested = "".join(" " * i + f"for i{i} in range(3):\n" for i in range(18)) + " " * 18 + "kept.append(line)\n"
    trace = read("kept = []\nfor line in open('a'):\n" + "".join(" " + row for row in nested.splitlines(keepends=True)))
    assert not trace.unfinished and not unread_lines(trace)
    held = [part for moment in trace.moments for h in moment.alive if h.label == "kept" for part in h.parts]
    assert max(part.times for part in held) == 3.0**18
