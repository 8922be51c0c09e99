from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memguard.errors import ConfigError, InputError
from memguard.tokens.input.blocks import Block, Division, Start, read_blocks
from memguard.tokens.input.documents import Reading, Sizes
from memguard.tokens.input.source import ByteReader, find_sources
from memguard.tokens.input.split import first_cut

TEXT = "The cat's hat, 1999.\n\nEin Größeres – und 你好，世界。 再见！\r\n" * 40


def blocks_of(paths: list[Path], block: int, split_at: int | None = None, longest: int = 1 << 16) -> list[Block]:
    return blocks_of_names([str(path) for path in paths], block, split_at, longest)


def blocks_of_names(
    names: list[str], block: int, split_at: int | None = None, longest: int = 1 << 16, family: str | None = "r50k"
) -> list[Block]:
    division = Division() if split_at is None else Division("tail", 0.5, split_at)
    sizes = Sizes(block, longest)
    return list(read_blocks(find_sources(names), Reading(), division, family, sizes, Start()))


def data_of(blocks: list[Block], split: str | None = None, path: Path | None = None) -> bytes:
    return b"".join(
        document
        for block in blocks
        if path is None or block.source.path == str(path)
        for part in block.parts
        if split in (None, part.split)
        for document in part.documents
    )


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


@pytest.mark.parametrize("block", [1, 7, 100, 1000, 10_000])
def test_blocks_are_the_file_in_order(text: Path, block: int) -> None:
    blocks = blocks_of([text], block)
    assert data_of(blocks).decode() == data_of(blocks, "train").decode() == TEXT
    assert [b.offset for b in blocks] == [len(data_of(blocks[:i])) for i in range(len(blocks))]
    assert [b.parts[-1].ends for b in blocks] == [False] * (len(blocks) - 1) + [True]
    assert [b.parts[0].starts for b in blocks] == [True] + [False] * (len(blocks) - 1)


def test_blocks_are_about_as_long_as_asked(text: Path) -> None:
    sizes = [len(data_of([block])) for block in blocks_of([text], 300)]
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
    train, val = data_of(blocks, "train"), data_of(blocks, "val")
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
    # cuts of the whole: 0, 3 (space), 7 (end of the first file), 12 (space), 15 (end)
    expected = next(cut for cut in (0, 3, 7, 12, 15) if cut >= split_at)
    assert len(data_of(blocks, "train")) == expected
    assert [b.source.path for b in blocks if b.finished] == [str(path) for path in paths]
    for path in paths:
        assert data_of(blocks, path=path) == path.read_bytes()


def test_a_piece_without_a_cut_is_grown_up_to_the_cap(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"start " + b"a" * 3000 + b" end")
    assert b"a" * 3000 in max((data_of([b]) for b in blocks_of([path], 100, longest=4000)), key=len)
    with pytest.raises(InputError) as caught:
        blocks_of([path], 100, longest=2000)
    assert caught.value.path == str(path)
    assert caught.value.offset == 5  # the space before the piece: the last cut that there was
    assert str(path) in caught.value.message
    assert "byte 5" in caught.value.message


def test_without_known_cuts_a_short_file_is_one_block(text: Path) -> None:
    blocks = blocks_of_names([str(text)], 100, family=None)
    assert [data_of([b]) for b in blocks] == [TEXT.encode()]
    with pytest.raises(InputError, match="no safe place to cut is known"):
        blocks_of_names([str(text)], 100, longest=1000, family=None)


def test_a_file_that_grows_or_shrinks_meanwhile_is_refused(text: Path) -> None:
    sources = find_sources([str(text)])
    with text.open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match="changed while it was read"):
        list(read_blocks(sources, Reading(), Division(), "r50k", Sizes(100, 1000), Start()))


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, TEXT.encode())
    os.close(writing)
    blocks = blocks_of_names([f"/dev/fd/{reading}"], 100)
    os.close(reading)
    assert data_of(blocks).decode() == TEXT
    assert blocks[-1].finished is not None
    assert (blocks[-1].finished.bytes, blocks[-1].finished.mtime) == (len(TEXT.encode()), None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfea\x00", ["UTF-16", "iconv"]),
        (b"\xfe\xff\x00a", ["UTF-16", "iconv"]),
        (b"%PDF-1.7", ["PDF", "pdftotext"]),
        (b"PK\x03\x04", ["zip"]),
        (b"\x93NUMPY\x01", ["NumPy"]),
    ],
)
def test_what_is_no_text_is_named_with_its_mend(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        find_sources([str(path)])
    assert all(word in f"{caught.value.message} {caught.value.hint}" for word in [*words, str(path)])


def test_nul_bytes_are_text(tmp_path: Path) -> None:
    path = tmp_path / "nul.txt"
    path.write_bytes(b"a\x00b c")
    assert data_of(blocks_of([path], 100)) == b"a\x00b c"


def test_missing_directory_empty_and_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(InputError, match="No such file") as caught:
        find_sources([str(tmp_path / "none.txt")])
    assert caught.value.path == str(tmp_path / "none.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="holds no file that is text by its name"):
        find_sources([str(tmp_path / "folder")])
    with pytest.raises(InputError, match="no file matches"):
        find_sources([str(tmp_path / "*.none")])
    with pytest.raises(InputError, match="is empty"):
        find_sources([str(empty)])
    with pytest.raises(InputError, match="all input files are empty"):
        find_sources([str(empty), str(empty)])
    with pytest.raises(ConfigError, match="no input file"):
        find_sources([])
    with pytest.raises(ConfigError, match="once only"):
        find_sources(["-", "-"])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(text: Path) -> None:
    text.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        find_sources([str(text)])


def test_directories_and_patterns_are_their_files_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.jsonl", "a/.hidden.txt", "a/picture.png", "c.csv.gz", ".git/x.txt", "10.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    found = [(os.path.relpath(source.path, tmp_path), source.kind) for source in find_sources([str(tmp_path)])]
    assert found == [("10.txt", "text"), ("a/z.jsonl", "jsonl"), ("b.txt", "text"), ("c.csv.gz", "csv")]
    pattern = [source.path for source in find_sources([str(tmp_path / "*.txt"), str(tmp_path / "**" / "*.jsonl")])]
    assert pattern == [str(tmp_path / name) for name in ("10.txt", "b.txt", "a/z.jsonl")]


def test_a_url_is_read_through_fsspec(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://folder/remote.txt", "wb") as file:
        file.write(TEXT.encode())
    blocks = blocks_of_names(["memory://folder/remote.txt"], 100)
    assert data_of(blocks).decode() == TEXT
    with pytest.raises(InputError, match="memory://none"):
        find_sources(["memory://none.txt"])
    with pytest.raises(ConfigError, match="nosuch"):
        find_sources(["nosuch://a/b.txt"])


@pytest.mark.parametrize("name", ["gzip", "bz2", "lzma", "backports.zstd"])
@pytest.mark.parametrize("start", [0, 1, 3000])
def test_compressed_files_are_read_from_any_place(tmp_path: Path, name: str, start: int) -> None:
    module = pytest.importorskip(name)
    data = TEXT.encode()
    # two members one after the other are one text
    packed = module.compress(data[:2000]) + module.compress(data[2000:])
    path = tmp_path / "text.txt"
    path.write_bytes(packed)
    source = find_sources([str(path)])[0]
    assert source.compression is not None
    with ByteReader(source, start) as reader:
        assert reader.read(1 << 20) == data[start:]
        assert reader.finish().bytes == len(packed)
    reading, writing = os.pipe()
    os.write(writing, packed)
    os.close(writing)
    assert data_of(blocks_of_names([f"/dev/fd/{reading}"], 100)) == data
    os.close(reading)


@pytest.mark.parametrize("name", ["gzip", "bz2", "lzma", "backports.zstd"])
def test_damaged_compressed_files_are_said_to_be(tmp_path: Path, name: str) -> None:
    module = pytest.importorskip(name)
    # zstd has a checksum only where it is asked for
    options = {"options": {module.CompressionParameter.checksum_flag: 1}} if "zstd" in name else {}
    packed = module.compress(os.urandom(3000), **options)
    path = tmp_path / "text.txt"
    for damaged in (packed[:-20], packed[:1000] + bytes(300) + packed[1300:]):
        path.write_bytes(damaged)
        source = find_sources([str(path)])[0]
        with ByteReader(source) as reader, pytest.raises(InputError, match=r"text\.txt is damaged or incomplete"):
            while reader.read(1 << 16):
                pass
