"""What `memguard estimate --explain` adds: the text in detail, what is alive at each plan's peak, what to ask a
scheduler for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.records.estimate import CorpusStats, Estimate, PlanEstimate
from memguard.report.terminal import labelled, unbroken
from memguard.units import format_count, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["explain_plans", "explain_scheduler", "explain_text"]


def explain_text(stats: CorpusStats) -> list[RenderableType]:
    about = "" if stats.tokens_exact else "≈ "
    words = f"{about}{format_count(stats.chars)} characters; {stats.bytes_per_token:.2f} bytes a token"
    if not stats.tokens_exact:
        words += f", from a sample of {format_size(stats.sampled_bytes)}" if stats.sampled_bytes else ", by its kind"
    return [unbroken(f"{_sentence(words)}{_structure(stats)} {_widest(stats)}")]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _structure(stats: CorpusStats) -> str:
    """Documents, and the two parts that train.bin and val.bin come from."""
    words = []
    found = stats.document_stats
    if found is not None and (stats.kind != "text" or found.count.expected > 1):
        about = "" if stats.documents else "≈ "
        words.append(f"{about}{format_count(found.count.expected)} {found.unit}s")
    if len(stats.slices) == 2:
        train, val = (part.tokens.expected for part in stats.slices)
        words.append(f"split {format_count(train)} tokens for train, {format_count(val)} for val")
    return f" {_sentence('; '.join(words))}" if words else ""


def _widest(stats: CorpusStats) -> str:
    if stats.ascii:
        return "All of it is ASCII: Python keeps 1 byte per character."
    widest = f"U+{stats.max_code_point:04X}"
    if chr(stats.max_code_point).isprintable() and stats.max_code_point != 0xFFFD:
        widest += f" {chr(stats.max_code_point)}"
    plural = "s" if stats.char_width > 1 else ""
    if stats.char_width_high:
        return (
            f"The widest character seen is {widest}: Python keeps {stats.char_width} byte{plural} for every character;"
            f" one emoji that was not seen would make it {stats.char_width_high}."
        )
    return f"The widest character is {widest}: Python keeps {stats.char_width} byte{plural} for every character of it."


def explain_plans(estimate: Estimate, plans: list[PlanEstimate], width: int) -> list[RenderableType]:
    """Per plan what it is, and what is alive at its peak."""
    lines: list[RenderableType] = []
    for plan in plans:
        step = next(step for step in plan.steps if step.name == plan.peak_step)
        excess = plan.peak.expected / max(1, estimate.limits.effective)
        over = f", {excess:.1f} × what is allowed" if excess > 1.05 else ""
        text = f"{plan.description}. Peak at {step.name}{over}: {step.formula}{_workers(plan)}"
        lines.append(labelled(plan.name, text, "bold", width))
    return lines


def _workers(plan: PlanEstimate) -> str:
    if plan.workers_fit is None:
        return ""
    memory = ". All processes together, anonymous memory"
    if plan.workers_fit == 0:
        return f"{memory}; not even one worker fits"
    more = "" if plan.workers != plan.workers_fit else ", as many as fit or as there are cores"
    fits = f"; {plan.workers_fit} would fit" if plan.workers and plan.workers > plan.workers_fit else more
    return f"{memory}; {plan.workers} workers{fits}"


def explain_scheduler(estimate: Estimate, width: int) -> list[RenderableType]:
    """What to ask for; docs/estimate.md has the reason for each part of it."""
    asked = estimate.scheduler
    if asked is None:
        return []
    text = (
        f"for {asked.plan}, which takes {format_size(asked.peak)} at most: {format_size(asked.memory)}."
        f"\nSlurm: {asked.slurm}\nRay: {asked.ray}\nKubernetes: {asked.kubernetes}"
    )
    return [labelled("scheduler", text, "bold", width)]
