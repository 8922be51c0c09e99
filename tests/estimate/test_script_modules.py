"""A script's own modules are read with it: beside it, in its package, where it adds to sys.path. Libraries are not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.estimate import modules as finder
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script.report import estimate_script
from memguard.estimate.script_job import read_plan
from memguard.records.script import ScriptReport
from memguard.report.script import render
from memguard.script.trace import Trace
from tests.estimate.script_texts import BASELINE, COSTS, M, ascii_text, estimate_of, limits_of

TOKENS = 25 * M
IDS = 8 * TOKENS + 32 * TOKENS * 3 // 4
HELPERS = """\
import tiktoken
enc = tiktoken.get_encoding("gpt2")
SHARE = 0.5
def load(path):
    return open(path).read()
def tokenize(text):
    return enc.encode(text)
"""
BODY = "text = load('train.txt')\nids = tokenize(text)\n"


def plan(directory: Path, script: str, **files: str) -> Trace:
    """`files`: a path with __ for each / → what is in it."""
    for name, source in {"prepare": script, **files}.items():
        path = directory / (name.replace("__", "/").replace("INIT", "__init__") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return read_plan(str(directory / "prepare.py"))


def report_of(trace: Trace) -> ScriptReport:
    return estimate_script(trace, ascii_text(), TextShape(longest_line=200), limits_of(1 << 50), COSTS)


def kept(trace: Trace) -> list[tuple[str, str]]:
    """(name, kind) of what is alive at the end."""
    last = next(moment for moment in reversed(trace.moments) if moment.step.kind == "line")
    return [(held.label, held.kind) for held in last.alive if held.parts and held.label]


@pytest.mark.parametrize(
    ("script", "files"),
    [
        ("from helpers import load, tokenize\n" + BODY, {"helpers": HELPERS}),
        ("from helpers import *\n" + BODY, {"helpers": HELPERS}),
        ("import helpers as h\ntext = h.load('a')\nids = h.tokenize(text)\n", {"helpers": HELPERS}),
        ("from pkg.helpers import load, tokenize\n" + BODY, {"pkg__helpers": HELPERS, "pkg__INIT": ""}),
        ("from pkg import load, tokenize\n" + BODY, {"pkg__INIT": "from .helpers import *\n", "pkg__helpers": HELPERS}),
        (
            "import pkg.helpers\nload, tokenize = pkg.helpers.load, pkg.helpers.tokenize\n" + BODY,
            {"pkg__helpers": HELPERS},
        ),
        ("from .helpers import load, tokenize\n" + BODY, {"helpers": HELPERS, "INIT": ""}),
        ("from . import helpers\ntext = helpers.load('a')\nids = helpers.tokenize(text)\n", {"helpers": HELPERS}),
        (
            "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))\n"
            "from helpers import load, tokenize\n" + BODY,
            {"lib__helpers": HELPERS},
        ),
        (
            "import sys\nfrom pathlib import Path\nsys.path.append(str(Path(__file__).resolve().parent / 'lib'))\n"
            "from helpers import load, tokenize\n" + BODY,
            {"lib__helpers": HELPERS},
        ),
        (
            "def main():\n    from helpers import load, tokenize\n    t = load('a')\n    return t, tokenize(t)\n"
            "text, ids = main()\n",
            {"helpers": HELPERS},
        ),
        (
            "import importlib\nh = importlib.import_module('helpers')\ntext = h.load('a')\nids = h.tokenize(text)\n",
            {"helpers": HELPERS},
        ),
    ],
)
def test_a_module_of_the_scripts_own_is_read(script: str, files: dict[str, str], tmp_path: Path) -> None:
    found = plan(tmp_path, script, **files)
    assert found.unrecognised == () and found.missing == ()
    assert kept(found) == [("text", "text"), ("ids", "ids"), ("ids", "ints")]
    assert report_of(found).plan.peak.expected - BASELINE >= 100 * M + IDS


def test_the_project_above_a_script_is_looked_in(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    plan(tmp_path, "", src__own__helpers=HELPERS, tools__prepare="from own.helpers import load, tokenize\n" + BODY)
    found = read_plan(str(tmp_path / "tools/prepare.py"))
    assert found.unrecognised == () and len(kept(found)) == 3


def test_a_modules_own_code_and_constants_count(tmp_path: Path) -> None:
    script = "import table\nd = open('a').read()\npart = d[: int(len(d) * table.SHARE)]\n"
    found = plan(tmp_path, script, table="SHARE = 0.5\nWORDS = open('words.txt').read()\n")
    assert {"WORDS", "part"} <= {name for name, _ in kept(found)}
    last = next(moment for moment in reversed(found.moments) if moment.step.kind == "line")
    assert [part.high for held in last.alive if held.label == "part" for part in held.parts] == [0.5]


def test_spans_lines_and_what_is_unread_name_the_file(tmp_path: Path) -> None:
    helpers = "import other\n\n\ndef load(path):\n    # é\n    return other.load(open(path).read())\n"
    found = plan(tmp_path, "from helpers import load\n\nx = load('a')\n", helpers=helpers)
    path = str(tmp_path / "helpers.py")
    span = found.unrecognised[0].span
    assert span.file == path and helpers.encode()[span.start : span.end] == b"other.load(open(path).read())"
    assert {step.span.file for step in found.steps} == {path}
    assert [(m.name, m.path, m.source) for m in found.modules] == [("helpers", path, helpers)]
    report = report_of(found)
    assert [(u.file, u.line, u.source) for u in report.unrecognised] == [
        (path, 6, "return other.load(open(path).read())")
    ]
    assert (report.plan.peak_file, report.plan.peak_line) == (path, 6)
    assert {(line.file, line.line) for line in report.lines} == {(None, 3), (path, 6)}
    assert report.plan.peak_step == "unknown (helpers.py line 6)"
    words = render(estimate_of(report), explain=True)
    assert "at line 6 of helpers.py" in words and "helpers.py line    6" in words


def test_what_nobody_finds_is_named(tmp_path: Path) -> None:
    script = """\
import json, nowhere.deep, numpy
from .lost import x
try:
    import no_such_accelerator
except ImportError:
    no_such_accelerator = None
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import no_such_types
x = open('a').read()
"""
    found = plan(tmp_path, script)
    assert found.missing == ("nowhere.deep", ".lost")
    assert "nowhere.deep, .lost" in " ".join(render(estimate_of(report_of(found)), explain=True).split())


@pytest.mark.parametrize(
    ("script", "files"),
    [
        ("from a import x\n", {"a": "from b import y\nx = 1\n", "b": "from a import x\ny = 1\n"}),
        ("import prepare\nd = open('a').read()\n", {}),
        (
            "from pkg import a\n",
            {"pkg__INIT": "from . import a\n", "pkg__a": "from pkg import a, b\n", "pkg__b": "import pkg.a\n"},
        ),
        ("import a\n", {"a": "import a\nfrom a import *\na.a.a.a = a\n"}),
    ],
)
def test_modules_that_import_one_another_end(script: str, files: dict[str, str], tmp_path: Path) -> None:
    assert not plan(tmp_path, script, **files).unfinished


def test_names_of_pythons_own_modules(tmp_path: Path) -> None:
    """A file beside the script goes before the library of its name, but for what Python has loaded by then."""
    files = {
        "random": "def load(p):\n    return open(p).read()\n",
        "os": "def getcwd():\n    return open('a').read()\n",
    }
    found = plan(tmp_path, "import random, os, sys\nx = random.load('a')\ny = os.getcwd()\n", **files)
    assert kept(found) == [("x", "text")] and [m.name for m in found.modules] == ["random"]


def test_a_directory_of_data_hides_no_library(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    found = plan(tmp_path, "from datasets import load_dataset\nd = load_dataset('text', data_files='a.txt')\n")
    assert "datasets" in found.imports and found.missing == () and found.unrecognised == ()


def test_no_file_of_a_library_is_read(tmp_path: Path) -> None:
    script = f"import sys\nsys.path.insert(0, {str(Path(pytest.__file__).parents[1])!r})\nimport pytest, pluggy\n"
    found = plan(tmp_path, script)
    assert found.modules == () and found.missing == ()


def test_a_module_that_cannot_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = plan(tmp_path, "import broken\nx = broken.load('a')\n", broken="def (\n")
    assert broken.missing == ("broken",) and len(broken.unrecognised) == 1
    monkeypatch.setattr(finder, "_MOST_BYTES", 100)
    large = plan(tmp_path, "import small, large\n", small="a = 1\n", large="b = 1\n" * 100)
    assert large.missing == ("large",) and [m.name for m in large.modules] == ["small"]


@pytest.mark.slow
def test_the_command_says_it_too(tmp_path: Path) -> None:
    plan(tmp_path, "import sys, helpers, nowhere\nids = helpers.tokenize(helpers.load(sys.argv[1]))\n", helpers=HELPERS)
    (tmp_path / "a.txt").write_text("one line of text\n" * 1000)
    command = [
        sys.executable,
        "-m",
        "memguard",
        "estimate",
        "--script",
        str(tmp_path / "prepare.py"),
        "a.txt",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=30)
    found = json.loads(done.stdout)["script"]
    assert found["missing"] == ["nowhere"] and [m["name"] for m in found["modules"]] == ["helpers"]
    assert {step["file"] for step in found["plan"]["steps"]} == {None, str(tmp_path / "helpers.py")}
