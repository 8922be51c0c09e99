"""Records of several fields: each counts as what the file has of it, however the records stand in their file."""

from __future__ import annotations

import csv
import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memguard.estimate.corpus.inputs import find_inputs
from memguard.estimate.corpus.json_list import read_list
from memguard.estimate.corpus.read import read_corpus
from memguard.estimate.corpus.records import holds_records, read_record_shape
from memguard.estimate.script.amounts import RecordShape, TextShape
from memguard.estimate.script.report import estimate_script
from memguard.estimate.script_job import read_plan
from memguard.records.estimate import CorpusStats
from memguard.units import MIB
from tests.estimate.script_texts import COSTS, limits_of

ROWS = 4000


def rows() -> Iterator[dict[str, Any]]:
    for number in range(ROWS):
        turns = [{"role": "user", "content": "c" * 200}, {"role": "model", "content": "d" * 300}]
        yield {"title": "t" * 40, "body": "b" * (600 + number % 9), "n": number + 1000, "turns": turns}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("records")
    made = list(rows())
    (found / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    (found / "list.json").write_text(json.dumps(made))
    (found / "pretty.json").write_text(json.dumps(made, indent=1))
    with (found / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["title", "body", "n"])
        writer.writerows([row["title"], 'said "yes"\n' + row["body"], row["n"]] for row in made)
    return found


@pytest.mark.parametrize("name", ["a.jsonl", "list.json", "pretty.json"])
def test_fields_are_counted_by_their_paths(directory: Path, name: str) -> None:
    shape = read_record_shape(find_inputs((str(directory / name),), "jsonl"), "body")
    assert shape is not None
    fields = shape.fields
    title = fields["title"]  # 49 and its characters, rounded up to 16
    assert [title.bytes, title.strs] == pytest.approx([40, 96])
    assert fields["turns"].kind == "records" and fields["n"].kind == "small"
    assert [fields["turns.content"].count, fields["turns.content"].bytes] == pytest.approx([2, 500])
    assert shape.reference == pytest.approx(604, rel=0.01)
    size = (directory / name).stat().st_size
    assert shape.line == pytest.approx(size / ROWS, rel=0.02)
    assert shape.keys == pytest.approx(sum(map(_sized, ("title", "body", "n", "turns", "role", "content"))))


def test_a_list_is_read_record_by_record(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"a": "x" * 3_000_000}, {"b": [{"c": "], [{"}]}, {"d": 1}], indent=2))
    assert [list(record) for record, _ in read_list(str(path))] == [["a"], ["b"], ["d"]]
    (source,) = find_inputs((str(path),), None)
    assert holds_records(source)
    path.write_text("[1, 2, 3]")
    assert not holds_records(find_inputs((str(path),), None)[0])


@functools.cache
def _read(file: Path) -> tuple[CorpusStats, RecordShape]:
    sources = find_inputs((str(file),), None)
    shape = read_record_shape(sources, "body")
    assert shape is not None
    return read_corpus(sources, val_fraction=0.0, text_field="body", any_record=True).stats, shape


def _peak(directory: Path, file: str, source: str) -> float:
    """MiB that `source` needs beside Python itself."""
    stats, records = _read(directory / file)
    script = directory / "script.py"
    script.write_text(source)
    plan = read_plan(str(script), None, records)
    found = estimate_script(plan, stats, TextShape(records=records), limits_of(1 << 40), COSTS)
    return (found.plan.peak.expected - min(step.bytes for step in found.plan.steps)) / MIB


READ = "import json\nkept = []\nfor line in open('a.jsonl'):\n    row = json.loads(line)\n"
_slot, _str = 8, lambda size: -(-(49 + size) // 16) * 16


@pytest.mark.parametrize(
    ("keeps", "each"),
    [
        ("row['title']", _str(40) + _slot),
        ("row['title'] + row['body']", _str(644) + _slot),
        ("(row['title'], row['body'])", _str(40) + _str(604) + 56 + 3 * _slot),
        ("f\"{row['title']}: {row['n']}\"", _str(44) + _slot),
        ("row['missing'] or row['body']", _str(1300) + _slot),
    ],
)
def test_what_is_kept_of_a_record_is_its_fields(directory: Path, keeps: str, each: int) -> None:
    peak = _peak(directory, "a.jsonl", READ + f"    kept.append({keeps})\n")
    assert peak == pytest.approx(ROWS * each / MIB, rel=0.12, abs=0.05)


def test_members_of_a_list_in_each_record(directory: Path) -> None:
    body = "    for turn in row['turns']:\n        kept.append(turn['content'])\n"
    each = _str(200) + _str(300) + 2 * _slot
    assert _peak(directory, "a.jsonl", READ + body) == pytest.approx(ROWS * each / MIB, rel=0.08)
    joined = "    text = ''\n    for turn in row['turns']:\n        text += turn['content']\n    kept.append(text)\n"
    each = _str(500) + _slot
    assert _peak(directory, "a.jsonl", READ + joined) == pytest.approx(ROWS * each / MIB, rel=0.1)


def test_texts_are_shared_with_the_records_while_these_live(directory: Path) -> None:
    read = "import json\nrows = [json.loads(line) for line in open('a.jsonl')]\n"
    alone = _peak(directory, "a.jsonl", read)
    both = _peak(directory, "a.jsonl", read + "bodies = [row['body'] for row in rows]\n")
    assert both - alone == pytest.approx(ROWS * _slot / MIB, abs=0.1)
    record = next(rows())
    size = sum(map(_sized, _objects(record)))
    assert alone == pytest.approx(ROWS * size / MIB, rel=0.1)


def _objects(value: Any) -> Iterator[Any]:
    yield value
    members = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    for member in members:
        yield from _objects(member)


def _sized(value: Any) -> int:
    return -(-sys.getsizeof(value) // 16) * 16


def test_rows_of_csv_with_other_delimiters(directory: Path) -> None:
    source = "import csv\nkept = [row['title'] for row in csv.DictReader(open('a.csv', newline=''), delimiter=';')]\n"
    each = _str(40) + _slot
    assert _peak(directory, "a.csv", source) == pytest.approx(ROWS * each / MIB, rel=0.1)
    by_place = "import csv\nkept = []\nfor row in csv.reader(open('a.csv'), delimiter=';'):\n    kept.append(row[0])\n"
    assert _peak(directory, "a.csv", by_place) == pytest.approx(ROWS * each / MIB, rel=0.1)


def test_a_part_of_the_indexes_is_that_part(directory: Path) -> None:
    read = READ + "    kept.append(row['body'])\ncut = int(0.75 * len(kept))\nrest = []\n"
    whole = _peak(
        directory,
        "a.jsonl",
        read + "for i in range(len(kept)):\n    rest.append(kept[i] + 'x')\n",
    )
    part = _peak(
        directory,
        "a.jsonl",
        read + "for i in range(cut, len(kept)):\n    rest.append(kept[i] + 'x')\n",
    )
    alone = _peak(directory, "a.jsonl", read)
    assert part - alone == pytest.approx((whole - alone) / 4, rel=0.1)
