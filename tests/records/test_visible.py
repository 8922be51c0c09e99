"""No control character of somebody else's reaches a terminal."""

from __future__ import annotations

import dataclasses
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.records.run import Answer, Culprit
from memguard.records.script import ScriptReport
from memguard.records.visible import printable, shows, visible, visible_record

TEXTS = st.text(st.characters(codec=None) | st.sampled_from("\x1b\n\r\x07\x7f\x9b\u202e\u2066\u2028\udcff\ud800"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("prepare.py", "prepare.py"),
        ("é 漢字 ☃", "é 漢字 ☃"),
        ("a\x1b[2Jb", "a^[[2Jb"),
        ("a\nb\r\tc\x7f", "a^Jb^M^Ic^?"),
        ("\x00\x9b31m", "^@\\x9b31m"),
        ("txt.\u202eexe\u2069", "txt.\\u202eexe\\u2069"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
        (os.fsdecode(b"in\xff.txt"), "in\\xff.txt"),
        ("\ud800", "\\ud800"),
    ],
)
def test_how_it_is_spelled(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(TEXTS)
def test_what_is_visible_is_one_line_that_can_be_encoded(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs")]
    assert not any(
        unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI") for c in shown
    )
    assert visible(shown) == shown


def test_a_finished_text_keeps_its_lines_and_colours() -> None:
    assert printable("\x1b[1;31mred\x1b[0m\n\x1b[2J\x1b]0;title\x07\n") == "\x1b[1;31mred\x1b[0m\n^[[2J^[]0;title^G\n"


def test_a_record_all_the_way_down() -> None:
    answer = Answer(1.0, "flushed\x1b", 3, errors=("a\nb", "c"))
    shown = visible_record(answer)
    assert shown == dataclasses.replace(answer, event="flushed^[", errors=("a^Jb", "c"))
    assert visible_record({"a\n": [Culprit(file="x\x07")]}) == {"a^J": [Culprit(file="x^G")]}
    plain = Culprit(file="x", line=3)
    assert visible_record(plain) is plain


def test_a_field_of_several_lines_keeps_them() -> None:
    report = ScriptReport("a\n.py", None, (), (), "gpt2", (), (), "import os\n\x1b[2J\n")  # type: ignore[arg-type]
    shown = visible_record(report)
    assert (shown.path, shown.source) == ("a^J.py", "import os\n^[[2J\n")


def test_what_is_decorated_gets_visible_arguments() -> None:
    @shows
    def render(first: str, *, second: str) -> str:
        return first + second

    assert render("a\n", second="\x1b") == "a^J^["
