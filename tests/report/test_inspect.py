from __future__ import annotations

import dataclasses

import pytest

from memguard.records.inspect import IdRange, InspectReport, TokenCount
from memguard.report.inspect import render

REPORT = InspectReport(
    path="data/train.bin",
    bytes=2_000,
    format="nanogpt",
    dtype="uint16",
    reason="no header; uint16 as manifest.json says",
    header_bytes=0,
    tokens=1_000,
    documents=None,
    encoding="gpt2",
    encoding_reason="as manifest.json says",
    n_vocab=50257,
    smallest_id=11,
    largest_id=700,
    distinct_ids=7,
    unknown_ids=0,
    eot_tokens=1,
    small_id_fraction=0.3875,
    text_bytes=3_996,
    first_text="Once upon [a] time\n",
    last_text="\\xe7的<|endoftext|>",
    most_frequent=(TokenCount(220, " ", 300), TokenCount(11, ",", 150), TokenCount(198, "\n", 1)),
    ranges=(IdRange(0, 255, 600), IdRange(256, 511, 399), IdRange(512, 700, 1)),
)


def words(text: str) -> str:
    return " ".join(text.split())


def test_facts() -> None:
    text = words(render(REPORT))
    assert text.startswith("data/train.bin: 1,000 tokens, 1.95 KiB format nanogpt, uint16 (no header; uint16 as")
    assert "encoding gpt2 (as manifest.json says)" in text
    assert "ids 11 to 700, 7 different ones, 38.8% at most 256" in text
    assert "text 3.90 KiB, 4.00 bytes per token" in text  # the end-of-text token is no text
    assert "begins 'Once upon [a] time\\n'" in text
    assert "ends '\\xe7的<|endoftext|>'" in text


def test_bars_are_to_scale_and_never_invisible() -> None:
    lines = [line.split() for line in render(REPORT).splitlines()]
    bars = {words[0]: words for words in lines if words and words[-1].endswith("%") and words[1] == "to"}
    assert bars["0"][3:] == ["█" * 40, "60.0%"]
    assert bars["256"][3][:26] == "█" * 26 and bars["256"][-1] == "39.9%"
    assert bars["512"][3:] == ["▏", "0.1%"]


def test_the_most_frequent_tokens() -> None:
    text = words(render(REPORT))
    assert "220 ' ' " in text and "30.0% 300" in text
    assert "198 '\\n' ▏ 0.1% 1" in text


def test_what_is_not_known_is_not_shown() -> None:
    unknown = dataclasses.replace(
        REPORT, encoding=None, encoding_reason="no encoding has the id 300000", eot_tokens=None,
        text_bytes=None, first_text=None, last_text=None, notes=("no texts",),
        most_frequent=(TokenCount(3, None, 5),),
    )  # fmt: skip
    text = render(unknown)
    assert "encoding not known (no encoding has the id 300000)" in words(text)
    assert "bytes per token" not in text and "begins" not in text and "note: no texts" in text


def test_no_tokens() -> None:
    empty = dataclasses.replace(
        REPORT, tokens=0, bytes=0, ranges=(), most_frequent=(), small_id_fraction=None, text_bytes=0,
        first_text="", last_text="",
    )  # fmt: skip
    text = render(empty)
    assert text.startswith("data/train.bin: 0 tokens, 0 B\n") and "IDS" not in text


def test_an_index_and_wrong_ids() -> None:
    text = words(render(dataclasses.replace(REPORT, documents=3, unknown_ids=2)))
    assert "documents 3, by the index" in text and "wrong 2 tokens that gpt2 does not have" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_width(width: int) -> None:
    long = dataclasses.replace(REPORT, most_frequent=(TokenCount(50_000, " " * 120, 10**9),), first_text="word " * 50)
    assert max(map(len, render(long, width=width).splitlines())) <= width
    assert "\x1b" not in render(REPORT) and "\x1b[" in render(REPORT, color=True)
