"""Notebooks in a real kernel, run by nbclient: the whole of it under `memguard run`, or one cell under %%memguard."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memguard.units import MIB
from tests.people import ROOT

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the guard is Linux's"),
    *(
        pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"no {name} here")
        for name in ("nbclient", "ipykernel")
    ),
]

EXECUTE = "from nbclient.cli import main; main()"
LIMIT = 320 * MIB


def notebook(directory: Path, *cells: str) -> Path:
    path = directory / "prepare.ipynb"
    kind: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    written = [{**kind, "id": f"cell{number}", "source": text} for number, text in enumerate(cells)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}}
    path.write_text(json.dumps({"cells": written, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return path


def environment(directory: Path) -> dict[str, str]:
    own = {name: str(directory / name) for name in ("IPYTHONDIR", "MEMGUARD_STATE_DIR", "JUPYTER_RUNTIME_DIR")}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT), "JUPYTER_PLATFORM_DIRS": "1"}


def run_guarded(directory: Path, *cells: str) -> dict[str, Any]:
    """The record of the notebook under `memguard run -- jupyter execute`, which has to be stopped."""
    record = directory / "record.json"
    command = [sys.executable, "-m", "memguard", "run", "--limit", str(LIMIT), "--record", str(record), "--"]
    command += [sys.executable, "-c", EXECUTE, str(notebook(directory, *cells))]
    run = subprocess.run(command, env=environment(directory), capture_output=True, text=True, timeout=120)
    assert run.returncode == 75, run.stderr
    found: dict[str, Any] = json.loads(record.read_text())
    assert found["culprit"] is not None, found["stack_missing"]
    assert (found["culprit"]["bytes"] or 0) <= LIMIT
    return found


GROW = "def grow(into):\n    while True:\n        into.extend(range(1000, 101000))"
WRITER = (
    "class Writer:\n    def __init__(self): self.buffer = []\n    def add(self, ids):\n        self.buffer.extend(ids)"
)
NOTEBOOKS: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "a list of the cell": (("ids = []\nwhile True:\n    ids.extend(range(1000, 101000))",), "In[1]:3", "ids", "list"),
    "in a function of an earlier cell": ((GROW, "tokens = []", "grow(tokens)"), "In[1]:3", "tokens", "list"),
    "in an attribute": (
        (WRITER, "w = Writer()\nwhile True: w.add(range(1000, 101000))"),
        "In[1]:4",
        "w.buffer",
        "list",
    ),
    "in a comprehension": (
        ("x = 1", "x\nids = [n + 1000 for n in range(10**9)]"),
        "In[2]:2",
        "ids",
        "list under construction",
    ),
    "kept by Out alone": (
        ("list(range(1000, 5001000))", "rows = []\nfor n in range(10**6):\n    rows.append(bytearray(10000))"),
        "In[2]:3",
        "the value of In[1], kept as Out[1]",
        "list",
    ),
}


# What a cell can hold that a script cannot. The other four are those of CELLS and of tests/inject/test_culprit.py.
QUICK = ("in a function of an earlier cell",)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NOTEBOOKS]
)
def test_the_cell_and_its_variable_are_named(name: str, tmp_path: Path) -> None:
    cells, place, variable, kind = NOTEBOOKS[name]
    culprit = run_guarded(tmp_path, *cells)["culprit"]
    assert (culprit["variable"], culprit["type"]) == (variable, kind)
    assert f"{culprit['file']}:{culprit['line']}" == place
    source = [line for cell in cells for line in cell.split("\n")]
    assert culprit["source_text"] in [line.strip() for line in source]


CELL = "%%memguard --limit 300MiB\n"
CELLS = [
    "%load_ext memguard",
    GROW,
    CELL + "ids = []\nfor n in range(10**6):\n    ids.extend(range(1000, 101000))",
    "ids = None",
    CELL + "ids = [n + 1000 for n in range(10**9)]",
    "ids = None\nimport sys, gc\nsys.last_traceback = sys.last_value = sys.last_exc = None\ngc.collect()",
    CELL + "tokens = []\ngrow(tokens)",
    "print('lives')",
]


@pytest.mark.slow
def test_cells_of_a_living_kernel(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EXECUTE, "--allow-errors", "--inplace", str(path := notebook(tmp_path, *CELLS))]
    run = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    outputs = [cell["outputs"] for cell in json.loads(path.read_text())["cells"]]
    texts = ["".join("".join(out.get("text", ())) for out in cell) for cell in outputs]
    assert "lives" in texts[-1]
    for number, line, variable in (
        (2, "In[3]:4", "ids (list"),
        (4, "In[5]:2", "ids (list"),
        (6, "In[2]:3", "tokens (list"),
    ):
        assert [out["ename"] for out in outputs[number] if "ename" in out] == ["MemoryLimitExceeded"]
        assert f"line      {line}" in texts[number] and f"variable  {variable}" in texts[number], texts[number]
