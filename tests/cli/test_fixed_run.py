"""What `memguard run --fix` does before the script starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from memguard.cli.fixed_run import Job, Outcome, fixed_for, job_of
from memguard.errors import ConfigError
from memguard.watch.process.fixed import Fixed
from memguard.watch.process.launch import Command

PYTHON = sys.executable


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "prepare.py").write_text("pass\n")
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "__main__.py").touch()
    (tmp_path / "package" / "inner" / "job.py").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "far.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "other"))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "script", "arguments"),
    [
        ("prepare.py a -m b", "prepare.py", "a -m b"),
        ("-O -X importtime -Xdev -W error prepare.py -c", "prepare.py", "-c"),
        ("-uBm package.inner.job x", "package/inner/job.py", "x"),
        ("-mpackage", "package/__main__.py", ""),
        ("-m far", "other/far.py", ""),
        ("package a", "package/__main__.py", "a"),
        ("--check-hash-based-pycs always prepare.py", "prepare.py", ""),
    ],
)
def test_which_file_is_fixed(words: str, script: str, arguments: str, here: Path) -> None:
    job = job_of(Command(PYTHON, ("python", *words.split())))
    assert isinstance(job, Job)
    assert os.path.samefile(job.script, here / script) and job.arguments == tuple(arguments.split())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("-c pass", "-c"),
        ("- a", "standard input"),
        ("", "standard input"),
        ("-m json.tool", "json.tool"),
        ("-m", "-m"),
        ("-sI prepare.py", "-I keeps the agent out"),
        ("-x prepare.py", "-x"),
        ("app.pyz", "no source file"),
    ],
)
def test_what_cannot_be_fixed_is_said(words: str, why: str) -> None:
    reason = job_of(Command(PYTHON, ("python", *words.split())))
    assert isinstance(reason, str) and why in reason
    other = job_of(Command("bash", ("bash", "job.sh")))
    assert isinstance(other, str) and "bash is not Python" in other


def fixed(outcome: Outcome | BaseException, python: str = PYTHON) -> tuple[Fixed | None, list[str]]:
    def fix(job: Job) -> Outcome:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    lines: list[str] = []
    command = Command(python, ("python", "prepare.py", "train.txt"), script="prepare.py")
    return fixed_for(command, fix, lines.append), lines


def test_the_fixed_source_comes_back_from_the_process_that_made_it(here: Path) -> None:
    source = bytes(range(256)) * 4096
    found, lines = fixed(Outcome(source, "2 lines, 13 and 20"))
    assert found == Fixed(str(here / "prepare.py"), source)
    assert lines == ["prepare.py runs fixed, in memory only: 2 lines, 13 and 20"]


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (Outcome(None, "it needs no fix: 12 MiB"), "it needs no fix: 12 MiB"),
        (ConfigError("train.txt: no such file", "look"), "train.txt: no such file"),
        (KeyError("é"), "memguard fix failed (KeyError: 'é')"),
        (SystemExit(3), "the process that was to fix it ended without an answer"),
    ],
)
def test_without_a_fix_the_script_runs_as_it_is(outcome: Outcome | BaseException, why: str) -> None:
    assert fixed(outcome) == (None, [f"prepare.py runs unchanged: {why}"])


def test_a_python_that_cannot_run_it(here: Path) -> None:
    bare = here / "python-bare"
    bare.write_text(f'#!/bin/sh\nexec {PYTHON} -S "$@"\n')
    old = here / "python3.9"
    old.write_text("#!/bin/sh\necho cpython 3 9\n")
    for path in (bare, old):
        path.chmod(0o755)
    source = Outcome(b"import memguard", "one line")
    no_numpy = f"prepare.py runs unchanged: {bare} has no numpy, which a fixed script needs"
    assert fixed(source, str(bare)) == (None, [no_numpy])
    needs = "prepare.py runs unchanged: a fixed script needs CPython 3.11 or later, and python3.9 is cpython 3.9"
    assert fixed(source, str(old)) == (None, [needs])
    (here / "memguard.py").touch()
    found, lines = fixed(source)
    assert found is None and f"{here}/memguard.py has the name" in lines[0]
