"""A cut never changes a token: held against tiktoken's patterns and tokens, at every cut that split.py would make."""

from __future__ import annotations

import random
import re

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memguard.tokens.input import split
from memguard.tokens.input.split import FAMILIES, PATTERNS, first_cut, last_cut
from tests.tokens.patterns import encoding, pattern, pieces

families = pytest.mark.parametrize("family", FAMILIES)

# What patterns trip over: contractions, runs of white space of every kind, marks, digits, letters of other alphabets,
# characters newer than Unicode 3.2, controls, and characters whose class has changed over time.
NASTY = [*"aZstdmlvreLSK '\n\r\t.,!-/_09é½字々。，\u3000\xa0\u2028\u0301\u200d"]
NASTY += [*"😀🧿\u200b\u1680\u180e\x1c\x00\ufeffſKİⅧªʰͅ\u0d30"]
NASTY += ["  ", "\n\n", "\r\n", "'s", "'ll", "'LL", "don't", "hello", " 12345"]
nasty_text = st.lists(st.sampled_from(NASTY), max_size=24).map("".join)
any_text = st.text(max_size=40) | nasty_text


def all_cuts(data: bytes, family: str) -> list[int]:
    cuts, place = [], first_cut(data, family, 1)
    while place is not None:
        cuts.append(place)
        place = first_cut(data, family, place + 1)
    return cuts


def assert_exact(text: str, family: str) -> None:
    data = text.encode()
    whole, whole_pieces = encoding(family).encode_ordinary(text), pieces(family, text)
    for cut in all_cuts(data, family):
        left, right = data[:cut].decode(), data[cut:].decode()  # raises if the cut is inside a character
        where = f"{left!r} | {right!r}"
        assert pieces(family, left) + pieces(family, right) == whole_pieces, where
        assert encoding(family).encode_ordinary(left) + encoding(family).encode_ordinary(right) == whole, where


@families
@given(text=any_text)
@example(text="I'll don't '' 's x's 1's")
@example(text="a\n\n  b \r\n\r\nc")
@settings(max_examples=150, deadline=None)
def test_no_cut_changes_a_token(family: str, text: str) -> None:
    assert_exact(text, family)


@families
def test_no_cut_changes_a_token_in_many_random_texts(family: str) -> None:
    generator = random.Random(20240501)
    for _ in range(3000):
        assert_exact("".join(generator.choices(NASTY, k=generator.randint(2, 14))), family)


@pytest.mark.slow
@families
def test_no_cut_changes_a_token_in_very_many_random_texts(family: str) -> None:
    generator = random.Random(7)
    letters = NASTY + [chr(c) for c in range(1, 0x3000) if not 0xD800 <= c < 0xE000]
    for _ in range(150_000):
        assert_exact("".join(generator.choices(letters, k=generator.randint(2, 14))), family)


def test_the_installed_tiktoken_spells_its_patterns_in_a_known_way() -> None:
    for family, spellings in PATTERNS.items():
        assert pattern(family) in spellings


@pytest.mark.parametrize(("family", "spelling"), [(name, one) for name, all in PATTERNS.items() for one in all])
def test_every_spelling_of_a_pattern_is_cut_by_its_rules(family: str, spelling: str) -> None:
    compiled, generator = regex.compile(spelling), random.Random(11)
    for _ in range(1500):
        text = "".join(generator.choices(NASTY, k=generator.randint(2, 14)))
        data, whole = text.encode(), compiled.findall(text)
        for cut in all_cuts(data, family):
            assert compiled.findall(data[:cut].decode()) + compiled.findall(data[cut:].decode()) == whole, text


@families
@given(text=any_text, low=st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_last_and_first_look_at_the_same_cuts(family: str, text: str, low: int) -> None:
    data = text.encode()
    cuts = all_cuts(data, family)
    assert first_cut(data, family, low) == next((cut for cut in cuts if cut >= low), None)
    last = last_cut(data, family, low=low)
    assert last in cuts if last is not None else not [cut for cut in cuts if cut >= low]


@families
@given(data=st.binary(max_size=60), low=st.integers(1, 60))
def test_bytes_that_are_no_utf8_are_never_next_to_a_cut(family: str, data: bytes, low: int) -> None:
    for cut in (first_cut(data, family, low), last_cut(data, family, low=low)):
        if cut is not None:
            assert low <= cut < len(data)
            clean = data.decode("utf-8", "replace")
            assert data[:cut].decode("utf-8", "replace") + data[cut:].decode("utf-8", "replace") == clean
            before = data[:cut].decode("utf-8", "replace")
            assert not before.endswith("\ufffd") or data[:cut].endswith("\ufffd".encode())


@families
@given(parts=st.lists(st.sampled_from(["a", " b", "é,", "\u3000字", "1。", "\n"]), min_size=200, max_size=400))
@settings(max_examples=10, deadline=None)
def test_a_cut_does_not_depend_on_the_search_window(family: str, parts: list[str]) -> None:
    data = "".join(parts).encode()
    by_hand = [m for m in range(1, len(data)) if first_cut(data, family, m) == m]
    assert all_cuts(data, family) == by_hand


@families
def test_long_runs_without_a_cut(family: str) -> None:
    for text in ("a" * 5000, " " * 5000, "\n" * 5000, "字" * 2000, "!" * 5000, "'" * 5000):
        assert last_cut(text.encode(), family) is None
        assert first_cut(text.encode(), family, 1) is None
        assert last_cut((text + "a, b" + text).encode(), family) is not None


def test_english_and_chinese_are_cut_near_the_end(english: str) -> None:
    data = english.encode()
    for end in range(1000, len(data), 50_000):
        assert end - (last_cut(data[:end], "r50k") or 0) < 200
    chinese = ("天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。\n" * 100).encode()
    for family in FAMILIES:
        assert len(chinese) - (last_cut(chinese, family) or 0) < 100


def test_every_class_is_known_and_white_space_is_unicodes() -> None:
    for code in range(0x110000):
        letter = split._classify(chr(code))
        assert letter in "CWLNMQOX?"
        # Python's isspace() and Unicode's White_Space differ in U+001C to U+001F only.
        expected = chr(code).isspace() and not 0x1C <= code <= 0x1F
        assert (letter in "CW") == expected, hex(code)


@pytest.mark.parametrize(
    ("rule", "text"), [("(?<=Q)L", "don't"), ("(?<=C)C", "a\n\n\nb"), ("(?<=L)L", "hello"), ("(?<=W)L", "a word")]
)
def test_the_law_would_notice_a_wrong_rule(monkeypatch: pytest.MonkeyPatch, rule: str, text: str) -> None:
    monkeypatch.setitem(FAMILIES, "r50k", re.compile(rule))
    with pytest.raises(AssertionError):
        assert_exact(text, "r50k")
