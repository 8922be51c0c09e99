"""The same under what people run their scripts with: coverage, debuggers, profilers, pytest, a notebook."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.attack.programs import SHAPES, choose, run, source

NAMES = ["for over checkpoints", "generator that fills", "two threads", "four tasks", "checkpoint inside and outside"]
COVERAGE = pytest.mark.skipif(importlib.util.find_spec("coverage") is None, reason="no coverage here")
TRACED = {
    "coverage": pytest.param(["-m", "coverage", "run"], {"COVERAGE_CORE": "ctrace"}, marks=COVERAGE),
    "coverage in Python": pytest.param(["-m", "coverage", "run", "--timid"], {}, marks=COVERAGE),
    "coverage by monitoring": pytest.param(
        ["-m", "coverage", "run"],
        {"COVERAGE_CORE": "sysmon"},
        marks=[COVERAGE, pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is 3.12's")],
    ),
    "pdb": pytest.param(["-m", "pdb", "-c", "continue"], {}),
    "trace": pytest.param(["-m", "trace", "--count", "--coverdir", "counts"], {}),
    "cProfile": pytest.param(["-m", "cProfile", "-o", "profile"], {}),
    "development mode": pytest.param(["-X", "dev", "-W", "ignore"], {}),
    "no positions": pytest.param(["-X", "no_debug_ranges"], {}),
}
# A cell is compiled and run a statement at a time, under a file name that only linecache knows.
NOTEBOOK = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="nocolor")
shell.user_ns["__file__"] = sys.argv[1]
result = shell.run_cell(open(sys.argv[1]).read(), store_history=True)
result.raise_error()
"""


@pytest.mark.slow
@pytest.mark.parametrize("command, variables", list(TRACED.values()), ids=list(TRACED))
@pytest.mark.parametrize("name", NAMES)
def test_under(name: str, command: list[str], variables: dict[str, str], tmp_path: Path) -> None:
    for seed in range(3):
        outcome = run(source(name, seed), tmp_path / str(seed), command, **variables)
        assert not outcome.wrong(SHAPES[name]), (seed, choose(name, seed))


@pytest.mark.parametrize(
    "name",
    ["for", *(pytest.param(n, marks=pytest.mark.slow) for n in ("checkpoint inside encode", "four tasks, half done"))],
)
@pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="no IPython here")
def test_in_a_notebook(name: str, tmp_path: Path) -> None:
    for seed in range(2):
        variables = {"IPYTHONDIR": str(tmp_path), "MPLBACKEND": "agg"}
        outcome = run(source(name, seed), tmp_path / str(seed), ["-c", NOTEBOOK], **variables)
        assert not outcome.wrong(SHAPES[name]), (seed, choose(name, seed))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["for", "two threads"])
def test_in_a_test(name: str, tmp_path: Path) -> None:
    seed = next(seed for seed in range(100) if choose(name, seed).place == "closure")
    text = source(name, seed).replace("\nprogram()\n", "\n\ndef test_program():\n    program()\n")
    outcome = run(text, tmp_path, ["-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-n0"])
    assert not outcome.wrong(SHAPES[name]), choose(name, seed)
