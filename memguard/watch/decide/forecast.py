"""How much the run will hold at the end of its input: position in the input against memory. Pure.

    track = observe(track, Point(time, path, position, size, used))     every period(time) seconds
    forecast(track, usable) -> Forecast | None
    will_exceed(track, usable) -> bool                                       for --abort-on-forecast

What is fitted is the **envelope**: the highest use seen so far, over the position in the input, as a straight line
through the newer three quarters of what was read. A script that appends to a list climbs it with its own slope. One
that flushes in a sawtooth draws a level line along its peaks; so where memory has been given back, the line starts at
the peak before that.

Each input has a history of at most 64 buckets of the position, which keep their lowest and highest use; when there are
more, neighbours are joined, so that the span of a history is always the whole reading. Of several inputs the one counts
that moved last, and of those that move together the largest.

Nothing can be said, and None returned, where the position tells nothing: a file that is read in one go (its position
jumps), mapped (it stands still), or read from places here and there (it goes back: then its history starts again).

Measured on a chunked list over 134 MB of text: within 7 % of the final peak from 10 % of the input on (tests/watch).
Not here: where a position comes from (system/open_files.py), the words (progress.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from memguard.records.run import Forecast
from memguard.units import MIB

__all__ = ["Bucket", "History", "Point", "Track", "forecast", "observe", "period", "will_exceed"]

MOST_BUCKETS = 64
MOST_INPUTS = 8
FEWEST = 12  # distinct positions before anything is said: a file read in one go has 1, in reads of 2 GiB a few
_READ_SHARE, _READ_BYTES = 0.02, 64 * MIB  # one of them must have been read before anything is said
_NEWER = 0.75  # of what was read; on recorded runs less swings with the text, more is slow to notice a change
_TOGETHER = 5.0  # seconds: inputs that moved within these are read side by side
_GIVEN_BACK = 0.4  # of what was gained: a fall of this share is a flush, less is a chunk's own rise and fall
_FALL = 8 * MIB  # and at least: below lies the allocator's noise

# When a run will exceed its limit. Measured together: they stopped the chunked list and left alone what is tested
# beside it.
_EXCEEDS_READ = 0.05  # of the input
_EXCEEDS_USED = 0.5  # of the usable bytes: what levels off, or flushes, below half of the limit is never stopped
_THIRDS = 1.35  # the steepest third's slope ÷ the flattest one's, at most
_IN_A_ROW = 3  # predictions above the limit
_SURELY = 1.1  # × usable: predictions were measured to be right within 10 %


@dataclass(frozen=True, slots=True)
class Point:
    """At `time` (seconds since the start of the run) `path` was read up to `position`, and the tree held `used`."""

    time: float
    path: str
    position: int
    size: int
    used: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was seen up to `position`, since the bucket before."""

    position: int
    time: float  # when `position` was first seen
    low: int  # bytes
    high: int


@dataclass(frozen=True, slots=True)
class History:
    """One input's. `start` is the position at which it was first seen."""

    path: str
    size: int
    start: int
    buckets: tuple[Bucket, ...]

    @property
    def read(self) -> float:
        """The share of the input that was read, as far as it was watched."""
        return (self.buckets[-1].position - self.start) / max(1, self.size - self.start)


@dataclass(frozen=True, slots=True)
class Track:
    """The histories of the inputs that were read last, the newest at the end."""

    inputs: tuple[History, ...] = ()

    def observe(self, point: Point) -> Track:
        return observe(self, point)


def period(time: float) -> float:
    """Seconds until the next look at the positions (≤ 0.4 ms): in a short job four a second would come too late."""
    return min(0.25, max(0.05, time / 40))


def observe(track: Track, point: Point) -> Track:
    """`track` with one more point. A position that stands still adds to the bucket that it is in."""
    old = next((history for history in track.inputs if history.path == point.path), None)
    others = tuple(history for history in track.inputs if history.path != point.path)
    if old is None or point.position < old.buckets[-1].position or point.size < old.size:
        bucket = Bucket(point.position, point.time, point.used, point.used)
        new = History(point.path, point.size, point.position, (bucket,))
    else:
        new = replace(old, size=point.size, buckets=_add(old.buckets, point))
    if old is not None and new.buckets[-1].position == old.buckets[-1].position:
        return Track(tuple(new if history is old else history for history in track.inputs))
    return Track((*others, new)[-MOST_INPUTS:])


def _add(buckets: tuple[Bucket, ...], point: Point) -> tuple[Bucket, ...]:
    last = buckets[-1]
    if point.position == last.position:
        low, high = min(last.low, point.used), max(last.high, point.used)
        return (*buckets[:-1], replace(last, low=low, high=high))
    buckets = (*buckets, Bucket(point.position, point.time, point.used, point.used))
    return _thinned(buckets) if len(buckets) > MOST_BUCKETS else buckets


def _thinned(buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
    """Joins the neighbours that span the least together, until half are left: an even spread over the reading."""
    first, *rest = buckets
    width = (buckets[-1].position - first.position) / (MOST_BUCKETS // 2)
    kept = [first]
    edge = first.position  # where the bucket that is being filled begins
    for bucket in rest:
        if kept[-1] is not first and bucket.position - edge <= width:
            last = kept[-1]
            kept[-1] = Bucket(bucket.position, bucket.time, min(last.low, bucket.low), max(last.high, bucket.high))
        else:
            edge = kept[-1].position
            kept.append(bucket)
    return tuple(kept)


def forecast(track: Track, usable: int | None) -> Forecast | None:
    """What the run will hold at the end of its input; None where nothing can be said.

    `usable`: bytes up to which the same measure as the points' `used` may rise; None where no limit is known.
    """
    history = _leading(track)
    if history is None:
        return None
    level, slope = _fit(history.buckets)
    last = history.buckets[-1]
    remaining = history.size - last.position
    peak = level + slope * remaining
    rate = _rate(history.buckets)
    limit_at = eta = None
    if usable is not None and peak > usable:
        room = max(0.0, usable - level)
        until = min(float(remaining), room / slope) if slope else 0.0
        limit_at = round(min(1.0, (last.position + until) / history.size), 4)
        eta = round(until / rate, 1) if rate else None
    return Forecast(
        input=history.path,
        position=last.position,
        size=history.size,
        peak=round(peak),
        eta_seconds=eta,
        used=last.high,
        limit_at=limit_at,
        end_seconds=round(remaining / rate, 1) if rate else None,
    )


def will_exceed(track: Track, usable: int | None) -> bool:
    """Whether the run will not end within `usable`: said late rather than wrongly, because it ends the run.

    At least 5 % of the input, 12 positions and half of `usable`; a straight line in all three thirds; three
    predictions one after the other 10 % above `usable`, by the newer part and by the whole of what was read. So
    whatever levels off or flushes below half of `usable` is never ended; a first climb to more than that is
    no different from a run that goes on climbing.
    """
    history = _leading(track)
    if history is None or usable is None:
        return False
    buckets = history.buckets
    if history.read < _EXCEEDS_READ or buckets[-1].high < _EXCEEDS_USED * usable or not _is_straight(buckets):
        return False
    shorter = (buckets[: len(buckets) - n] for n in range(_IN_A_ROW))
    return all(len(b) >= FEWEST and _least_peak(b, history.size) > _SURELY * usable for b in shorter)


def _leading(track: Track) -> History | None:
    """The input to go by: the largest of those that have moved together with the one that moved last."""
    if not track.inputs:
        return None
    newest = max(history.buckets[-1].time for history in track.inputs)
    moving = [history for history in track.inputs if newest - history.buckets[-1].time <= _TOGETHER]
    said = [history for history in moving if _is_enough(history)]
    return max(said, key=lambda history: history.size - history.start, default=None)


def _is_enough(history: History) -> bool:
    seen = history.buckets[-1].position - history.start
    far = history.read >= _READ_SHARE or seen >= _READ_BYTES
    return far and len(history.buckets) >= FEWEST and history.buckets[-1].position <= history.size


def _least_peak(buckets: tuple[Bucket, ...], size: int) -> float:
    """The lower one of two predictions: by the newer part, and by all that was read, in which one late jump is less."""
    level, newer = _fit(buckets)
    slope, at_end = _least_squares([bucket.position for bucket in buckets], _envelope(buckets))
    remaining = size - buckets[-1].position
    return min(level + newer * remaining, at_end + slope * remaining)


def _envelope(buckets: tuple[Bucket, ...]) -> list[int]:
    highest, levels = 0, []
    for bucket in buckets:
        highest = max(highest, bucket.high)
        levels.append(highest)
    return levels


def _fit(buckets: tuple[Bucket, ...]) -> tuple[float, float]:
    """A straight line (least squares) through the envelope of the newer part of what was read: its level at the newest
    position (bytes), and its slope in bytes of memory per byte of input (≥ 0)."""
    levels = _envelope(buckets)
    start = _window(buckets, levels)
    positions = [bucket.position for bucket in buckets[start:]]
    slope, at_end = _least_squares(positions, levels[start:])
    return max(float(levels[-1]), at_end) if slope > 0 else float(levels[-1]), max(0.0, slope)


def _window(buckets: tuple[Bucket, ...], levels: list[int]) -> int:
    """The first bucket that counts: of the newer part of the reading, or the last peak but one that was given up there.

    From the last one on the line would be level, whatever the peaks do.
    """
    oldest = buckets[0].position + (1 - _NEWER) * (buckets[-1].position - buckets[0].position)
    start = next(n for n, bucket in enumerate(buckets) if bucket.position >= oldest)
    start = min(start, len(buckets) - FEWEST // 2)
    peaks = [peak for peak in _given_up(buckets, levels) if peak >= start - 1]
    return peaks[-2:][0] if peaks else start


def _given_up(buckets: tuple[Bucket, ...], levels: list[int]) -> Iterator[int]:
    """The buckets after whose peak memory fell: by 40 % of all that was gained, and by 8 MiB."""
    base = buckets[0].low
    falling = False
    for n in range(1, len(buckets)):
        gained = levels[n - 1] - base
        fallen = levels[n - 1] - buckets[n].low > max(_FALL, _GIVEN_BACK * gained)
        if fallen and not falling:
            yield n if buckets[n].high > levels[n - 1] else n - 1  # a joined bucket may hold the peak and the fall
        falling = fallen


def _is_straight(buckets: tuple[Bucket, ...]) -> bool:
    """Whether the envelope's slopes in three thirds of the reading agree within 35 %, all of them upwards."""
    levels = _envelope(buckets)
    first, span = buckets[0].position, buckets[-1].position - buckets[0].position
    slopes = []
    for third in range(3):
        low, high = first + span * third / 3, first + span * (third + 1) / 3
        inside = [n for n, bucket in enumerate(buckets) if low <= bucket.position <= high]
        if len(inside) < 2:
            return False
        slopes.append(_least_squares([buckets[n].position for n in inside], [levels[n] for n in inside])[0])
    return min(slopes) > 0 and max(slopes) <= _THIRDS * min(slopes)


def _least_squares(xs: list[int], ys: list[int]) -> tuple[float, float]:
    """(slope, value at the last x) of the line through the points; a single point has no slope."""
    count = len(xs)
    mean_x, mean_y = sum(xs) / count, sum(ys) / count
    spread = sum((x - mean_x) ** 2 for x in xs)
    if not spread:
        return 0.0, mean_y
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    return slope, mean_y + slope * (xs[-1] - mean_x)


def _rate(buckets: tuple[Bucket, ...]) -> float | None:
    """Bytes of input per second over the newer half; None where no time has passed."""
    middle = buckets[len(buckets) // 2]
    seconds = buckets[-1].time - middle.time
    return (buckets[-1].position - middle.position) / seconds if seconds > 0 else None
