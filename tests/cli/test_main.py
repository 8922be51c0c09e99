from __future__ import annotations

import subprocess
import sys

import pytest

from memguard import __version__
from memguard.cli.main import COMMANDS, main


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


def test_no_argument_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "memguard demo" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"memguard {__version__}\n"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("estimat", "did you mean `memguard estimate`?"),
        ("prepare.py", "memguard run prepare.py"),
        ("xyzzy", "--help"),
    ],
)
def test_an_unknown_command_is_one_line_and_a_hint(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0] == f"memguard: no such command: {word}"
    assert hint in captured.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: memguard {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_usage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--no-such-option"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_python_dash_m_works_and_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m memguard --help | head -n 1"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout == "usage: memguard COMMAND [OPTIONS]\n"
    assert "Traceback" not in result.stderr
