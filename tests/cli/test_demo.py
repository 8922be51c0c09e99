"""`memguard demo` as a person types it. A stand-in runs its steps; end_to_end/test_demo.py runs them for real."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from memguard.cli import demo
from memguard.cli.main import main


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the demo runs; only `tokenize` does its work, the others end as they should."""
    ran: list[list[str]] = []

    def run(command: list[str], cwd: str) -> SimpleNamespace:
        ran.append(command)
        if "tokenize" in command:
            with monkeypatch.context() as patch:
                patch.chdir(cwd)
                return SimpleNamespace(returncode=main(["tokenize", "train.txt", "-o", "data", "-q"]))
        return SimpleNamespace(returncode=75 if command[-1] == "naive" else 0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return ran


@pytest.mark.slow
def test_every_option(tmp_path: Path, steps: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--size", "30MiB", "--limit", "300MiB", "--keep", "kept"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [command[command.index("memguard") + 1] for command in steps] == ["estimate", "run", "run", "run"]
    assert all(command[command.index("--limit") + 1] == "300MiB" for command in steps)
    assert "30.0 MiB of English text" in out and "$ memguard estimate train.txt --limit 300MiB" in out
    assert "decoded, they are train.txt byte for byte" in " ".join(out.split())
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "data",
        "prepare.py",
        "prepare_flush.py",
        "train.txt",
    ]
    assert 30 << 20 <= (tmp_path / "kept/train.txt").stat().st_size < 31 << 20


def test_a_step_that_ends_otherwise_stops_it_and_nothing_is_left(
    tmp_path: Path, steps: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, cwd: SimpleNamespace(returncode=9))
    assert main(["demo", "--size", "30MiB", "--limit", "300MiB"]) not in (0, 9)
    err = capsys.readouterr().err
    assert "ended with exit code 9 instead of 0" in err and "memguard doctor" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--limit", "100MiB"], 2, ["--limit 100MiB is too small", "at least 300 MiB"]),
        (["--size", "1MB"], 2, ["--size 1MB is too small", "would fit into 320MiB"]),
        (["--size", "much"], 2, ["much"]),
        (["--limit", "much"], 2, ["much"]),
        (["--keep", "there"], 2, ["--keep there: it exists already"]),
        (["--keep", "file/below"], 3, ["--keep file/below: cannot be made"]),
        (["text.txt"], 2, ["text.txt"]),
    ],
)
def test_mistakes_are_one_clear_line_and_make_nothing(
    tmp_path: Path,
    steps: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: list[str],
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    assert main(["demo", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err and not steps
    assert all(word in err for word in words), err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there"]


def test_an_installation_without_the_examples_says_so(
    tmp_path: Path, steps: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "demo.py"))
    assert main(["demo"]) not in (0, 2)
    assert "examples/prepare.py is missing from this installation" in capsys.readouterr().err
