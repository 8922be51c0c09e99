"""Memory measured on growing slices of an input → memory for all of it. Pure.

Three points on a line say what is fixed, what grows with the input, and whether it grows in proportion. Where the two
slopes differ by more than the noise, the answer is a wide band and says so: faster than the input (np.append keeps two
copies, but time explodes; a wide character may double the text) or slower (a shard that fills up).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from memguard.records.estimate import ProbePoint, Range
from memguard.units import MIB

__all__ = ["Extrapolation", "extrapolate"]

# Two runs of the same script on the same slice differ by this much: what the allocator keeps, how workers meet.
_NOISE = 4 * MIB
# Slopes that differ by no more than this, beyond the noise, are one slope.
_SAME_SLOPE = 0.15

Extrapolation = tuple[Range, int, float, str]  # peak, fixed bytes, bytes per byte, linear | flat | faster | slower


def extrapolate(points: Sequence[ProbePoint], size: int) -> Extrapolation:
    """For an input of `size` bytes, from two or three points in the order of their size."""
    first, last = points[0], points[-1]
    slope = _least_squares(points)
    span = last.bytes - first.bytes
    noise = _NOISE / span  # a slope this much larger or smaller would have looked the same
    slopes = [_slope(a, b) for a, b in itertools.pairwise(points)]
    shape = _shape(points, slopes)
    if shape in ("faster", "slower"):
        slope = slopes[-1]
    slope = max(0.0, slope)
    fixed = round(max(0.0, last.peak - slope * last.bytes))
    rest = size - last.bytes
    expected = last.peak + slope * rest
    low = last.peak + max(0.0, min([slope, *slopes]) - noise) * rest
    high = last.peak + (max([slope, *slopes]) + noise) * rest
    if shape == "slower":
        low = float(last.peak)
    if shape == "faster":
        # The parabola through the three points.
        bend = (slopes[-1] - slopes[0]) / span
        high = max(high, last.peak + slopes[-1] * rest + bend * rest * (size - points[-2].bytes))
    return Range(round(low - _NOISE), round(expected), round(high + _NOISE)), fixed, slope, shape


def _slope(a: ProbePoint, b: ProbePoint) -> float:
    return (b.peak - a.peak) / (b.bytes - a.bytes)


def _least_squares(points: Sequence[ProbePoint]) -> float:
    mean_x = sum(p.bytes for p in points) / len(points)
    mean_y = sum(p.peak for p in points) / len(points)
    covariance = sum((p.bytes - mean_x) * (p.peak - mean_y) for p in points)
    return covariance / sum((p.bytes - mean_x) ** 2 for p in points)


def _shape(points: Sequence[ProbePoint], slopes: Sequence[float]) -> str:
    if points[-1].peak - points[0].peak <= 2 * _NOISE:
        return "flat"
    if len(slopes) < 2:
        return "linear"
    # What the noise of each step can do to its slope.
    allowed = _SAME_SLOPE * abs(slopes[-1]) + sum(_NOISE / (b.bytes - a.bytes) for a, b in itertools.pairwise(points))
    if slopes[-1] - slopes[0] > allowed:
        return "faster"
    return "slower" if slopes[0] - slopes[-1] > allowed else "linear"
