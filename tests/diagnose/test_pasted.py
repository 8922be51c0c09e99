"""What people paste, in small: tests/data/pasted.txt. Each text is told what a reader of it would answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memguard.diagnose.collection import Collection
from memguard.diagnose.rules import MEMORY_VERDICTS, Evidence, decide
from memguard.records.diagnosis import Diagnosis
from memguard.report.diagnosis import render

FILE = Path(__file__).parent.parent / "data" / "pasted.txt"
_HEAD = re.compile(r"^=== (.+?) \| (.+)$", re.MULTILINE)


def texts() -> dict[str, tuple[dict[str, str], str]]:
    """name -> (what it says, the text). The first lines of the file explain it."""
    _, *parts = _HEAD.split(FILE.read_text(encoding="utf-8"))
    blocks = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {
        name: (dict(fact.split("=", 1) for fact in facts.split("; ")), text.removeprefix("\n"))
        for name, facts, text in blocks
    }


TEXTS = texts()


def diagnose(text: str) -> Diagnosis:
    collection = Collection()
    collection.read_chunks([text.encode()])
    return decide(Evidence(collection.findings(), named=True))


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_pasted_is_read_as_a_person_would(name: str) -> None:
    facts, text = TEXTS[name]
    diagnosis = diagnose(text)
    event = diagnosis.events[0] if diagnosis.events else None
    found = {
        "verdict": diagnosis.verdict,
        "task": event.task if event else None,
        "pid": str(event.pid) if event else None,
        "limit_kb": str((event.limit or 0) // 1024) if event else None,
        "count": str(diagnosis.event_count),
        "evidence": "yes" if diagnosis.evidence else "no",
        "says": facts.get("says") if facts.get("says", "") in render(diagnosis, width=200) else diagnosis.explanation,
    }
    assert {key: found[key] for key in facts} == facts


def test_nothing_that_is_no_shortage_is_called_one() -> None:
    negatives = {name: text for name, (facts, text) in TEXTS.items() if name.startswith("none: ")}
    wrong = [name for name, text in negatives.items() if diagnose(text).verdict in MEMORY_VERDICTS]
    assert not wrong and len(negatives) > 40
