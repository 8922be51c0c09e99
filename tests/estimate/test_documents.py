"""What the documents of a text cost, against the interpreter's own figures."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.estimate.corpus.documents import DocumentTally, tally_lines
from memguard.estimate.corpus.sample import Files


def cost(texts: list[str]) -> tuple[int, int]:
    single = {chr(code_point) for code_point in range(256)}  # exist once for all
    strs = sum((sys.getsizeof(text) + 15) // 16 * 16 for text in texts if text not in single)
    return strs, sum((len(text.encode()) + 16) // 16 * 16 for text in texts if not text.isascii())


@pytest.mark.parametrize("ending", ["\n", ""])
def test_the_lines_of_a_small_text_are_counted(tmp_path: Path, ending: str) -> None:
    text = "plain\n\nétait\n中文字符 and more\n😀\nnot\u2028a line end\x0b" + ending
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    tally = tally_lines(Files([str(path)], [0], len(text.encode())), random.Random(1))
    with path.open(encoding="utf-8", newline="\n") as file:
        lines = file.readlines()
    assert tally.count == len(lines)
    assert (tally.str_bytes, tally.copy_bytes) == cost(lines)


def test_the_lines_of_a_large_text_are_sampled(tmp_path: Path) -> None:
    draw = random.Random(1)
    lines = [("é" if draw.random() < 0.2 else "e") + "x" * draw.randint(0, 400) + "\n" for _ in range(120_000)]
    data = "".join(lines).encode()
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    stats = tally_lines(Files([str(path)], [0], len(data)), random.Random(1)).stats(len(data))
    assert stats is not None
    strs, copies = cost(lines)
    assert stats.count.expected == pytest.approx(len(lines), rel=0.02)
    assert stats.str_bytes.expected == pytest.approx(strs, rel=0.01)
    assert stats.copy_bytes.expected == pytest.approx(copies, rel=0.05)
    assert stats.count.low <= len(lines) <= stats.count.high
    assert stats.copy_bytes.low <= copies <= stats.copy_bytes.high


def test_a_part_stands_for_the_whole() -> None:
    tally = DocumentTally("record")
    for text in ("some words", "café"):
        tally.add(text, len(text.encode()))
    whole = tally.stats(10 * tally.text_bytes)
    assert whole is not None
    assert whole.count.expected == 20
    assert whole.str_bytes.low <= 10 * tally.str_bytes <= whole.str_bytes.high
    assert DocumentTally("row").stats(100) is None


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n"), max_size=40), min_size=1))
def test_lines_cost_what_the_interpreter_says(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    if not data:
        return
    tally = DocumentTally("line")
    tally.add_lines(data)
    found = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    assert tally.count == len(found)
    assert (tally.str_bytes, tally.copy_bytes) == cost(["".join(line) for line in found])
