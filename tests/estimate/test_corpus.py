from __future__ import annotations

import os
from pathlib import Path

import pytest

from memguard.errors import InputError
from memguard.estimate.corpus import check_files, read_corpus
from memguard.tokens.encode import load_encoding


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_the_stats_of_a_text_are_those_of_the_script(tmp_path: Path, english: str) -> None:
    text = english[:120_000] + "\r\n“quoted”\r\n" + english[:5000] + "😀"
    path = write(tmp_path / "text.txt", text.encode())
    stats = read_corpus([path]).stats
    assert (stats.bytes, stats.chars, stats.max_code_point) == (len(text.encode()), len(text), 0x1F600)
    assert stats.char_width == 4
    assert stats.has_0x0d
    assert stats.tokens_exact
    encode = load_encoding("gpt2").encode_ordinary
    assert stats.tokens.expected == len(encode(text))

    data = Path(path).read_text(encoding="utf-8")
    parts = data[: int(len(data) * 0.9)], data[int(len(data) * 0.9) :]
    for own, part in zip(parts, stats.slices, strict=True):
        ids = encode(own)
        assert (part.chars, part.utf8) == (len(own), len(own.encode()))
        assert part.tokens.expected == pytest.approx(len(ids), rel=0.1)  # interpolated inside one block here
    assert sum(p.tokens.expected for p in stats.slices) == pytest.approx(len(encode(data)), abs=2)
    assert sum(p.boxed_tokens.expected for p in stats.slices) == pytest.approx(
        sum(i > 256 for i in encode(data)), abs=2
    )
    assert [part.char_width for part in stats.slices] == [1 if parts[0].isascii() else 2, 4]


def test_without_a_validation_part_the_text_is_one_slice(tmp_path: Path) -> None:
    stats = read_corpus([write(tmp_path / "a.txt", b"some words " * 100)], val_fraction=0).stats
    assert [part.chars for part in stats.slices] == [1100]
    assert stats.ascii


def test_large_files_are_sampled(tmp_path: Path, english: str) -> None:
    data = english[:300_000].encode() * 4
    path = write(tmp_path / "a.txt", data)
    counted, sampled = read_corpus([path]).stats, read_corpus([path], count_limit=1000).stats
    assert not sampled.tokens_exact
    assert sampled.sampled_bytes > 0
    assert sampled.tokens.low <= counted.tokens.expected <= sampled.tokens.high
    assert sampled.tokens.expected == pytest.approx(counted.tokens.expected, rel=0.02)


def test_malformed_utf8_is_a_note_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"fine " * 1000 + b"\xe9t\xe9 " * 10)
    corpus = read_corpus([path])
    assert corpus.stats.invalid_utf8 == 1
    assert any("5,000" in note and path in note for note in corpus.notes)


def test_rates_are_measured(tmp_path: Path, english: str) -> None:
    corpus = read_corpus([write(tmp_path / "a.txt", english[:100_000].encode())])
    assert corpus.stream_rate and corpus.stream_rate > 1e5
    assert corpus.tiktoken_rate and corpus.tiktoken_rate > 1e5


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"text\0with a NUL" * 10, "NUL byte at offset 4"),
        (b"\x1f\x8b\x08 rest", "gzip"),
        (b"PAR1 rest", "Parquet"),
        ("utf-16 text".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        check_files([write(tmp_path / "some file.txt", data)])
    assert "some file.txt" in caught.value.message
    assert caught.value.hint


def test_directories_and_missing_files_are_refused_with_a_mend(tmp_path: Path) -> None:
    write(tmp_path / "train.txt", b"words")
    with pytest.raises(InputError, match="is a directory"):
        check_files([str(tmp_path)])
    with pytest.raises(InputError, match="no such file") as caught:
        check_files([str(tmp_path / "tarin.txt")])
    assert "train.txt" in caught.value.hint
    with pytest.raises(InputError, match="stdin"):
        check_files(["-"])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        check_files([str(tmp_path / "pipe")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"words")
    os.chmod(path, 0)
    with pytest.raises(InputError, match="permission denied"):
        check_files([path])
