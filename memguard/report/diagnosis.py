"""A Diagnosis as text for somebody who has just lost an hour: the answer first, then who held what, then what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.records.visible import shows
from memguard.report.terminal import to_text
from memguard.units import format_count, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memguard.records.diagnosis import Diagnosis, Event, PlanComparison

__all__ = ["render"]

_SHOWN_TASKS = 8
_SHOWN_EVIDENCE = 6
_BAR = 24  # columns of a full bar
_CATEGORIES = {
    "anon": "programs' own data (anonymous)",
    "shmem": "shared memory, /dev/shm, tmpfs",
    "file": "page cache (files)",
    "kernel": "kernel (page tables, slab, stacks)",
    "slab": "kernel objects (slab)",
    "free": "free",
    "other": "not itemised",
}
_SCOPES = {"CONSTRAINT_NONE": "the machine", "CONSTRAINT_MEMCG": "a memory cgroup"}
_STYLES = {
    "guard": "bold yellow",
    "hang": "bold yellow",
    "shm-full": "bold yellow",
    "not-memory": "bold green",
    "unknown": "bold",
    "allocation-failure": "bold yellow",
}


@shows
def render(diagnosis: Diagnosis, *, width: int = 100, color: bool = False, every_event: bool = False) -> str:
    """`every_event` adds a table of all kills. At most `width` columns, except for quoted log lines' own wrapping."""
    from rich.padding import Padding
    from rich.text import Text

    headline, *facts = diagnosis.explanation.split("\n")
    parts: list[RenderableType] = [Text(headline, style=_STYLES.get(diagnosis.verdict, "bold red"))]
    parts += [Padding(Text(fact), (0, 0, 0, 2)) for fact in facts]
    event = diagnosis.events[0] if diagnosis.events else None
    if event is not None:
        parts += _categories(event, width)
        parts += _tasks(event, width)
    parts += _comparison(diagnosis, width)
    if every_event and diagnosis.events:
        parts += _all_events(diagnosis)
    if diagnosis.evidence:
        parts += [Text(), Text("Evidence", style="bold")]
        parts += [Padding(Text(line, style="dim"), (0, 0, 0, 2)) for line in diagnosis.evidence[:_SHOWN_EVIDENCE]]
        hidden = len(diagnosis.evidence) - _SHOWN_EVIDENCE
        parts += [Text(f"  … and {hidden} more (--json has them)", style="dim")] if hidden > 0 else []
    if diagnosis.advice:
        title = "What to try next" if diagnosis.verdict in ("unknown", "not-memory") else "What to do, cheapest first"
        parts += [Text(), Text(title, style="bold"), _numbered(diagnosis.advice, color)]
    read = f". Read: {'; '.join(diagnosis.sources)}" if diagnosis.sources else ""
    parts += [Text(), Text(f"verdict {diagnosis.verdict}, {diagnosis.confidence}{read}", style="dim")]
    return to_text(*parts, width=width, color=color)


def _numbered(lines: tuple[str, ...], color: bool) -> RenderableType:
    """Wrapped lines hang under their own text; commands stand out by colour, else by their backquotes."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(justify="right", no_wrap=True, min_width=4)
    table.add_column(overflow="fold")
    for number, line in enumerate(lines, 1):
        text = Text()
        for index, part in enumerate(line.split("`")) if color else [(0, line)]:
            text.append(part, style="bold cyan" if index % 2 else "")
        table.add_row(f"{number}.", text)
    return table


def _categories(event: Event, width: int) -> list[RenderableType]:
    from rich.text import Text

    parts = event.categories or {}
    whole = event.usage or event.memory_total or sum(parts.values())
    if not parts or not whole:
        return []
    of = f"{format_size(whole)} in the limited group" if event.usage else f"{format_size(whole)} of RAM"
    rows = [(_CATEGORIES.get(name, name), format_size(size), size / whole) for name, size in parts.items() if size]
    return [Text(), Text(f"Where the memory was ({of})", style="bold"), _bars(rows, width)]


def _bars(rows: list[tuple[str, str, float]], width: int) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    if width >= 80:
        table.add_column(no_wrap=True)
    for name, size, share in rows:
        cells = [f"  {name}", size, f"{share:.0%}"]
        table.add_row(*cells, *([_bar(share)] if width >= 80 else []))
    return table


def _bar(share: float) -> str:
    return "█" * max(1, round(min(1.0, share) * _BAR)) if share >= 0.5 / _BAR else "▏"


def _tasks(event: Event, width: int) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    if not event.tasks:
        return []
    killed = {event.pid, *(other.pid for other in event.others)}
    shown = list(event.tasks[:_SHOWN_TASKS])
    shown += [task for task in event.tasks[_SHOWN_TASKS:] if task.pid == event.pid]
    detailed = any(task.rss_anon is not None for task in shown)
    swapped = any(task.swap for task in shown)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("  pid", justify="right")
    table.add_column("task", overflow="ellipsis", max_width=20)
    table.add_column("resident", justify="right", no_wrap=True)
    if detailed:
        table.add_column("own data", justify="right", no_wrap=True)
    if swapped:
        table.add_column("in swap", justify="right", no_wrap=True)
    if width >= 80:
        table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    largest = max(task.rss for task in event.tasks) or 1
    for task in shown:
        cells = [f"  {task.pid}", task.name, format_size(task.rss)]
        cells += [format_size(task.rss_anon)] if detailed else []
        cells += [format_size(task.swap)] if swapped else []
        cells += [_bar(task.rss / largest)] if width >= 80 else []
        style = "bold" if task.pid == event.pid else ""
        table.add_row(*cells, "killed" if task.pid in killed else "", style=style)
    count = event.task_count or len(event.tasks)
    more = f", the largest of {format_count(count)}" if count > len(shown) else ""
    return [Text(), Text(f"Who held it{more}", style="bold"), table]


def _comparison(diagnosis: Diagnosis, width: int) -> list[RenderableType]:
    """What the input needs by each plan, against what there was."""
    from rich.table import Table
    from rich.text import Text

    found = diagnosis.comparison
    if found is None:
        return []
    sizes = [plan.expected for plan in found.plans] + [found.held or 0, found.allowed or 0]
    largest = max(sizes) or 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    if width >= 80:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows = [(f"plan {plan.name}", plan.expected, _plan_note(plan.name, found)) for plan in found.plans]
    rows += [("held at the end", found.held, "")] if found.held is not None else []
    rows += [("allowed", found.allowed, "")] if found.allowed is not None else []
    for name, size, note in rows:
        table.add_row(f"  {name}", format_size(size), *([_bar((size or 0) / largest)] if width >= 80 else []), note)
    files = ", ".join(found.inputs[:2]) + (f" and {len(found.inputs) - 2} more" if len(found.inputs) > 2 else "")
    return [Text(), Text(f"Estimate against fact: {files}", style="bold"), table]


def _plan_note(name: str, found: PlanComparison) -> str:
    notes = ["your script's"] if name == found.script_plan else []
    notes += ["recommended"] if name == found.recommended else []
    return ", ".join(notes)


def _all_events(diagnosis: Diagnosis) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    count = diagnosis.event_count
    title = f"All {format_count(count)} kills, the one above first" if count > 1 else "The one kill"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("  time", "by", "killed", "held", "limit", "of"):
        table.add_column(name, justify="right" if name in ("held", "limit") else "left", overflow="fold")
    for event in diagnosis.events:
        pid = f" ({event.pid})" if event.pid is not None else ""
        group = f" and {len(event.others)} more" if event.others else ""
        table.add_row(
            f"  {event.time or ''}",
            event.killer,
            f"{event.task or '?'}{pid}{group}",
            format_size(event.anon_rss),
            format_size(event.limit) if event.limit else "",
            event.oom_memcg or event.task_memcg or _SCOPES.get(event.constraint or "", "?"),
        )
    return [Text(), Text(title, style="bold"), table]
