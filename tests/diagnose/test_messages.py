"""Each entry of memguard/diagnose/messages/ is tested by its example, and stands on the page made of them."""

from __future__ import annotations

import pytest

from memguard.diagnose.clues import Pattern
from memguard.diagnose.collection import Collection
from memguard.diagnose.messages import CLUES, KILLS, MESSAGES
from memguard.diagnose.readers import READERS, TRIGGERS
from memguard.diagnose.rules import Evidence, decide
from memguard.records.diagnosis import Diagnosis
from memguard.report.diagnosis import render
from tests.diagnose.messages import PAGE, page

VERDICTS = {
    "killer": {"userspace-killer"},
    "reporter": {"memcg-oom", "oom-kill"},
    "memory": {"oom-kill"},
    "shm": {"shm-full"},
    "allocation": {"allocation-failure"},
    "thrashing": {"thrashing"},
    "not-memory": {"not-memory"},
    "hang": {"hang"},
    "unclear": {"unknown"},
}
SHOWN = [message for message in MESSAGES if message.cause != "context"]


def diagnose(text: str) -> Diagnosis:
    collection = Collection()
    collection.read_chunks([text.encode()])
    return decide(Evidence(collection.findings(), named=True))


@pytest.mark.parametrize("message", SHOWN, ids=lambda message: message.kind)
def test_the_example_of_each_message(message: Pattern) -> None:
    assert message.example and message.source and message.meaning, f"{message.kind}: an entry says all of these"
    assert any(needle in message.example for needle in message.needles), f"{message.kind}: needles of other words"
    diagnosis = diagnose(message.example)
    assert diagnosis.verdict in VERDICTS[message.cause], message.kind
    if message.cause in ("killer", "reporter"):
        assert diagnosis.events[0].killer == message.kind
    else:
        assert message.meaning[:40].lower() in diagnosis.explanation.lower(), message.kind
    assert diagnosis.evidence and diagnosis.advice
    if message.advice:
        assert message.advice[0] in diagnosis.advice, f"{message.kind}: its advice is not given"
    assert max(map(len, render(diagnosis, width=80).split("\n"))) <= 80


def test_kinds_are_unique() -> None:
    kinds = [message.kind for message in (*KILLS, *CLUES) if message.kind != "systemd"]
    assert len(kinds) == len(set(kinds))


def test_the_page_has_every_message() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.diagnose.messages"


def test_every_trigger_belongs_to_a_reader() -> None:
    """What no reader listens for only costs time."""
    owned = {trigger for reader in READERS for trigger in reader.TRIGGERS}
    assert set(TRIGGERS) == owned
    assert {needle for message in KILLS for needle in message.needles} <= owned
    short = [trigger for trigger in owned if len(trigger.strip()) < 5]
    assert not short, f"everyday words make every line a candidate: {short}"
