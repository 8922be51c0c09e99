"""Each family becomes what it has to, and does what it did: files, output, exception."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from memguard.fix.propose import Asked, propose
from tests.fix.families import FAMILIES, Family
from tests.fix.running import outcome_of, small_limits

# Scripts leave files open, and so do the programs here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


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


def test_nanogpt_takes_two_lines_and_an_import() -> None:
    family = next(family for family in FAMILIES if family.name == "P1 nanoGPT shakespeare")
    found = propose(family.source, "prepare.py")
    fixed = found.fixed(found.changes)
    before, after = family.source.splitlines(), fixed.splitlines()
    assert [line for line in after if line not in before] == [
        "import memguard",
        'with memguard.open_text("input.txt", "r", encoding="utf-8") as f:',
        'enc = memguard.get_encoding("gpt2")',
    ]
    assert len(found.fixed(found.changes, in_memory=True).splitlines()) == len(before)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_runs_in_memory_keeps_its_lines(family: Family) -> None:
    found = propose(family.source, "prepare.py")
    in_memory = found.fixed(found.changes, in_memory=True)
    compile(in_memory, "prepare.py", "exec")
    assert len(in_memory.splitlines()) == len(family.source.splitlines())


def test_lists_are_joined_without_an_object_for_each() -> None:
    family = next(family for family in FAMILIES if family.name == "P18 list of lists")
    found = propose(family.source, "prepare.py")
    assert "\nids = docs.concatenated()\n" in found.fixed(found.changes)
    for call in ("np.concatenate(docs, axis=0)", "np.concatenate((docs))", "np.concatenate(\n  docs)"):
        other = propose(family.source.replace("np.concatenate(docs)", call), "prepare.py")
        assert f"\nids = {call}\n" in other.fixed(other.changes)
    comprehension = "np.concatenate([enc.encode_ordinary(line) for line in open('input.txt')])"
    other = propose(family.source.replace("np.concatenate(docs)", comprehension), "prepare.py")
    assert "TokenBuffers(enc.encode_ordinary(line) for line in open('input.txt')).concatenated()" in other.fixed(
        other.changes
    )


TORCH = """\
import tiktoken
import torch
text = open("input.txt").read()
enc = tiktoken.get_encoding("gpt2")
data = torch.tensor(enc.encode(text), dtype=torch.long)
"""


def test_a_tensor_of_ids_is_changed_only_where_it_is_asked_for() -> None:
    found = propose(TORCH, "prepare.py")
    assert not found.changes
    assert {left.reason.name for left in found.left} == {"TENSOR", "ENCODER"}
    unsafe = propose(TORCH, "prepare.py", Asked(unsafe=True))
    assert 'torch.from_numpy(enc.encode(text).to_numpy("int64"))' in unsafe.fixed(unsafe.changes)
    tensor = next(change for change in unsafe.changes if change.rule == "torch-ids")
    encoder = next(change for change in unsafe.changes if change.rule == "get-encoding")
    assert encoder.thing in tensor.needs and tensor.thing in encoder.needs
    other = TORCH.replace("torch.long", "torch.int32")
    assert not propose(other, "prepare.py", Asked(unsafe=True)).changes


def test_a_comment_keeps_its_line() -> None:
    family = next(family for family in FAMILIES if family.name == "P7 lines")
    source = family.source.replace("ids = []", "ids = []  # memguard: ignore[token-buffer]")
    found = propose(source, "prepare.py")
    assert "ids = []  #" in found.fixed(found.changes)
    assert len(found.used_ignores) == 1
    text = family.source.replace("ids = []", "ids = []; note = '# memguard: ignore'")
    assert not propose(text, "prepare.py").ignores
