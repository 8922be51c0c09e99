"""What the user names → inputs; and what is read from packed files, JSONL and Parquet."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from memguard.errors import EngineNotInstalled, InputError
from memguard.estimate.baseline import timed_pieces
from memguard.estimate.corpus.inputs import find_inputs
from memguard.estimate.corpus.read import Depth, read_corpus

PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("suffix", PACK)
def test_a_packed_text_has_the_stats_of_the_text(tmp_path: Path, english: str, suffix: str) -> None:
    data = (english[:200_000] + "“quoted” 中文\n").encode()
    plain = read_corpus([write(tmp_path / "a.txt", data)]).stats
    packed = read_corpus([write(tmp_path / f"a.txt.{suffix}", PACK[suffix](data))]).stats
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
            read_corpus([path])
    else:
        packed = zstd.compress(b"some words of text\n" * 1000)
        assert read_corpus([write(tmp_path / "a.txt.zst", packed)]).stats.bytes == 19_000
        with pytest.raises(InputError, match="damaged or incomplete"):
            read_corpus([write(tmp_path / "b.txt.zst", packed[:-5])])


def test_a_truncated_packed_file_is_one_clear_error(tmp_path: Path, english: str) -> None:
    path = write(tmp_path / "a.txt.gz", gzip.compress(english[:100_000].encode())[:-2000])
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_corpus([path])


def test_jsonl_is_its_texts(tmp_path: Path, english: str) -> None:
    english = english.encode("ascii", "ignore").decode()
    texts = [english[i : i + 3000] for i in range(0, 90_000, 3000)] + ["“quoted”"]
    lines = "".join(json.dumps({"text": text, "id": 1}) + "\n" for text in texts)
    stats = read_corpus([write(tmp_path / "a.jsonl", lines.encode())]).stats
    assert stats.kind == "jsonl"
    assert stats.documents == len(texts)
    assert stats.bytes == sum(len(text.encode()) for text in texts)
    assert stats.document_stats is not None
    assert stats.document_stats.copy_bytes.expected == 16  # 12 bytes, a NUL, rounded up
    packed = read_corpus([write(tmp_path / "a.jsonl.gz", gzip.compress(lines.encode()))]).stats
    assert packed.tokens == stats.tokens


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"body": "text"}\n', "no text field 'text' at byte 16"),
        (b"not json\n", "not JSON at byte 16"),
        (b'{"text": 5}\n', "no text field"),
        (b"[1]\n", "no text field"),
    ],
)
def test_a_bad_record_is_named_with_its_place(tmp_path: Path, line: bytes, words: str) -> None:
    path = write(tmp_path / "a.jsonl", b'{"text": "fine"}'.ljust(15) + b"\n" + line)
    with pytest.raises(InputError) as caught:
        read_corpus([path])
    assert words.replace("16", "17") in caught.value.message
    assert path in caught.value.message


def test_another_field_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'{"body": "some words"}\n' * 10)
    assert read_corpus([path], text_field="body").stats.documents == 10
    with pytest.raises(InputError) as caught:
        read_corpus([path])
    assert caught.value.hint == "--text-field one of: body"


def test_parquet_is_its_column(tmp_path: Path, english: str) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is an extra")
    import pyarrow.parquet

    texts = [english[i : i + 1000] for i in range(0, 300_000, 1000)]
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "n": range(len(texts))}), path, row_group_size=50)
    stats = read_corpus([str(path)]).stats
    assert (stats.kind, stats.documents) == ("parquet", len(texts))
    assert stats.bytes == sum(len(text.encode()) for text in texts)
    with pytest.raises(InputError, match="no text column 'body'"):
        read_corpus([str(path)], text_field="body")


def test_stdin_is_read_once(monkeypatch: pytest.MonkeyPatch, english: str) -> None:
    import sys

    data = english[:100_000].encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    corpus = read_corpus(["-"])
    assert corpus.stats.bytes == len(data)
    assert corpus.stats.tokens_exact
    assert timed_pieces(["-"]) == ()
    with pytest.raises(InputError, match="only once"):
        find_inputs(["-", "-"])


def test_a_long_stream_is_counted_in_part(monkeypatch: pytest.MonkeyPatch, english: str) -> None:
    import sys

    data = (english * 6).encode()
    results = []
    for limit in (1 << 30, 300_000):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        results.append(read_corpus(["-"], depth=Depth(count_limit=limit)).stats)
    counted, sampled = results
    assert not sampled.tokens_exact
    assert sampled.bytes == counted.bytes
    assert sampled.tokens.low <= counted.tokens.expected <= sampled.tokens.high


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


def test_missing_files_and_pipes_are_refused_with_a_mend(tmp_path: Path) -> None:
    write(tmp_path / "train.txt", b"words")
    with pytest.raises(InputError, match="no such file") as caught:
        find_inputs([str(tmp_path / "tarin.txt")])
    assert "train.txt" in caught.value.hint
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        find_inputs([str(tmp_path / "pipe")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"words")
    os.chmod(path, 0)
    with pytest.raises(InputError, match="permission denied"):
        find_inputs([path])
