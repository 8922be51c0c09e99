"""Whatever a script's loop looks like, a flush at its checkpoints loses no value and writes none twice.

Random programs (shapes.py and its neighbours say of what) are asked every few milliseconds, without a watcher, and
check themselves. `python -m tests.attack.programs SHAPE SEED` prints one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attack.programs import SHAPES, choose, run, source

SEEDS = 8  # for each shape: more than 600 programs
NAMES = sorted(SHAPES)


def wrong(name: str, seed: int, directory: Path) -> str:
    text = source(name, seed)
    found = run(text, directory / str(seed)).wrong(SHAPES[name])
    return f"{name} {seed}: {found}\n{text.splitlines()[0]}" if found else ""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES[::12])
def test_some(name: str, tmp_path: Path) -> None:
    assert not wrong(name, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_all(name: str, tmp_path: Path) -> None:
    assert not "\n".join(filter(None, (wrong(name, seed, tmp_path) for seed in range(SEEDS))))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["for", "function"])
def test_the_attack_sees_a_flush_between_any_two_steps(name: str, tmp_path: Path) -> None:
    """Called from a signal's handler, as a guard could be tempted to: what this very test would find then."""
    seeds = [seed for seed in range(60) if choose(name, seed).sink == "list"][:6]  # with an executor it would hang
    outcomes = [run(source(name, seed), tmp_path / str(seed), ATTACK_ANYWHERE="1") for seed in seeds]
    assert any(outcome.found.get("lost") or outcome.found.get("twice") for outcome in outcomes), outcomes
