from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.errors import ConfigError
from memguard.units import GIB, MIB, format_count, format_duration, format_rate, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512M", 512 * MIB),
        ("512m", 512 * MIB),
        ("512MiB", 512 * MIB),
        ("8GiB", 8 * GIB),
        (" 8 GiB ", 8 * GIB),
        ("0.5G", GIB // 2),
        (".5g", GIB // 2),
        ("45GB", 45 * 10**9),
        ("45gb", 45 * 10**9),
        ("1.5TB", 1_500_000_000_000),
        ("4096", 4096),
        ("4096B", 4096),
        ("1k", 1024),
    ],
)
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "-1G",
        "0",
        "0.0001B",
        "5iB",
        "1 2G",
        "1e9",
        "nan",
        "inf",
        "1GG",
        "G",
        "75%",
        "150%",
        "0%",
        "x%",
        "١G",
        "1_0M",
    ],
)
def test_parse_size_refuses(text: str) -> None:
    total = None if text == "75%" else 100
    with pytest.raises(ConfigError) as caught:
        parse_size(text, total=total)
    assert caught.value.hint


def test_percentage() -> None:
    assert parse_size("75%", total=1000) == 750
    assert parse_size("0.1%", total=100) == 1


@given(st.integers(1, 10**15))
def test_a_printed_size_reads_back_within_rounding(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.006)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1586495488, "1.48 GiB"),
        (1023.9 * MIB, "1.00 GiB"),
        (None, "?"),
        (-5 * MIB, "-5.00 MiB"),
    ],
)
def test_format_size(size: float | None, text: str) -> None:
    assert format_size(size) == text


def test_other_formats() -> None:
    assert format_count(41_200_000) == "41,200,000"
    assert format_rate(154e6) == "154 MB/s"
    assert format_rate(42e6, "tokens/s") == "42.0 M tokens/s"
    assert format_rate(12) == "12 B/s"
    assert [format_duration(s) for s in (0.004, 1.25, 12.3, 252, 240, 9000, 200_000, None)] == [
        "4 ms",
        "1.2 s",
        "12 s",
        "4 min 12 s",
        "4 min",
        "2 h 30 min",
        "2 d 7 h",
        "?",
    ]
