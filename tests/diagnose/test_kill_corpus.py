"""Every log of tests/data/kills against what a reader of it would say (expected.json), and its mutilations."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard.cli.evidence import gather_named
from memguard.diagnose.collection import Collection
from memguard.diagnose.rules import MEMORY_VERDICTS, Evidence, decide
from memguard.records.diagnosis import Diagnosis
from memguard.report.diagnosis import render

KILLS = Path(__file__).parent.parent / "data" / "kills"
EXPECTED = json.loads((KILLS / "expected.json").read_text(encoding="utf-8"))
LOGS = sorted(path.name for path in KILLS.iterdir() if path.name not in ("expected.json", "README.md"))
NEGATIVES = sum(name.startswith("none_") for name in LOGS)
TEXTS = [(KILLS / name).read_bytes() for name in LOGS if not name.endswith(".gz")]


def diagnose(data: bytes, size: int = 1 << 18) -> Diagnosis:
    collection = Collection()
    collection.read_chunks(data[i : i + size] for i in range(0, len(data), size))
    return decide(Evidence(collection.findings(), named=True))


def size(text: str | None) -> int | None:
    """`306424kB` as in the log -> bytes; expected.json keeps the log's own figures, to be compared by eye."""
    if text is None:
        return None
    match = re.fullmatch(r"([\d.]+)(B|kB|MiB|GiB)", text)
    assert match is not None, text
    return round(float(match[1]) * {"B": 1, "kB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[match[2]])


def test_every_log_has_an_expectation() -> None:
    assert sorted(EXPECTED) == LOGS
    assert len(LOGS) - NEGATIVES >= 60 and NEGATIVES >= 20


def test_every_format_has_a_log() -> None:
    """The table of README.md, both ways: each format names logs that exist, each log's formats stand in it."""
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", (KILLS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    table = {name: set(re.findall(r"`([^`]+)`", logs)) for name, logs in rows[1:] if name.strip("-")}
    known: dict[str, set[str]] = {}
    for log, expected in EXPECTED.items():
        for name in expected["formats"]:
            known.setdefault(name, set()).add(log)
    assert table == known and len(table) > 90


@pytest.mark.parametrize("name", LOGS)
def test_verdict_victim_killer_and_limit(name: str) -> None:
    diagnosis = decide(gather_named(str(KILLS / name)))
    expected = EXPECTED[name]
    for key in ("verdict", "confidence", "event_count"):
        assert getattr(diagnosis, key) == expected[key], key
    for key in ("command", "script", "place"):
        assert getattr(diagnosis, key) == expected.get(key), key
    assert bool(diagnosis.events) == bool(expected["event_count"])
    if diagnosis.events:
        event = diagnosis.events[0]
        for key in ("killer", "pid", "task", "oom_memcg", "invoker"):
            assert getattr(event, key) == expected.get(key), key
        for key in ("limit", "anon_rss"):
            assert getattr(event, key) == size(expected.get(key)), key
        if event.killer == "kernel":
            assert event.page_size == expected.get("page_size")
        else:
            assert (event.task_memcg, event.usage) == (expected.get("task_memcg"), size(expected.get("usage")))


@pytest.mark.parametrize("name", [name for name in LOGS if name.startswith("none_")])
def test_what_is_no_kill_for_memory_is_never_called_one(name: str) -> None:
    diagnosis = decide(gather_named(str(KILLS / name)))
    assert diagnosis.verdict not in MEMORY_VERDICTS
    assert diagnosis.events == ()


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
@pytest.mark.parametrize("name", ["memcg_v1_pool_three_workers.txt", "utf16_from_powershell.txt", "journal_json.txt"])
def test_the_size_of_the_chunks_does_not_matter(name: str, size: int) -> None:
    data = (KILLS / name).read_bytes()
    assert diagnose(data, size) == diagnose(data)


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("width", [80, 120])
def test_every_log_renders_within_its_width(name: str, width: int) -> None:
    text = render(decide(gather_named(str(KILLS / name))), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_no_mutilation_of_a_real_log_makes_it_raise(data: st.DataObject) -> None:
    text = bytearray(data.draw(st.sampled_from(TEXTS)))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 200)))
        text[start:end] = data.draw(st.binary(max_size=30) | st.just(bytes(text[start:end]) * 2))
    render(diagnose(bytes(text)), width=80)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_two_logs_with_their_lines_mixed_do_not_make_it_raise(data: st.DataObject) -> None:
    lines = [
        line
        for text in data.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3))
        for line in text.split(b"\n")
    ]
    order = data.draw(st.randoms(use_true_random=False))
    order.shuffle(lines)
    render(diagnose(b"\n".join(lines)), width=80)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    diagnose(data)


@pytest.mark.parametrize("times", [2, 7])
@pytest.mark.parametrize(
    "name",
    ["memcg_v1_list.txt", "memcg_v1_pool_three_workers.txt", "memcg_v2_oom_group.kmsg.txt", "grep_of_kill_lines.txt"],
)
def test_a_log_that_is_repeated_holds_the_same_kills(name: str, times: int) -> None:
    text = (KILLS / name).read_bytes()
    assert diagnose(text * times).event_count == diagnose(text).event_count
