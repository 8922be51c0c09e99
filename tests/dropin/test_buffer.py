"""TokenBuffer against a list: whatever both can do is the same, whatever it cannot names the way out."""

# ruff: noqa: RUF005 (the + of lists is what is tried)
from __future__ import annotations

import copy
import multiprocessing
import pickle
import random
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard import TokenBuffer
from memguard.dropin import arrays, buffer, packed, spill

LAW = settings(deadline=None, max_examples=max(8, settings().max_examples // 3))


@pytest.fixture(autouse=True, scope="module")
def _small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Files and blocks come into play at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(spill.SPILL_VARIABLE, str(tmp_path_factory.mktemp("spill")))
        patch.setattr(packed.Packed, "limit", 12)
        for module in (packed, arrays, buffer):
            patch.setattr(module, "BLOCK", 5)
        patch.setattr(packed, "_SHORT", 3)
        yield


NUMBERS = st.one_of(
    st.integers(0, 300), st.integers(0, 0xFFFF), st.integers(0, 1 << 33), st.integers(-(1 << 63), (1 << 63) - 1)
)
IDS = st.one_of(st.lists(st.integers(0, 0xFFFF), max_size=60), st.lists(NUMBERS, max_size=60))
PLACES = st.one_of(st.none(), st.integers(-70, 70))


def result(function: Callable[[Any], Any], value: Any) -> Any:
    """What it returns, or the exception and its text."""
    try:
        return function(value)
    except Exception as error:
        return f"{type(error)} {error}".replace("TokenBuffer", "list")


def add_all(ids: Any, parts: list[list[int]]) -> Any:
    for number, part in enumerate(parts):
        if number % 5 == 0:
            ids.extend(part)
        elif number % 5 == 1:
            for value in part:
                ids.append(value)
        elif number % 5 == 2:
            ids += part
        elif number % 5 == 3:
            ids.extend(iter(part))
        else:
            ids.extend(tuple(part))
    return ids


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(IDS, max_size=5)),
        st.tuples(st.just("cut"), st.integers(0, 70)),
        st.tuples(st.just("end"), st.integers(0, 70)),
        st.tuples(st.just("rest"), st.integers(0, 70)),
        st.tuples(st.just("plus"), IDS),
        st.tuples(st.just("self"), st.none()),
        st.tuples(st.just("clear"), st.none()),
        st.tuples(st.just("slice"), st.tuples(PLACES, PLACES)),
    ),
    max_size=8,
)


def change(ids: Any, kind: str, value: Any) -> Any:
    if kind == "add":
        ids = add_all(ids, value)
    elif kind == "cut":
        del ids[:value]
    elif kind == "end":
        del ids[value:]
    elif kind == "rest":
        _, ids = ids[:value], ids[value:]
    elif kind == "plus":
        ids = [1] + ids + value
    elif kind == "self":
        ids.extend(ids)
    elif kind == "clear":
        ids.clear()
    else:
        ids = ids[slice(*value)]
    return ids


@given(CHANGES)
@LAW
def test_it_grows_and_shrinks_as_a_list_and_leaves_others_alone(changes: list[tuple[str, Any]]) -> None:
    plain: Any = []
    ids: Any = TokenBuffer()
    earlier = []
    for kind, value in changes:
        earlier.append((ids[:], plain[:], np.array(ids), np.array(plain)))
        plain, ids = change(plain, kind, value), change(ids, kind, value)
        assert type(ids) is TokenBuffer
        assert len(ids) == len(plain)
        assert list(ids) == plain
    for view, values, ours, theirs in earlier:
        assert list(view) == values
        assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()


READS: list[Callable[[Any], Any]] = [
    *(len, repr, str, list, tuple, set, Counter, sum, sorted, bool, bytes, max, min),
    lambda ids: list(reversed(ids)),
    lambda ids: [*ids, *ids],
    lambda ids: [5, 6] + ids == [5, 6, *ids] and ids + [7] == [*ids, 7],
    lambda ids: ids + (1, 2),
    lambda ids: ids + 1,
    lambda ids: (ids + np.arange(len(ids))).tolist(),
    lambda ids: np.array_equal(ids == np.arange(len(ids)), np.array(list(ids)) == np.arange(len(ids))),
    lambda ids: ids == list(ids) and list(ids) == ids and ids == ids[:] and (ids != ids[1:]) == (len(ids) > 0),
    lambda ids: ids == (1, 2),
    lambda ids: ids == [*ids, 1] or ids == [*ids[1:], -5],
    lambda ids: (7 in ids, 7.0 in ids, "7" in ids, 1 << 70 in ids, None in ids),
    lambda ids: (ids.count(7), ids.count(7.0), ids.count("x")),
    lambda ids: ids.index(7),
    lambda ids: ids.index(7, 2),
    lambda ids: ids.index(7, -9, -2),
    lambda ids: ids.index("x"),
    lambda ids: ids["x"],
    lambda ids: ids[1.0],
    lambda ids: ids[np.int64(0)],
    lambda ids: ids.extend(5),
    lambda ids: list(array("q", ids)),
    lambda ids: memoryview(ids).nbytes,
    lambda ids: hash(ids) and 0,
    lambda ids: list(copy.copy(ids)) == list(copy.deepcopy(ids)) == list(pickle.loads(pickle.dumps(ids))),
    lambda ids: np.concatenate([ids, ids]).tolist(),
    lambda ids: np.mean(ids) if len(ids) else 0,
    lambda ids: np.asarray(ids).dtype.str,
    lambda ids: np.array([ids, ids]).shape,
    lambda ids: np.array(ids, copy=False).tolist(),
    lambda ids: np.array(ids).astype(np.uint16).tolist(),
]


@given(IDS, st.integers(0, 30))
@LAW
def test_what_reads_a_list_reads_it(values: list[int], cut: int) -> None:
    ids = add_all(TokenBuffer(), [values[:cut], values[cut:]])
    for read in READS:
        assert result(read, ids) == result(read, values), read
    assert values == list(ids)


@given(IDS, PLACES, PLACES, st.sampled_from([None, 1, 2, 3, -1, -2, 7, 0]))
@LAW
def test_items_and_slices(values: list[int], start: int | None, stop: int | None, step: int | None) -> None:
    ids = TokenBuffer(values)
    assert result(lambda x: list(x[start:stop:step]), ids) == result(lambda x: list(x[start:stop:step]), values)
    for index in {start, stop} - {None}:
        assert result(lambda x, i=index: x[i], ids) == result(lambda x, i=index: x[i], values)


@given(IDS)
@LAW
def test_arrays_are_numpys_own_of_a_list(values: list[int]) -> None:
    ids = TokenBuffer(values)
    # (U and S have the width of any int64, as an array has them: NumPy does not say that it looks for a str.)
    kinds = (
        "u1",
        "u2",
        "u4",
        "u8",
        "i1",
        "i2",
        "i4",
        "i8",
        ">u2",
        ">i8",
        "f2",
        "f4",
        "f8",
        "?",
        "c16",
        "O",
        "U3",
        "m8[s]",
    )
    with np.errstate(all="ignore"):
        for dtype in (None, int, float, *kinds):
            for make in (
                lambda x, dtype=dtype: np.array(x, dtype=dtype),
                lambda x, dtype=dtype: np.array(x).astype(dtype) if isinstance(x, list) else x.astype(dtype),
            ):
                ours, theirs = result(make, ids), result(make, values)
                if isinstance(theirs, np.ndarray):
                    assert ours.dtype == theirs.dtype, dtype
                    assert ours.shape == theirs.shape
                    assert ours.flags.writeable and type(ours) is np.ndarray
                    theirs, ours = theirs.tolist(), ours.tolist()
                assert repr(ours) == repr(theirs), dtype


@pytest.mark.parametrize("wrong", [True, 1.5, 1.0, "a", None, np.int64(3), np.uint16(3), 1 << 63, -(1 << 63) - 1, [1]])
@pytest.mark.parametrize("size", [0, 40])
def test_what_cannot_be_packed_names_the_fix(wrong: Any, size: int) -> None:
    for add in (
        lambda ids: ids.extend([1] * size + [wrong]),
        lambda ids: ids.append(wrong),
        lambda ids: ids.extend(x for x in [wrong]),
        lambda ids: ids + [wrong],
    ):
        ids = TokenBuffer([1, 2])
        with pytest.raises(TypeError, match=r"a TokenBuffer holds ints.*: (keep a list|convert them with .*int\(\))"):
            len(list(add(ids) or ids))
        assert list(ids[:2]) == [1, 2]


REFUSED: list[Callable[[Any], Any]] = [
    lambda ids: ids.insert(0, 1),
    lambda ids: ids.pop(),
    lambda ids: ids.remove(1),
    lambda ids: ids.reverse(),
    lambda ids: ids.sort(),
    lambda ids: ids.__setitem__(0, 1),
    lambda ids: ids * 2,
    lambda ids: 2 * ids,
    lambda ids: ids < [1],
    lambda ids: ids >= [1],
    lambda ids: ids.__delitem__(1),
    lambda ids: ids.__delitem__(slice(1, 2)),
]


@pytest.mark.parametrize("use", REFUSED)
def test_what_a_list_does_and_it_does_not_names_the_fix(use: Callable[[Any], Any]) -> None:
    with pytest.raises((TypeError, AttributeError), match=r"keep a list here, or use list\(x\)"):
        use(TokenBuffer([1, 2, 3]))


def test_every_name_of_a_list_is_there_or_refused() -> None:
    for name in dir(list):
        if not hasattr(TokenBuffer, name):
            with pytest.raises(AttributeError, match=r"keep a list|no attribute '__class_getitem__'"):
                getattr(TokenBuffer(), name)


def test_an_iterator_is_seen_at_once_and_what_came_before_its_error_stays() -> None:
    def numbers(ids: Any) -> Iterator[int]:
        yield 5
        yield len(ids)
        ids.append(70_000)
        yield len(ids)
        raise KeyError("end")

    made: list[Any] = [[], TokenBuffer()]
    for ids in made:
        with pytest.raises(KeyError):
            ids.extend(numbers(ids))
        ids.append(9)
    assert made[0] == list(made[1]) == [5, 1, 70_000, 3, 9]


def test_memory_and_saved_files(tmp_path: Path) -> None:
    values = [random.Random(1).randrange(50_000) for _ in range(300)]
    for name, ids in (("list", values), ("ours", TokenBuffer(values))):
        data: Any = np.array(ids, dtype=np.uint16)
        data.tofile(tmp_path / f"{name}.bin")
        np.save(tmp_path / f"{name}.npy", ids)
        mapped = np.memmap(tmp_path / f"{name}.map", np.uint16, "w+", shape=(400,))
        mapped[20 : 20 + len(ids)] = ids
        mapped.flush()
    for suffix in ("bin", "npy", "map"):
        assert (tmp_path / f"list.{suffix}").read_bytes() == (tmp_path / f"ours.{suffix}").read_bytes()


def test_a_guard_that_is_short_of_memory_gets_the_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    from memguard.pressure import request

    monkeypatch.setattr(packed.Packed, "limit", 1 << 20)
    monkeypatch.setattr(packed, "_WORTH_ASKING", 20)
    ids = TokenBuffer(range(30))
    assert ids[0] == 0
    store = buffer.packed_span(ids)[0]
    assert store.file is None
    request()
    ids.extend([1])
    assert ids[-1] == 1 and store.spilled == 31
    ids.extend([2])
    assert ids[-1] == 2 and store.spilled == 31 and list(ids) == [*range(30), 1, 2]


def test_threads_that_append_lose_nothing() -> None:
    ids = TokenBuffer()

    def work(number: int) -> None:
        for value in range(2000):
            ids.append(number)
            if value % 7 == 0:
                ids.extend([number, number])
            if value == 1000 and number == 3:
                ids.append(100_000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = Counter(ids)
    assert counts.pop(100_000) == 1
    assert counts == dict.fromkeys(range(4), 2000 + 2 * 286)


def double(ids: Any) -> Any:
    ids.extend(list(ids))
    return ids


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_worker_processes_have_buffers_of_their_own(method: str) -> None:
    ids = TokenBuffer(range(100))
    ids.append(70_000)
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.map(double, [ids, ids[:3]])
    assert [list(one) for one in found] == [[*range(100), 70_000] * 2, [0, 1, 2] * 2]
    assert [type(one) for one in found] == [TokenBuffer] * 2
    assert len(ids) == 101
