"""No line may take long: each parser's work on a line is bounded by a constant times its length."""

from __future__ import annotations

import time

import pytest

from memguard.diagnose.clues import ClueReader
from memguard.diagnose.collection import Collection
from memguard.diagnose.lines import MAX_LINE
from memguard.diagnose.readers import CLUES, TRIGGERS

pytestmark = pytest.mark.slow  # it measures time: not beside other work

STARTS = (
    *TRIGGERS,
    *ClueReader(CLUES).triggers(),
    "$ ",
    "Started x.service - ",
    "a.scope: ",
    "[",
    "(",
    "\\x0a",
    "kernel: ",
)
FILLERS = ("", " ", "1", "a", "x ", "/a")
# Seconds of CPU for 16 KiB; the worst today is about 0.01. A pattern that backtracks over the whole line takes seconds.
MOST = 0.25


def seconds(line: str) -> float:
    start = time.process_time()
    collection = Collection()
    collection.read_lines([line])
    collection.findings()
    return time.process_time() - start


@pytest.mark.parametrize("filler", FILLERS)
def test_hostile_lines(filler: str) -> None:
    for start in STARTS:
        repeated = ((start + filler) * MAX_LINE)[:MAX_LINE]
        tail = (start + (filler or "(") * MAX_LINE)[:MAX_LINE]
        for line in (repeated, tail):
            assert min(seconds(line) for _ in range(2)) < MOST, line[:80]


def test_time_grows_with_the_number_of_lines_and_no_faster() -> None:
    def of(count: int) -> float:
        lines = [f"[{n}.5] Out of memory: Killed process {n} (p) total-vm:9kB, anon-rss:8kB" for n in range(count)]
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            collection = Collection()
            collection.read_lines(lines)
            assert collection.findings().event_count == count
            best = min(best, time.process_time() - start)
        return best

    assert of(8000) < 4 * 2.5 * of(2000)
