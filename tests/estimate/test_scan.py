"""The scan against Python itself: what it says of a text must be what CPython makes of it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard.estimate.corpus import scan as scanning
from memguard.estimate.corpus.scan import BLOCK_BYTES, TextScan, code_point_class, scan_files, width_of

# Characters around every border: of the widths, of the UTF-8 lengths, of the narrow second bytes, and 0x0D units.
_BORDERS = (
    "a \n\r\x7f\x80\xff\u0100\u07ff\u0800\ufffd\uffff\U00010000\U0010ffff"
    "\ud7ff\ue000\u010d\u200d\u0d15\u0dff\U0001f40d\U00010d12"
)
texts = st.text(st.sampled_from(_BORDERS) | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
block_sizes = st.integers(1, 70)


Scan = Callable[..., TextScan]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Scans one file's bytes, or several files'; they are named 0.txt, 1.txt, … and stay until the next scan."""
    directory = tmp_path_factory.mktemp("scan")

    def run(data: bytes | list[bytes], block: int = 64, entries: int = 1 << 16) -> TextScan:
        paths = []
        for index, content in enumerate([data] if isinstance(data, bytes) else data):
            path = directory / f"{index}.txt"
            path.write_bytes(content)
            paths.append(str(path))
        with mock.patch.multiple(scanning, BLOCK_BYTES=block, PROFILE_ENTRIES=entries):
            return scan_files(paths)

    return run


def width(text: str) -> int:
    """Bytes per character of CPython's own str. (Fresh strs: one that was encoded may keep its UTF-8 too.)"""
    return (sys.getsizeof(text * 3) - sys.getsizeof(text * 2)) // len(text)


@settings(max_examples=60, deadline=None)
@given(texts, block_sizes)
def test_a_text_is_what_python_says(scan: Scan, text: str, block: int) -> None:
    result = scan(text.encode(), block)
    assert result.size == len(text.encode())
    assert result.chars == len(text)
    assert result.max_code_point == ord(max(text))
    assert width_of(result.code_class) == width(text)
    assert (result.code_class == 0) == text.isascii()
    assert result.text_chars == len(io.StringIO(text, newline=None).read())
    assert not result.invalid


@settings(max_examples=60, deadline=None)
@given(texts, block_sizes)
def test_0x0d_units_are_the_bytes_cpython_looks_for(scan: Scan, text: str, block: int) -> None:
    result = scan(text.encode(), block)
    assert result.has_0x0d == (b"\r" in text.encode("utf-32-le"))


@settings(max_examples=60, deadline=None)
@given(texts, block_sizes)
def test_widening_is_that_of_a_decoder_that_starts_again(scan: Scan, text: str, block: int) -> None:
    most = kind = 0
    for place, character in enumerate(text):
        wanted = code_point_class(ord(character))
        if wanted > kind:
            most = max(most, (width_of(kind) + width_of(wanted)) * place)
            kind = wanted
    assert scan(text.encode(), block).widening_bytes == most


@settings(max_examples=60, deadline=None)
@given(texts, block_sizes, st.floats(0, 1), st.sampled_from([1, 3, 1 << 16]))
def test_split_is_a_slice(scan: Scan, text: str, block: int, share: float, entries: int) -> None:
    result = scan(text.encode(), block, entries)
    read = io.StringIO(text, newline=None).read()
    place = int(share * len(read))
    for part, own in zip(result.split(place), (read[:place], read[place:]), strict=True):
        assert part.chars == len(own)
        assert part.utf8 == len(own.encode())
        assert part.code_class == (code_point_class(ord(max(own))) if own else 0)
    assert result.size - result.crlf == len(read.encode())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=6) | texts.map(str.encode), min_size=1, max_size=5), block_sizes)
def test_the_first_malformed_byte_is_the_one_that_stops_python(scan: Scan, pieces: list[bytes], block: int) -> None:
    data = b"".join(pieces)
    result = scan(data, block)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        assert list(result.invalid.values()) == [error.start]
    else:
        assert not result.invalid
        assert result.chars == len(data.decode())


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4))
def test_several_files_are_one_text(scan: Scan, parts: list[str]) -> None:
    result = scan([part.encode() for part in parts])
    assert result.chars == sum(map(len, parts))
    assert result.starts == [sum(len(part.encode()) for part in parts[:i]) for i in range(len(parts))]
    assert result.max_code_point == ord(max("".join(parts)))


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=8), block_sizes)
def test_the_profile_is_bounded_and_ends_at_the_end(scan: Scan, parts: list[str], block: int) -> None:
    data = "".join(parts).encode()
    result = scan(data, block, entries=4)
    assert len(result.byte_ends) <= 2 * 4 + 1  # the stride is size // entries, rounded down
    assert result.byte_ends[-1] == len(data)
    assert result.char_ends[-1] == result.text_chars


def test_offsets_of_malformed_bytes_are_the_files_own(scan: Scan) -> None:
    result = scan([b"fine" * 50, b"x" * 100 + b"\xff tail"])
    assert list(result.invalid.items()) == [(result.paths[1], 100)]


def test_nul_bytes_are_noted_with_their_place(scan: Scan) -> None:
    assert scan(b"a" * 100 + b"\0b").nul_at == 100
    assert scan(b"a" * 100).nul_at is None


def test_progress_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("é" * 300_000, encoding="utf-8")
    seen: list[int] = []
    scan_files([str(path)], seen.append)
    assert sum(seen) == 600_000
    assert len(seen) > 1


@pytest.mark.parametrize("text", ["plain\nlines\n" * 9000, "ünï\r\ncödé 中文\n" * 9000, "😀\n" * 30000])
def test_the_real_block_size(tmp_path: Path, text: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    result = scan_files([str(path)])
    assert (result.chars, result.max_code_point) == (len(text), ord(max(text)))
    assert result.crlf == text.count("\r\n")
    assert result.text_chars == len(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("data", "longest"),
    [
        ("words and more words. " * 20_000, 0),
        ("中文，字符。" * 60_000, 0),  # punctuation is a place to cut
        ("中" * 100_000, 300_000),
        ("word " + "x" * 500_000 + " word " * 50_000, 500_000),
    ],
)
def test_the_longest_piece_is_found(tmp_path: Path, data: str, longest: int) -> None:
    path = tmp_path / "a.txt"
    path.write_text(data, encoding="utf-8")
    found = scan_files([str(path)]).longest_piece
    assert longest - 2 * BLOCK_BYTES < found <= longest


def test_the_width_of_the_texts_stretches(tmp_path: Path) -> None:
    """One emoji makes the whole str wide, and one stretch of it."""
    path = tmp_path / "a.txt"
    path.write_text("plain words " * 400_000 + "😀", encoding="utf-8")
    width, wide = scan_files([str(path)]).stretches(1_000_000)
    assert 1 < width < 2
    assert 0 < wide < 0.3
