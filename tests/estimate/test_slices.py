"""Slices: records whole, from all over the file."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from memguard.errors import InputError
from memguard.estimate.probe.slices import slice_kind, write_slice


def test_a_slice_of_lines_is_whole_lines_from_all_over(tmp_path: Path) -> None:
    lines = [f"line {number} {'x' * (number % 50)}\n" for number in range(50_000)]
    source, output = tmp_path / "a.txt", tmp_path / "slice.txt"
    source.write_text("".join(lines))
    taken = write_slice(str(source), str(output), 200_000)
    found = output.read_text().splitlines(keepends=True)
    assert taken == output.stat().st_size == pytest.approx(200_000, rel=0.02)
    assert set(found) <= set(lines)
    numbers = [int(line.split()[1]) for line in found]
    assert numbers == sorted(numbers)
    assert numbers[0] < 1000 and numbers[-1] > 45_000


def test_a_slice_of_everything_is_the_file(tmp_path: Path) -> None:
    source, output = tmp_path / "a.txt", tmp_path / "slice.txt"
    source.write_text("".join(f"{n}\n" for n in range(10_000)))
    write_slice(str(source), str(output), 10**9)
    assert output.read_text() == source.read_text()


def test_one_long_line_is_cut_at_a_character(tmp_path: Path) -> None:
    source, output = tmp_path / "a.txt", tmp_path / "slice.txt"
    source.write_text("中文字符" * 100_000, encoding="utf-8")
    assert write_slice(str(source), str(output), 100_000) >= 0
    output.read_text(encoding="utf-8", errors="replace")


def test_csv_keeps_its_header_and_its_quotes(tmp_path: Path) -> None:
    source, output = tmp_path / "a.csv", tmp_path / "slice.csv"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "number"])
        writer.writerows([f'row {n}, "quoted"', n] for n in range(20_000))
    write_slice(str(source), str(output), 60_000)
    with output.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["text", "number"]
    assert all(row[0].startswith("row ") and row[1].isdigit() for row in rows)
    assert len({row[1] for row in rows}) == len(rows) > 100


def test_jsonl_stays_jsonl(tmp_path: Path) -> None:
    source, output = tmp_path / "a.jsonl", tmp_path / "slice.jsonl"
    source.write_text("".join(json.dumps({"text": "words " * (n % 90), "n": n}) + "\n" for n in range(9000)))
    write_slice(str(source), str(output), 100_000)
    numbers = [json.loads(line)["n"] for line in output.read_text().splitlines()]
    assert numbers == sorted(set(numbers)) and numbers[-1] > 8000


def test_parquet_keeps_its_row_groups(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is an extra")
    import pyarrow.parquet

    source, output = tmp_path / "a.parquet", tmp_path / "slice.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": [f"text {n}" for n in range(4000)]}), source, row_group_size=500)
    write_slice(str(source), str(output), source.stat().st_size // 4)
    assert pyarrow.parquet.ParquetFile(output).metadata.num_row_groups == 8
    assert pyarrow.parquet.ParquetFile(output).metadata.num_rows == pytest.approx(1000, rel=0.05)


def test_packed_files_cannot_be_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"words " * 100))
    with pytest.raises(InputError, match="packed"):
        slice_kind(str(path))
