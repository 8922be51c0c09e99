"""estimate/1 for people: what the text is, what may be used here, every plan against that, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.records.estimate import CorpusStats, Estimate, PlanEstimate, Range
from memguard.records.visible import shows
from memguard.report.terminal import to_text
from memguard.units import format_count, format_duration, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["render"]

_STYLE = {"fits": "green", "tight": "yellow", "killed": "red"}

# Columns of the table without the bar: name, peak, range, verdict, time, disk, and the gaps between them.
_FIXED_WIDTH = 14 + 8 + 13 + 7 + 11 + 8 + 6 * 2
_WIDEST_BAR = 28
_NARROWEST_BAR = 6
# The limit's place in the bar: what is beyond it has the rest to show by how much.
_LIMIT_SHARE = 0.6


@shows
def render(estimate: Estimate, *, width: int = 100, color: bool = False, every: bool = False) -> str:
    """`every`: all plans, not only those that are usual for such an input."""
    plans = [plan for plan in estimate.plans if every or plan.usual]
    parts: list[RenderableType] = [*_facts(estimate.input), _allowance(estimate), "", _table(estimate, plans, width)]
    parts += ["", *_explanations(estimate, plans)]
    hidden = len(estimate.plans) - len(plans)
    if hidden:
        parts.append(_labelled("", f"{hidden} more plans with --all: {_names(estimate, plans)}", "dim"))
    if estimate.notes:
        parts += ["", *(_labelled("note", note, "yellow") for note in estimate.notes)]
    parts += ["", *_next(estimate)]
    return to_text(*parts, width=width, color=color)


def _names(estimate: Estimate, shown: list[PlanEstimate]) -> str:
    return ", ".join(plan.name for plan in estimate.plans if plan not in shown)


def _facts(stats: CorpusStats) -> list[RenderableType]:
    from rich.text import Text

    if len(stats.paths) == 1:
        text = Text(stats.paths[0], style="bold")
    else:
        text = Text(f"{len(stats.paths):,} files", style="bold").append(" as one text", style="not bold")
    about = "" if stats.tokens_exact else "≈ "
    size = format_size(stats.bytes)
    if stats.compressed or stats.kind != "text":
        on_disk = f" ({format_size(stats.disk_bytes)} on disk)" if stats.disk_bytes else ""
        size = f"{size} of text{on_disk}"
    text.append(
        f": {size}, {about}{format_count(stats.chars)} characters,"
        f" {about}{format_count(stats.tokens.expected)} {stats.encoding} tokens"
        f" ({_how(stats)}; {stats.bytes_per_token:.2f} bytes each)",
        style="not bold",
    )
    return [text, *_structure(stats), _width_fact(stats)]


def _how(stats: CorpusStats) -> str:
    if stats.tokens_exact:
        return "counted"
    error = (stats.tokens.high - stats.tokens.low) / 2 / max(1, stats.tokens.expected)
    source = f"from a sample of {format_size(stats.sampled_bytes)}" if stats.sampled_bytes else "by its kind"
    return f"{source}, ± {100 * error:.1f} %"


def _structure(stats: CorpusStats) -> list[RenderableType]:
    """Documents, and the two parts that train.bin and val.bin come from."""
    words = []
    found = stats.document_stats
    if found is not None and (stats.kind != "text" or found.count.expected > 1):
        about = "" if stats.documents else "≈ "
        words.append(f"{about}{format_count(found.count.expected)} {found.unit}s")
    if len(stats.slices) == 2:
        train, val = (part.tokens.expected for part in stats.slices)
        words.append(f"split {format_count(train)} tokens for train, {format_count(val)} for val")
    return ["; ".join(words)[:1].upper() + "; ".join(words)[1:] + "."] if words else []


def _width_fact(stats: CorpusStats) -> str:
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


def _allowance(estimate: Estimate) -> RenderableType:
    from rich.text import Text

    limits = estimate.limits
    if estimate.machine:
        text = Text("A job may use ").append(format_size(limits.effective), style="bold")
        return text.append(f" on {estimate.machine} and nothing else running.")
    text = Text("A new job may use ").append(format_size(limits.effective), style="bold").append(" here: ")
    binding = limits.binding
    if binding is None:
        return text.append(limits.source)
    if binding.name == "MemAvailable":
        return text.append(
            f"{format_size(limits.available)} of this machine's {format_size(limits.total)} are available,"
            f" {format_size(binding.margin)} are left to the rest of it."
        )
    source = limits.source.replace(binding.source, _short(binding.source))
    text.append(f"{source} is {format_size(binding.limit)}" if binding.name != "--limit" else "your --limit")
    if binding.used:
        text.append(f", {format_size(binding.used)} are in use")
    if binding.margin:
        text.append(f", {format_size(binding.margin)} stay free")
    return text.append(".")


def _short(path: str) -> str:
    """A cgroup's path by its mount and its last part: what lies between is often a hash or two."""
    parts = path.split("/")
    return path if len(path) <= 48 or len(parts) < 6 else "/".join((*parts[:4], "…", parts[-1]))


def _table(estimate: Estimate, plans: list[PlanEstimate], width: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    cells = min(_WIDEST_BAR, max(_NARROWEST_BAR, width - _FIXED_WIDTH))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("plan", no_wrap=True)
    table.add_column("peak", justify="right", no_wrap=True)
    table.add_column("low – high", no_wrap=True)
    table.add_column(_bar_header(cells), no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("disk", justify="right", no_wrap=True)
    for plan in plans:
        style = _STYLE.get(plan.verdict, "")
        recommended = plan.name == estimate.recommended
        table.add_row(
            Text(plan.name, style="bold" if recommended else ""),
            format_size(plan.peak.expected),
            Text(_span(plan.peak), style="dim"),
            Text(_bar(plan.peak.expected, estimate.limits.effective, cells), style=style),
            Text(plan.verdict, style=f"bold {style}"),
            _about(plan.seconds),
            format_size(plan.disk),
        )
    return table


def _about(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"≈ {seconds:.1f} s" if seconds < 1 else f"≈ {format_duration(seconds)}"


def _span(peak: Range) -> str:
    """`1.37–1.44 GiB`; the unit once where both ends share it."""
    low, high = format_size(peak.low), format_size(peak.high)
    return f"{low.split()[0]}–{high}" if low.split()[1] == high.split()[1] else f"{low}–{high}"


def _bar_header(cells: int) -> str:
    mark = _limit_cell(cells)
    return f"{'limit':>{mark + 1}}" if mark >= 5 else "limit"


def _limit_cell(cells: int) -> int:
    return max(1, round(cells * _LIMIT_SHARE))


def _bar(peak: int, limit: int, cells: int) -> str:
    """`peak` against `limit`, which is the mark; » where the bar would be longer than its room."""
    mark = _limit_cell(cells)
    filled = round(mark * peak / max(1, limit)) if peak else 0
    filled = max(1, filled) if peak <= limit else max(mark + 1, filled)
    filled = min(filled, mark) if peak <= limit else filled
    inside = "█" * min(filled, mark) + " " * max(0, mark - filled)
    room = cells - mark - 1
    beyond = filled - mark
    if beyond > room:
        return f"{inside}│{'█' * (room - 1)}»"
    return f"{inside}│{'█' * max(0, beyond)}"


def _explanations(estimate: Estimate, plans: list[PlanEstimate]) -> list[RenderableType]:
    """Per plan what it is, and what is alive at its peak."""
    lines: list[RenderableType] = []
    for plan in plans:
        step = next(step for step in plan.steps if step.name == plan.peak_step)
        excess = plan.peak.expected / max(1, estimate.limits.effective)
        over = f", {excess:.1f} × what is allowed" if excess > 1.05 else ""
        text = f"{plan.description}. Peak at {step.name}{over}: {step.formula}{_workers(plan)}"
        lines.append(_labelled(plan.name, text, "bold"))
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


def _labelled(label: str, text: str, style: str) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    row = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    row.add_column(width=14, no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(Text(label, style=style), text)
    return row


def _next(estimate: Estimate) -> list[RenderableType]:
    from rich.text import Text

    plan = _plan(estimate, estimate.recommended)
    first = Text("Do this next: ", style="bold").append(estimate.next_command, style="bold cyan")
    if plan.verdict == "fits":
        return [first]
    return [
        first,
        Text("Even that needs more than there is now: close programs or raise the limit first.", style="red"),
    ]


def _plan(estimate: Estimate, name: str) -> PlanEstimate:
    return next(plan for plan in estimate.plans if plan.name == name)
