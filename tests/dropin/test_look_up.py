"""look_up against the list comprehension that it stands for."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.dropin import look_up as module
from memguard.dropin.buffer import TokenBuffer
from memguard.dropin.look_up import look_up
from memguard.dropin.text_file import open_text

LETTERS = "ab\n éÿĀ的🙂\ud800"
NUMBERS = st.one_of(
    st.integers(0, 70_000), st.sampled_from([-1, 0, 1, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1, -(2**63)])
)


class Missing(dict):  # type: ignore[type-arg]
    def __missing__(self, key: str) -> int:
        return 7


def numbered(pairs: dict[str, int]) -> Any:
    """Gives a new key the next number, as vocabularies are made."""
    made: Any = defaultdict(lambda: len(made))
    made.update(pairs)
    return made


KINDS: list[Callable[[dict[str, int]], Any]] = [dict, OrderedDict, Counter, Missing, numbered]


def outcome(what: Callable[[], Any]) -> Any:
    try:
        return list(what())
    except Exception as error:
        return type(error), error.args


@pytest.mark.parametrize("step", [3, 1 << 18])
@pytest.mark.parametrize("kind", KINDS)
@given(st.dictionaries(st.sampled_from(LETTERS), NUMBERS), st.text(LETTERS, max_size=12))
def test_the_numbers_are_the_comprehensions(
    step: int, kind: Callable[[dict[str, int]], Any], pairs: dict[str, int], text: str
) -> None:
    one, other = kind(pairs), kind(pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_STEP", step)
        found = outcome(lambda: look_up(other, text))
    assert found == outcome(lambda: [one[c] for c in text])
    assert list(one.items()) == list(other.items())


def test_of_a_file_and_of_what_is_no_text(tmp_path: Path) -> None:
    text = "".join(random.Random(1).choices(LETTERS[:-1], k=300_000))
    (tmp_path / "text").write_text(text, encoding="utf-8")
    table = {letter: number for number, letter in enumerate(sorted(set(text)))}
    with open_text(tmp_path / "text", encoding="utf-8") as file:
        lazy = file.read()
    expected = np.array([table[c] for c in text], np.uint16)
    assert np.array_equal(np.array(look_up(table, lazy), np.uint16), expected)
    assert look_up(table, list(text[:5])) == expected[:5].tolist()
    assert look_up([5, 6], (1, 0)) == [6, 5]
    del table["的"]
    with pytest.raises(KeyError, match="'的'"):
        look_up(table, lazy)
    assert type(look_up({}, "")) is TokenBuffer and not look_up({}, "")


@pytest.mark.parametrize("value", [True, 1.0, "1", None, np.int64(3), 2**63])
def test_a_value_that_a_token_buffer_does_not_hold(value: Any) -> None:
    with pytest.raises(TypeError, match="TokenBuffer holds ints"):
        look_up({"a": value}, "a")
