"""parquet_texts against pandas' own lists, and against pyarrow's where there is no pandas."""

from __future__ import annotations

import math
import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest

from memguard.dropin import parquet as module
from memguard.dropin.parquet import parquet_texts
from memguard.dropin.texts import TextList

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = ["a", None, "", "é的🙂", "long " * 50, None, "\r\n", "b"]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "_ROWS", 3)
    table = pa.table({"n": range(8), "text": pa.array(TEXTS, pa.string()), "large": pa.array(TEXTS, pa.large_string())})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=3)
    return tmp_path / "x.parquet"


def is_filled(texts: TextList) -> bool:
    try:
        object.__getattribute__(texts, "_store")
    except AttributeError:
        return False
    return True


@pytest.mark.parametrize("column", ["text", "large"])
def test_it_streams_and_then_is_a_list(path: Path, column: str) -> None:
    kept = [text for text in TEXTS if text is not None]
    texts = parquet_texts(str(path), column, dropna=True)
    assert isinstance(texts, TextList)
    assert [list(texts), list(texts)] == [kept, kept] and len(texts) == 6 and not is_filled(texts)
    assert texts[2] == kept[2] and is_filled(texts)
    assert list(texts) == kept and texts[1:] == kept[1:] and len(texts) == 6
    expected = [*kept, "more"]
    texts.append("more")
    random.Random(3).shuffle(expected)
    texts.shuffle(random.Random(3))
    assert texts == expected and pickle.loads(pickle.dumps(texts)) == expected
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        texts.nothing  # noqa: B018
    assert len(parquet_texts(path, column)) == 8


def test_what_changes_while_it_is_read(path: Path) -> None:
    texts, expected = parquet_texts(path, "text", dropna=True), [text for text in TEXTS if text is not None]
    for changed in (texts, expected):
        seen = []
        for at, text in enumerate(changed):  # type: ignore[arg-type,var-annotated]
            seen.append(text)
            if at == 1:
                changed[4] = "changed"
            if at == 2:
                changed.append("more")
        assert seen == [*expected[:4], "changed", expected[5], "more"]


def test_a_file_that_changes_is_noticed(path: Path) -> None:
    texts = parquet_texts(path, "text", dropna=True)
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.replace(copy, path)
    assert next(iter(texts)) == "a", "the file that was opened is still there"
    texts = parquet_texts(path, "text", dropna=True)
    with path.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(RuntimeError, match=r"x\.parquet was changed"):
        list(texts)


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        parquet_texts("nothing.parquet", "text")


def same(a: Any, b: Any) -> bool:
    return a is b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)) or a == b


@pytest.mark.parametrize("column", ["text", "large", "n", "nothing"])
@pytest.mark.parametrize("dropna", [True, False])
@pytest.mark.parametrize(
    "place", ["x.parquet", "by pandas", "broken", ".", "not there", "http://localhost:1/x.parquet"]
)
def test_the_values_and_errors_are_those_of_pandas(
    path: Path, column: str, dropna: bool, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed here")
    monkeypatch.chdir(path.parent)
    if place == "by pandas":
        columns = {"n": range(8), "text": pandas.Series(TEXTS, dtype="string"), "large": TEXTS}
        frame = pandas.DataFrame(columns).set_index(pandas.Index(list("abcdefgh"), name="name"))
        frame.to_parquet(place)
    if place == "broken":
        Path(place).write_bytes(b"PAR1 nothing")

    def outcome(make: Any) -> Any:
        try:
            return list(make())
        except Exception as error:
            return type(error), str(error)

    def plain() -> Any:
        series = pandas.read_parquet(place, columns=[column])[column]
        return (series.dropna() if dropna else series).tolist()

    expected, found = outcome(plain), outcome(lambda: parquet_texts(place, column, dropna=dropna))
    assert len(found) == len(expected) and all(map(same, found, expected))
    assert list(map(type, found)) == list(map(type, expected))
