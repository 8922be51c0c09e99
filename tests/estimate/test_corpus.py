from __future__ import annotations

import random
from pathlib import Path

import pytest

from memguard.errors import InputError
from memguard.estimate.corpus.read import Depth
from memguard.tokens.engine.encode import load_encoding
from tests.estimate.corpora import read_files

pytestmark = pytest.mark.usefixtures("shared_engines")


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_the_stats_of_a_text_are_those_of_the_script(tmp_path: Path, english: str) -> None:
    text = english[:120_000] + "\r\n“quoted”\r\n" + english[:5000] + "😀"
    path = write(tmp_path / "text.txt", text.encode())
    stats = read_files([path]).stats
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
    stats = read_files([write(tmp_path / "a.txt", b"some words " * 100)], val_fraction=0).stats
    assert [part.chars for part in stats.slices] == [1100]
    assert stats.ascii


def test_large_files_are_sampled(tmp_path: Path, english: str) -> None:
    data = english[:300_000].encode() * 4
    path = write(tmp_path / "a.txt", data)
    counted, sampled = read_files([path]).stats, read_files([path], depth=Depth(count_limit=1000)).stats
    assert not sampled.tokens_exact
    assert sampled.sampled_bytes > 0
    assert sampled.tokens.low <= counted.tokens.expected <= sampled.tokens.high
    assert sampled.tokens.expected == pytest.approx(counted.tokens.expected, rel=0.02)


def test_malformed_utf8_is_a_note_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"fine " * 1000 + b"\xe9t\xe9 " * 10)
    corpus = read_files([path])
    assert corpus.stats.invalid_utf8 == 1
    assert any("5,000" in note and path in note for note in corpus.notes)


def test_rates_are_measured(tmp_path: Path, english: str) -> None:
    corpus = read_files([write(tmp_path / "a.txt", english[:100_000].encode())])
    assert corpus.stream_rate and corpus.stream_rate > 1e5


def test_a_text_too_large_to_scan_is_sampled_all_over(tmp_path: Path, english: str) -> None:
    # Not 24 exact copies: 384 strata would look at the same places of each.
    pages, shuffle = english.split("\n\n"), random.Random(0).shuffle
    text = ""
    for _ in range(24):
        shuffle(pages)
        text += "\n\n".join(pages)
    path = write(tmp_path / "a.txt", text.encode())
    counted = read_files([path]).stats
    sampled = read_files([path], depth=Depth(count_limit=0, scan_limit=1000)).stats
    assert sampled.bytes == counted.bytes
    assert sampled.chars == pytest.approx(counted.chars, rel=0.001)
    assert sampled.tokens.low <= counted.tokens.expected <= sampled.tokens.high
    assert [part.tokens.expected for part in sampled.slices] == pytest.approx(
        [part.tokens.expected for part in counted.slices], rel=0.05
    )
    assert sampled.document_stats is not None and counted.document_stats is not None
    assert sampled.document_stats.count.expected == pytest.approx(counted.document_stats.count.expected, rel=0.05)
    assert sampled.document_stats.str_bytes.expected == pytest.approx(
        counted.document_stats.str_bytes.expected, rel=0.03
    )


def test_what_was_not_read_may_hold_an_emoji(tmp_path: Path, english: str) -> None:
    plain = write(tmp_path / "plain.txt", english[:400_000].encode("ascii", "ignore"))
    quoted = write(tmp_path / "quoted.txt", (english[:400_000] + "“quoted”" * 2000).encode())
    depth = Depth(count_limit=0, scan_limit=1000)
    assert read_files([quoted], depth=depth).stats.char_width_high == 4
    assert read_files([plain], depth=depth).stats.char_width_high == 0
    assert read_files([quoted]).stats.char_width_high == 0


def test_exact_counts_whatever_the_limits_say(tmp_path: Path, english: str) -> None:
    path = write(tmp_path / "a.txt", english[:300_000].encode())
    counted = read_files([path]).stats
    exact = read_files([path], depth=Depth(count_limit=0, scan_limit=0, exact=True)).stats
    assert exact.tokens_exact
    assert exact.tokens == counted.tokens


def test_the_densest_stretch_is_found(tmp_path: Path) -> None:
    sparse, dense = b"internationalization " * 150_000, b"1 ? 2 ! " * 150_000
    stats = read_files([write(tmp_path / "a.txt", sparse + dense)]).stats
    assert stats.densest > 1.4
    assert read_files([write(tmp_path / "b.txt", sparse)]).stats.densest == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("depth", [Depth(count_limit=1 << 40), Depth(count_limit=0)])
def test_scripts_read_by_characters_and_those_of_chinese_have_more_tokens(tmp_path: Path, depth: Depth) -> None:
    """Half of the bytes English, half Chinese: a million characters of the second half are three million bytes."""
    english = "The quick brown fox jumps over the lazy dog. " * 160_000
    chinese = "".join(chr(0x4E00 + i * 7919 % 20000) + "，。\n"[i % 3] * (i % 17 == 0) for i in range(20_000)) * 120
    path = write(tmp_path / "text.txt", (english + chinese).encode())
    stats = read_files([path], depth=depth).stats
    encode = load_encoding("gpt2").encode_ordinary
    ours = len(encode(chinese[:100_000])) / 100_000
    average = stats.tokens.expected / stats.chars
    assert stats.densest_by_char == pytest.approx(ours / average, rel=0.1)
    assert stats.densest_by_char > 1.3 * stats.densest > 1.3


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="NUL byte at offset 4"):
        read_files([write(tmp_path / "a.txt", b"text\0with a NUL")])
