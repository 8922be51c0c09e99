"""estimate-history/1 for people: predicted against measured, run by run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from memguard.records.estimate import Comparison, History, Range
from memguard.records.visible import shows
from memguard.report.terminal import GAP, fitting, to_text
from memguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["render"]

# What a narrow terminal does without, first things first.
_DROPPED = ("script", "run", "low – high", "predicted")


@shows
def render(history: History, *, width: int = 100, color: bool = False) -> str:
    if not history.comparisons:
        return to_text(*_nothing(history), width=width, color=color)
    parts: list[RenderableType] = [_table(history, width), "", _summary(history.comparisons)]
    parts += list(history.notes)
    return to_text(*parts, width=width, color=color)


def _nothing(history: History) -> list[str]:
    return [
        f"No run to compare with: {history.runs} guarded runs on record, none of a file that was estimated before.",
        *history.notes,
        "memguard estimate FILE, then memguard run SCRIPT, then this again.",
    ]


def _table(history: History, width: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    rows = [_cells(one) for one in history.comparisons]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    widths["script"] = len("script")
    names, _ = fitting(widths, _DROPPED, width)
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for name in names:
        right = name in ("predicted", "measured", "ratio")
        table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for one, row in zip(history.comparisons, rows, strict=True):
        styles = {"low – high": "dim", "ratio": "" if one.inside else "red"}
        table.add_row(*(Text(row[name], styles.get(name, "")) for name in names))
    return table


def _cells(one: Comparison) -> dict[str, str]:
    measured = format_size(one.measured)
    return {
        "run": time.strftime("%m-%d %H:%M", time.localtime(one.started)),
        "plan": one.plan,
        "predicted": format_size(one.predicted.expected),
        "low – high": _span(one.predicted),
        "measured": measured if one.finished else f"> {measured}",
        "ratio": f"{one.predicted.expected / max(1, one.measured):.3f}" if one.finished else "stopped",
        "script": _script(one.command),
    }


def _span(peak: Range) -> str:
    """The unit once where both ends share it."""
    low, high = format_size(peak.low), format_size(peak.high)
    return f"{low.split()[0]}–{high}" if low.split()[1] == high.split()[1] else f"{low}–{high}"


def _script(command: str) -> str:
    """The script's own name: the interpreter and the directories are the same in every row."""
    words = command.split()
    named = next((word for word in words if word.endswith(".py")), words[0] if words else "")
    return named.rpartition("/")[2]


def _summary(comparisons: tuple[Comparison, ...]) -> str:
    finished = [one for one in comparisons if one.finished]
    if not finished:
        return "None of them ran to its end."
    errors = sorted(abs(one.predicted.expected / max(1, one.measured) - 1) for one in finished)
    inside = sum(one.inside for one in finished)
    middle = errors[len(errors) // 2]
    return (
        f"{inside} of {len(finished)} finished runs peaked between low and high; the error was {100 * middle:.1f} %"
        f" at the median, {100 * errors[-1]:.1f} % at worst. Memory of the tree itself, mapped libraries apart."
    )
