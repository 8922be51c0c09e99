"""Plans × stats × limits → Estimate. PURE: everything measured comes in as an argument.

A plan's peak is its largest step. `low` and `high` put the token counts at the ends of their range and add what the
allocator may keep or the formula may miss (Plan.slack). The verdict compares with two lines: `effective`, which a job
should stay below, and the point where the kernel acts, which is the margin (or the reserve) further up.

    fits    even the high end stays within the effective limit
    killed  the expected peak is beyond what there is
    tight   anything between: it depends on luck and on what else runs
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memguard.errors import ConfigError
from memguard.estimate.plans.catalogue import PLANS, Options, Plan, Text, text_of
from memguard.estimate.plans.costs import PIECE_BYTE_SLACK, Costs
from memguard.estimate.plans.quantities import AUTO_WORKERS
from memguard.records.estimate import CorpusStats, Estimate, PlanEstimate, Range, Step
from memguard.records.limits import Limits
from memguard.tokens.budget import DEFAULT_MEMORY, divide
from memguard.units import MIB

__all__ = ["Speeds", "breaking_point", "estimate", "judge", "stream_memory"]

# Wall time over the pure encoding time that the probe measured: page faults of the list and its ints, np.array, tofile.
# Ratios of `python -m tests.bench estimate` (median over its texts).
_LIST_OVERHEAD = 1.3
_START_SECONDS = 0.5
# --max-memory is chosen in steps of this.
_STREAM_STEP = 8 * MIB


@dataclass(frozen=True, slots=True)
class Speeds:
    """Bytes of this text per second, one core; None: not measured. `engine` is the one `memguard tokenize` uses."""

    stream: float | None = None
    tiktoken: float | None = None
    engine: str = "gigatoken"


def estimate(
    stats: CorpusStats,
    limits: Limits,
    costs: Costs,
    *,
    speeds: Speeds | None = None,
    options: Options | None = None,
    notes: Sequence[str] = (),
    machine: str = "",
    words: Sequence[str] | None = None,
    text_field: str = "text",
    input_format: str = "",
) -> Estimate:
    """Every plan judged against `limits`, the best one named, and the command to run next.

    `words`: the files as the user named them; `text_field` and `input_format`: for that command too.
    """
    speeds = speeds or Speeds()
    if options is None:
        options = Options(stream_memory=stream_memory(limits.effective, speeds.engine))
    plans = tuple(_plan_estimate(plan, stats, limits, costs, speeds, options) for plan in PLANS)
    recommended = _recommended([plan for plan in plans if plan.usual])
    return Estimate(
        input=stats,
        limits=limits,
        plans=plans,
        recommended=recommended,
        next_command=_next_command(
            stats, list(stats.paths if words is None else words), options, text_field, input_format
        ),
        notes=tuple(notes),
        machine=machine,
        mapped=max(0, costs.baseline - costs.baseline_anonymous),
    )


def breaking_point(limits: Limits) -> int:
    """Bytes at which something gives: the nearest limit without the margin or reserve that is kept below it."""
    return min((max(0, c.limit - c.used) for c in limits.constraints), default=limits.effective)


def judge(peak: Range, limits: Limits) -> str:
    """fits | tight | killed."""
    if peak.high <= limits.effective:
        return "fits"
    return "killed" if peak.expected > breaking_point(limits) else "tight"


def _plan_estimate(
    plan: Plan, stats: CorpusStats, limits: Limits, costs: Costs, speeds: Speeds, options: Options
) -> PlanEstimate:
    texts = {bound: text_of(stats, bound) for bound in ("low", "expected", "high")}
    fit = _workers_that_fit(plan, texts, limits, costs, options) if plan.pool else None
    if options.workers == AUTO_WORKERS:
        options = replace(options, workers=max(1, fit or 1))
    steps = plan.steps(texts["expected"], costs, options)
    top = max(steps, key=lambda step: step.bytes)
    peak = _peak(plan, texts, costs, options)
    text = texts["expected"]
    return PlanEstimate(
        name=plan.name,
        peak=peak,
        peak_step=top.name,
        steps=steps,
        disk=_disk(plan, text),
        seconds=_seconds(plan, text, speeds, options.workers, max(1, options.cores)),
        verdict=judge(peak, limits),
        description=plan.description,
        output=plan.output or f"uint{8 * text.item}",
        measure="tree" if plan.pool else "VmHWM",
        workers=options.workers if plan.pool else None,
        workers_fit=fit,
        usual=stats.kind in plan.inputs or (plan.name == "pool-files" and len(stats.paths) > 1),
    )


def _disk(plan: Plan, text: Text) -> int:
    if plan.disk is not None:
        return plan.disk(text)
    return text.item * (text.file_tokens if plan.name == "stream" else text.tokens)


def _peak(plan: Plan, texts: dict[str, Text], costs: Costs, options: Options) -> Range:
    expected, low, high = (_top(plan.steps(texts[bound], costs, options)) for bound in ("expected", "low", "high"))
    low -= round(plan.slack.share * low) + plan.slack.below
    high += round(plan.slack.share * high) + plan.slack.above
    if plan.name != "char-list":
        piece = PIECE_BYTE_SLACK * texts["expected"].longest_piece
        low, high = low - piece, high + piece
    if plan.name == "stream":
        high = options.stream_memory  # its promise
    return Range(max(0, min(low, expected)), expected, max(high, expected))


def _workers_that_fit(plan: Plan, texts: dict[str, Text], limits: Limits, costs: Costs, options: Options) -> int:
    """The most workers whose high end stays within the limit, up to the cores; 0: not even one."""
    fit = 0
    for workers in range(1, max(1, options.cores) + 1):
        if _peak(plan, texts, costs, replace(options, workers=workers)).high > limits.effective:
            break
        fit = workers
    return fit


def _top(steps: Sequence[Step]) -> int:
    return max(step.bytes for step in steps)


def _seconds(plan: Plan, text: Text, speeds: Speeds, workers: int, cores: int) -> float | None:
    """None where no speed was measured that would say: characters instead of tokens, or a copy for every chunk."""
    if plan.name == "stream":
        return None if speeds.stream is None else _START_SECONDS + text.bytes / speeds.stream
    if speeds.tiktoken is None or not plan.timed:
        return None
    rate = speeds.tiktoken * (min(workers, cores) if plan.pool else 1)
    encoding = _LIST_OVERHEAD * text.bytes / rate
    return _START_SECONDS + plan.start + encoding + plan.each * text.documents.count


def _recommended(plans: Sequence[PlanEstimate]) -> str:
    """The plan with the best verdict; among those the fastest, to the second; stream where that leaves it open."""
    rank = {"fits": 0, "tight": 1, "killed": 2}
    best = min(
        plans,
        key=lambda plan: (
            rank[plan.verdict],
            float("inf") if plan.seconds is None else round(plan.seconds),
            plan.name != "stream",
            plan.peak.expected,
        ),
    )
    return best.name


def stream_memory(effective: int, engine: str) -> int:
    """--max-memory for `memguard tokenize`: its default, or what there is, down to the least it can work with."""
    memory = min(DEFAULT_MEMORY, effective // _STREAM_STEP * _STREAM_STEP)
    while memory < DEFAULT_MEMORY:
        try:
            divide(memory, None, 1, engine)
        except ConfigError:
            memory += _STREAM_STEP
        else:
            break
    return memory


def _next_command(stats: CorpusStats, paths: list[str], options: Options, text_field: str, input_format: str) -> str:
    words = ["memguard", "tokenize"]
    if any(path.startswith("-") and path != "-" for path in paths):
        words += ["-o", "tokens"]
        tail = ["--", *paths]
    else:
        words += paths
        tail = ["-o", "tokens"]
    if stats.encoding != "gpt2":
        tail[:0] = ["--encoding", stats.encoding]
    if text_field != "text" and stats.kind != "text":
        tail[:0] = ["--text-field", text_field]
    if input_format:
        tail[:0] = ["--input-format", input_format]
    if options.stream_memory < DEFAULT_MEMORY:
        tail[:0] = ["--max-memory", f"{options.stream_memory // MIB}M"]
    return shlex.join(words + tail)
