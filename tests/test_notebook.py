"""%%memguard in a real IPython: what a cell sees, what its user reads."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.people import ROOT

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the guard is Linux's"),
    pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="no IPython here"),
]

# One cell after the other, as a notebook runs them; after each its result, its error and the value of `x`.
SHELL = """
import json, sys
from IPython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance(colors="nocolor")
for cell in json.load(sys.stdin):
    result = get_ipython().run_cell(cell, store_history=True)
    error = result.error_in_exec or result.error_before_exec
    told = {"result": repr(result.result), "error": type(error).__name__ if error else None}
    print("\\nTOLD " + json.dumps({**told, "x": get_ipython().user_ns.get("x"), "text": str(error)}))
    sys.stdout.flush()
"""
LOAD = "%load_ext memguard"
GROW = """%%memguard --limit 160MiB
def grow():
    while len(ids) < 10_000_000: ids.extend(range(1000, 101000))
x = 1
ids = []
grow()
x = 2
"""


def run_cells(tmp_path: Path, *cells: str) -> tuple[list[dict[str, object]], str]:
    """What each cell led to, and everything written to standard error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MEMGUARD_STATE_DIR": str(tmp_path / "state")}
    environment = {**environment, "IPYTHONDIR": str(tmp_path / "ipython"), "MPLBACKEND": "agg"}
    run = subprocess.run(
        [sys.executable, "-c", SHELL],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    told = [json.loads(line[5:]) for line in run.stdout.splitlines() if line.startswith("TOLD ")]
    assert len(told) == len(cells), run.stdout
    return told, run.stdout + run.stderr


def test_at_the_limit_the_cell_ends_and_the_kernel_lives_on(tmp_path: Path) -> None:
    told, text = run_cells(tmp_path, LOAD, GROW, "del ids\nx", "%%memguard --limit 160MiB\nx + 1")
    assert told[1]["error"] == "MemoryLimitExceeded" and told[1]["x"] == 1
    assert "--limit" in str(told[1]["text"])
    assert "memguard: stopped the cell before it passed its limit" in text
    assert "In[2]:3 in grow" in text and "ids.extend(range(1000, 101000))" in text
    assert (told[2]["result"], told[3]["result"], told[3]["error"]) == ("1", "2", None)


def test_a_cell_runs_as_it_would_without(tmp_path: Path) -> None:
    told, text = run_cells(
        tmp_path,
        LOAD,
        "%%memguard\nx = 41\nx + 1",
        "%%memguard --limit 8GiB\nx += 1",
        "%%memguard\nimport os\nfiles = !echo one two\nx = files[0]\nx.split()",
        "%%memguard\nx = 3\nx;",
        "%%memguard\n# nothing",
        "%%memguard\n\n1 / 0",
    )
    assert [cell["error"] for cell in told] == [None] * 6 + ["ZeroDivisionError"]
    assert [cell["result"] for cell in told] == ["None", "42", "None", "['one', 'two']", "None", "None", "None"]
    assert told[2]["x"] == 42 and told[3]["x"] == "one two"
    assert "Out[5]" not in text, "a semicolon hides the value"
    assert "Cell In[7], line 3\n" in text, "the line that the notebook shows"
    assert "memguard: stopped" not in text


def test_options_that_cannot_be_used(tmp_path: Path) -> None:
    wrong = {
        "--limit lots": "not a size: 'lots'",
        "--limt 8GiB": "unrecognized arguments: --limt 8GiB",
        "--limit": "expected one argument",
        "--limit '8GiB": "No closing quotation",
        "8GiB": "unrecognized arguments: 8GiB",
    }
    told, text = run_cells(tmp_path, LOAD, *(f"%%memguard {line}\nx = 1" for line in wrong))
    for cell, said in zip(told[1:], wrong.values(), strict=True):
        assert cell["error"] == "UsageError" and said in str(cell["text"])
        assert cell["x"] is None, "the cell did not run"
    assert "Traceback" not in text


def test_help_and_unload(tmp_path: Path) -> None:
    told, text = run_cells(tmp_path, LOAD, "%%memguard?", "%unload_ext memguard", "%%memguard\nx = 1", LOAD)
    assert "--limit SIZE" in text
    assert told[3]["error"] == "UsageError" and told[3]["x"] is None
    assert told[4]["error"] is None


def test_memguard_itself_needs_no_ipython() -> None:
    code = "import sys, memguard, memguard.notebook; print('IPython' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout == "False\n", run.stderr
