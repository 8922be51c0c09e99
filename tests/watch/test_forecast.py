"""The forecast on simulated runs of every shape, on the recorded run of a real script, and its laws."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard.units import GIB, MIB
from memguard.watch.decide.forecast import (
    FEWEST,
    MOST_BUCKETS,
    MOST_INPUTS,
    Point,
    Track,
    forecast,
    observe,
    period,
    will_exceed,
)

SIZE = 10 * GIB
BASE = 60 * MIB
DATA = Path(__file__).resolve().parents[1] / "data"


def points(use: Callable[[float], float], *, until: float = 1.0, looks: int = 400, seed: int = 1) -> Iterable[Point]:
    """A run of 1,000 s over 10 GiB that holds use(share read) bytes, with a chunk's rise and fall of up to 10 MiB."""
    chance = random.Random(seed)
    for look in range(1, round(looks * until) + 1):
        share = look / looks
        used = BASE + use(share) + chance.random() * 10 * MIB
        yield Point(share * 1000, "/data/train.txt", round(SIZE * share), SIZE, round(used))


def track(use: Callable[[float], float], *, until: float = 1.0, looks: int = 400, seed: int = 1) -> Track:
    seen = Track()
    for point in points(use, until=until, looks=looks, seed=seed):
        seen = observe(seen, point)
    return seen


def peak(use: Callable[[float], float], until: float) -> int:
    predicted = forecast(track(use, until=until), None)
    assert predicted is not None
    return predicted.peak


def ever_will_exceed(use: Callable[[float], float], usable: int, *, looks: int = 400, seed: int = 1) -> bool:
    seen = Track()
    for point in points(use, looks=looks, seed=seed):
        seen = observe(seen, point)
        if point.used > usable:
            return False  # now it is the limit's turn
        if will_exceed(seen, usable):
            return True
    return False


def linear(total: float) -> Callable[[float], float]:
    return lambda share: total * share


def sawtooth(height: float, teeth: float) -> Callable[[float], float]:
    return lambda share: height * (share * teeth % 1.0)


@pytest.mark.parametrize("until", [0.05, 0.15, 0.4, 0.9])
def test_a_growing_list_is_predicted_from_five_percent_on(until: float) -> None:
    assert peak(linear(26 * GIB), until) == pytest.approx(26 * GIB + BASE, rel=0.05)


def test_where_and_when_the_limit_is_reached() -> None:
    predicted = forecast(track(linear(26 * GIB), until=0.12), 20 * GIB)
    assert predicted is not None and predicted.limit_at is not None and predicted.eta_seconds is not None
    assert predicted.limit_at == pytest.approx((20 * GIB - BASE) / (26 * GIB), rel=0.05)
    assert predicted.eta_seconds == pytest.approx((predicted.limit_at - 0.12) * 1000, rel=0.05)
    assert predicted.end_seconds == pytest.approx(880, rel=0.05)
    assert predicted.used == pytest.approx(0.12 * 26 * GIB + BASE, rel=0.02)
    assert (predicted.input, predicted.position, predicted.size) == ("/data/train.txt", round(SIZE * 0.12), SIZE)


def test_a_run_that_fits_reaches_no_limit() -> None:
    predicted = forecast(track(linear(5 * GIB), until=0.3), 20 * GIB)
    assert predicted is not None and predicted.eta_seconds is None and predicted.limit_at is None
    assert not will_exceed(track(linear(5 * GIB), until=0.3), 20 * GIB)


def test_a_run_that_is_over_the_limit_already_has_no_time_left() -> None:
    predicted = forecast(track(linear(26 * GIB), until=0.5), 5 * GIB)
    assert predicted is not None and predicted.eta_seconds == 0 and predicted.limit_at == 0.5


@pytest.mark.parametrize("teeth", [2.5, 7.3, 40.0, 257.31])
@pytest.mark.parametrize("until", [0.6, 0.8, 1.0])
def test_a_sawtooth_is_predicted_by_its_peaks(teeth: float, until: float) -> None:
    assert peak(sawtooth(4 * GIB, teeth), until) == pytest.approx(4 * GIB + BASE, rel=0.12)


def test_peaks_that_rise_are_followed() -> None:
    rising = lambda share: (2 * GIB + 8 * GIB * share) * (share * 60 % 1.0)  # noqa: E731
    assert peak(rising, 0.4) == pytest.approx(10 * GIB + BASE, rel=0.15)


def test_a_flush_is_seen_at_once() -> None:
    """Right after the first one the prediction is the peak, no more the end of the slope."""
    before, after = peak(sawtooth(4 * GIB, 5), 0.19), peak(sawtooth(4 * GIB, 5), 0.23)
    assert before > 15 * GIB and after == pytest.approx(4 * GIB, rel=0.1)


def test_growth_that_goes_on_after_one_flush_is_followed() -> None:
    once = lambda share: 20 * GIB * (share if share < 0.1 else share - 0.1)  # noqa: E731
    assert peak(once, 0.6) == pytest.approx(18 * GIB, rel=0.15)


def test_a_table_that_is_loaded_at_the_start_is_no_slope() -> None:
    assert peak(lambda share: 3 * GIB * min(1.0, share / 0.02), 0.08) == pytest.approx(3 * GIB, rel=0.05)


def test_a_cache_that_fills_up_levels_off() -> None:
    full = lambda share: 4 * GIB * (1 - 2.718281828 ** (-share / 0.1))  # noqa: E731
    assert peak(full, 0.7) == pytest.approx(4 * GIB, rel=0.1)


INNOCENT = {
    "start-up transient": lambda share: 3 * GIB if share < 0.04 else 1 * GIB,
    "start-up table": lambda share: 3.9 * GIB * min(1.0, share / 0.06),
    "cache, filling evenly": lambda share: 3.9 * GIB * min(1.0, share / 0.3),
    "cache, filling up": lambda share: 7.5 * GIB * (1 - 2.718281828 ** (-share / 0.2)),
    "sawtooth, short teeth": sawtooth(7.5 * GIB, 50),
    "sawtooth, long teeth": sawtooth(3.9 * GIB, 3.3),
    "level": lambda share: 7 * GIB,
    "grows and fits": linear(7 * GIB),
    "vocabulary (Heaps)": lambda share: 7 * GIB * share**0.5,
}


@pytest.mark.parametrize("shape", INNOCENT)
@pytest.mark.parametrize("looks", [60, 400, 1500])
def test_the_innocent_are_not_will_exceed(shape: str, looks: int) -> None:
    assert not ever_will_exceed(INNOCENT[shape], 8 * GIB, looks=looks)


@pytest.mark.parametrize("total", [9.5 * GIB, 16 * GIB, 100 * GIB])
def test_the_doomed_are_found_before_the_limit(total: float) -> None:
    assert ever_will_exceed(linear(total), 8 * GIB)


@settings(max_examples=60, deadline=None)
@given(
    height=st.floats(0.01, 0.48),
    teeth=st.floats(0.5, 300),
    base=st.floats(0, 0.01),
    looks=st.integers(20, 600),
    seed=st.integers(0, 9),
)
def test_no_sawtooth_below_half_of_the_limit_is_will_exceed(
    height: float, teeth: float, base: float, looks: int, seed: int
) -> None:
    usable = 40 * GIB
    use = sawtooth(height * usable, teeth)
    assert not ever_will_exceed(lambda share: base * usable + use(share), usable, looks=looks, seed=seed)


@settings(max_examples=60, deadline=None)
@given(plateau=st.floats(0.01, 0.95), fills=st.floats(0.01, 3), looks=st.integers(20, 600), seed=st.integers(0, 9))
def test_no_cache_that_fits_is_will_exceed(plateau: float, fills: float, looks: int, seed: int) -> None:
    usable = 40 * GIB
    full = lambda share: plateau * usable * (1 - 2.718281828 ** (-share / fills))  # noqa: E731
    if full(1.0) + BASE + 10 * MIB < usable:
        assert not ever_will_exceed(full, usable, looks=looks, seed=seed)


@pytest.mark.parametrize("jumps", [1, 2, FEWEST - 2])
def test_a_file_that_is_read_in_one_go_tells_nothing(jumps: int) -> None:
    seen = Track()
    for look in range(100):
        position = SIZE * (look * jumps // 99) // jumps
        seen = observe(seen, Point(look, "/data/train.txt", position, SIZE, BASE + look * 100 * MIB))
    assert forecast(seen, GIB) is None and not will_exceed(seen, GIB)


def test_a_mapped_file_tells_nothing() -> None:
    seen = Track()
    for look in range(100):
        seen = observe(seen, Point(look, "/data/train.npy", 0, SIZE, BASE + look * 100 * MIB))
    assert forecast(seen, GIB) is None and not will_exceed(seen, GIB)


def test_reading_here_and_there_starts_again() -> None:
    seen = Track()
    for look in range(200):
        position = random.Random(look).randrange(SIZE)
        seen = observe(seen, Point(look, "/data/train.parquet", position, SIZE, BASE + look * 100 * MIB))
        assert not will_exceed(seen, 10 * GIB)


def test_the_input_that_moves_counts() -> None:
    seen = track(linear(26 * GIB), until=0.5)  # at second 500
    for look in range(30):
        point = Point(510 + look, "/data/val.txt", (look + 1) * 10 * MIB, GIB, 13 * GIB + look * 10 * MIB)
        seen = observe(seen, point)
    predicted = forecast(seen, None)
    assert predicted is not None and predicted.input == "/data/val.txt"
    assert predicted.peak == pytest.approx(13 * GIB + GIB, rel=0.1)


def test_of_inputs_that_move_together_the_largest_counts() -> None:
    seen = Track()
    for look in range(40):
        for name, size in (("a.txt", GIB), ("b.txt", 2 * GIB), ("c.txt", GIB)):
            seen = observe(seen, Point(look, name, (look + 1) * 10 * MIB, size, look * 20 * MIB))
    predicted = forecast(seen, None)
    assert predicted is not None and predicted.input == "b.txt"


def test_a_second_reading_of_the_same_file_is_a_new_one() -> None:
    seen = track(linear(4 * GIB))
    for point in points(lambda share: 4 * GIB, until=0.2):
        seen = observe(seen, Point(1000 + point.time, point.path, point.position, point.size, point.used))
    predicted = forecast(seen, None)
    assert predicted is not None and predicted.position == round(SIZE * 0.2)
    assert predicted.peak == pytest.approx(4 * GIB + BASE, rel=0.02)


steps = st.tuples(st.sampled_from("abc"), st.integers(0, 2**40), st.integers(0, 2**40))


@settings(deadline=None)
@given(st.lists(steps, max_size=150), st.integers(1, 2**41) | st.none())
def test_bounded_and_never_raises(looks: list[tuple[str, int, int]], usable: int | None) -> None:
    seen = Track()
    for number, (path, position, used) in enumerate(looks):
        seen = observe(seen, Point(number / 4, path, position, 2**40, used))
        assert all(len(history.buckets) <= MOST_BUCKETS for history in seen.inputs)
        predicted = forecast(seen, usable)
        if predicted is not None:
            assert predicted.peak >= max(0, predicted.used or 0)
            assert predicted.limit_at is None or 0 <= predicted.limit_at <= 1
            assert (predicted.eta_seconds is None) or predicted.eta_seconds >= 0
        assert not (will_exceed(seen, usable) and (predicted is None or usable is None or predicted.peak <= usable))


@given(st.lists(st.integers(1, 2**32), min_size=1, max_size=1000), st.integers(0, 5))
def test_a_history_spans_the_whole_reading_and_keeps_its_extremes(gaps: list[int], seed: int) -> None:
    chance, position, seen, uses = random.Random(seed), 0, Track(), []
    for number, gap in enumerate(gaps):
        position += gap
        uses.append(chance.randrange(2**35))
        seen = observe(seen, Point(number, "x", position, 2**50, uses[-1]))
    buckets = seen.inputs[0].buckets
    assert len(buckets) <= MOST_BUCKETS
    assert (buckets[0].position, buckets[-1].position) == (gaps[0], position)
    assert max(b.high for b in buckets) == max(uses) and min(b.low for b in buckets) == min(uses)
    assert all(a.position < b.position for a, b in itertools.pairwise(buckets))


def test_inputs_are_forgotten() -> None:
    seen = Track()
    for number in range(100):
        seen = observe(seen, Point(number, f"{number}.txt", 1, 10, 10))
    assert [history.path for history in seen.inputs] == [f"{n}.txt" for n in range(100 - MOST_INPUTS, 100)]


def test_a_short_job_is_looked_at_more_often() -> None:
    assert period(0) == 0.05 and period(5) == 0.125 and period(3600) == 0.25


def recorded(name: str) -> tuple[list[Point], int]:
    """The points of a real run of tests/programs/plan_NAME.py, and the peak that it had in the end."""
    run = json.loads((DATA / "forecast" / f"{name}.json").read_text(encoding="utf-8"))
    size, peak = run["size"], run["peak"]
    return [Point(time, "train.txt", position, size, used) for time, position, used in run["points"]], peak


def test_a_real_chunked_list_within_ten_percent_from_fifteen_percent_on() -> None:
    """134 MB of English; the temporary of the last np.array is part of the peak and unknown until the end."""
    seen, judged = Track(), 0
    run, final = recorded("chunked_list")
    for point in run:
        seen = observe(seen, point)
        if point.position >= 0.15 * point.size:
            predicted = forecast(seen, None)
            assert predicted is not None and abs(predicted.peak / final - 1) <= 0.1, point
            judged += 1
    assert judged > 50


@pytest.mark.parametrize("name", ["chunked_list", "int64_list", "sharded_list"])
def test_real_runs_are_doomed_under_half_of_their_peak_only(name: str) -> None:
    run, final = recorded(name)
    for usable, expected in ((final // 2, True), (round(final * 1.1), False)):
        seen, found = Track(), False
        for point in run:
            seen = observe(seen, point)
            found = found or (point.used < usable and will_exceed(seen, usable))
        assert found is expected, usable


@pytest.mark.parametrize("name", ["sharded_list_teeth", "word_cache"])
@pytest.mark.parametrize("above", [1.2, 1.9])
def test_real_runs_that_fit_are_not_will_exceed(name: str, above: float) -> None:
    """Shards of 3 M tokens; a dict of words that slowly fills up, with the jumps of its resizing."""
    run, final = recorded(name)
    seen = Track()
    for point in run:
        seen = observe(seen, point)
        assert not will_exceed(seen, round(above * final)), point


def test_a_real_sawtooth_is_predicted_by_its_peaks() -> None:
    """Its slope would lead to 700 MB. Each shard's last array is a peak of its own, seen now and then: that wavers."""
    seen = Track()
    run, final = recorded("sharded_list_teeth")
    for point in run:
        seen = observe(seen, point)
        if point.position > 0.25 * point.size:
            predicted = forecast(seen, None)
            assert predicted is not None
            assert predicted.peak == pytest.approx(final, rel=0.1 if point.position > 0.6 * point.size else 0.55)


def test_a_real_list_of_lines_tells_nothing_while_it_is_read() -> None:
    """Its 67 MB are read within a second, before the first token."""
    run, _ = recorded("line_list")
    seen = Track()
    for point in run:
        seen = observe(seen, point)
        assert forecast(seen, None) is None
