"""Characters on whose class the engines' Unicode tables differ go to tiktoken; on all others they agree."""

from __future__ import annotations

import random

import pytest

from memguard.tokens.engine.encode import load_encoding, make_engine
from memguard.tokens.engine.new_letters import _RANGES, _table, holds_new_letters


def framed(code: int) -> str:
    """Beside letters, digits, punctuation, apostrophes, white space and itself."""
    c = chr(code)
    return f"ab{c}'s {c}1{c}!{c} {c}{c}\n\n{c}A{c}a\n{c}"


def check(codes: list[int]) -> None:
    engine, oracle = make_engine("gpt2", "gigatoken", documents=True), load_encoding("gpt2")
    for start in range(0, len(codes), 2048):
        texts = [framed(code) for code in codes[start : start + 2048]]
        expected = [id for text in texts for id in (*oracle.encode_ordinary(text), 50257)][:-1]
        assert engine.encode_documents([text.encode() for text in texts]).tolist() == expected, hex(codes[start])


ALL = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def test_a_sample_of_all_characters() -> None:
    check(random.Random(3).sample(ALL, 6000))


def test_new_letters_and_their_neighbours() -> None:
    ends = [int(end, 16) for part in _RANGES.split() for end in part.split("-")]
    near = sorted({code + step for code in ends for step in (-1, 0, 1)})
    check(near)
    for code in near:
        assert holds_new_letters(framed(code).encode()) == bool(_table()[code]), hex(code)


@pytest.mark.slow
def test_every_character() -> None:
    """Those of the table left out, so that no text goes to tiktoken as a whole."""
    table = _table()
    engine = make_engine("gpt2", "gigatoken", documents=True)
    assert engine.name == "gigatoken"
    check([code for code in ALL if not table[code]])


def test_text_around_it_stays_with_the_fast_engine(english: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine("gpt2", "gigatoken")
    monkeypatch.setattr(engine, "_oracle", lambda: pytest.fail("tiktoken was asked"))
    for text in (english, english[:5000] + "😀 résumé — “naïve” ไทย 한국어 नमस्ते", "a" * 5000 + "字"):
        assert engine.encode(text.encode()).tolist() == load_encoding("gpt2").encode_ordinary(text)
