"""The longest line and the words of a text, from its bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from memguard.errors import InputError
from memguard.estimate.corpus.shape import read_shape
from memguard.estimate.script.amounts import TextShape


def shape_of(tmp_path: Path, data: bytes, **limits: int) -> TextShape:
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    return read_shape([str(path)], **limits)


@pytest.mark.parametrize(
    ("data", "longest"),
    [
        (b"ab\ncde\nf\n", 4),
        (b"ab\ncde\nfghij", 5),
        (b"no end", 6),
        (b"\n\n\n", 1),
        (b"a" * 700_000 + b"\nb\n", 700_001),
        (b"b\n" + b"a" * 700_000, 700_000),
        (b"b\n" * 10 + b"a" * 262_144 + b"\n" + b"b\n", 262_145),
    ],
)
def test_the_longest_line(tmp_path: Path, data: bytes, longest: int) -> None:
    assert shape_of(tmp_path, data).longest_line == longest


def test_a_file_too_large_to_look_at_all_of_is_sampled(tmp_path: Path) -> None:
    short, huge = b"a line of text\n" * 1_000_000, b"x" * 14_000_000
    assert shape_of(tmp_path, short, scan_limit=1 << 20).longest_line == 15
    assert shape_of(tmp_path, short + huge, scan_limit=1 << 20).longest_line == pytest.approx(14_000_000, rel=0.05)


def test_words_cost_a_str_each(tmp_path: Path) -> None:
    shape = shape_of(tmp_path, b"seven words make one line of text\n" * 20_000)
    assert shape.words == pytest.approx(140_000, rel=0.02)
    sizes = [-(-sys.getsizeof(word) // 16) * 16 + 8 for word in ["seven", "words", "make", "one", "line", "of", "text"]]
    assert shape.word_strings == pytest.approx(20_000 * sum(sizes), rel=0.02)  # rounded up to 16, and a slot each


def test_shares_of_the_inputs(tmp_path: Path) -> None:
    for name, size in (("a", 3000), ("b", 1000)):
        (tmp_path / name).write_bytes(b"x" * size)
    paths = [str(tmp_path / "a"), str(tmp_path / "b")]
    shape = read_shape(paths, {"argv[1]": [paths[0]], "argv[2]": [paths[1]]})
    assert shape.sources == (("argv[1]", 0.75), ("argv[2]", 0.25))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        read_shape([str(tmp_path / "missing")])
