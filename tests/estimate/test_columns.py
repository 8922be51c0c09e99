"""The column that a script names is the one whose text is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memguard.estimate.corpus.columns import named_column
from memguard.estimate.corpus.inputs import find_inputs
from memguard.estimate.job import Request, estimate_files, read_job_limits
from memguard.estimate.tuning import Tuning
from tests.estimate.script_texts import read

QUICK = Tuning(baseline_program="import sys; print('ready', flush=True)\nfor line in sys.stdin: print(0.1, flush=True)")
RECORDS = [{"id": f"{i:08}", "title": "A title", "content": "words of a story " * 20, "n": i} for i in range(50)]


@pytest.fixture(params=["jsonl", "csv", "parquet"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"a.{request.param}"
    if request.param == "jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    elif request.param == "csv":
        rows = [",".join(RECORDS[0]), *(",".join(map(str, record.values())) for record in RECORDS)]
        path.write_text("\n".join(rows) + "\n")
    else:
        parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
        parquet.write_table(arrow.Table.from_pylist(RECORDS), path)
    return path


@pytest.mark.parametrize(
    ("names", "column"),
    [
        (["id", "content", "title"], "content"),
        (["title"], "title"),
        (["n", "text", "id"], "id"),
        (["text"], "content"),
        ([], "content"),
    ],
)
def test_of_the_names_the_one_with_most_text(names: list[str], column: str | None, file: Path) -> None:
    assert named_column(find_inputs((str(file),), None), names) == column


@pytest.mark.parametrize("typed", [None, "title"])
def test_the_text_that_the_script_reads_is_measured(typed: str | None, file: Path, tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text(
        "import sys, datasets\nd = datasets.load_dataset('x', data_files=sys.argv[1])\nt = d['content']\n"
    )
    request = Request((str(file),), script=str(script), text_field=typed)
    found = estimate_files(request, read_job_limits(), tuning=QUICK)
    assert found.input.chars == pytest.approx(50 * len(RECORDS[0][typed or "content"]), rel=0.1)  # type: ignore[arg-type]


def test_what_cannot_be_looked_into_has_no_column(tmp_path: Path) -> None:
    for name, data in (
        ("a.jsonl", b"not json\n"),
        ("c.txt", b"text\n"),
        ("d.csv", b"\xff\n"),
    ):
        (tmp_path / name).write_bytes(data)
        assert named_column(find_inputs((str(tmp_path / name),), None), ["text"]) is None


def test_another_column_than_the_script_names_is_told(file: Path, tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("import sys, datasets\nd = datasets.load_dataset('x', data_files=sys.argv[1])\nt = d['story']\n")
    found = estimate_files(Request((str(file),), script=str(script)), read_job_limits(), tuning=QUICK)
    assert any("content has most text" in note for note in found.notes)


def test_a_trace_has_the_names() -> None:
    trace = read(
        "import json\nfor line in open('a'):\n    row = json.loads(line)\n    x = row['body'] + row.get('title', '')\n"
    )
    assert {"body", "title"} <= set(trace.columns)
