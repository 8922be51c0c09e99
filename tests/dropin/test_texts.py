"""TextList against list: the same calls, the same values, errors and their words."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.dropin import stored_texts
from memguard.dropin.text import LazyText
from memguard.dropin.texts import TextList

TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["", "a", "é", "的", "🙂", "\ud800", "\udc00\ud800", "\r\n", "a" * 30]),
    st.none(),
    st.integers(0, 3),
)


@pytest.fixture(params=[(1 << 20, 4 << 20, 1 << 13), (8, 20, 3)], ids=["in memory", "in the file"])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    block, tail, many = request.param
    monkeypatch.setattr(stored_texts, "BLOCK", block)
    monkeypatch.setattr(stored_texts, "_TAIL", tail)
    monkeypatch.setattr(stored_texts, "_MANY", many)
    return


INDICES = st.one_of(st.integers(-8, 8), st.sampled_from([None, "x", 1.5, True]))
SLICES = st.builds(slice, *[st.one_of(st.none(), st.integers(-8, 8))] * 2, st.sampled_from([None, 1, 2, 3, -1, -2]))
KEYS = st.one_of(INDICES, SLICES)
LISTS = st.lists(TEXTS, max_size=6)
OTHERS = st.one_of(LISTS, LISTS.map(tuple), st.sampled_from([None, 5, "ab", {"a": 1}, {"z"}]))


def call(name: str, *strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    return st.tuples(st.just(name), st.tuples(*strategies))


CALLS = st.one_of(
    *(call(name) for name in ("clear", "copy", "reverse", "sort", "pop", "__len__", "__repr__", "__reversed__")),
    *(call(name, TEXTS) for name in ("append", "remove", "count", "index", "__contains__")),
    *(call(name, OTHERS) for name in ("extend", "__iadd__", "__add__", "__eq__", "__ne__", "__lt__", "__ge__")),
    *(call(name, KEYS) for name in ("__getitem__", "__delitem__")),
    *(call(name, INDICES) for name in ("pop", "__mul__", "__imul__", "__rmul__")),
    call("__setitem__", INDICES, TEXTS),
    call("__setitem__", SLICES, OTHERS),
    call("insert", INDICES, TEXTS),
    call("index", TEXTS, st.integers(-8, 8), st.integers(-8, 8)),
)


def done(what: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        value = what(*arguments)
    except Exception as error:
        return type(error).__name__, str(error)
    if isinstance(value, (list, TextList)):
        return "sequence", list(value)
    return ("sequence", list(value)) if hasattr(value, "__next__") else ("value", value)


@pytest.mark.usefixtures("sizes")
@given(LISTS, st.lists(CALLS, max_size=8))
def test_every_call_is_a_lists(items: list[Any], calls: list[tuple[str, tuple[Any, ...]]]) -> None:
    expected, found = list(items), TextList(items)
    views = [(expected[1:4], found[1:4])]
    for name, arguments in calls:
        assert done(getattr(found, name), arguments) == done(getattr(expected, name), arguments), name
        assert list(found) == expected and len(found) == len(expected)
        views.append((expected[::2], found[::2]))
    for one, other in views:
        assert other == one and list(other) == one
        other.append("its own")
        assert list(other) == [*one, "its own"]
    assert list(found) == expected


def test_every_name_of_a_list_is_there() -> None:
    assert set(dir(list)) - set(dir(TextList)) == {"__class_getitem__"}


@pytest.mark.usefixtures("sizes")
@given(LISTS, LISTS, st.integers(0, 9))
def test_what_is_built_on_it(items: list[Any], more: list[Any], seed: int) -> None:
    found, other = TextList(items), TextList(more)
    assert found + other == items + more and more + found == more + items and (found == other) == (items == more)
    assert list(reversed(found)) == items[::-1] and [*found, *other] == items + more
    found += found
    assert list(found) == items + items
    found += other[1:]
    assert list(found) == items + items + more[1:]
    for again in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
        assert type(again) is TextList and list(again) == list(found)
        again.append("new")
    assert list(found) == items + items + more[1:]
    texts = [item for item in items if isinstance(item, str)]
    assert "-".join(TextList(texts)) == "-".join(texts) and sorted(TextList(texts)) == sorted(texts)
    assert random.Random(seed).sample(found, min(3, len(found))) == random.Random(seed).sample(
        list(found), min(3, len(found))
    )


@pytest.mark.usefixtures("sizes")
@given(LISTS, st.one_of(st.text(max_size=2), st.none(), st.just(b"")), st.integers(0, 9))
def test_join_is_a_strs(items: list[Any], separator: Any, seed: int) -> None:
    found = TextList(items)
    assert done(found.join, (separator,)) == done(lambda: separator.join(items), ())
    random.Random(seed).shuffle(items)
    found.shuffle(random.Random(seed))
    assert done(found.join, (separator,)) == done(lambda: separator.join(items), ())


def test_a_long_join_is_lazy() -> None:
    items = [f"text {n} é" for n in range(120_000)]
    found = TextList(items).join("\r\n")
    assert isinstance(found, LazyText) and found == "\r\n".join(items)
    assert found[900_000:900_020] == "\r\n".join(items)[900_000:900_020]
    assert type(TextList([*items[:9000], "\ud800"]).join(" ")) is str


GENERATORS: dict[str, Callable[[int], Any]] = {
    "random": random.Random,
    "Generator": np.random.default_rng,
    "RandomState": np.random.RandomState,
}


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
@given(st.integers(0, 400), st.integers(0, 99))
def test_a_shuffle_is_a_lists(make: Callable[[int], Any], number: int, seed: int) -> None:
    expected = [f"text {n}" for n in range(number)]
    found = TextList(expected)
    one, other = make(seed), make(seed)
    one.shuffle(expected)
    found.shuffle(other)
    assert list(found) == expected
    one.shuffle(expected)
    found.shuffle(other)
    assert list(found) == expected and found[:7] == expected[:7]


def test_the_modules_shuffle_too() -> None:
    for module, seed in ((random, random.seed), (np.random, np.random.seed)):
        expected = list(map(str, range(50)))
        found, plain = TextList(expected), TextList(expected)
        seed(7)
        module.shuffle(expected)
        seed(7)
        found.shuffle(module)
        seed(7)
        module.shuffle(plain)
        assert list(found) == expected and list(plain) == expected


@pytest.mark.usefixtures("sizes")
def test_an_iterator_sees_what_changes_under_it() -> None:
    def walked(texts: Any) -> list[str]:
        seen = []
        for at, text in enumerate(texts):
            seen.append(text)
            if at == 1:
                texts[3] = "changed"
            if at == 2:
                texts.append("more")
                del texts[4]
            if at == 4:
                texts.reverse()
        return seen

    items = list("abcdefgh")
    assert walked(TextList(items)) == walked(list(items))


@pytest.mark.usefixtures("sizes")
def test_what_a_generator_gave_before_it_failed_is_kept() -> None:
    def texts() -> Iterator[str]:
        yield from ("a", "b")
        raise OSError("gone")

    found = TextList()
    with pytest.raises(OSError, match="gone"):
        found.extend(texts())
    assert found == ["a", "b"]
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        found.extend(5)  # type: ignore[arg-type]


def test_numpy_makes_of_it_what_it_makes_of_a_list() -> None:
    items = ["a", "é", "long text"]
    assert np.array(TextList(items)).tolist() == items and np.array(TextList(items)).dtype == np.array(items).dtype
    assert np.random.RandomState(1).permutation(TextList(items)).tolist() == list(
        np.random.RandomState(1).permutation(items)
    )


def test_forked_children_share_it_and_append_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    import multiprocessing

    monkeypatch.setattr(stored_texts, "_TAIL", 20)
    monkeypatch.setattr(stored_texts, "_MANY", 2)
    found = TextList(f"text {n}" for n in range(100))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        appended = pool.map(found.__class__.copy, [found[:5], found[5:9]])
        assert appended == [found[:5], found[5:9]]
    child = multiprocessing.get_context("fork").Process(target=found.extend, args=([str(n) for n in range(9)],))
    child.start()
    child.join()
    assert child.exitcode == 0
    found.extend(["its", "own", "texts"])
    assert found[-4:] == ["text 99", "its", "own", "texts"]
