"""Slices → the whole, on curves that are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.estimate.probe.extrapolate import extrapolate
from memguard.records.estimate import ProbePoint
from memguard.units import MIB

SIZES = (8 * MIB, 16 * MIB, 32 * MIB)


def points(memory: Callable[[int], float]) -> list[ProbePoint]:
    return [ProbePoint(size, round(memory(size)), 1.0, 0) for size in SIZES]


@given(st.floats(2, 40), st.integers(0, 500 * MIB), st.integers(64 * MIB, 1 << 40))
def test_a_straight_line_is_found(slope: float, fixed: int, size: int) -> None:
    peak, found, per_byte, shape = extrapolate(points(lambda n: fixed + slope * n), size)
    assert shape == "linear"
    assert per_byte == pytest.approx(slope, rel=1e-3)
    assert found == pytest.approx(fixed, abs=0.01 * slope * SIZES[2] + MIB)
    assert peak.low <= fixed + slope * size <= peak.high
    assert peak.expected == pytest.approx(fixed + slope * size, rel=0.01)


@given(st.integers(-2, 2), st.integers(-2, 2), st.integers(-2, 2), st.floats(2, 40))
def test_noise_stays_inside_the_band(a: int, b: int, c: int, slope: float) -> None:
    noisy = [
        ProbePoint(n, round(60 * MIB + slope * n) + e * MIB, 1.0, 0) for n, e in zip(SIZES, (a, b, c), strict=True)
    ]
    size = 1 << 30
    peak, _, _, shape = extrapolate(noisy, size)
    assert shape in ("linear", "flat", "slower", "faster")
    assert peak.low <= 60 * MIB + slope * size <= peak.high


def test_a_streaming_script_is_flat() -> None:
    peak, _, _, shape = extrapolate(points(lambda n: 90 * MIB), 1 << 40)
    assert shape == "flat"
    assert peak.low <= 90 * MIB


def test_a_shard_that_fills_up_is_slower() -> None:
    def shard(n: int) -> float:
        return 60 * MIB + 10 * min(n, 14 * MIB)

    peak, _, _, shape = extrapolate(points(shard), 1 << 34)
    assert shape == "slower"
    assert peak.low <= shard(1 << 34) <= peak.high


def test_what_grows_faster_has_a_wide_band() -> None:
    def square(n: int) -> float:
        return 60 * MIB + 4 * n + n * n / (8 * MIB)

    size = 64 * MIB
    peak, _, _, shape = extrapolate(points(square), size)
    assert shape == "faster"
    assert peak.high >= square(size)


def test_two_points_are_enough() -> None:
    peak, _, _, shape = extrapolate(points(lambda n: 60 * MIB + 10 * n)[:2], 1 << 30)
    assert shape == "linear"
    assert peak.expected == pytest.approx(60 * MIB + 10 * (1 << 30), rel=0.01)
