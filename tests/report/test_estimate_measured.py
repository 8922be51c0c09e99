"""The pages of --history and --probe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memguard.records.estimate import Comparison, History, Probe, ProbePoint, Range
from memguard.records.limits import Limits
from memguard.report.estimate_history import render as render_history
from memguard.report.estimate_probe import render as render_probe
from memguard.units import GIB, MIB

GOOD = Comparison(
    "one",
    1.7e9,
    "/usr/bin/python /a/prepare.py x",
    "read-all",
    Range(90 * MIB, 100 * MIB, 110 * MIB),
    98 * MIB,
    True,
    True,
)
STOPPED = replace(GOOD, measured=60 * MIB, finished=False)
PROBE = Probe(
    script="prepare.py",
    input="train.txt",
    size=GIB,
    points=tuple(ProbePoint(n * MIB, (60 + 10 * n) * MIB, n / 2, 0) for n in (8, 16, 32)),
    fixed=60 * MIB,
    per_byte=10.0,
    peak=Range(10 * GIB, 10 * GIB + 60 * MIB, 11 * GIB),
    linear=True,
    verdict="killed",
)
LIMITS = Limits(8 * GIB, "a test", None, None, None)


@pytest.mark.parametrize("width", [80, 120])
def test_the_history_sets_predicted_beside_measured(width: int) -> None:
    text = render_history(History((GOOD, STOPPED), 5), width=width)
    assert max(map(len, text.splitlines())) <= width
    first, second = (line for line in text.splitlines() if "read-all" in line)
    assert "100 MiB" in first and "98.0 MiB" in first and "1.020" in first and "prepare.py" in first
    assert "> 60.0 MiB" in second and "stopped" in second
    assert "1 of 1 finished runs peaked between low and high" in text


def test_a_narrow_history_keeps_plan_measured_and_ratio() -> None:
    text = render_history(History((GOOD, STOPPED), 5), width=40)
    assert max(map(len, text.splitlines())) <= 40
    row = next(line for line in text.splitlines() if "1.020" in line)
    assert row.split() == ["read-all", "100", "MiB", "98.0", "MiB", "1.020"]
    narrow = render_history(History((GOOD, STOPPED), 5), width=32)
    assert next(line for line in narrow.splitlines() if "1.020" in line).split() == ["read-all", "98.0", "MiB", "1.020"]


def test_an_empty_history_says_how_to_get_one() -> None:
    text = render_history(History((), 3, ("a note",)))
    assert "3 guarded runs" in text and "a note" in text and "memguard run SCRIPT" in text
    assert "None of them ran to its end" in render_history(History((STOPPED,), 1))


def test_the_probe_says_what_all_of_it_will_need() -> None:
    text = " ".join(render_probe(PROBE, LIMITS).split())
    assert "10.0 bytes per byte, and 60.0 MiB whatever its size" in text
    assert "For all 1.00 GiB it will need 10.1 GiB (10.0 GiB to 11.0 GiB); a job may use 8.00 GiB here: killed." in text
    assert "8.00 MiB 140 MiB" in text
    assert "about 8 min 32 s" in text


@pytest.mark.parametrize(("shape", "words"), [("flat", "it streams"), ("faster", "FASTER"), ("slower", "fills up")])
def test_what_is_no_straight_line_is_said(shape: str, words: str) -> None:
    assert words in render_probe(replace(PROBE, shape=shape, linear=shape == "flat"), LIMITS)
