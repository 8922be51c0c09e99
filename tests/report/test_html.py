from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from memguard.records.diagnosis import Diagnosis, Event, PlanComparison, PlanPeak, TaskRow
from memguard.report.html import render_diagnosis

MIB = 1 << 20
EVENT = Event(
    time="12.5",
    killer="kernel",
    pid=11,
    task="<script>alert(1)</script>",
    anon_rss=300 * MIB,
    limit=512 * MIB,
    oom_memcg="/box",
    usage=512 * MIB,
    categories={"anon": 384 * MIB, "file": 128 * MIB, "shmem": 0},
    tasks=(TaskRow(11, "<b>py", 400 * MIB, rss_anon=MIB), TaskRow(12, "sh", 100 * MIB, swap=MIB)),
    task_count=30,
)
DIAGNOSIS = Diagnosis(
    verdict="memcg-oom",
    confidence="certain",
    events=(EVENT, replace(EVENT, pid=3)),
    explanation='The kernel killed "<script>alert(1)</script>".\nIt held much.',
    advice=("smaller: `memguard estimate 'a&b.txt'`",),
    evidence=("<4>[1.0] a & b",),
    event_count=2,
    comparison=PlanComparison(
        ("a.txt",), (PlanPeak("read-all", 1, 900 * MIB, 2),), "read-all", 300 * MIB, 512 * MIB, "stream"
    ),
)


class Page(HTMLParser):
    """Which tags are open and closed, and what is loaded from outside."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.seen: list[str] = []
        self.outside: list[str] = []
        self.styles: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.outside += [value or "" for key, value in attrs if key in ("src", "href")]
        self.styles += [value or "" for key, value in attrs if key == "style"]
        if tag != "meta":
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def test_one_page_that_needs_nothing_else() -> None:
    page = Page(render_diagnosis(DIAGNOSIS))
    assert page.stack == [] and page.outside == []
    assert "script" not in page.seen and "link" not in page.seen and "img" not in page.seen


def test_what_logs_and_names_hold_is_text_only() -> None:
    text = render_diagnosis(DIAGNOSIS)
    assert "<script>" not in text and "&lt;script&gt;alert(1)" in text
    assert "&lt;4&gt;[1.0] a &amp; b" in text and "<b>py" not in text
    assert "<code>memguard estimate &#x27;a&amp;b.txt&#x27;</code>" in text


def test_the_bar_of_who_held_what_is_in_proportion() -> None:
    widths = [style for style in Page(render_diagnosis(DIAGNOSIS)).styles if style.startswith("width")]
    assert widths[:2] == ["width:75.000%;background:#d55e00", "width:25.000%;background:#56b4e9"]
    assert "width:100.0%" in widths and "width:25.0%" in widths  # of the two tasks


def test_the_task_table_marks_who_was_killed() -> None:
    text = render_diagnosis(DIAGNOSIS)
    assert text.count("<tr class=killed>") == 1
    assert "the largest of 30" in text and "Kills: 2 of 2" in text


def test_estimate_against_fact() -> None:
    text = render_diagnosis(DIAGNOSIS)
    assert "Estimate against fact: a.txt" in text and "900 MiB" in text and "your script&#x27;s" in text


def test_a_diagnosis_without_any_event() -> None:
    text = render_diagnosis(Diagnosis("unknown", "weak", (), "Nothing is recorded.", ()))
    assert "<h1>Nothing is recorded.</h1>" in text and Page(text).stack == []
