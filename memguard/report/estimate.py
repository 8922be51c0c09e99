"""estimate/1 for people: one sentence, what the text is and what may be used here, every plan, and what to do next.

The whole of it fits a terminal of 80 × 24; a narrower one loses columns of the table, never the peak or the verdict.
The sums behind the figures are estimate_explain.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.records.estimate import CorpusStats, Estimate, PlanEstimate, Range
from memguard.records.visible import shows
from memguard.report.estimate_explain import explain_plans, explain_scheduler, explain_text
from memguard.report.terminal import GAP, command, fitting, labelled, shortened, to_text, unbroken
from memguard.units import format_count, format_duration, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["allowance", "render", "sentence"]

_STYLE = {"fits": "green", "tight": "yellow", "killed": "red"}

# Of the default output: a terminal's 24, without the prompt's.
_MOST_LINES = 23
_WIDEST_BAR = 28
_NARROWEST_BAR = 6
_SHORTEST_NAME = 4
# The limit's place in the bar: what is beyond it has the rest to show by how much.
_LIMIT_SHARE = 0.6
# What a narrow terminal does without, first things first. Plan, peak and verdict always stay.
_DROPPED = ("disk", "time", "low – high", "bar")
_TO_THE_RIGHT = ("peak", "time", "disk")


@shows
def render(
    estimate: Estimate,
    *,
    width: int = 100,
    color: bool = False,
    every: bool = False,
    explain: bool = False,
    check: str | None = None,
) -> str:
    """`every`: all plans, not only those that are usual for such an input. `explain`: the sum behind each figure, too.
    `check`: the plan that was asked about.
    """
    shown = [plan for plan in estimate.plans if every or plan.usual or plan.name == check]
    plans = shown or list(estimate.plans)
    head: list[RenderableType] = [_first(estimate, plans, check), *_facts(estimate.input), allowance(estimate)]
    if explain:
        head += explain_text(estimate.input)
    head += ["", _table(estimate, plans, width), ""]
    tail = [*_more(estimate, plans, explain), *_next(estimate, width)]
    if explain:
        head += [*explain_plans(estimate, plans, width), *explain_scheduler(estimate, width), ""]
        head += [*_notes(estimate.notes, width, None), *([""] if estimate.notes else [])]
        return to_text(*head, *tail, width=width, color=color)
    used = to_text(*head, *tail, width=width).count("\n")
    room = None if every else max(1, _MOST_LINES - used)
    return to_text(*head, *_notes(estimate.notes, width, room), *tail, width=width, color=color)


def sentence(name: str, peak: int, verdict: str, limit: int, stream: PlanEstimate | None) -> RenderableType:
    """`read-all would need 2.12 GiB of 512 MiB: killed. Streaming needs 179 MiB.`"""
    from rich.text import Text

    text = Text(f"{name} would need ").append(format_size(peak), "bold").append(f" of {format_size(limit)}: ")
    text.append(verdict, f"bold {_STYLE.get(verdict, '')}").append(".")
    if stream is not None:
        text.append(" Streaming needs ").append(format_size(stream.peak.expected), "bold")
        if stream.verdict != "fits":
            text.append(": ").append(stream.verdict, f"bold {_STYLE.get(stream.verdict, '')}")
        text.append(".")
    return unbroken(text)


def _first(estimate: Estimate, plans: list[PlanEstimate], check: str | None) -> RenderableType:
    """The plan that was asked about; else the one that most people start with, which comes first."""
    plan = next((plan for plan in plans if plan.name == check), plans[0])
    stream = next((other for other in estimate.plans if other.name == "stream" and other is not plan), None)
    return sentence(plan.name, plan.peak.expected, plan.verdict, estimate.limits.effective, stream)


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
    text.append(f": {size}{_documents(stats)}, ", style="not bold")
    text.append(f"{about}{format_count(stats.tokens.expected)} {stats.encoding} tokens ({_how(stats)}), ", "not bold")
    text.append(_char_width(stats), style="not bold")
    return [unbroken(text)]


def _documents(stats: CorpusStats) -> str:
    found = stats.document_stats
    if found is None or stats.kind == "text":
        return ""
    about = "" if stats.documents else "≈ "
    return f", {about}{format_count(found.count.expected)} {found.unit}s"


def _how(stats: CorpusStats) -> str:
    if stats.tokens_exact:
        return "counted"
    error = (stats.tokens.high - stats.tokens.low) / 2 / max(1, stats.tokens.expected)
    return f"± {100 * error:.1f} %"


def _char_width(stats: CorpusStats) -> str:
    """PEP 393's bytes a character, which one emoji anywhere in the text decides."""
    width, high = stats.char_width, stats.char_width_high
    if high > width:
        return f"{width} to {high} bytes a character."
    return f"{width} byte{'s' if width > 1 else ''} a character."


def allowance(estimate: Estimate) -> RenderableType:
    """What a new job may use here, and why no more."""
    from rich.text import Text

    limits = estimate.limits
    if estimate.machine:
        text = Text("A job may use ").append(format_size(limits.effective), style="bold")
        return unbroken(text.append(f" on {estimate.machine} and nothing else running."))
    text = unbroken(Text("A new job may use ").append(format_size(limits.effective), style="bold").append(" here: "))
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


# -- the table --------------------------------------------------------------------------------------------------------


def _table(estimate: Estimate, plans: list[PlanEstimate], width: int) -> RenderableType:
    rows = [_cells(plan) for plan in plans]
    names = ["plan", "peak", "low – high", "bar", "verdict", "time", "disk"]
    if all(plan.seconds is None for plan in plans):
        names.remove("time")  # a text that is not here
    names, taken = fitting({name: _width(name, rows) for name in names}, _DROPPED, width)
    if taken > width:  # the name gives way, not the figures
        room = max(_SHORTEST_NAME, _width("plan", rows) - (taken - width))
        rows = [{**row, "plan": shortened(row["plan"], room)} for row in rows]
    table = _empty_table(names, min(_WIDEST_BAR, _NARROWEST_BAR + width - taken))
    for plan, row in zip(plans, rows, strict=True):
        table.add_row(*(_cell(name, row, plan, estimate, width - taken) for name in names))
    return table


def _cells(plan: PlanEstimate) -> dict[str, str]:
    return {
        "plan": plan.name,
        "peak": format_size(plan.peak.expected),
        "low – high": _span(plan.peak),
        "verdict": plan.verdict,
        "time": _about(plan.seconds),
        "disk": format_size(plan.disk),
    }


def _width(name: str, rows: list[dict[str, str]]) -> int:
    return _NARROWEST_BAR if name == "bar" else max(len(text) for text in (name, *(row[name] for row in rows)))


def _empty_table(names: list[str], bar: int) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for name in names:
        header = _bar_header(bar) if name == "bar" else name
        table.add_column(header, justify="right" if name in _TO_THE_RIGHT else "left", no_wrap=True)
    return table


def _cell(name: str, row: dict[str, str], plan: PlanEstimate, estimate: Estimate, spare: int) -> RenderableType:
    from rich.text import Text

    style = _STYLE.get(plan.verdict, "")
    if name == "bar":
        cells = min(_WIDEST_BAR, _NARROWEST_BAR + spare)
        return Text(_bar(plan.peak.expected, estimate.limits.effective, cells), style=style)
    styles = {"plan": "bold" if plan.name == estimate.recommended else "", "low – high": "dim"}
    styles["verdict"] = f"bold {style}"
    return Text(row[name], style=styles.get(name, ""))


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


# -- below it ---------------------------------------------------------------------------------------------------------


def _notes(notes: tuple[str, ...], width: int, room: int | None) -> list[RenderableType]:
    """All of them, or as many lines as there is `room` for: the last one then says where the rest is."""
    rows: list[RenderableType] = [labelled("note", note, "yellow", width, column=6) for note in notes]
    if room is None or to_text(*rows, width=width).count("\n") <= room or not notes:
        return rows
    first = [f"note: {note}" for note in notes[: max(1, room)]]
    if len(notes) > len(first):
        first[-1] = f"{len(notes) - len(first) + 1} notes: see --explain"
    return [unbroken(shortened(line, width), "yellow") for line in first]


def _more(estimate: Estimate, plans: list[PlanEstimate], explain: bool) -> list[RenderableType]:
    hidden = [plan.name for plan in estimate.plans if plan not in plans]
    if explain:
        return [unbroken(f"{len(hidden)} more plans with --all: {', '.join(hidden)}", "dim")] if hidden else []
    more = f"{len(hidden)} more plans with --all; the sums behind the figures" if hidden else "The sums behind these"
    return [unbroken(f"{more} with --explain.", "dim")]


def _next(estimate: Estimate, width: int) -> list[RenderableType]:
    from rich.text import Text

    first = command("Do this next:", estimate.next_command, width)
    plan = next(plan for plan in estimate.plans if plan.name == estimate.recommended)
    if plan.verdict == "fits":
        return [first]
    return [
        first,
        Text("Even that needs more than there is now: close programs or raise the limit first.", style="red"),
    ]
