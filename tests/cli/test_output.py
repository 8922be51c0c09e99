"""What is printed passes one place."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pytest

from memguard.cli import output

CLI = Path(output.__file__).parent
# Their own words alone: help and version; the other commands, as a user would type them.
EXCEPT = {"output.py", "main.py", "demo.py"}


@pytest.mark.parametrize("path", sorted(p for p in CLI.glob("*.py") if p.name not in EXCEPT), ids=lambda p: p.name)
def test_nothing_is_printed_elsewhere(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    written = {ast.unparse(call) for call in calls} & {"print", "sys.stdout.write", "sys.stderr.write"}
    assert not written


def test_names_in_it_are_made_visible(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_text("\x1b[1mtitle\x1b[0m\na\x1b[2J\udcff")
    output.note("a\nforged line\x07")
    assert capsys.readouterr() == ("\x1b[1mtitle\x1b[0m\na^[[2J\\xff\n", "a^Jforged line^G\n")


def test_a_terminal_that_cannot_show_a_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    output.write_text("é …")
    sys.stdout.flush()
    assert raw.getvalue() == "é \\u2026\n".encode("latin-1")
