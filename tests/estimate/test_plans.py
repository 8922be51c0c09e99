"""Plans by hand-made figures: every expectation here is the formula written out once more, in numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memguard.estimate.costs import Costs
from memguard.estimate.plans import PLANS, Options, Slice, Text, chunked_list, read_all, sharded_list, stream
from memguard.records.estimate import Step
from memguard.units import MIB

COSTS = Costs(list_slot=8, boxed_int=32.0, cached_int_max=256, baseline=50_000_000, baseline_peak=60_000_000)
M = 1_000_000
ASCII = Text(
    bytes=100 * M,
    chars=100 * M,
    width=1,
    widening=0,
    has_0x0d=False,
    slices=(Slice(90 * M, 1, 0, 20 * M, 10 * M), Slice(10 * M, 1, 0, 2 * M, 1 * M)),
    file_tokens=22 * M,
    item=2,
)
# One emoji in the last tenth: the whole text and the val slice are four times as wide.
EMOJI = replace(
    ASCII,
    bytes=100 * M + 3,
    width=4,
    widening=5 * 99 * M,
    slices=(ASCII.slices[0], Slice(10 * M, 4, 10 * M + 3, 2 * M, M)),
)


def by_name(steps: tuple[Step, ...]) -> dict[str, int]:
    return {step.name: step.bytes - COSTS.baseline for step in steps}


def test_read_all_of_ascii() -> None:
    steps = by_name(read_all(ASCII, COSTS, Options()))
    train, val = 8 * 20 * M + 32 * 10 * M, 8 * 2 * M + 32 * M
    assert steps["read"] == 200 * M
    assert steps["slice"] == 200 * M
    assert steps["np.array train"] == 200 * M + train + val + 2 * 20 * M
    assert steps["np.array val"] == 200 * M + val + 2 * 22 * M
    assert steps["tofile"] == 200 * M + 2 * 22 * M
    # and what glibc keeps of tiktoken's growing Vec
    assert steps["encode train"] == 200 * M + train + 4 * 20 * M + 16 * MIB


def test_one_emoji_costs_four_bytes_a_character() -> None:
    steps = by_name(read_all(EMOJI, COSTS, Options()))
    assert steps["read"] == 100 * M + 3 + 495 * M
    assert steps["slice"] == 400 * M + 90 * M + 40 * M
    train, val = 8 * 20 * M + 32 * 10 * M, 8 * 2 * M + 32 * M
    assert steps["np.array train"] == 530 * M + 10 * M + 3 + train + val + 40 * M


def test_newline_translation_needs_one_more_copy() -> None:
    crlf = replace(ASCII, has_0x0d=True, slices=(replace(ASCII.slices[0], chars=88 * M), ASCII.slices[1]))
    assert by_name(read_all(crlf, COSTS, Options()))["read"] == 100 * M + 100 * M + 98 * M
    # the widening is over by then: the larger of the two counts, not the sum
    both = replace(EMOJI, has_0x0d=True)
    assert by_name(read_all(both, COSTS, Options()))["read"] == 100 * M + 3 + 800 * M


def test_without_slices_the_text_is_there_once() -> None:
    whole = replace(ASCII, slices=(Slice(100 * M, 1, 0, 22 * M, 11 * M),))
    steps = by_name(read_all(whole, COSTS, Options()))
    assert "slice" not in steps
    assert steps["np.array"] == 100 * M + 8 * 22 * M + 32 * 11 * M + 2 * 22 * M


def test_the_chunked_list_holds_every_token() -> None:
    steps = by_name(chunked_list(ASCII, COSTS, Options()))
    tokens = 8 * 22 * M + 32 * 11 * M
    chunk = M + 8 * 220_000
    assert steps["np.array"] == tokens + chunk + 2 * 22 * M
    assert steps["ids.extend"] == tokens + chunk + 4 * 220_000


def test_a_shard_bounds_the_list() -> None:
    small = by_name(sharded_list(ASCII, COSTS, Options(shard_tokens=5 * M)))["np.array"]
    large = by_name(sharded_list(ASCII, COSTS, Options(shard_tokens=50 * M)))["np.array"]
    held = 5 * M + 220_000
    chunk = M + 8 * 220_000
    kept = 2 * 8 * 220_000
    assert small == 8 * held + 32 * held // 2 + chunk + kept + 2 * held
    assert large == by_name(chunked_list(ASCII, COSTS, Options()))["np.array"] + kept


def test_streaming_does_not_depend_on_the_size() -> None:
    huge = replace(ASCII, bytes=10**12)
    assert stream(ASCII, COSTS, Options())[0].bytes == stream(huge, COSTS, Options())[0].bytes
    assert stream(huge, COSTS, Options(stream_memory=100 * MIB))[0].bytes < 100 * MIB


def test_ids_above_65535_need_four_bytes() -> None:
    wide = replace(ASCII, item=4)
    difference = by_name(chunked_list(wide, COSTS, Options()))["np.array"]
    difference -= by_name(chunked_list(ASCII, COSTS, Options()))["np.array"]
    assert difference == 2 * 22 * M


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
@pytest.mark.parametrize("text", [ASCII, EMOJI], ids=["ascii", "emoji"])
def test_every_step_says_what_it_is_made_of(plan: object, text: Text) -> None:
    for step in plan.steps(text, COSTS, Options()):  # type: ignore[attr-defined]
        assert step.bytes > 0
        assert step.formula.count("iB") >= 1
        assert " 0 B" not in step.formula
