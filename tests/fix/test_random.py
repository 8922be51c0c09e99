"""Random programs, fixed and run: nothing that they do is different."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from memguard.fix.propose import propose
from tests.fix.grammar import make_program
from tests.fix.running import outcome_of, small_limits
from tests.fix.tangles import make_tangle

# Scripts leave files open, and so do the programs here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

_TEXT = {"input.txt": b"the cat sat on the mat, and it was warm there. " * 3}


def _same(source: str, texts: dict[str, bytes], directory: Path) -> str:
    """In what the fixed program differs; "" for nothing."""
    found = propose(source, "prepare.py")
    if not found.changes:
        return ""
    first = outcome_of(source, texts, directory)
    differs = first.differs(outcome_of(found.fixed(found.changes), texts, directory))
    with small_limits():
        again = outcome_of(found.fixed(found.changes, in_memory=True), texts, directory)
    return differs or first.differs(again)


def _programs(start: int, number: int, directory: Path) -> list[str]:
    wrong = []
    for seed in range(start, start + number):
        program = make_program(random.Random(seed))
        differs = _same(program.source, program.texts, directory)
        wrong += [f"make_program(Random({seed})): {differs}"] if differs else []
    return wrong


def _tangles(start: int, number: int, directory: Path) -> list[str]:
    wrong = []
    for seed in range(start, start + number):
        differs = _same(make_tangle(random.Random(seed)), _TEXT, directory)
        wrong += [f"make_tangle(Random({seed})): {differs}"] if differs else []
    return wrong


def test_some_programs_do_what_they_did(tmp_path: Path) -> None:
    assert not _programs(0, 12, tmp_path / "work")
    assert not _tangles(0, 6, tmp_path / "work")


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 2000, 100))
def test_many_programs_do_what_they_did(start: int, tmp_path: Path) -> None:
    assert not _programs(start, 50, tmp_path / "work")
    assert not _tangles(start, 25, tmp_path / "work")
