"""A script's plan for people: one sentence, its own source with the memory alive at each line beside it, what was not
read, and what to do. The whole of it fits a terminal of 80 × 24; --explain shows all of the source, and the sums.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from memguard.records.script import Knob, LineMemory, ScriptEstimate, ScriptReport, ScriptStep, lines_of
from memguard.records.visible import shows, visible
from memguard.report.estimate import allowance, sentence
from memguard.report.estimate_explain import explain_scheduler
from memguard.report.terminal import command, shortened, to_text, unbroken
from memguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["render"]

# Memory, bar, mark and line number in front of the source; a narrow terminal has no bar.
_SIZE_CELLS = 8
_BAR_CELLS = 10
_NARROW = 60
# Of the default output: a terminal's 24, without the prompt's. A few of the source's lines are shown whatever else is.
_MOST_LINES = 23
_FEWEST_ROWS = 5
# Lines around a line that holds memory which are shown with it; longer gaps are folded.
_CONTEXT = 2
_SHORT = 60
# A line is folded away when it holds less than this share of the peak and does nothing itself.
_QUIET_SHARE = 0.02
# Lines of a long script that are shown at most: those that hold most. What is not understood has a list of its own.
_MOST_SHOWN = 400
_MOST_UNREAD, _FEW_UNREAD = 20, 3
_LARGEST_PARTS = 2


@shows
def render(
    estimate: ScriptEstimate,
    *,
    width: int = 100,
    color: bool = False,
    explain: bool = False,
    probe: str = "",
    guard: str = "",
    fix: str = "",
) -> str:
    """`probe`, `guard`, `fix`: commands that measure the script, run it and change it; "" for none to offer."""
    report = estimate.script
    assert report is not None
    head: list[RenderableType] = [_first(estimate, report), _plan(report)]
    if explain:
        head.append(allowance(estimate))
    tail = [*_knob(report, explain), *_unread(report, width, _MOST_UNREAD if explain else _FEW_UNREAD)]
    if report.missing:
        words = f"Not found beside it, in its package or installed, so not read: {', '.join(report.missing)}"
        tail.append(unbroken(words, "yellow"))
    tail += [unbroken(f"note: {note}", "yellow") for note in (*report.notes, *estimate.notes)]
    tail += _next(estimate, report, width, probe, guard, fix)
    if explain:
        shown = _loud(report)
        tail = [*_sum(report), *explain_scheduler(estimate, width), "", *tail]
    else:
        used = to_text(*head, "", "", *tail, width=width).count("\n")
        shown = _heaviest(report, max(_FEWEST_ROWS, _MOST_LINES - used))
    rows = _gutter(report, shown, estimate.limits.effective, width)
    return to_text(*head, "", *rows, "", *tail, width=width, color=color)


def _first(estimate: ScriptEstimate, report: ScriptReport) -> RenderableType:
    stream = next((plan for plan in estimate.plans if plan.name == "stream"), None)
    name = report.path.rpartition("/")[2]
    return sentence(name, report.plan.peak.expected, report.plan.verdict, estimate.limits.effective, stream)


def _plan(report: ScriptReport) -> RenderableType:
    from rich.text import Text

    plan = report.plan
    text = Text("Nothing in it reads text in a way that is understood here")
    if plan.name != "unknown":
        words = [f"{name.replace('_', ' ')} {value}" for name, value in plan.parameters.items()]
        text = Text(f"It is {plan.name}{' (' + ', '.join(words) + ')' if words else ''}")
    where = f" at {_at(plan.peak_line, plan.peak_file)}" if plan.peak_line else " while its libraries are loaded"
    text.append(f"; it peaks at {format_size(plan.peak.low)} to {format_size(plan.peak.high)}{where}")
    step = _peak_step(report)
    parts = step.formula.split(" + ")[1 : 1 + _LARGEST_PARTS] if step is not None and plan.peak_line else []
    return unbroken(text.append(f", most of it {' and '.join(parts)}." if parts else "."))


def _sum(report: ScriptReport) -> list[RenderableType]:
    step = _peak_step(report)
    return (
        [] if step is None or step.line is None else [unbroken(f"Alive at {_at(step.line, step.file)}: {step.formula}")]
    )


def _at(line: int, file: str | None) -> str:
    return f"line {line}" + (f" of {visible(_name(file))}" if file else "")


def _name(file: str) -> str:
    return file.rpartition("/")[2]


def _peak_step(report: ScriptReport) -> ScriptStep | None:
    return max(report.plan.steps, key=lambda step: step.bytes, default=None)


def _knob(report: ScriptReport, explain: bool) -> list[RenderableType]:
    return [unbroken(_knob_words(knob)) for knob in report.knobs[: None if explain else 1]]


def _knob_words(knob: Knob) -> str:
    """`CHUNK = 1 << 24 (line 7) costs 112 MiB of it: with 1_048_576 it peaks at 71.2 MiB (fits).`"""
    named = knob.name.replace(".", "").isidentifier() or knob.name.startswith("-")
    what = f"{knob.name} = {knob.source}" if named else f"{knob.source} in {knob.name}"
    new = f"with {knob.smaller:_} it peaks at {format_size(knob.smaller_peak.expected)} ({knob.smaller_verdict})"
    return f"{what} (line {knob.line}) costs {format_size(knob.costs)} of it: {new}."


def _next(
    estimate: ScriptEstimate, report: ScriptReport, width: int, probe: str, guard: str, fix: str
) -> list[RenderableType]:
    rows: list[RenderableType] = []
    if probe and (report.unrecognised or report.plan.name == "unknown"):
        rows.append(command("Measure it:", probe, width))
    fits = report.plan.verdict == "fits"
    if not fits:
        rows.append(command("Do this instead:", estimate.next_command, width))
        if fix:
            rows.append(command("Or change its lines:", fix, width))
    if guard:
        rows.append(command("Run it under the guard:" if fits else "Or guard it:", guard, width))
    return rows


# -- the source -------------------------------------------------------------------------------------------------------


def _heaviest(report: ScriptReport, room: int) -> set[int]:
    """As many lines as `room` has rows for, folds counted: the peak, what the other steps are at, what holds most."""
    count = len(lines_of(report.source))
    if count <= room:
        return set(range(1, count + 1))
    heavy = sorted(report.plan.steps, key=lambda step: -step.bytes)
    wanted = [None if report.plan.peak_file else report.plan.peak_line, *(s.line for s in heavy if s.file is None)]
    wanted += [unread.line for unread in report.unrecognised[:_FEW_UNREAD] if unread.file is None]
    wanted += [line.line for line in sorted(_own(report), key=lambda line: -line.bytes)]
    shown: set[int] = set()
    for line in dict.fromkeys(line for line in wanted if line and line <= count):
        if len(shown) >= room:
            break
        if _rows(shown | {line}, count) <= room:
            shown.add(line)
    return _without_short_gaps(shown, count)


def _own(report: ScriptReport) -> list[LineMemory]:
    """Lines of the script itself."""
    return [line for line in report.lines if line.file is None]


def _rows(shown: set[int], count: int) -> int:
    """Rows that `shown` takes: its lines, and one for each gap between them, before and behind."""
    edges = [0, *sorted(shown), count + 1]
    return len(shown) + sum(after - before > 1 for before, after in itertools.pairwise(edges))


def _without_short_gaps(shown: set[int], count: int) -> set[int]:
    """A fold that hides one line takes as much room as that line."""
    return shown | {line for line in range(1, count + 1) if line - 1 in shown | {0} and line + 1 in shown | {count + 1}}


def _loud(report: ScriptReport) -> set[int]:
    """Every line of a short script; of a long one those that hold memory or were not read, and their neighbours."""
    count = len(lines_of(report.source))
    if count <= _SHORT:
        return set(range(1, count + 1))
    peak = max((line.bytes for line in report.lines), default=1)
    base = min((line.bytes for line in report.lines), default=0)
    loud = {line.line for line in _own(report) if line.bytes - base > _QUIET_SHARE * max(1, peak - base)}
    loud |= {step.line for step in report.plan.steps if step.line and step.file is None}
    loud |= {unread.line for unread in report.unrecognised[:_MOST_UNREAD] if unread.file is None}
    if len(loud) > _MOST_SHOWN:
        memory = {line.line: line.bytes for line in _own(report)}
        loud = set(sorted(loud, key=lambda line: -memory.get(line, 0))[:_MOST_SHOWN])
        loud.add(report.plan.peak_line or 1)
    return {near for line in loud for near in range(line - _CONTEXT, line + _CONTEXT + 1) if 1 <= near <= count}


def _gutter(report: ScriptReport, shown: set[int], limit: int, width: int) -> list[RenderableType]:
    source = [visible(line) for line in lines_of(report.source)]
    memory = {line.line: line.bytes for line in _own(report)}
    peak = max((line.bytes for line in report.lines), default=1)
    peak_line = None if report.plan.peak_file else report.plan.peak_line
    unread = {found.line for found in report.unrecognised if found.file is None}
    digits, bar = len(str(len(source))), 0 if width < _NARROW else _BAR_CELLS
    rows: list[RenderableType] = []
    folded = 0
    for number, code in enumerate(source, 1):
        if number not in shown:
            folded += 1
            continue
        if folded:
            rows.append(_fold(folded, bar, digits))
            folded = 0
        mark = "▶" if number == peak_line else "?" if number in unread else " "
        row = _beside(memory.get(number), peak, limit, bar, mark).append(f"{number:>{digits}}  ", style="dim")
        room = max(10, width - len(row.plain))
        rows.append(row.append(shortened(code.expandtabs(4), room), style="bold" if mark == "▶" else ""))
    if folded:
        rows.append(_fold(folded, bar, digits))
    return rows


def _fold(lines: int, bar: int, digits: int) -> Text:
    from rich.text import Text

    room = _SIZE_CELLS + 1 + bar + 3 + digits
    return Text(f"{'⋯':>{room}}  {lines} line{'s' if lines > 1 else ''}", style="dim", no_wrap=True)


def _beside(used: int | None, peak: int, limit: int, bar: int, mark: str) -> Text:
    """What stands in front of a line: its memory in figures and as a bar, and whether it is the peak, or not read."""
    from rich.text import Text

    size = "" if used is None else format_size(used)
    filled = 0 if used is None or not bar else max(1, round(bar * used / max(1, peak)))
    style = "" if used is None else "red" if used > limit else "green"
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{size:>{_SIZE_CELLS}} ", style="bold" if mark == "▶" else "" if bar else style)
    text.append(f"{'█' * filled:<{bar}}", style=style)
    return text.append(f" {mark} ", style="bold red" if mark == "▶" else "bold yellow")


def _unread(report: ScriptReport, width: int, most: int) -> list[RenderableType]:
    from rich.text import Text

    if not report.unrecognised and report.plan.name != "unknown":
        return []
    words = "Not understood, so the estimate is wide: as if these kept everything they get."
    rows: list[RenderableType] = [unbroken(words, "yellow")]
    for found in report.unrecognised[:most]:
        start = f"  {visible(_name(found.file)) + ' ' if found.file else ''}line {found.line:>4}  "
        rows.append(Text(start + shortened(visible(found.source), width - len(start)), no_wrap=True))
    more = len(report.unrecognised) - most
    if more > 0:
        rows.append(Text(f"  and {more:,} more lines", no_wrap=True))
    return rows
