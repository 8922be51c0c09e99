"""When the guard acts: decide(policy, state, sample) -> (Decision | None, State). Pure.

The ladder is data. Its stages lie at fractions of what a constraint lets the tree use (limit − margin):

    dump    85 %  ask the largest Python process for its stack while it still runs; changes nothing for the script
    freeze  97 %  SIGSTOP the whole tree, then measure it exactly
    abort         only out of a freeze: the exact figure is over, or could not be had in time

Rules, each held by a property test:

- A stage below `freeze` fires once per rise: it is armed again when the use has fallen `rearm` below it. A steady
  85 % job is asked once, not for ever.
- Stages below `freeze` fire in order, each given its deadline before the next; `freeze` waits for none of them.
- `abort` follows `freeze` only, and a frozen tree is resumed or aborted within the freeze's deadline.
- Nothing fires below its fraction, and nothing on behalf of others: a tree that holds less than would bring the
  constraint below the freeze again is left alone, because stopping it would help nobody.

97 %, with a margin of max(64 MiB, 10 %) below a kernel's limit, was measured to be early enough at 10 GB/s.
Not here: how a sample is taken (sampler.py), what an action does (actions.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from memguard.records.limits import Constraint

__all__ = ["ABORT", "DUMP", "FREEZE", "LADDER", "RESUME", "Decision", "Policy", "Sample", "Stage", "State", "decide"]

DUMP, FREEZE, ABORT, RESUME = "dump", "freeze", "abort", "resume"


@dataclass(frozen=True, slots=True)
class Stage:
    """`at` is a fraction of a constraint's usable bytes, `deadline` the seconds that the stage may take."""

    action: str
    at: float
    deadline: float


LADDER = (Stage(DUMP, 0.85, 0.25), Stage(FREEZE, 0.97, 1.0))


@dataclass(frozen=True, slots=True)
class Policy:
    ladder: tuple[Stage, ...] = LADDER  # ascending; the last one is the freeze
    rearm: float = 0.05
    regrow: float = 0.005  # a resumed tree is frozen again only after it has grown by this fraction of usable

    @property
    def freeze(self) -> Stage:
        return self.ladder[-1]


@dataclass(frozen=True, slots=True)
class Sample:
    """What the tree and its constraints held at `time` (seconds since the start of the run). Sizes in bytes."""

    time: float
    tree: int  # anonymous + shared memory of the tree itself
    constraints: tuple[Constraint, ...]
    exact: bool = False  # True: shared pages counted once (PSS), or nothing to count twice
    processes: int = 1
    lateness: float = 0.0  # seconds that the watcher woke up later than it meant to

    @property
    def binding(self) -> Constraint | None:
        """The constraint that is fullest."""
        return max(self.constraints, key=lambda constraint: constraint.fraction, default=None)


@dataclass(frozen=True, slots=True)
class State:
    fired: frozenset[str] = field(default_factory=frozenset)  # stages that have fired in this rise
    busy_until: float = 0.0  # the last stage's deadline
    frozen: tuple[float, Constraint] | None = None  # since when, and over which constraint
    resumed_at: tuple[str, int] | None = None  # (constraint, used) of the last false alarm


@dataclass(frozen=True, slots=True)
class Decision:
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
    fraction = binding.fraction
    still = frozenset(s.action for s in policy.ladder if s.action in state.fired and fraction > s.at - policy.rearm)
    state = replace(state, fired=still)
    if fraction >= policy.freeze.at:
        return _freeze(policy, state, sample, binding)
    for stage in policy.ladder[:-1]:
        if fraction < stage.at:
            break
        if stage.action not in state.fired:
            if sample.time < state.busy_until:
                break
            decision = Decision(stage.action, _rule(stage), binding, _reason(binding))
            fired = state.fired | {stage.action}
            return decision, replace(state, fired=fired, busy_until=sample.time + stage.deadline)
    return None, state


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
    binding = sample.binding or cause  # a frozen tree whose constraints cannot be read any more holds what it held
    over = binding.fraction >= policy.freeze.at and _would_help(policy, sample, binding)
    late = sample.time - since >= policy.freeze.deadline
    if not (sample.exact or late):
        return None, state
    if over:
        rule = "over the limit when measured exactly" if sample.exact else "not measured exactly in time"
        return Decision(ABORT, rule, binding, _reason(binding)), state
    resumed = replace(state, frozen=None, resumed_at=(binding.name, binding.used))
    return Decision(RESUME, "below the limit when measured exactly", binding, _reason(binding)), resumed


def _would_help(policy: Policy, sample: Sample, binding: Constraint) -> bool:
    return sample.tree > (1 - policy.freeze.at) * binding.usable


def _rule(stage: Stage) -> str:
    return f"{stage.action} at {stage.at:.0%}"


def _reason(constraint: Constraint) -> str:
    return f"{constraint.fraction:.1%} of what {constraint.name} leaves"
