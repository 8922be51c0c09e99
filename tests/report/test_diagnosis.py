from __future__ import annotations

from dataclasses import replace

from memguard.records.diagnosis import Diagnosis, Event, TaskRow
from memguard.report.diagnosis import render

MIB = 1 << 20
EVENT = Event(
    time="12.5",
    killer="kernel",
    pid=11,
    task="python",
    anon_rss=500 * MIB,
    limit=512 * MIB,
    oom_memcg="/box",
    usage=512 * MIB,
    categories={"anon": 384 * MIB, "file": 128 * MIB, "shmem": 0},
    tasks=(TaskRow(11, "python", 400 * MIB), TaskRow(12, "a[b]c", 100 * MIB, rss_anon=MIB, swap=MIB)),
    task_count=30,
)
DIAGNOSIS = Diagnosis(
    verdict="memcg-oom",
    confidence="certain",
    events=(EVENT, replace(EVENT, pid=3, task="older", time="1.5")),
    explanation="The kernel killed python.\nIt held [bold]much[/bold].",
    advice=("smaller: `memguard estimate FILE`", "more"),
    sources=("log.txt: 9 lines",),
    evidence=tuple(f"line {i}" for i in range(9)),
    event_count=2,
)


def test_the_answer_comes_first_and_the_advice_is_numbered() -> None:
    lines = render(DIAGNOSIS, width=100).splitlines()
    assert lines[0] == "The kernel killed python."
    assert lines[1] == "  It held [bold]much[/bold]."
    assert "  1. smaller: `memguard estimate FILE`" in lines
    assert "  2. more" in lines
    assert lines[-1] == "verdict memcg-oom, certain. Read: log.txt: 9 lines"


def test_who_held_it_and_where_it_was() -> None:
    lines = render(DIAGNOSIS, width=100).splitlines()
    rows = {line.split()[1]: line for line in lines if line.split()[:1] in (["11"], ["12"])}
    assert rows["python"].endswith("killed") and not rows["a[b]c"].endswith("killed")
    assert rows["python"].count("█") == 4 * rows["a[b]c"].count("█") == 24
    parts = [line for line in lines if "%" in line]
    assert [part.split()[-2] for part in parts] == ["75%", "25%"]  # what is zero is not shown
    assert any("the largest of 30" in line for line in lines)


def test_evidence_is_cut_and_says_so() -> None:
    text = render(DIAGNOSIS, width=100)
    assert "line 5" in text and "line 6" not in text and "… and 3 more (--json has them)" in text


def test_all_events_on_demand_only() -> None:
    assert "older" not in render(DIAGNOSIS)
    assert "older (3)" in render(DIAGNOSIS, every_event=True)


def test_colour_only_where_asked_and_narrow_terminals() -> None:
    assert "\x1b" not in render(DIAGNOSIS)
    assert "\x1b[1;31mThe kernel killed python.\x1b[0m" in render(DIAGNOSIS, color=True)
    for width in (40, 60, 80, 120):
        assert max(map(len, render(DIAGNOSIS, width=width, every_event=True).splitlines())) <= width
