"""The ladder's laws, by value and by hypothesis."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.errors import ConfigError
from memguard.records.limits import Constraint
from memguard.watch.decide.policy import (
    ABORT,
    DUMP,
    FLUSH,
    FREEZE,
    LADDER,
    LAST_ASK,
    NOTICE,
    RECLAIM,
    RESUME,
    Decision,
    Flush,
    Policy,
    Sample,
    Stage,
    State,
    beyond,
    decide,
    ladder_with,
)

POLICY = Policy()
USABLE = 1_000_000


def sample(
    fraction: float,
    *,
    time: float = 0.0,
    tree: int | None = None,
    exact: bool = False,
    name: str = "memory.max",
    flush: Flush | None = None,
) -> Sample:
    used = round(fraction * USABLE)
    constraint = Constraint(name, "/sys/fs/cgroup/x", USABLE + 100, used, 100, True)
    return Sample(time, used if tree is None else tree, (constraint,), exact=exact, flush=flush or Flush())


def run(samples: list[Sample], policy: Policy = POLICY) -> list[tuple[float, str]]:
    """(time, action) of each decision."""
    state, made = State(), []
    for each in samples:
        decision, state = decide(policy, state, each)
        if decision:
            made.append((each.time, decision.action))
    return made


def test_nothing_happens_far_from_the_limit() -> None:
    assert run([sample(0.74, time=t) for t in range(100)]) == []


def test_the_ladder_in_order() -> None:
    rising = [sample(f, time=t) for t, f in enumerate((0.5, 0.76, 0.81, 0.86, 0.9, 0.98))]
    expected = [(1, RECLAIM), (2, FLUSH), (3, DUMP), (5, FREEZE), (5.1, ABORT)]
    assert run([*rising, sample(0.98, time=5.1, exact=True)]) == expected


def test_a_jump_over_a_stage_freezes_at_once() -> None:
    assert run([sample(0.1), sample(1.2, time=0.01)]) == [(0.01, FREEZE)]


def test_a_steady_job_is_asked_once() -> None:
    steady = [sample(0.86 + 0.02 * (t % 2), time=t) for t in range(50)]
    assert run(steady) == [(0, RECLAIM), (1, FLUSH), (2, DUMP)]


def test_a_stage_is_armed_again_after_a_real_fall() -> None:
    fractions = (0.81, 0.81, 0.76, 0.81, 0.74, 0.81)  # 0.76 is not below 0.80 − 0.05
    made = run([sample(f, time=t) for t, f in enumerate(fractions)])
    assert made == [(0, RECLAIM), (1, FLUSH), (5, FLUSH)]


def test_stages_below_the_freeze_wait_for_each_other() -> None:
    policy = Policy(ladder=(Stage("reclaim", 0.75, 1.0), Stage("flush", 0.8, 2.0), Stage(FREEZE, 0.97, 1.0)))
    times = (0.0, 0.5, 1.0, 2.0)
    assert run([sample(0.9, time=t) for t in times], policy) == [(0.0, "reclaim"), (1.0, "flush")]
    assert run([sample(0.9), sample(0.99, time=0.1)], policy) == [(0.0, "reclaim"), (0.1, FREEZE)]


def test_a_false_alarm_is_resumed_and_remembered() -> None:
    samples = [
        sample(0.98, time=0, name="--limit"),
        sample(0.60, time=0.1, exact=True, name="--limit"),
        sample(0.98, time=0.2, name="--limit"),  # has grown since: frozen again
        sample(0.975, time=0.3, exact=True, name="--limit"),
    ]
    assert run(samples) == [(0, FREEZE), (0.1, RESUME), (0.2, FREEZE), (0.3, ABORT)]
    still = [samples[0], sample(0.9699, time=0.1, exact=True, name="--limit"), sample(0.9705, time=0.2, name="--limit")]
    assert run(still) == [(0, FREEZE), (0.1, RESUME)]


def test_a_frozen_tree_that_cannot_be_measured_is_ended_at_the_deadline() -> None:
    samples = [sample(0.98, time=t / 10) for t in range(11)]
    assert run(samples) == [(0.0, FREEZE), (1.0, ABORT)]


def test_a_frozen_tree_without_readable_constraints_is_ended_by_what_was_known() -> None:
    state = decide(POLICY, State(), sample(0.98))[1]
    decision, _ = decide(POLICY, state, Sample(0.1, USABLE, (), exact=True))
    assert decision is not None and decision.action == ABORT


def test_others_memory_is_no_reason_to_stop_the_tree() -> None:
    assert run([sample(1.1, tree=20_000, time=t) for t in range(5)]) == []
    assert run([sample(1.1, tree=40_000)]) == [(0, FREEZE)]


def test_no_constraint_no_decision() -> None:
    assert decide(POLICY, State(), Sample(0.0, 1, ())) == (None, State())


def test_the_fullest_constraint_decides() -> None:
    roomy = Constraint("MemAvailable", "/proc/meminfo", 10 * USABLE, USABLE, 0, False)
    tight = sample(0.98).constraints[0]
    decision, _ = decide(POLICY, State(), Sample(0.0, USABLE, (roomy, tight)))
    assert decision is not None and decision.constraint is tight
    assert decision.reason == "98.0% of what memory.max leaves"


@st.composite
def histories(draw: st.DrawFn) -> list[Sample]:
    steps = draw(st.lists(st.tuples(st.floats(0, 1.3), st.floats(0.001, 0.7), st.booleans()), max_size=60))
    now, samples = 0.0, []
    for fraction, pause, exact in steps:
        now += pause
        samples.append(sample(fraction, time=now, exact=exact))
    return samples


def decisions(samples: list[Sample]) -> list[tuple[Sample, State, Decision | None, State]]:
    state, made = State(), []
    for each in samples:
        decision, after = decide(POLICY, state, each)
        made.append((each, state, decision, after))
        state = after if decision is None or decision.action != ABORT else State()
    return made


@given(histories())
def test_nothing_without_cause(samples: list[Sample]) -> None:
    lowest = {stage.action: stage.at for stage in LADDER} | {ABORT: 0.97}
    for each, before, decision, _ in decisions(samples):
        binding = each.binding
        assert binding is not None
        if decision is None:
            continue
        assert binding.fraction >= lowest.get(decision.action, 0.0)
        if decision.action in (ABORT, RESUME):
            assert before.frozen is not None
            assert each.exact or each.time - before.frozen[0] >= POLICY.freeze.deadline
        else:
            assert before.frozen is None
        if decision.action == RESUME:
            assert binding.fraction < POLICY.freeze.at


@given(histories())
def test_a_freeze_never_lasts(samples: list[Sample]) -> None:
    for each, before, decision, after in decisions(samples):
        if before.frozen is not None and (each.exact or each.time - before.frozen[0] >= POLICY.freeze.deadline):
            assert decision is not None and (decision.action == ABORT or after.frozen is None)


@given(histories())
def test_a_tree_over_the_limit_is_frozen_at_once(samples: list[Sample]) -> None:
    for each, before, decision, _ in decisions(samples):
        binding = each.binding
        if before.frozen is None and before.resumed_at is None and binding and binding.fraction >= POLICY.freeze.at:
            assert decision is not None and decision.action == FREEZE


@given(st.lists(st.floats(0.0, 0.969), max_size=80))
def test_a_stage_fires_once_per_rise(fractions: list[float]) -> None:
    armed = dict.fromkeys((RECLAIM, FLUSH, DUMP), True)
    at = {stage.action: stage.at for stage in LADDER}
    samples = [sample(f, time=float(n)) for n, f in enumerate(fractions)]
    for (_, _, decision, _), fraction in zip(decisions(samples), fractions, strict=True):
        if decision is not None:
            assert armed[decision.action] and fraction >= at[decision.action] - 1e-6
            armed[decision.action] = False
        exact = round(fraction * USABLE) / USABLE
        for action in armed:
            armed[action] = armed[action] or exact < at[action] - POLICY.rearm + 1e-9


@given(histories())
def test_stages_fire_in_order_and_none_is_skipped_by_a_slower_one(samples: list[Sample]) -> None:
    order = [stage.action for stage in LADDER]
    for each, before, decision, _ in decisions(samples):
        if decision is not None and decision.action in (FLUSH, DUMP):
            assert set(order[: order.index(decision.action)]) <= before.fired
            assert each.time >= before.busy_until


@pytest.mark.parametrize("fraction", [0.85, 0.97])
def test_thresholds_are_inclusive(fraction: float) -> None:
    assert run([sample(fraction)])


def forecast(size: int, *, will_exceed: bool = False, time: float = 0.0, fraction: float = 0.3) -> Sample:
    constraint = Constraint("--limit", "--limit", USABLE, round(fraction * USABLE), 0, False)
    return Sample(time, constraint.used, (constraint,), exact=True, forecast=size, will_exceed=will_exceed)


def test_a_forecast_over_the_limit_is_said_once() -> None:
    samples = [forecast(size, time=t) for t, size in enumerate((900_000, 1_000_001, 900_000, 2_000_000))]
    assert run(samples) == [(1, NOTICE)]


def test_a_doomed_run_is_stopped_early_only_when_asked() -> None:
    will_exceed = [forecast(2_000_000, will_exceed=True, time=t) for t in range(3)]
    assert run(will_exceed) == [(0, NOTICE)]
    assert run(will_exceed[:2], Policy(abort_on_forecast=True)) == [(0, FREEZE), (1, ABORT)]


def test_the_forecast_counts_what_others_use() -> None:
    constraint = Constraint("memory.max", "/sys/fs/cgroup/x", USABLE, 600_000, 0, True)  # of it 300,000 of others
    fits = Sample(0.0, 300_000, (constraint,), forecast=700_000)
    assert run([fits]) == []
    assert run([Sample(0.0, 300_000, (constraint,), forecast=700_001)]) == [(0, NOTICE)]


def test_thresholds_of_ones_own() -> None:
    assert ladder_with() == LADDER
    assert [stage.at for stage in ladder_with(freeze=0.5)] == [0.5, 0.5, 0.5, 0.5]
    assert [stage.at for stage in ladder_with(reclaim=0.9)] == [0.9, 0.9, 0.9, 0.97]
    assert [stage.at for stage in ladder_with(flush=1 << 30)] == [0.75, 1 << 30, 0.85, 0.97]


@pytest.mark.parametrize("wrong", [{"flush": 0.9, "dump": 0.8}, {"freeze": 1.5}, {"flush": 0}, {"reclaim": 0.0}])
def test_thresholds_that_make_no_ladder(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ladder_with(**wrong)


def test_a_size_is_compared_with_the_tree_itself() -> None:
    policy = Policy(ladder=ladder_with(flush=200_000, freeze=400_000))
    samples = [sample(0.5, tree=tree, time=t) for t, tree in enumerate((100_000, 250_000, 450_000))]
    ended = sample(0.5, tree=450_000, time=2.5, exact=True)
    assert run([*samples, ended], policy) == [(1, FLUSH), (2, FREEZE), (2.5, ABORT)]
    resumed = sample(0.5, tree=350_000, time=2.5, exact=True)
    assert run([*samples, resumed], policy) == [(1, FLUSH), (2, FREEZE), (2.5, RESUME)]


@given(st.lists(st.tuples(st.sampled_from([RECLAIM, FLUSH, DUMP, FREEZE]), st.floats(0.01, 1.0)), max_size=4))
def test_a_ladder_always_ascends(wanted: list[tuple[str, float]]) -> None:
    try:
        ladder = ladder_with(**dict(wanted))
    except ConfigError:
        return
    assert all(low.at <= high.at for low, high in pairwise(ladder))
    for action, at in dict(wanted).items():
        assert next(stage.at for stage in ladder if stage.action == action) == at


def machine(fraction: float, stalled: float, *, name: str = "MemAvailable") -> Sample:
    constraint = Constraint(name, "/proc/meminfo", USABLE, round(fraction * USABLE), 0, False)
    return Sample(5.0, constraint.used, (constraint,), exact=True, stalled=stalled)


@pytest.mark.parametrize(
    ("sample", "stopped"),
    [
        (machine(0.91, 0.3), True),
        (machine(0.91, 0.1), False),
        (machine(0.89, 0.9), False),
        (machine(0.91, 0.9, name="memory.max"), False),  # whose stalls these are nobody knows
    ],
)
def test_a_thrashing_machine_is_full_earlier_but_stalls_alone_mean_nothing(sample: Sample, stopped: bool) -> None:
    fired = State(fired=frozenset({RECLAIM, FLUSH, DUMP}))
    decision, state = decide(POLICY, fired, sample)
    assert (decision is not None and decision.action == FREEZE) == stopped
    if stopped:
        assert decide(POLICY, state, sample)[0].action == ABORT  # type: ignore[union-attr]


READY, ASKED, AT_WORK = (
    Flush(ready=True),
    Flush(ready=True, pending=True),
    Flush(ready=True, pending=True, running=True),
)


def answered(count: int, freed: bool = True) -> Flush:
    return Flush(ready=True, answers=count, freed=freed)


def test_callbacks_are_asked_for_again_when_enough_has_grown_since_the_answer() -> None:
    """What is always held is 76 % of the limit, and never falls below 75 %."""
    made = run(
        [
            sample(0.81, time=0, flush=READY),
            sample(0.81, time=1, flush=READY),
            sample(0.76, time=2, flush=answered(1)),
            sample(0.785, time=3, flush=answered(1)),
            sample(0.80, time=4, flush=answered(1)),
            sample(0.805, time=5, flush=Flush(ready=True, pending=True, answers=1, freed=True)),
            sample(0.76, time=6, flush=answered(2)),
            sample(0.80, time=7, flush=answered(2)),
        ]
    )
    assert [(t, a) for t, a in made if a == FLUSH] == [(1, FLUSH), (4, FLUSH), (7, FLUSH)]


def test_a_steady_job_that_answers_is_asked_once() -> None:
    steady = [sample(0.86 + 0.02 * (t % 2), time=t, flush=answered(1) if t > 1 else READY) for t in range(50)]
    assert [action for _, action in run(steady)].count(FLUSH) == 1


def test_what_was_skipped_is_asked_for_sooner() -> None:
    for freed, again in ((False, [(1, FLUSH), (4, FLUSH)]), (True, [(1, FLUSH)])):
        told = answered(1, freed)
        steady = [sample(0.81, time=t, flush=told if t > 1 else READY) for t in range(4)]
        rising = [*steady, sample(0.816, time=4, flush=told)]
        assert [(time, action) for time, action in run(rising) if action == FLUSH] == again


def test_once_more_before_the_freeze_and_no_freeze_where_that_helps() -> None:
    state = State()
    decision, state = decide(POLICY, state, sample(0.98, time=0.0, flush=READY))
    assert decision is not None and (decision.action, decision.rule) == (FLUSH, LAST_ASK)
    assert decide(POLICY, state, sample(0.98, time=0.2, flush=ASKED)) == (None, state)
    decision, state = decide(POLICY, state, sample(0.7, time=0.3, flush=answered(1)))
    assert decision is None
    decision, _ = decide(POLICY, state, sample(0.98, time=0.4, flush=answered(1)))
    assert decision is not None and decision.rule == LAST_ASK, "in the next rise it is asked once more, too"


def test_an_answer_that_frees_nothing_or_does_not_come_is_followed_by_the_freeze() -> None:
    nothing, freed = answered(1, freed=False), answered(1)
    for later in (sample(0.98, time=0.2, flush=nothing), sample(0.98, time=0.51, flush=ASKED)):
        _, state = decide(POLICY, State(), sample(0.98, time=0.0, flush=READY))
        decision, _ = decide(POLICY, state, later)
        assert decision is not None and decision.action == FREEZE
    _, state = decide(POLICY, State(), sample(0.98, time=0.0, flush=READY))
    decision, state = decide(POLICY, state, sample(0.98, time=0.2, flush=freed))
    assert decision is None, "what was called may free it in a moment"
    decision, _ = decide(POLICY, state, sample(0.98, time=0.71, flush=freed))
    assert decision is not None and decision.action == FREEZE


def test_nobody_to_ask_means_no_wait() -> None:
    assert run([sample(0.98)]) == [(0.0, FREEZE)]


def test_a_callback_at_work_is_waited_for_up_to_half_of_the_margin() -> None:
    """USABLE + 100 is the kernel's limit here, 100 the margin."""
    assert run([sample(0.99, time=t, flush=AT_WORK) for t in range(5)]) == []
    over = sample(1 + 51 / USABLE, time=0.0, flush=AT_WORK)
    assert beyond(over) and run([over]) == [(0.0, FREEZE)]
    assert not beyond(sample(1 + 50 / USABLE))
    own = Constraint("--limit", "--limit", USABLE, USABLE + (1 << 20), 0, False)
    assert not beyond(Sample(0.0, own.used, (own,))), "a limit of the user's own kills nobody"


@given(st.lists(st.tuples(st.floats(0.5, 1.2), st.sampled_from([READY, ASKED, Flush()])), min_size=20, max_size=60))
def test_requests_never_hold_up_the_freeze_for_longer_than_one_last_ask(steps: list[tuple[float, Flush]]) -> None:
    state, over_since, time = State(), None, 0.0
    for fraction, flush in steps:
        time += 0.1
        decision, state = decide(POLICY, state, sample(max(fraction, 0.98), time=time, flush=flush))
        if decision is not None and decision.action == FREEZE:
            return
        over_since = time if over_since is None else over_since
        assert time - over_since <= POLICY.last_ask + 0.2
