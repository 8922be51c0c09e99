"""A report says the same however it was quoted, listed, prefixed, encoded or broken on its way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard.diagnose.collection import Collection
from memguard.diagnose.rules import Evidence, decide
from tests.diagnose.wrappings import WRAPPINGS

KILLS = Path(__file__).parent.parent / "data" / "kills"
REPORTS = {
    name: (KILLS / name).read_text(encoding="utf-8").splitlines()
    for name in (
        "memcg_v2_scope.kmsg.txt",
        "5.10_german_dmesg_T.txt",
        "3.10_global_syslog.txt",
        "memcg_v1_nested.dmesg.txt",
        "lxc_and_docker.txt",
        "vm_memcg_scope.journal.txt",
        "6.8_table_64k_pages.txt",
    )
}


def told(text: str, encoding: str = "utf-8") -> tuple[object, ...]:
    """What the answer rests on; not the quotes, and not the times, which a wrapping may add."""
    collection = Collection()
    collection.read_chunks([text.encode(encoding)])
    diagnosis = decide(Evidence(collection.findings(), named=True))
    [event, *_] = diagnosis.events or (None,)
    facts = ("killer", "pid", "task", "limit", "oom_memcg", "task_memcg", "usage", "anon_rss", "invoker", "invoker_pid")
    rest = ("memory_total", "swap_total", "categories", "tasks", "task_count", "page_size")
    return (
        diagnosis.verdict,
        diagnosis.confidence,
        diagnosis.event_count,
        *(getattr(event, name, None) for name in (*facts, *rest)),
    )


def wrapped(wrapping: str, lines: list[str]) -> tuple[object, ...]:
    return told(WRAPPINGS[wrapping](lines), "utf-16" if wrapping == "UTF-16" else "utf-8")


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_report_says_the_same_in_any_wrapping(wrapping: str) -> None:
    whole = wrapping not in ("line ends lost", "broken at 120 columns")
    for name, lines in REPORTS.items():
        plain, other = told("\n".join(lines)), wrapped(wrapping, lines)
        # Lost line ends cost the rows of the table that were broken; who was killed, and why, stays.
        assert other == plain if whole else other[:9] == plain[:9], (wrapping, name)
    assert len(WRAPPINGS) > 60


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_two_wrappings_at_once_and_any_prefix(data: st.DataObject) -> None:
    lines = REPORTS[data.draw(st.sampled_from(sorted(REPORTS)))]
    prefix = data.draw(st.text(st.sampled_from("abcXYZ019 .:-|>()/"), max_size=24)) + " "
    inner = WRAPPINGS[data.draw(st.sampled_from(("quoted", "bar", "docker compose 2", "grep -n", "GitHub Actions")))]
    text = "\n".join(prefix + line for line in inner(lines).split("\n"))
    assert told(text)[:6] == told("\n".join(lines))[:6], text[:300]
