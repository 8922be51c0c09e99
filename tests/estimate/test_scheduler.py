"""What is asked of a scheduler is enough by memguard's own rules, and rounded to what schedulers take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.estimate.model import judge
from memguard.estimate.scheduler import GUARD, ask
from memguard.records.estimate import Range
from memguard.records.limits import Constraint, Limits, kernel_margin
from memguard.units import GIB, MIB


@given(st.integers(0, 1 << 50))
def test_a_job_with_that_much_fits_by_the_limits_own_rule(peak: int) -> None:
    memory = ask("p", peak).memory
    box = Constraint("memory.max", "box", memory, GUARD, kernel_margin(memory), True)
    limits = Limits(box.headroom, "box", None, None, None, (box,))
    assert judge(Range(0, peak // 2, peak), limits) == "fits"
    assert memory % (64 * MIB) == 0
    smaller = memory - 64 * MIB
    assert smaller - kernel_margin(smaller) - GUARD < peak


@pytest.mark.parametrize(("peak", "memory"), [(0, 128 * MIB), (256 * MIB, 384 * MIB), (9 * GIB, 10304 * MIB)])
def test_in_each_ones_own_words(peak: int, memory: int) -> None:
    asked = ask("read-all", peak)
    assert (asked.plan, asked.peak, asked.memory) == ("read-all", peak, memory)
    assert asked.slurm == f"--mem={memory // MIB}M"
    assert asked.ray == f"memory={memory}"
    assert asked.kubernetes.count(f"{memory // MIB}Mi") == 2
