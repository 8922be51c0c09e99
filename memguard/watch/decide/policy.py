"""When the guard acts: decide(policy, state, sample) -> (Decision | None, State). Pure.

The ladder is data. Its stages lie at fractions of what a constraint lets the tree use (limit − margin), or at sizes of
the tree's own memory:

    notice         the forecast's final peak does not fit; changes nothing, said once
    reclaim  75 %  Python processes are asked to give back what they hold for nothing (gc, malloc_trim, Arrow's pool)
    flush    80 %  callbacks are asked for, which the script runs at its next checkpoint; one bounded look at who holds
                   the memory
    dump     85 %  the largest Python process is asked for its stack while it still runs
    freeze   97 %  SIGSTOP the whole tree, then measure it exactly
    abort          only out of a freeze: the exact figure is over, or could not be had in time

Rules, each held by a property test:

- A stage below `freeze` fires once per rise: it is armed again when the use has fallen `rearm` below it. A steady
  85 % job is asked once, not for ever. `flush` is also armed again when the use has grown by `again` since the script
  has answered, or by `again_skipped` where nothing could be called.
- Callbacks are asked for once more before the freeze, which waits for the answer `last_ask` seconds at most, as long
  again for what that frees, and while one is at work. None of these holds it up beyond half of what is kept free below
  a limit (beyond).
- Stages below `freeze` fire in order, each given its deadline before the next; `freeze` waits for none of them, nor
  does a flush that the script runs at its checkpoint.
- `abort` follows `freeze` only, and a frozen tree is resumed or aborted within the freeze's deadline.
- A machine that stalls for memory (PSI) is over at 90 % of what MemAvailable leaves. Stalls alone mean nothing.
- Nothing fires below its fraction, and nothing on behalf of others: a tree that holds less than would bring the
  constraint below the freeze again is left alone, because stopping it would help nobody. The one exception is asked
  for: with `abort_on_forecast`, a tree whose forecast has said often enough that it cannot end well.

97 %, with a margin of max(64 MiB, 10 %) below a kernel's limit, was measured to be early enough at 10 GB/s.
Not here: how a sample is taken (measure/sampler.py), what an action does (process/actions.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

from memguard.errors import ConfigError
from memguard.records.limits import Constraint, kernel_margin
from memguard.units import format_size

__all__ = [
    "ABORT",
    "DUMP",
    "FLUSH",
    "FREEZE",
    "LADDER",
    "LAST_ASK",
    "NOTICE",
    "RECLAIM",
    "RESUME",
    "Decision",
    "Flush",
    "Policy",
    "Sample",
    "Stage",
    "State",
    "beyond",
    "decide",
    "ladder_with",
]

LAST_ASK = "once more before the freeze"  # the rule of a flush that is not the stage's own

NOTICE, RECLAIM, FLUSH, DUMP, FREEZE, ABORT, RESUME = (
    "notice",
    "reclaim",
    "flush",
    "dump",
    "freeze",
    "abort",
    "resume",
)


@dataclass(frozen=True, slots=True)
class Stage:
    """`at`: a fraction of a constraint's usable bytes, or (int) bytes of the tree's own memory. `deadline`: the seconds
    that the stage may take."""

    action: str
    at: float | int
    deadline: float

    def reached(self, sample: Sample, binding: Constraint, less: float = 0.0) -> bool:
        """Whether the sample lies at the stage, or no more than the fraction `less` of the whole below it."""
        if isinstance(self.at, int):
            return sample.tree >= self.at * (1 - less)
        return binding.fraction >= self.at - less


LADDER = (Stage(RECLAIM, 0.75, 0.25), Stage(FLUSH, 0.80, 0.5), Stage(DUMP, 0.85, 0.25), Stage(FREEZE, 0.97, 1.0))


def ladder_with(
    *,
    reclaim: float | int | None = None,
    flush: float | int | None = None,
    dump: float | int | None = None,
    freeze: float | int | None = None,
) -> tuple[Stage, ...]:
    """The ladder with some stages at other fractions (float) or sizes in bytes (int).

    Raises ConfigError where a fraction is not in (0, 1], a size not positive, or the stages do not ascend. A default
    above a stage that was moved down moves with it.
    """
    wanted = {RECLAIM: reclaim, FLUSH: flush, DUMP: dump, FREEZE: freeze}
    for action, at in wanted.items():
        if at is not None and not (at > 0 and (isinstance(at, int) or at <= 1)):
            raise ConfigError(f"the threshold of {action} is {at}", "a fraction such as 80%, or a size such as 6GiB")
    stages = [replace(stage, at=wanted[stage.action] or stage.at) for stage in LADDER]
    given = [stage for stage in stages if wanted[stage.action] is not None]
    for low, high in pairwise(given):
        if type(low.at) is type(high.at) and low.at > high.at:
            lies = f"{_option(low)} {_threshold(low)} lies above {_option(high)} {_threshold(high)}"
            raise ConfigError(lies, "the order is reclaim, flush, dump, abort")
    return tuple(_between(stage, position, stages, given) for position, stage in enumerate(stages))


def _option(stage: Stage) -> str:
    """The stage as its user names it."""
    return f"--{ABORT if stage.action == FREEZE else stage.action}-at"


def _between(stage: Stage, position: int, stages: list[Stage], given: list[Stage]) -> Stage:
    """A default gives way to what was asked for: not below what comes before it, not above what comes after."""
    if stage in given:
        return stage
    alike = [(stages.index(other), other.at) for other in given if type(other.at) is type(stage.at)]
    at = max([stage.at, *(at for place, at in alike if place < position)])
    return replace(stage, at=min([at, *(at for place, at in alike if place > position)]))


def _threshold(stage: Stage) -> str:
    return format_size(stage.at) if isinstance(stage.at, int) else f"{stage.at:.0%}"


@dataclass(frozen=True, slots=True)
class Policy:
    """When to act, as numbers."""

    ladder: tuple[Stage, ...] = LADDER  # ascending; the last one is the freeze
    rearm: float = 0.05
    regrow: float = 0.005  # a resumed tree is frozen again only after it has grown by this fraction of usable
    abort_on_forecast: bool = False
    again: float = 0.03  # growth since an answered flush after which it is asked for again, as a share of usable
    again_skipped: float = 0.005  # the same where no callback could be called
    last_ask: float = 0.5  # seconds that the freeze waits for the last answer, and for what it frees
    stalled: float = 0.2  # a machine that stands still for this share of its time, and
    stalled_at: float = 0.9  # whose memory is used to this fraction, is over already

    @property
    def freeze(self) -> Stage:
        return self.ladder[-1]


@dataclass(frozen=True, slots=True)
class Flush:
    """How the script's flush callbacks stand (watch/agents/flush.py)."""

    ready: bool = False  # a process of the tree passes checkpoints
    pending: bool = False  # it has been asked, and has not answered
    running: bool = False  # callbacks are at work
    answers: int = 0  # so far
    freed: bool = False  # the last one says that something was called


@dataclass(frozen=True, slots=True)
class Sample:
    """What the tree and its constraints held at `time` (seconds since the start of the run). Sizes in bytes."""

    time: float
    tree: int  # anonymous + shared memory of the tree itself
    constraints: tuple[Constraint, ...]
    exact: bool = False  # True: shared pages counted once (PSS), or nothing to count twice
    processes: int = 1
    lateness: float = 0.0  # seconds that the watcher woke up later than it meant to
    forecast: int | None = None  # the tree's peak at the end of its input, as predicted now
    will_exceed: bool = False  # the forecast has been over the limit for long enough to be believed
    flush: Flush = field(default_factory=lambda: Flush())
    stalled: float = 0.0  # share of the last 10 s in which the whole machine waited for memory (PSI, full avg10)

    @property
    def binding(self) -> Constraint | None:
        """The constraint that is fullest."""
        return max(self.constraints, key=lambda constraint: constraint.fraction, default=None)

    @property
    def tightest(self) -> Constraint | None:
        """The constraint that the tree, growing, meets first."""
        return min(self.constraints, key=lambda constraint: constraint.headroom, default=None)


@dataclass(frozen=True, slots=True)
class State:
    """What decide() has to remember from one sample to the next."""

    fired: frozenset[str] = field(default_factory=frozenset)  # stages that have fired in this rise
    busy_until: float = 0.0  # the last stage's deadline
    frozen: tuple[float, Constraint] | None = None  # since when, and over which constraint
    will_exceed: bool = False  # frozen because of the forecast, not of what is used
    resumed_at: tuple[str, int] | None = None  # (constraint, used) of the last false alarm
    flushed_at: tuple[str, int, bool] | None = None  # (constraint, used, something was called) at the last answer
    answers: int = 0  # of the flush, when last looked at
    settles_until: float | None = None  # after an answer that has called something
    last_asked: float | None = None  # when the freeze was put off for a last answer, in this rise


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why."""

    action: str
    rule: str  # a few words, the same for each firing of a rule
    constraint: Constraint
    reason: str


def decide(policy: Policy, state: State, sample: Sample) -> tuple[Decision | None, State]:
    """The one thing to do now, if any, and the state to pass in next time. Never raises."""
    if state.frozen is not None:
        return _while_frozen(policy, state, sample, *state.frozen)
    binding = sample.binding
    if binding is None:
        return None, state
    state = _after_answer(policy, state, sample, binding)
    state = replace(state, fired=_still_fired(policy, state, sample, binding))
    if sample.flush.running and not beyond(sample):
        return None, state
    if _over(policy, sample, binding):
        return _ask_once_more(policy, state, sample, binding) or _freeze(policy, state, sample, binding)
    if sample.will_exceed and policy.abort_on_forecast:
        decision = Decision(FREEZE, "the forecast is over the limit", sample.tightest or binding, _foreseen(sample))
        return decision, replace(state, frozen=(sample.time, decision.constraint), will_exceed=True)
    for stage in policy.ladder[:-1]:
        if stage.reached(sample, binding) and stage.action not in state.fired:
            if sample.time < state.busy_until and not (stage.action == FLUSH and sample.flush.ready):
                return None, state
            decision = Decision(stage.action, _rule(stage), binding, _reason(binding))
            fired = state.fired | {stage.action}
            return decision, replace(state, fired=fired, busy_until=sample.time + stage.deadline)
    return _notice(state, sample)


def _after_answer(policy: Policy, state: State, sample: Sample, binding: Constraint) -> State:
    """What an answered flush, or a fall of the use, changes in the state."""
    if sample.flush.answers != state.answers:
        state = replace(
            state,
            answers=sample.flush.answers,
            flushed_at=(binding.name, binding.used, sample.flush.freed),
            settles_until=sample.time + policy.last_ask if sample.flush.freed else None,
        )
    if state.last_asked is not None and not policy.freeze.reached(sample, binding, less=policy.rearm / 2):
        state = replace(state, last_asked=None)
    return state


def _regrown(policy: Policy, state: State, sample: Sample, binding: Constraint) -> bool:
    """Whether enough has come since the last answer to ask for callbacks again."""
    if state.flushed_at is None or sample.flush.pending or not sample.flush.ready:
        return False
    name, used, called = state.flushed_at
    step = policy.again if called else policy.again_skipped
    return name != binding.name or binding.used >= used + step * binding.usable


def _ask_once_more(
    policy: Policy, state: State, sample: Sample, binding: Constraint
) -> tuple[Decision | None, State] | None:
    """Before the freeze: callbacks may make it needless. None: nothing more is to be hoped for."""
    flush = sample.flush
    if beyond(sample) or not flush.ready:
        return None
    if state.last_asked is None:
        asked = replace(state, last_asked=sample.time, fired=state.fired | {FLUSH})
        return Decision(FLUSH, LAST_ASK, binding, _reason(binding)), asked
    waiting = flush.pending and sample.time < state.last_asked + policy.last_ask
    # What it has handed over, to a thread that writes say, takes a moment to be freed.
    settling = state.settles_until is not None and sample.time < state.settles_until
    return (None, state) if waiting or settling else None


def beyond(sample: Sample) -> bool:
    """Whether the use has come so near to what the kernel enforces, or so far over a limit of the user's own, that no
    callback is waited for: half of the margin below the first, the same margin above the second."""
    return any(
        c.used > (c.limit - c.margin // 2 if c.margin else c.limit + kernel_margin(c.limit)) for c in sample.constraints
    )


def _still_fired(policy: Policy, state: State, sample: Sample, binding: Constraint) -> frozenset[str]:
    still = {
        stage.action
        for stage in policy.ladder
        if stage.action in state.fired and stage.reached(sample, binding, less=policy.rearm)
    }
    if _regrown(policy, state, sample, binding):
        still.discard(FLUSH)
    if NOTICE in state.fired:  # said once a run: a forecast that wavers around the limit would be said again and again
        still.add(NOTICE)
    return frozenset(still)


def _notice(state: State, sample: Sample) -> tuple[Decision | None, State]:
    tightest = sample.tightest
    if NOTICE in state.fired or sample.forecast is None or tightest is None:
        return None, state
    if sample.forecast - sample.tree <= tightest.headroom:
        return None, state
    decision = Decision(NOTICE, "the forecast is over the limit", tightest, _foreseen(sample))
    return decision, replace(state, fired=state.fired | {NOTICE})


def _freeze(policy: Policy, state: State, sample: Sample, binding: Constraint) -> tuple[Decision | None, State]:
    if not _would_help(policy, sample, binding):
        return None, state
    if state.resumed_at is not None:
        name, used = state.resumed_at
        if name == binding.name and binding.used < used + policy.regrow * binding.usable:
            return None, state
    decision = Decision(FREEZE, _rule(policy.freeze), binding, _reason(binding))
    return decision, replace(state, frozen=(sample.time, binding))


def _while_frozen(
    policy: Policy, state: State, sample: Sample, since: float, cause: Constraint
) -> tuple[Decision | None, State]:
    """A frozen tree leaves this state by the first exact sample, or at the deadline."""
    if state.will_exceed:
        return Decision(ABORT, "the forecast is over the limit", sample.tightest or cause, _foreseen(sample)), state
    binding = sample.binding or cause  # a frozen tree whose constraints cannot be read any more holds what it held
    over = _over(policy, sample, binding) and _would_help(policy, sample, binding)
    late = sample.time - since >= policy.freeze.deadline
    if not (sample.exact or late):
        return None, state
    if over:
        rule = "over the limit when measured exactly" if sample.exact else "not measured exactly in time"
        return Decision(ABORT, rule, binding, _reason(binding)), state
    resumed = replace(state, frozen=None, resumed_at=(binding.name, binding.used))
    return Decision(RESUME, "below the limit when measured exactly", binding, _reason(binding)), resumed


def _over(policy: Policy, sample: Sample, binding: Constraint) -> bool:
    """At the freeze's threshold; or near the end of the machine's memory while it already thrashes. Never by stalls
    alone: other programs' disks cause them, too."""
    if policy.freeze.reached(sample, binding):
        return True
    thrashes = sample.stalled >= policy.stalled and binding.fraction >= policy.stalled_at
    return thrashes and binding.name == "MemAvailable"


def _would_help(policy: Policy, sample: Sample, binding: Constraint) -> bool:
    at = policy.freeze.at
    return isinstance(at, int) or sample.tree > (1 - at) * binding.usable


def _rule(stage: Stage) -> str:
    return f"{stage.action} at {_threshold(stage)}"


def _reason(constraint: Constraint) -> str:
    return f"{constraint.fraction:.1%} of what {constraint.name} leaves"


def _foreseen(sample: Sample) -> str:
    return f"{format_size(sample.forecast)} at the end of the input" if sample.forecast else "the forecast"
