from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.tokens.input import utf8

PARTS = [*(c.encode() for c in "a é字😀"), b"\xff", b"\xe5\xad", b"\xf0\x9f", b"\x80", b"\xed\xa0\x80"]
bad_bytes = st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join)


# All of it goes the way of long texts, in steps so small that characters lie across them.
clean = functools.partial(utf8.clean, short=0, step=5)


@given(bad_bytes | st.binary(max_size=40), st.sampled_from(["replace", "ignore"]))
def test_what_python_makes_of_it(data: bytes, errors: str) -> None:
    text, invalid = clean(data, errors)
    assert text.decode() == data.decode("utf-8", errors)
    assert invalid == len(data) - len(data.decode("utf-8", "ignore").encode())


@given(bad_bytes | st.binary(max_size=40))
def test_strict_names_the_byte_that_python_names(data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as expected:
        with pytest.raises(UnicodeDecodeError) as caught:
            clean(data)
        assert caught.value.args[2:] == expected.args[2:]  # start, end, reason
    else:
        assert clean(data) == (data, 0)


@given(bad_bytes, st.integers(0, 60), st.sampled_from(["replace", "ignore"]))
def test_parts_make_the_whole_where_the_second_begins_a_character(data: bytes, cut: int, errors: str) -> None:
    cut = min(cut, len(data))
    if cut < len(data) and 0x80 <= data[cut] < 0xC0:
        return
    left, right, whole = clean(data[:cut], errors), clean(data[cut:], errors), clean(data, errors)
    assert (left[0] + right[0], left[1] + right[1]) == whole
