from __future__ import annotations

import pytest
from rich.table import Table
from rich.text import Text

from memguard.report.terminal import to_text


def test_text_is_taken_literally() -> None:
    line = "data[0] :smile: [bold]/tmp/[x][/bold] 12.5 http://a"
    assert to_text(line, width=200) == line + "\n"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_asked(width: int) -> None:
    table = Table("a", "b")
    table.add_row("word " * 60, "/a/long/path" * 20)
    text = to_text("word " * 60, table, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_colours_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    red = Text("killed", style="bold red")
    for name, value in (("FORCE_COLOR", "1"), ("TTY_COMPATIBLE", "1"), ("COLUMNS", "20")):
        monkeypatch.setenv(name, value)
    assert to_text(red) == "killed\n"
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    colored = to_text(red, color=True)
    assert "\x1b[" in colored and "killed" in colored
