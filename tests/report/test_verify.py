from __future__ import annotations

import dataclasses

import pytest

from memguard.records.verify import Problem, ShardCheck, VerifyReport
from memguard.report.verify import render

SHARDS = (
    ShardCheck("train.bin", "train", 38_807_576, 77_615_152, True),
    ShardCheck("val.bin", "val", 4_107_700, 8_215_400, True),
)
GOOD = VerifyReport(
    directory="data",
    ok=True,
    text_compared=True,
    format="nanogpt",
    encoding="gpt2",
    dtype="uint16",
    sources=("train.txt",),
    shards=SHARDS,
    problems=(),
    tokens=42_915_276,
    eot_tokens=1,
    text_bytes=133_612_675,
    seconds=1.25,
)
PROBLEM = Problem(
    "text", "train.bin, token 1,234: another text (train.txt, byte 5,678)", "train.bin", 1234, "train.txt", 5678,
    "the [bold]source\n", " tokens\x07",
)  # fmt: skip
BAD = dataclasses.replace(
    GOOD, ok=False, problems=(PROBLEM,), shards=(dataclasses.replace(SHARDS[0], ok=False), SHARDS[1])
)


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_answer_comes_first() -> None:
    first, *rest = render(GOOD).splitlines()
    assert first == "ok: the 42,915,276 gpt2 tokens in data are exactly the text of train.txt"
    assert "nanogpt, uint16, 1 end-of-text token, 127 MiB of text compared, 1.2 s, 107 MB/s" in words(" ".join(rest))
    assert "train.bin 38,807,576 tokens 74.0 MiB ok" in words(render(GOOD))


@pytest.mark.parametrize(
    ("sources", "said"),
    [(("a", "b"), "the text of a and b"), (("a", "b", "c", "d"), "the text of a and 3 more")],
)
def test_several_sources(sources: tuple[str, ...], said: str) -> None:
    assert render(dataclasses.replace(GOOD, sources=sources)).splitlines()[0].endswith(said)


def test_what_was_not_compared_is_not_claimed() -> None:
    report = dataclasses.replace(GOOD, text_compared=False, text_bytes=None, eot_tokens=None)
    text = render(report)
    assert text.startswith("ok: data holds 42,915,276 gpt2 tokens, as written; the text was not compared\n")
    assert "exactly" not in text


def test_a_difference_shows_both_sides_literally() -> None:
    text = render(BAD)
    assert text.startswith("FAILED: data has 1 problem\n")
    assert "  train.bin, token 1,234: another text (train.txt, byte 5,678)\n" in text
    assert "    the source says  'the [bold]source\\n'\n" in text
    assert "    the tokens say   ' tokens\\x07'\n" in text
    assert "train.bin 38,807,576 tokens 74.0 MiB wrong" in words(text)


def test_an_end_is_said() -> None:
    problem = dataclasses.replace(PROBLEM, expected="", found=None)
    assert "the source says  nothing more" in render(dataclasses.replace(BAD, problems=(problem,)))


def test_many_shards_and_many_problems_are_summed_up() -> None:
    shards = tuple(ShardCheck(f"train_{n:06d}.npy", "train", 100, 328, n != 70) for n in range(100))
    problems = tuple(dataclasses.replace(PROBLEM, message=f"problem {n}") for n in range(30))
    text = render(dataclasses.replace(BAD, shards=shards, problems=problems))
    assert "train_000070.npy" in text and "train_000069.npy" not in text
    assert "99 more, all ok" in text
    assert "and 10 more problems (--json has them all)" in text and "problem 25" not in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_width(width: int) -> None:
    note = dataclasses.replace(BAD, notes=("a note " * 20,))
    assert max(map(len, render(note, width=width).splitlines())) <= width
    assert "\x1b" not in render(BAD) and "\x1b[" in render(BAD, color=True)
