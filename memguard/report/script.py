"""A script's plan for people: its own source with the memory alive at each line beside it, and what was not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.records.script import ScriptReport, ScriptStep, lines_of
from memguard.records.visible import shows, visible
from memguard.report.terminal import to_text
from memguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["render"]

_STYLE = {"fits": "green", "tight": "yellow", "killed": "red"}
_SENTENCE = {
    "fits": "It fits.",
    "tight": "It may not fit: it depends on what else runs.",
    "killed": "It does not fit: it would be killed.",
}
# Memory, bar, mark and line number in front of the source.
_SIZE_CELLS = 8
_BAR_CELLS = 10
# Lines around a line that holds memory which are shown with it; longer gaps are folded.
_CONTEXT = 2
_SHORT = 60
# A line is folded away when it holds less than this share of the peak and does nothing itself.
_QUIET_SHARE = 0.02
# Lines of a long script that are shown at most: those that hold most. What is not understood has a list of its own.
_MOST_SHOWN = 400
_MOST_UNREAD = 20


@shows
def render(report: ScriptReport, *, limit: int | None = None, width: int = 100, color: bool = False) -> str:
    """`limit`: bytes that a new job may use here; lines beyond it are marked."""
    parts: list[RenderableType] = [_headline(report), _peak(report)]
    if limit is not None:
        parts.append(_verdict(report, limit))
    parts += ["", *_gutter(report, limit, width)]
    step = _peak_step(report)
    if step is not None and step.line is not None:
        parts += ["", f"Alive at {_at(step.line, step.file)}: {step.formula}"]
    parts += _unread(report, width)
    if report.missing:
        names = ", ".join(map(visible, report.missing))
        parts += ["", f"Not found beside the script, in its package or installed, so not read: {names}"]
    for note in report.notes:
        parts += ["", f"note: {visible(note)}"]
    return to_text(*parts, width=width, color=color)


def _headline(report: ScriptReport) -> RenderableType:
    from rich.text import Text

    text = Text(report.path, style="bold")
    if report.plan.name == "unknown":
        return text.append(": nothing in it reads text in a way that is understood here", style="not bold")
    text.append(f": {report.plan.name}", style="not bold")
    words = [f"{name.replace('_', ' ')} {value}" for name, value in report.plan.parameters.items()]
    if words:
        text.append(f" ({', '.join(words)})", style="not bold dim")
    return text


def _peak(report: ScriptReport) -> RenderableType:
    from rich.text import Text

    plan = report.plan
    span = f"{format_size(plan.peak.low)} – {format_size(plan.peak.high)}"
    where = f" at {_at(plan.peak_line, plan.peak_file)}" if plan.peak_line else " while its libraries are loaded"
    return Text("Peak ").append(format_size(plan.peak.expected), style="bold").append(f" ({span}){where}.")


def _at(line: int, file: str | None) -> str:
    return f"line {line}" + (f" of {visible(file.rpartition('/')[2])}" if file else "")


def _verdict(report: ScriptReport, limit: int) -> RenderableType:
    from rich.text import Text

    verdict = report.plan.verdict
    text = Text(f"A new job may use {format_size(limit)}. ")
    return text.append(_SENTENCE[verdict], style=f"bold {_STYLE[verdict]}")


def _peak_step(report: ScriptReport) -> ScriptStep | None:
    return max(report.plan.steps, key=lambda step: step.bytes, default=None)


def _gutter(report: ScriptReport, limit: int | None, width: int) -> list[RenderableType]:
    source = [visible(line) for line in lines_of(report.source)]
    memory = {line.line: line.bytes for line in report.lines if line.file is None}
    peak = max((line.bytes for line in report.lines), default=1)
    unread = {found.line for found in report.unrecognised if found.file is None}
    digits = len(str(len(source)))
    shown = _shown(report, len(source), peak)
    rows: list[RenderableType] = []
    folded = 0
    for number, code in enumerate(source, 1):
        if number not in shown:
            folded += 1
            continue
        if folded:
            rows.append(_fold(folded, digits))
            folded = 0
        rows.append(_row(number, code, memory.get(number), peak, limit, report, unread, digits, width))
    if folded:
        rows.append(_fold(folded, digits))
    return rows


def _shown(report: ScriptReport, count: int, peak: int) -> set[int]:
    """Every line of a short script; of a long one those that hold memory or were not read, and their neighbours."""
    if count <= _SHORT:
        return set(range(1, count + 1))
    base = min((line.bytes for line in report.lines), default=0)
    own = [line for line in report.lines if line.file is None]
    loud = {line.line for line in own if line.bytes - base > _QUIET_SHARE * max(1, peak - base)}
    loud |= {step.line for step in report.plan.steps if step.line and step.file is None}
    loud |= {unread.line for unread in report.unrecognised[:_MOST_UNREAD] if unread.file is None}
    if len(loud) > _MOST_SHOWN:
        memory = {line.line: line.bytes for line in own}
        loud = set(sorted(loud, key=lambda line: -memory.get(line, 0))[:_MOST_SHOWN])
        loud.add(report.plan.peak_line or 1)
    return {near for line in loud for near in range(line - _CONTEXT, line + _CONTEXT + 1) if 1 <= near <= count}


def _fold(lines: int, digits: int) -> Text:
    from rich.text import Text

    room = _SIZE_CELLS + 1 + _BAR_CELLS + 3 + digits
    return Text(f"{'⋯':>{room}}  {lines} line{'s' if lines > 1 else ''}", style="dim", no_wrap=True)


def _row(
    number: int,
    code: str,
    used: int | None,
    peak: int,
    limit: int | None,
    report: ScriptReport,
    unread: set[int],
    digits: int,
    width: int,
) -> Text:
    from rich.text import Text

    size = "" if used is None else format_size(used)
    filled = 0 if used is None else max(1, round(_BAR_CELLS * used / max(1, peak)))
    over = limit is not None and used is not None and used > limit
    at_peak = number == report.plan.peak_line and report.plan.peak_file is None
    mark = "▶" if at_peak else "?" if number in unread else " "
    style = "red" if over else "green" if used is not None else ""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{size:>{_SIZE_CELLS}} ", style="bold" if at_peak else "")
    text.append(f"{'█' * filled:<{_BAR_CELLS}}", style=style)
    text.append(f" {mark} ", style="bold red" if at_peak else "bold yellow")
    text.append(f"{number:>{digits}}  ", style="dim")
    room = max(10, width - _SIZE_CELLS - _BAR_CELLS - digits - 6)
    code = code.expandtabs(4)
    return text.append(code if len(code) <= room else code[: room - 1] + "…", style="bold" if at_peak else "")


def _unread(report: ScriptReport, width: int) -> list[RenderableType]:
    from rich.text import Text

    if not report.unrecognised and report.plan.name != "unknown":
        return []
    rows: list[RenderableType] = [
        "",
        Text("Not understood, so the estimate is wide: as if these kept everything they get.", style="yellow"),
    ]
    for found in report.unrecognised[:_MOST_UNREAD]:
        place = f"  {visible(found.file.rpartition('/')[2])} line" if found.file else "  line"
        source, room = visible(found.source), max(10, width - len(place) - 6)
        code = source if len(source) <= room else source[: room - 1] + "…"
        rows.append(Text(f"{place} {found.line:>4}  {code}", no_wrap=True))
    more = len(report.unrecognised) - _MOST_UNREAD
    if more > 0:
        rows.append(Text(f"  and {more:,} more lines", no_wrap=True))
    return rows
