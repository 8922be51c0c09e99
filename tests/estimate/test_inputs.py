"""What the user names → inputs; and what is read from packed files, JSONL and Parquet."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from memguard.errors import ConfigError, EngineNotInstalled, InputError
from memguard.estimate.baseline import timed_pieces
from memguard.estimate.corpus.inputs import find_inputs
from memguard.estimate.corpus.read import Depth
from memguard.tokens.job import tokenize
from tests.estimate.corpora import read_files, stdin_of

pytestmark = pytest.mark.usefixtures("shared_engines")

PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("suffix", PACK)
def test_a_packed_text_has_the_stats_of_the_text(tmp_path: Path, english: str, suffix: str) -> None:
    data = (english[:200_000] + "“quoted” 中文\n").encode()
    plain = read_files([write(tmp_path / "a.txt", data)]).stats
    packed = read_files([write(tmp_path / f"a.txt.{suffix}", PACK[suffix](data))]).stats
    assert packed.compressed and not plain.compressed
    assert packed.disk_bytes < packed.bytes
    for name in ("bytes", "chars", "max_code_point", "char_width", "tokens", "has_0x0d", "tokens_exact"):
        assert getattr(packed, name) == getattr(plain, name), name
    assert sum(p.tokens.expected for p in packed.slices) == pytest.approx(plain.tokens.expected, abs=2)
    assert packed.document_stats is not None and plain.document_stats is not None
    assert packed.document_stats.str_bytes == plain.document_stats.str_bytes


def test_zstd_is_read_or_named_as_missing(tmp_path: Path) -> None:
    try:
        from backports import zstd
    except ImportError:
        path = write(tmp_path / "a.txt.zst", b"\x28\xb5\x2f\xfd rest")
        with pytest.raises(EngineNotInstalled, match=r"backports\.zstd"):
            read_files([path])
    else:
        packed = zstd.compress(b"some words of text\n" * 1000)
        assert read_files([write(tmp_path / "a.txt.zst", packed)]).stats.bytes == 19_000
        with pytest.raises(InputError, match="damaged or incomplete"):
            read_files([write(tmp_path / "b.txt.zst", packed[:-5])])


def test_a_truncated_packed_file_is_one_clear_error(tmp_path: Path, english: str) -> None:
    path = write(tmp_path / "a.txt.gz", gzip.compress(english[:100_000].encode())[:-2000])
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_files([path])


def test_jsonl_is_its_texts(tmp_path: Path, english: str) -> None:
    english = english.encode("ascii", "ignore").decode()
    texts = [english[i : i + 3000] for i in range(0, 90_000, 3000)] + ["“quoted”"]
    lines = "".join(json.dumps({"text": text, "id": 1}) + "\n" for text in texts)
    stats = read_files([write(tmp_path / "a.jsonl", lines.encode())]).stats
    assert stats.kind == "jsonl"
    assert stats.documents == len(texts)
    assert stats.bytes == sum(len(text.encode()) for text in texts)
    assert stats.document_stats is not None
    assert stats.document_stats.copy_bytes.expected == 16  # 12 bytes, a NUL, rounded up
    packed = read_files([write(tmp_path / "a.jsonl.gz", gzip.compress(lines.encode()))]).stats
    assert packed.tokens == stats.tokens


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"body": "text"}\n', "the line at byte 17 has no field 'text'"),
        (b"not json\n", "the line at byte 17 is no JSON"),
        (b'{"text": 5}\n', "is no text but int"),
        (b"[1]\n", "has no field 'text'"),
    ],
)
def test_a_bad_record_is_named_with_its_place(tmp_path: Path, line: bytes, words: str) -> None:
    path = write(tmp_path / "a.jsonl", b'{"text": "fine"}\n' + line)
    with pytest.raises(InputError) as caught:
        read_files([path])
    assert words in caught.value.message
    assert path in caught.value.message


def test_another_field_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'{"body": "some words"}\n' * 10)
    assert read_files([path], text_field="body").stats.documents == 10
    with pytest.raises(InputError) as caught:
        read_files([path])
    assert "body" in caught.value.hint


def test_csv_is_its_column_as_for_tokenize(tmp_path: Path) -> None:
    texts = ["some words", "a line\nand another, with a comma", "“quoted” 中文"] * 100
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    rows.writerow(["id", "text"])
    rows.writerows([number, text] for number, text in enumerate(texts))
    path = write(tmp_path / "a.csv", file.getvalue().encode())
    stats = read_files([path]).stats
    assert (stats.kind, stats.documents) == ("csv", len(texts))
    assert stats.bytes == sum(len(text.encode()) for text in texts)
    assert stats.document_stats is not None and stats.document_stats.unit == "row"
    tokenize([path], str(tmp_path / "out"), val_fraction=0, eot=False)
    assert os.path.getsize(tmp_path / "out" / "train.bin") == 2 * stats.tokens.expected
    assert read_files([path], "text").stats.bytes == os.path.getsize(path)
    with pytest.raises(InputError, match="no column 'body'"):
        read_files([path], text_field="body")


def test_a_long_csv_is_read_from_its_head(tmp_path: Path) -> None:
    row = b"1,some words of a text that goes on and on for a while\n"
    path = write(tmp_path / "a.csv", b"id,text\n" + row * 60_000)
    whole = read_files([path]).stats
    part = read_files([path], depth=Depth(document_limit=1 << 21)).stats
    assert part.documents is None and whole.documents == 60_000
    assert part.tokens.expected == pytest.approx(whole.tokens.expected, rel=0.15)


def test_malformed_records_are_noted_and_counted(tmp_path: Path) -> None:
    corpus = read_files([write(tmp_path / "a.jsonl", b'{"text": "some \xff words"}\n' * 10)])
    assert corpus.stats.documents == 10
    assert corpus.stats.invalid_utf8 == 1
    assert any("not UTF-8" in note for note in corpus.notes)


def test_parquet_is_its_column(tmp_path: Path, english: str) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is an extra")
    import pyarrow.parquet

    texts = [english[i : i + 1000] for i in range(0, 300_000, 1000)]
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "n": range(len(texts))}), path, row_group_size=50)
    stats = read_files([str(path)]).stats
    assert (stats.kind, stats.documents) == ("parquet", len(texts))
    assert stats.bytes == sum(len(text.encode()) for text in texts)
    with pytest.raises(InputError, match="no text column 'body'"):
        read_files([str(path)], text_field="body")


def test_stdin_is_read_once(tmp_path: Path, english: str) -> None:
    data = english[:100_000].encode()
    with stdin_of(Path(write(tmp_path / "a.txt", data))):
        corpus = read_files(["-"])
    assert corpus.stats.bytes == len(data)
    assert corpus.stats.tokens_exact
    assert timed_pieces(find_inputs(["-"])) == ()
    with pytest.raises(ConfigError, match="once only"):
        find_inputs(["-", "-"])


def test_packed_stdin_is_unpacked(tmp_path: Path, english: str) -> None:
    data = english[:100_000].encode()
    with stdin_of(Path(write(tmp_path / "a", gzip.compress(data)))):
        assert read_files(["-"]).stats.bytes == len(data)


def test_a_long_stream_is_counted_in_part(tmp_path: Path, english: str) -> None:
    path = Path(write(tmp_path / "a.txt", (english * 6).encode()))
    results = []
    for limit in (1 << 30, 300_000):
        with stdin_of(path):
            results.append(read_files(["-"], depth=Depth(count_limit=limit)).stats)
    counted, sampled = results
    assert not sampled.tokens_exact
    assert sampled.bytes == counted.bytes
    assert sampled.tokens.low <= counted.tokens.expected <= sampled.tokens.high


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"some words of a text " * 100)
    os.close(writer)
    try:
        assert read_files([f"/dev/fd/{reader}"]).stats.bytes == 2100
    finally:
        os.close(reader)


def test_a_url_is_read_as_a_stream() -> None:
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://folder/remote.txt", "wb") as file:
        file.write(b"some words of a text " * 1000)
    corpus = read_files(["memory://folder/remote.txt"])
    assert corpus.stats.bytes == 21_000
    assert corpus.stream_rate is None
    assert timed_pieces(find_inputs(["memory://folder/remote.txt"])) == ()


def test_directories_and_patterns_are_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("b.txt", "a.txt", "sub/c.txt.gz", ".d.txt", ".hidden/e.txt", "image.png"):
        data = b"some words\n" * 10
        write(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data)
    write(tmp_path / "empty.txt", b"")
    found = [os.path.relpath(item.path, tmp_path) for item in find_inputs([str(tmp_path)])]
    assert found == ["a.txt", "b.txt", "sub/c.txt.gz"]
    write(tmp_path / "empty.txt", b"no longer")
    assert [os.path.basename(i.path) for i in find_inputs([str(tmp_path / "*.txt")])] == ["a.txt", "b.txt", "empty.txt"]
    with pytest.raises(InputError, match="no file matches"):
        find_inputs([str(tmp_path / "*.none")])


def test_kinds_are_not_mixed(tmp_path: Path) -> None:
    text, records = write(tmp_path / "a.txt", b"words"), write(tmp_path / "b.jsonl", b'{"text": "words"}')
    with pytest.raises(InputError, match="several kinds"):
        find_inputs([text, records])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"text\0with a NUL" * 10, "NUL byte at offset 4"),
        (b"PK\x03\x04 rest", "zip"),
        ("utf-16 text".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        find_inputs([write(tmp_path / "some file.txt", data)])
    assert "some file.txt" in caught.value.message
    assert caught.value.hint


def test_a_missing_file_is_refused_with_a_name_that_is_close(tmp_path: Path) -> None:
    write(tmp_path / "train.txt", b"words")
    with pytest.raises(InputError, match="No such file") as caught:
        find_inputs([str(tmp_path / "tarin.txt")])
    assert "train.txt" in caught.value.hint


def test_an_empty_file_among_others_is_left_out(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.txt", b""), write(tmp_path / "b.txt", b"words")]
    assert [source.path for source in find_inputs(paths)] == paths[1:]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"words")
    os.chmod(path, 0)
    with pytest.raises(InputError, match="Permission denied"):
        find_inputs([path])
