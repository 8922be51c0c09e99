from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.errors import ConfigError
from memguard.tokens.budget import DEFAULT_MEMORY, divide
from memguard.units import GIB, KIB, MIB


@given(
    memory=st.integers(96 * MIB, 64 * GIB),
    cores=st.integers(1, 256),
    engine=st.sampled_from(["gigatoken", "tiktoken"]),
)
def test_the_parts_stay_within_the_whole(memory: int, cores: int, engine: str) -> None:
    budget = divide(memory, None, cores, engine)
    assert 1 <= budget.workers <= cores
    assert 64 * KIB <= budget.block <= budget.longest_piece
    assert budget.cache_limit < memory
    # every worker on a piece of the longest kind at once, 25 bytes of memory per byte of it
    assert budget.workers * budget.longest_piece * 25 < memory


def test_two_cores_get_two_workers_by_default() -> None:
    budget = divide(DEFAULT_MEMORY, None, 2, "gigatoken")
    assert (budget.workers, budget.block) == (2, 512 * KIB)


def test_many_cores_get_what_fits() -> None:
    few, many = divide(DEFAULT_MEMORY, None, 64, "gigatoken"), divide(8 * GIB, None, 64, "gigatoken")
    assert few.workers == 3
    assert many.workers == 64


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    with pytest.raises(ConfigError, match="does not fit") as caught:
        divide(32 * MIB, None, 2, "gigatoken")
    assert "at least" in caught.value.hint


@pytest.mark.parametrize("engine", ["gigatoken", "tiktoken"])
def test_more_workers_than_fit_become_fewer(engine: str) -> None:
    budget = divide(DEFAULT_MEMORY, 500, 2, engine)
    assert 1 < budget.workers < 16
    assert divide(DEFAULT_MEMORY, budget.workers, 2, engine) == budget


def test_what_the_hint_says_is_enough() -> None:
    for workers in (1, 2, 7):
        budget = divide(workers * 58 * MIB + 36 * MIB, workers, 1, "gigatoken")
        assert budget.workers == workers
