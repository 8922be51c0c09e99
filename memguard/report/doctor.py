"""doctor/1 for people: the room for a new job, the limits in force, the machine, and every ability with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.records.doctor import GROUPS, Ability, DoctorReport, Machine
from memguard.records.limits import Limits
from memguard.records.visible import shows
from memguard.report.terminal import to_text
from memguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["render"]

_STYLE = {"ok": "green", "partial": "yellow", "unavailable": "red"}

# One for all groups, so that the reasons stand in one column.
_NAME_WIDTH = 29
_THREE_COLUMNS = 100

_TITLE = {
    "see": "see what uses memory",
    "enforce": "enforce a limit",
    "estimate": "estimate",
    "tokenize": "tokenize",
    "diagnose": "diagnose a kill",
}


@shows
def render(report: DoctorReport, *, width: int = 100, color: bool = False) -> str:
    parts: list[RenderableType] = [_headline(report), "", *_limits(report.limits)]
    if report.machine is not None:
        parts += ["", _heading("this machine"), _machine(report.machine)]
    for group in GROUPS:
        abilities = [ability for ability in report.abilities if ability.group == group]
        if abilities:
            parts += ["", _heading(_TITLE[group]), _abilities(abilities, width)]
    return to_text(*parts, width=width, color=color)


def _headline(report: DoctorReport) -> RenderableType:
    from rich.text import Text

    binding = report.limits.binding
    if binding is None:
        return Text("No limit can be read here: nothing can be measured.", style="bold red")
    tightest = "the machine's own memory" if binding.name == "MemAvailable" else binding.name
    text = Text("A new job may use ")
    text.append(format_size(report.limits.effective), style="bold")
    return text.append(f" here; the tightest limit is {tightest}.")


def _heading(text: str) -> RenderableType:
    from rich.text import Text

    return Text(text.upper(), style="bold")


def _limits(limits: Limits) -> list[RenderableType]:
    from rich.table import Table

    if not limits.constraints:
        return []
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("limit", overflow="fold")
    for title in ("size", "used", "kept free", "room left"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("set by", overflow="fold", ratio=1)
    for constraint in sorted(limits.constraints, key=lambda constraint: constraint.headroom):
        binds = constraint is limits.binding
        sizes = (constraint.limit, constraint.used, constraint.margin, constraint.headroom)
        table.add_row(
            ">" if binds else "",
            constraint.name,
            *(format_size(size) for size in sizes),
            "you" if constraint.source == constraint.name else constraint.source,
            style="bold" if binds else "",
        )
    return [_heading("limits in force"), table, "> binds: the least room is left below it"]


def _machine(machine: Machine) -> RenderableType:
    rows = [("memory", f"{format_size(machine.total)}, of which {format_size(machine.available)} available")]
    rows.append(("swap", _swap(machine)))
    if machine.pressure is not None:
        rows.append(("pressure", f"{machine.pressure:.1f} % of the last minute spent waiting for memory"))
    if machine.shm_size is not None:
        sizes = f"{format_size(machine.shm_size)}, {format_size(machine.shm_free)} free"
        rows.append(("/dev/shm", f"{sizes}; what lies there is memory, and outlives a kill"))
    if machine.cgroup is not None:
        rows.append(("cgroup", f"v{machine.cgroup_version}, {machine.cgroup}"))
    rows.append(("kernel", f"{machine.kernel}, {machine.cores} core{'s' if machine.cores != 1 else ''} usable"))
    rows.append(("memguard's Python", f"{machine.python}, {machine.executable}"))
    if machine.script_python is not None:
        rows.append(("your scripts' Python", f"{machine.script_python} (memguard run --python chooses another)"))
    return _rows(rows)


def _swap(machine: Machine) -> str:
    if machine.swap_total is None:
        return "not known"
    if machine.swap_total == 0:
        return "none: when memory runs out, the kernel kills without delay"
    free = f"{format_size(machine.swap_total)}, {format_size(machine.swap_free)} free"
    return f"{free}; not counted as room: a job that needs it takes hours instead of minutes"


def _abilities(abilities: list[Ability], width: int) -> RenderableType:
    """Three columns where there is room for them, else the name and the reason in one."""
    from rich.table import Table
    from rich.text import Text

    apart = width >= _THREE_COLUMNS
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=len("unavailable"), no_wrap=True)
    if apart:
        table.add_column(width=_NAME_WIDTH)
    table.add_column(overflow="fold")
    for ability in abilities:
        state = Text(ability.state, style=_STYLE.get(ability.state, ""))
        reason = Text(ability.reason if apart else f"{ability.name}: {ability.reason}")
        if ability.mend:
            reason.append(f"\n-> {ability.mend}", style="cyan")
        table.add_row(*((state, ability.name, reason) if apart else (state, reason)))
    return table


def _rows(rows: list[tuple[str, str]]) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=len("your scripts' Python"), no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table
