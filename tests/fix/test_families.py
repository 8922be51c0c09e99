"""Each family becomes what it has to, and does what it did: files, output, exception."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from memguard.fix.propose import propose
from tests.fix.families import FAMILIES, Family
from tests.fix.running import outcome_of, small_limits


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_fixed_to_the_same(family: Family, tmp_path: Path) -> None:
    if family.needs:
        pytest.importorskip(family.needs)
    found = propose(family.source, "prepare.py")
    left = [f"{left.reason.name} line {left.line}: {left.sentence}" for left in found.left]
    assert Counter(family.rules) <= Counter(change.rule for change in found.changes), left
    assert Counter(family.reasons) <= Counter(left.reason.name for left in found.left), left
    if family.reasons and "token-buffer" not in family.rules and "ids = []" in family.source:
        assert "ids = []" in found.fixed(found.changes), "it was to be left"
    first = outcome_of(family.source, family.texts, tmp_path / "work")
    assert first.error.split(":")[0] == family.error, first.error
    assert not first.differs(outcome_of(found.fixed(found.changes), family.texts, tmp_path / "work"))
    with small_limits():
        again = outcome_of(found.fixed(found.changes, in_memory=True), family.texts, tmp_path / "work")
    assert not first.differs(again)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_fixed_script_has_nothing_left_to_fix(family: Family) -> None:
    found = propose(family.source, "prepare.py")
    fixed = found.fixed(found.changes)
    again = propose(fixed, "prepare.py")
    assert again.fixed(again.changes) == fixed, [change.rule for change in again.changes]
