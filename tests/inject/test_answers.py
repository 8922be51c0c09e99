"""The agent's own JSON is what json.loads reads, and nothing in it is the user's code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.inject import _memguard_answers as answers

TEXTS = st.text(st.characters(codec=None))  # lone surrogates, too
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner))


@given(VALUES)
def test_it_reads_back_as_what_json_writes(value: Any) -> None:
    text = answers.encode(value)
    assert text.isascii() and text.isprintable()
    assert json.loads(text) == json.loads(json.dumps(value))


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_what_json_has_no_word_for_is_null(number: float) -> None:
    assert json.loads(answers.encode({"a": (number, 1)})) == {"a": [None, 1]}


def test_keys_that_are_no_strings() -> None:
    value = {7: 2, None: 3, True: 4, 1.5: 5}
    assert json.loads(answers.encode(value)) == json.loads(json.dumps(value))


class _Text(str):
    def __iter__(self) -> Any:
        raise SystemExit("text")

    def __str__(self) -> str:
        raise SystemExit("text")


class _Number(int):
    def __repr__(self) -> str:
        raise SystemExit("number")

    __str__ = __format__ = __repr__  # type: ignore[assignment]


class _List(list[Any]):
    def __iter__(self) -> Any:
        raise SystemExit("list")


class _Dict(dict[Any, Any]):
    def items(self) -> Any:
        raise SystemExit("dict")


def test_no_method_of_a_subclass_is_called() -> None:
    value = _Dict({_Text("a"): _List([_Number(1), _Text("ü")])})
    assert json.loads(answers.encode(value)) == {"a": [1, "ü"]}


def test_anything_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="PosixPath"):
        answers.encode({"path": tmp_path})
