"""Columns of data sets and frames, by hand-made figures: 100 MB of ASCII in 1,000,000 lines, 25 M tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memguard.estimate.plans.pools import parquet_table
from memguard.estimate.plans.quantities import text_of
from memguard.records.estimate import CorpusStats
from tests.estimate.script_texts import M, ascii_text, at_line, peak, read, weigh

DATASET = """\
import numpy, tiktoken
from datasets import load_dataset
ds = load_dataset("json", data_files="a.jsonl", split="train")
"""
STRS = ascii_text().document_stats
LISTED = (STRS.str_bytes.expected if STRS else 0) + 8 * M


def jsonl() -> CorpusStats:
    return replace(ascii_text(), kind="jsonl")


def grouped(rows: int) -> CorpusStats:
    return replace(ascii_text(), kind="parquet", row_group_rows=rows)


def test_the_pages_of_an_arrow_file_count_once_they_are_looked_at() -> None:
    report = weigh(DATASET + "n = len(ds)\nfor row in ds:\n    n += len(row['text'])\nprint(n)\n", jsonl())
    assert at_line(report, 7) - at_line(report, 4) == pytest.approx(100 * M, rel=0.01)


def test_a_lazy_column_is_nothing_until_it_is_gone_through() -> None:
    report = weigh(DATASET + "column = ds['text']\ntexts = column[:]\n", jsonl())
    before = at_line(report, 4)
    assert at_line(report, 5) - before == pytest.approx(100 * M + LISTED, rel=0.01)


@pytest.mark.parametrize(
    "joined", ["'\\n'.join(ds['text'])", "'\\n'.join(ds['text'][:])", "'\\n'.join(row['text'] for row in ds)"]
)
def test_a_column_that_is_joined_is_strs_pages_and_one_text(joined: str) -> None:
    kept = at_line(weigh(DATASET + "n = len(ds)\n", jsonl()), 4)
    report = weigh(DATASET + f"text = {joined}\n", jsonl())
    assert at_line(report, 4) - kept == pytest.approx(200 * M + LISTED, rel=0.01)


def test_an_index_that_a_loop_moves_sees_every_row() -> None:
    source = DATASET + "ids = []\nenc = tiktoken.get_encoding('gpt2')\nfor i in range(len(ds)):\n"
    rows = weigh(source + "    ids.extend(enc.encode(ds[i]['text']))\nprint(len(ids))\n", jsonl())
    assert at_line(rows, 8) - at_line(rows, 4) > 8 * 25 * M


def test_a_text_of_a_module_is_copied_as_it_grows_and_one_of_a_function_is_not() -> None:
    loop = "text = ''\nfor row in ds:\n    text += row['text']\n"
    function = "def f():\n" + "".join(f"    {line}\n" for line in loop.splitlines()) + "    return text\ntext = f()\n"
    copied = peak(DATASET + loop, jsonl()) - peak(DATASET + function, jsonl())
    assert copied == pytest.approx(100 * M, rel=0.02)


def test_a_frame_makes_strs_of_its_column_for_apply_and_lets_go_of_them() -> None:
    csv = replace(ascii_text(), kind="csv")
    head = "import numpy, tiktoken\nimport pandas as pd\ndf = pd.read_csv('a.csv')\nn = len(df)\n"
    report = weigh(head + "lengths = df['text'].apply(len)\nn += 1\n", csv)
    assert at_line(report, 5) - at_line(report, 4) > LISTED
    assert at_line(report, 6) < at_line(report, 5) - 0.9 * LISTED


def test_small_row_groups_are_read_with_less() -> None:
    source = "import numpy, tiktoken\nimport pyarrow.parquet as pq\nf = pq.ParquetFile('a')\n"
    source += "for b in f.iter_batches(1000): n = 1\n"
    assert peak(source, grouped(1000)) < peak(source, grouped(1_000_000))
    small, large = (parquet_table(text_of(grouped(rows), "expected"), 40e6) for rows in (1000, 1_000_000))
    assert small < large


def test_what_a_library_brings_in_is_measured_where_it_is_there() -> None:
    source = "import pyarrow.parquet as pq\nt = pq.read_table('a')\n"
    assert "?pandas" in read(source).imported
    streamed = "from datasets import load_dataset\nds = load_dataset('a', streaming=True)\n"
    assert "?torch" in read(streamed).imported


def test_map_without_processes_is_no_tree() -> None:
    mapped = DATASET + "ds = ds.map(lambda row: {'n': len(row['text'])}"
    assert not read(mapped + ")\n").processes
    assert read(mapped + ", num_proc=2)\n").processes
