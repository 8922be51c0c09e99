"""estimate-probe/1 for people: what was measured on the slices, and what that says of the whole input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.records.estimate import Probe
from memguard.records.limits import Limits
from memguard.records.visible import shows
from memguard.report.terminal import to_text
from memguard.units import format_duration, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["render"]

_STYLE = {"fits": "green", "tight": "yellow", "killed": "red"}
_SHAPES = {
    "linear": "in proportion to its input",
    "flat": "hardly with its input: it streams, or its buffers are full already",
    "faster": "FASTER than its input: a straight line is not to be trusted, hence the wide band",
    "slower": "more slowly than its input: something fills up, a straight line is the careful guess",
}


@shows
def render(probe: Probe, limits: Limits, *, width: int = 100, color: bool = False) -> str:
    from rich.text import Text

    head = Text(probe.script, style="bold").append(f" on slices of {probe.input}, under the guard", style="not bold")
    growth = Text(f"Memory grows {_SHAPES[probe.shape]}")
    if probe.shape in ("linear", "slower", "faster"):
        growth.append(f" ({probe.per_byte:.1f} bytes per byte, and {format_size(probe.fixed)} whatever its size)")
    growth.append(".")
    peak = Text(f"For all {format_size(probe.size)} it will need ")
    peak.append(format_size(probe.peak.expected), style="bold")
    peak.append(f" ({format_size(probe.peak.low)} to {format_size(probe.peak.high)}); a job may use ")
    peak.append(format_size(limits.effective), style="bold").append(" here: ")
    peak.append(probe.verdict, style=f"bold {_STYLE.get(probe.verdict, '')}").append(".")
    seconds = _seconds(probe)
    time = [] if seconds is None else [f"At that pace it will take about {format_duration(seconds)}."]
    return to_text(head, "", _table(probe), "", growth, peak, *time, width=width, color=color)


def _seconds(probe: Probe) -> float | None:
    first, last = probe.points[0], probe.points[-1]
    slope = (last.seconds - first.seconds) / (last.bytes - first.bytes)
    return last.seconds + slope * (probe.size - last.bytes) if slope > 0 else None


def _table(probe: Probe) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("slice", "peak of the tree", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in probe.points:
        table.add_row(format_size(point.bytes), format_size(point.peak), format_duration(point.seconds))
    return table
