from __future__ import annotations

import pytest
from rich.table import Table
from rich.text import Text

from memguard.report.terminal import command, fitting, to_text, unbroken


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


def test_a_line_ends_between_words_and_keeps_a_number_with_its_unit() -> None:
    path = "/a/path/that/is/longer/than/the/line.txt"
    text = to_text(unbroken(f"It takes 1.25 GiB, {path} ≈ 12 of 100 MiB."), width=20)
    assert text.splitlines() == ["It takes 1.25 GiB,", path, "≈ 12 of 100 MiB."]
    for width in range(20, 60):
        lines = to_text(unbroken("Streaming needs 136 MiB. " * 5 + "± 4.8 %, done"), width=width).splitlines()
        assert max(map(len, lines)) <= width
        assert not any(line.startswith(("MiB", ".", "%")) or line.endswith("±") for line in lines)


@pytest.mark.parametrize("width", [20, 40, 80])
@pytest.mark.parametrize("words", ["cat 'a b' \"c d\" e\\ f | wc -l", "one", "it's", "a 'open", "x" * 90, ""])
def test_a_command_is_whole_however_narrow_the_terminal(words: str, width: int) -> None:
    text = to_text(command("Next:", words, width), width=width)
    typed = text.removeprefix("Next:").replace("\\\n", " ")
    assert typed.split() == words.split()


def test_columns_go_in_order_and_no_more_than_must() -> None:
    widths = {"a": 4, "b": 4, "c": 4}
    assert fitting(widths, ("c", "a"), 16) == (["a", "b", "c"], 16)
    assert fitting(widths, ("c", "a"), 15) == (["a", "b"], 10)
    assert fitting(widths, ("c", "a"), 9) == (["b"], 4)
    assert fitting(widths, ("c", "a"), 1) == (["b"], 4)
