from __future__ import annotations

import json

import pytest

from memguard.errors import MemguardError
from memguard.records.codec import from_json, to_json
from memguard.records.limits import Constraint, Limits
from memguard.records.run import Culprit, Decision, Overhead, RunLimit, RunRecord
from tests.records.examples import run_record

RUN = run_record(
    exit_code=75,
    termination_reason="memory",
    limit=RunLimit(value=90, source="memory.max"),
    overhead=Overhead(cpu_seconds=0.1, rss=None),
    decisions=(Decision(0.5, "abort", "used >= 97 %", 88, 90, "č"),),
    culprit=Culprit(file="prepare.py", line=3),
)


def test_a_record_survives_json() -> None:
    assert from_json(RunRecord, to_json(RUN)) == RUN


def test_the_schema_comes_first_and_tuples_are_lists() -> None:
    data = json.loads(to_json(RUN))
    assert next(iter(data)) == "schema" and data["schema"] == "memguard.run/1"
    assert data["command"] == ["python", "prepare.py"]
    assert data["culprit"]["line"] == 3


def test_unknown_fields_are_ignored_and_missing_ones_take_their_default() -> None:
    data = json.loads(to_json(RUN))
    data["from_the_future"] = 1
    del data["warnings"]
    assert from_json(RunRecord, json.dumps(data)) == RUN


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "memguard.estimate/1"}', '{"schema": "memguard.run/1"}'])
def test_what_is_not_a_record_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(MemguardError) as caught:
        from_json(RunRecord, text)
    assert "\n" not in caught.value.message


def test_the_smallest_headroom_binds() -> None:
    loose = Constraint("MemAvailable", "/proc/meminfo", limit=1000, used=100, margin=100, kernel=False)
    tight = Constraint("memory.max", "/sys/fs/cgroup/x", limit=500, used=100, margin=64, kernel=True)
    limits = Limits(
        effective=336, source="memory.max", available=900, total=1000, swap_free=0, constraints=(loose, tight)
    )
    assert limits.binding is tight
    assert (tight.usable, tight.headroom) == (436, 336)
    assert tight.fraction == pytest.approx(100 / 436)
