from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memguard.estimate.model import Speeds, breaking_point, estimate, judge
from memguard.estimate.plans.catalogue import PLANS, Options
from memguard.estimate.plans.costs import Costs
from memguard.estimate.plans.quantities import AUTO_WORKERS
from memguard.records.codec import from_json, to_json
from memguard.records.estimate import CorpusStats, Estimate, Range, SliceStats
from memguard.records.limits import Constraint, Limits
from memguard.units import GIB, MIB

COSTS = Costs(list_slot=8, heap_int=32.125, cached_int_max=256, baseline=55 * MIB, baseline_peak=64 * MIB)
MAPS = ("datasets-map", "from-dict-map", "hf-map", "hf-group-texts")
ORDER = {"fits": 0, "tight": 1, "killed": 2}


def limits(size: int, *, margin: int = 0, used: int = 0) -> Limits:
    constraint = Constraint("memory.max", "/sys/fs/cgroup/x", size, used, margin, True)
    return Limits(max(0, constraint.headroom), "memory.max of /sys/fs/cgroup/x", None, None, None, (constraint,))


def stats(size: int, *, width: int = 1, error: float = 0.0, encoding: str = "gpt2", path: str = "a.txt") -> CorpusStats:
    """`size` bytes of a text with 4 bytes a token, in the two slices of nanoGPT."""

    def around(value: int) -> Range:
        return Range(int(value * (1 - error)), value, int(value * (1 + error)))

    train, val = size * 9 // 10, size - size * 9 // 10
    slices = tuple(
        SliceStats(part, width, part, width == 1, around(part // 4), around(part // 5)) for part in (train, val)
    )
    return CorpusStats(
        paths=(path,),
        bytes=size,
        chars=size,
        max_code_point=0x7F if width == 1 else 0x10000,
        char_width=width,
        tokens=around(size // 4),
        bytes_per_token=4.0,
        small_id_fraction=0.2,
        documents=None,
        encoding=encoding,
        ascii=width == 1,
        slices=slices,
        vocabulary=50257 if encoding == "gpt2" else 100277,
    )


sizes = st.integers(1, 1 << 40)
widths = st.sampled_from([1, 2, 4])
errors = st.floats(0, 0.2)


MALLOC_KEEPS_LESS = {"from-dict-map", "read-all", "torch-tensor", "char-list"}


@settings(max_examples=40, deadline=None)
@example(32091428, 1463005, 1, 0.0, 1)  # over the 32 MiB beyond which a block is mapped
@given(sizes, st.integers(0, 1 << 40), widths, errors, st.integers(1, 10**9))
def test_more_bytes_never_need_less(size: int, more: int, width: int, error: float, shard: int) -> None:
    options = Options(shard_tokens=shard)
    small, large = (
        estimate(stats(n, width=width, error=error), limits(GIB), COSTS, options=options) for n in (size, size + more)
    )
    for before, after in zip(small.plans, large.plans, strict=True):
        # Of what is large malloc keeps less: what is expected falls there, the high end does not.
        for bound in ("high",) if before.name in MALLOC_KEEPS_LESS else ("low", "expected", "high"):
            # Shares of a shard are rounded to whole tokens.
            assert getattr(after.peak, bound) * (1 + 1e-4) + 512 >= getattr(before.peak, bound)
        assert after.disk >= before.disk


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(1, 10**9), st.integers(0, 10**9))
@example(1_000_007, 1, 1)
def test_larger_shards_never_need_less(size: int, shard: int, more: int) -> None:
    peaks = [
        next(
            p.peak
            for p in estimate(stats(size), limits(GIB), COSTS, options=Options(shard_tokens=s)).plans
            if p.name == "sharded-list"
        )
        for s in (shard, shard + more)
    ]
    assert peaks[0].expected <= peaks[1].expected + 512
    assert peaks[0].high <= peaks[1].high + 512


@settings(max_examples=40, deadline=None)
@given(sizes, widths, errors)
def test_low_expected_high_are_in_order(size: int, width: int, error: float) -> None:
    for plan in estimate(stats(size, width=width, error=error), limits(GIB), COSTS).plans:
        assert 0 <= plan.peak.low <= plan.peak.expected <= plan.peak.high
        assert plan.peak.expected == max(step.bytes for step in plan.steps)
        assert plan.peak.high >= plan.peak.expected >= plan.peak.low
        assert plan.peak_step in {step.name for step in plan.steps}


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(0, 1 << 42), st.integers(0, 1 << 42), st.integers(0, 1 << 30), st.integers(0, 1 << 30))
def test_a_larger_limit_never_makes_it_worse(size: int, limit: int, more: int, margin: int, used: int) -> None:
    low, high = (limits(n, margin=margin, used=used) for n in (limit, limit + more))
    for peak in (plan.peak for plan in estimate(stats(size, error=0.05), limits(GIB), COSTS).plans):
        assert ORDER[judge(peak, high)] <= ORDER[judge(peak, low)]


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(1, 64), st.integers(0, 64), st.integers(1, 32))
def test_more_workers_never_need_less(size: int, workers: int, more: int, cores: int) -> None:
    before, after = (
        estimate(stats(size), limits(GIB), COSTS, options=Options(workers=count, cores=cores))
        for count in (workers, workers + more)
    )
    for few, many in zip(before.plans, after.plans, strict=True):
        # Workers of map that get fewer rows each may need less: see _GARBAGE_ROWS. At worst they do not.
        bound = "high" if few.name in MAPS else "expected"
        assert getattr(many.peak, bound) + 4096 >= getattr(few.peak, bound) * (1 - 1e-6), few.name


@settings(max_examples=25, deadline=None)
@given(sizes, st.integers(1, 1 << 40))
def test_as_many_workers_as_fit_do_fit_and_one_more_does_not(size: int, limit: int) -> None:
    box, options = limits(limit), Options(workers=AUTO_WORKERS, cores=8)
    for plan in estimate(stats(size), box, COSTS, options=options).plans:
        if plan.workers_fit is None:
            continue
        assert plan.workers == max(1, plan.workers_fit)
        assert (plan.verdict == "fits") == (plan.workers_fit > 0)
        if plan.workers_fit < 8:
            more = estimate(stats(size), box, COSTS, options=Options(workers=plan.workers_fit + 1, cores=8)).plans
            assert next(p.verdict for p in more if p.name == plan.name) != "fits"


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(1, 10**8), st.integers(0, 10**8))
def test_larger_chunks_and_batches_never_need_less(size: int, chunk: int, more: int) -> None:
    small, large = (
        estimate(stats(size), limits(GIB), COSTS, options=Options(chunk_chars=n, batch_rows=n))
        for n in (chunk, chunk + more)
    )
    for before, after in zip(small.plans, large.plans, strict=True):
        assert after.peak.expected + 4096 >= before.peak.expected * (1 - 1e-6), before.name


def test_an_unseen_wide_character_is_in_the_high_end_alone() -> None:
    seen = stats(10**8, width=2)
    unseen = replace(seen, char_width_high=4)
    for name in ("read-all", "char-list", "torch-tensor"):
        before, after = (
            next(p.peak for p in estimate(text, limits(GIB), COSTS).plans if p.name == name) for text in (seen, unseen)
        )
        assert after.expected == before.expected
        assert after.low == before.low
        assert after.high > before.high + 2 * 10**8


def test_the_verdict_has_two_lines() -> None:
    box = limits(512 * MIB, margin=64 * MIB, used=20 * MIB)
    assert (box.effective, breaking_point(box)) == (428 * MIB, 492 * MIB)
    assert judge(Range(0, 400 * MIB, 428 * MIB), box) == "fits"
    assert judge(Range(0, 400 * MIB, 429 * MIB), box) == "tight"
    assert judge(Range(0, 492 * MIB, 500 * MIB), box) == "tight"
    assert judge(Range(0, 493 * MIB, 500 * MIB), box) == "killed"
    nothing_known = Limits(100, "", None, None, None)
    assert judge(Range(0, 101, 101), nothing_known) == "killed"


def test_a_small_box_recommends_streaming_and_says_how() -> None:
    result = estimate(
        stats(100_000_000), limits(512 * MIB, margin=64 * MIB), COSTS, speeds=Speeds(stream=150e6, tiktoken=9e6)
    )
    verdicts = {plan.name: plan.verdict for plan in result.plans}
    whole = ("read-all", "chunked-list", "sharded-list", "line-list", "int64-list", "list-of-lists", "jsonl-list")
    assert {verdicts[name] for name in whole} == {"killed"}
    assert verdicts["stream"] == "fits"
    assert result.recommended == "stream"
    assert result.next_command == "memguard tokenize a.txt -o tokens"


def test_a_very_small_box_gets_a_smaller_budget() -> None:
    result = estimate(stats(100_000_000), limits(130 * MIB), COSTS)
    stream = next(plan for plan in result.plans if plan.name == "stream")
    assert stream.verdict == "fits"
    assert "--max-memory 128M" in result.next_command
    tiny = next(plan for plan in estimate(stats(100_000_000), limits(20 * MIB), COSTS).plans if plan.name == "stream")
    assert tiny.verdict == "killed"


@pytest.mark.parametrize("path", ["my text.txt", "$(rm -rf ~).txt", "-o", "it's.txt"])
def test_the_next_command_survives_a_shell(path: str) -> None:
    command = estimate(stats(1000, path=path, encoding="cl100k_base"), limits(GIB), COSTS).next_command
    words = shlex.split(command)
    assert path in words
    assert words[words.index("--encoding") + 1] == "cl100k_base"
    if path.startswith("-"):
        assert words.index("--") < len(words) - 1 - words[::-1].index(path)


def test_vocabularies_above_65536_are_written_as_uint32() -> None:
    small, large = (estimate(stats(4000, encoding=name), limits(GIB), COSTS) for name in ("gpt2", "cl100k_base"))
    others = {plan.name for plan in PLANS if plan.output}
    pairs = [(a, b) for a, b in zip(small.plans, large.plans, strict=True) if a.name not in others]
    assert {(few.output, many.output) for few, many in pairs} == {("uint16", "uint32")}
    assert all(many.disk == 2 * few.disk for few, many in pairs)
    assert {plan.output for plan in large.plans if plan.name in others} == {"int64", "pickle", "tar", "model"}


def test_times_are_none_where_no_speed_is_known() -> None:
    assert {plan.seconds for plan in estimate(stats(1000), limits(GIB), COSTS).plans} == {None}
    known = estimate(stats(10**9), limits(64 * GIB), COSTS, speeds=Speeds(stream=100e6, tiktoken=10e6))
    seconds = {plan.name: plan.seconds for plan in known.plans}
    assert seconds["stream"] == pytest.approx(10, abs=1)
    assert seconds["read-all"] is not None and seconds["read-all"] > 100


def test_the_record_survives_json() -> None:
    result = estimate(stats(10**8, error=0.02), limits(GIB), COSTS, notes=("one",))
    assert from_json(Estimate, to_json(result)) == result
