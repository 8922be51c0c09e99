from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memguard.errors import ConfigError, InputError
from memguard.tokens.source import Block, inspect_sources, read_blocks
from memguard.tokens.split import first_cut

TEXT = "The cat's hat, 1999.\n\nEin Größeres – und 你好，世界。 再见！\r\n" * 40


def blocks_of(paths: list[Path], block: int, split_at: int | None = None, longest: int = 1 << 16) -> list[Block]:
    sources = inspect_sources([str(path) for path in paths])
    return list(read_blocks(sources, family="r50k", block=block, longest_piece=longest, split_at=split_at))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


@pytest.mark.parametrize("block", [1, 7, 100, 1000, 10_000])
def test_blocks_are_the_file_in_order(text: Path, block: int) -> None:
    blocks = blocks_of([text], block)
    assert b"".join(b.data for b in blocks).decode() == TEXT
    assert [b.offset for b in blocks] == [sum(len(c.data) for c in blocks[:i]) for i in range(len(blocks))]
    assert [b.ends_file for b in blocks] == [False] * (len(blocks) - 1) + [True]
    assert {b.split for b in blocks} == {"train"}


def test_blocks_are_about_as_long_as_asked(text: Path) -> None:
    sizes = [len(block.data) for block in blocks_of([text], 300)]
    assert max(sizes) <= 300
    assert min(sizes[:-1]) > 250


def test_the_input_is_described(text: Path) -> None:
    found = blocks_of([text], 100)[-1].finished
    assert found is not None
    assert (found.path, found.bytes, found.mtime) == (str(text), len(TEXT.encode()), text.stat().st_mtime)
    assert found.sha256_head == hashlib.sha256(TEXT.encode()).hexdigest()


def test_the_hash_covers_the_first_mebibyte_only(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    data = b"word " * 300_000
    path.write_bytes(data)
    found = blocks_of([path], 300_000, longest=1 << 20)[-1].finished
    assert found is not None
    assert found.sha256_head == hashlib.sha256(data[: 1 << 20]).hexdigest()


@given(split_at=st.integers(0, len(TEXT.encode())), block=st.integers(1, 600))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_split_is_the_first_cut_whatever_the_block(text: Path, split_at: int, block: int) -> None:
    blocks = blocks_of([text], block, split_at)
    train = b"".join(b.data for b in blocks if b.split == "train")
    val = b"".join(b.data for b in blocks if b.split == "val")
    data = TEXT.encode()
    assert train + val == data
    expected = 0 if split_at == 0 else first_cut(data, "r50k", split_at)
    assert len(train) == (len(data) if expected is None else expected)


@pytest.mark.parametrize("split_at", [0, 3, 6, 7, 9, 12, 15])
@pytest.mark.parametrize("block", [1, 4, 64])
def test_the_split_counts_over_all_files_and_files_are_never_joined(tmp_path: Path, split_at: int, block: int) -> None:
    paths = []
    for number, content in enumerate(["one two", "", "three go"]):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_text(content)
    blocks = blocks_of(paths, block, split_at)
    train = [b for b in blocks if b.split == "train" and b.data]
    # cuts of the whole: 0, 3 (space), 7 (end of the first file), 12 (space), 15 (end)
    expected = next(cut for cut in (0, 3, 7, 12, 15) if cut >= split_at)
    assert sum(len(b.data) for b in train) == expected
    assert [b.path for b in blocks if b.ends_file] == [str(path) for path in paths]
    for path in paths:
        assert b"".join(b.data for b in blocks if b.path == str(path)) == path.read_bytes()


def test_a_piece_without_a_cut_is_grown_up_to_the_cap(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"start " + b"a" * 3000 + b" end")
    assert b"a" * 3000 in max((b.data for b in blocks_of([path], 100, longest=4000)), key=len)
    with pytest.raises(InputError) as caught:
        blocks_of([path], 100, longest=2000)
    assert caught.value.path == str(path)
    assert caught.value.offset == 5  # the space before the piece: the last cut that there was
    assert str(path) in caught.value.message
    assert "byte 5" in caught.value.message


def test_without_known_cuts_a_short_file_is_one_block(text: Path) -> None:
    sources = inspect_sources([str(text)])
    blocks = list(read_blocks(sources, family=None, block=100, longest_piece=1 << 16))
    assert [b.data for b in blocks] == [TEXT.encode()]
    with pytest.raises(InputError, match="no safe place to cut is known"):
        list(read_blocks(sources, family=None, block=100, longest_piece=1000))


def test_a_file_that_grows_or_shrinks_meanwhile_is_refused(text: Path) -> None:
    sources = inspect_sources([str(text)])
    with text.open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match="changed while it was read"):
        list(read_blocks(sources, family="r50k", block=100, longest_piece=1000))


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, TEXT.encode())
    os.close(writing)
    sources = inspect_sources([f"/dev/fd/{reading}"])
    assert sources[0].size is None
    blocks = list(read_blocks(sources, family="r50k", block=100, longest_piece=1000))
    os.close(reading)
    assert b"".join(b.data for b in blocks).decode() == TEXT


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfea\x00", ["UTF-16", "iconv"]),
        (b"\xfe\xff\x00a", ["UTF-16", "iconv"]),
        (b"\x1f\x8b\x08\x00", ["gzip", "zcat"]),
        (b"\x28\xb5\x2f\xfd", ["zstd"]),
        (b"PAR1....", ["Parquet"]),
        (b"PK\x03\x04", ["zip"]),
        (b"\x93NUMPY\x01", ["NumPy"]),
    ],
)
def test_what_is_no_text_is_named_with_its_mend(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        inspect_sources([str(path)])
    assert all(word in f"{caught.value.message} {caught.value.hint}" for word in [*words, str(path)])


def test_nul_bytes_are_text(tmp_path: Path) -> None:
    path = tmp_path / "nul.txt"
    path.write_bytes(b"a\x00b c")
    assert b"".join(b.data for b in blocks_of([path], 100)) == b"a\x00b c"


def test_missing_directory_empty_and_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(InputError, match="No such file") as caught:
        inspect_sources([str(tmp_path / "none.txt")])
    assert caught.value.path == str(tmp_path / "none.txt")
    with pytest.raises(InputError, match="is a directory"):
        inspect_sources([str(tmp_path)])
    with pytest.raises(InputError, match="is empty"):
        inspect_sources([str(empty)])
    with pytest.raises(InputError, match="all input files are empty"):
        inspect_sources([str(empty), str(empty)])
    with pytest.raises(ConfigError, match="no input file"):
        inspect_sources([])
    with pytest.raises(ConfigError, match="once only"):
        inspect_sources(["-", "-"])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(text: Path) -> None:
    text.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        inspect_sources([str(text)])
