"""What is printed passes one place."""

from __future__ import annotations

import ast
import io
import json
import sys
from pathlib import Path

import pytest

from memguard.cli import output
from memguard.cli.main import main

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


def printed(monkeypatch: pytest.MonkeyPatch, encoding: str, text: str) -> bytes:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    output.write_text(text)
    sys.stdout.flush()
    return raw.getvalue()


@pytest.mark.parametrize(
    ("encoding", "name"), [("latin-1", b"\xe9 \\u4e2d"), ("ascii", b"\\xe9 \\u4e2d"), ("cp1252", b"\xe9 \\u4e2d")]
)
def test_what_is_not_utf8_gets_ascii_and_tables_stay_straight(
    monkeypatch: pytest.MonkeyPatch, encoding: str, name: bytes
) -> None:
    assert printed(monkeypatch, encoding, "██│█» 1–2 ×\n") == b"##|#> 1-2 x\n"
    assert printed(monkeypatch, encoding, "ids = enco…\nand … so on") == b"ids = enco>\nand ... so on\n"
    assert printed(monkeypatch, encoding, "é 中") == name + b"\n"


def test_lc_all_c_asks_for_ascii_unless_python_was_told_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONIOENCODING", "PYTHONUTF8"):
        monkeypatch.delenv(name, raising=False)
    assert printed(monkeypatch, "utf-8", "█ é") == "█ é\n".encode()
    monkeypatch.setenv("LC_ALL", "C")
    assert printed(monkeypatch, "utf-8", "█ é") == b"# \\xe9\n"
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    assert printed(monkeypatch, "utf-8", "█ é") == "█ é\n".encode()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_on_every_stream(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    output.write_json({"name": "é 中 🙂 …"})
    sys.stdout.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == {"name": "é 中 🙂 …"}


def test_every_character_of_our_own_has_an_ascii_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters and digits apart, which are in formulas of docstrings, and what stands for a character without one."""
    strings = [
        node.value
        for path in CLI.parent.rglob("*.py")
        if path.name != "wrapping.py"  # marks that are read in front of a log's lines, and never printed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    ours = {c for string in strings for c in string if not c.isascii() and c.isprintable()}
    shown = "".join(sorted(c for c in ours if not c.isalnum() and c != "\ufffd" and c not in "₊❱")) + "µΣ²³"
    assert "█" in shown
    assert b"\\" not in printed(monkeypatch, "ascii", shown)


@pytest.mark.parametrize("command", ["", "estimate", "run", "tokenize", "diagnose", "doctor"])
def test_help_is_ascii_too(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main([command, "--help"] if command else ["--help"]) == 0
    sys.stdout.flush()
    assert raw.getvalue().startswith(b"usage: memguard") and raw.getvalue().isascii()
