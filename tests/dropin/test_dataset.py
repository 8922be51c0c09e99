"""dataset_of against Dataset.from_dict."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memguard.dropin.dataset import dataset_of
from memguard.dropin.texts import TextList

datasets = pytest.importorskip("datasets", reason="datasets is not installed here")

TEXTS = ["a", None, "", "é的🙂", "long " * 50, None, "\r\n", "b"] * 400


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("split", [None, "train"])
def test_the_rows_and_types_are_those_of_from_dict(split: str | None) -> None:
    columns = {"n": list(range(3200)), "text": TEXTS, "tags": [[str(n)] for n in range(3200)], "more": TEXTS[::-1]}
    expected = datasets.Dataset.from_dict(columns, split=split)
    columns.update(text=TextList(TEXTS), more=TextList(TEXTS[::-1]))  # type: ignore[dict-item]
    found = dataset_of(columns, split=split)
    assert found.features == expected.features and found.column_names == expected.column_names
    assert found.data.schema.equals(expected.data.schema, check_metadata=True) and found.split == expected.split
    assert found[:] == expected[:] and len(found.cache_files) == 1
    assert found.train_test_split(0.1, seed=5)["test"][:] == expected.train_test_split(0.1, seed=5)["test"][:]
    assert found.shuffle(seed=5)[:9] == expected.shuffle(seed=5)[:9]


@pytest.mark.parametrize(
    "column", [[], [None, None], [1, 2], ["a", 1], ["a\ud800"], [["a"]], [b"a", b"b"], ["one"]], ids=repr
)
def test_what_is_no_column_of_texts_is_from_dicts(column: list[Any]) -> None:
    def outcome(make: Any, column: Any) -> Any:
        try:
            found = make({"text": column, "n": [1] * len(column)})
        except Exception as error:
            return type(error), str(error)
        return found[:], found.features

    assert outcome(dataset_of, TextList(column)) == outcome(datasets.Dataset.from_dict, column)
    assert outcome(lambda c: dataset_of({**c, "n": [1]}), TextList(["a", "b"])) == outcome(
        lambda c: datasets.Dataset.from_dict({**c, "n": [1]}), ["a", "b"]
    )


def test_features_are_obeyed() -> None:
    features = datasets.Features({"text": datasets.Value("large_string")})
    assert dataset_of({"text": TextList(["a"])}, features=features).features == features


PROGRAM = """
import hashlib, os, sys
import numpy as np
from datasets import Dataset
from memguard.dropin.dataset import dataset_of
from memguard.dropin.texts import TextList

texts = [f"text {n} " * (n % 50) for n in range(3000)]
if __name__ == "__main__":
    made = dataset_of({"text": TextList(texts)}) if sys.argv[1] == "ours" else Dataset.from_dict({"text": texts})
    split = made.train_test_split(test_size=0.01, seed=2357, shuffle=True)
    split["val"] = split.pop("test")
    ids = split.map(lambda row: {"ids": [len(row["text"]), 7]}, remove_columns=["text"], num_proc=int(sys.argv[2]))
    digest = hashlib.sha256()
    for name, part in ids.items():
        for batch in range(8):
            shard = part.shard(8, batch, contiguous=True).with_format("numpy")
            digest.update(np.concatenate(shard["ids"][:]).astype(np.uint16).tobytes())
    print(digest.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_the_bytes_after_split_and_map_are_the_same_and_nothing_stays(processes: int, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(PROGRAM)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    printed = []
    for who in ("theirs", "ours"):
        done = subprocess.run(
            [sys.executable, "job.py", who, str(processes)], env=environment, capture_output=True, text=True, check=True
        )
        printed.append(done.stdout)
    assert printed[0] == printed[1] and len(printed[0]) == 2 * hashlib.sha256().digest_size + 1
    assert {path.name for path in tmp_path.iterdir()} <= {"job.py", "home"}
