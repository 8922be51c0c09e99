"""A Diagnosis as one HTML page that needs nothing else: no script, no font, no network.

Plain strings: every value goes through html.escape once, in the small functions at the end. Light and dark follow the
reader's setting. Colours of the bar: Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from memguard.records.visible import shows
from memguard.units import format_count, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memguard.records.diagnosis import Diagnosis, Event, PlanComparison

__all__ = ["render_diagnosis"]

_PARTS = {
    "anon": ("programs' own data (anonymous)", "#d55e00"),
    "shmem": ("shared memory, /dev/shm, tmpfs", "#cc79a7"),
    "file": ("page cache (files)", "#56b4e9"),
    "kernel": ("kernel (page tables, slab, stacks)", "#e69f00"),
    "slab": ("kernel objects (slab)", "#f0e442"),
    "free": ("free", "#009e73"),
    "other": ("not itemised", "#8a8f98"),
}
_VERDICTS = {
    "oom-kill": ("out of memory: killed", "bad"),
    "memcg-oom": ("memory limit reached: killed", "bad"),
    "userspace-killer": ("stopped by another guard", "bad"),
    "guard": ("stopped by memguard", "warn"),
    "allocation-failure": ("memory refused", "warn"),
    "shm-full": ("/dev/shm full", "warn"),
    "thrashing": ("thrashing", "bad"),
    "hang": ("stood still", "warn"),
    "not-memory": ("not memory", "good"),
    "unknown": ("not known", "plain"),
}
_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#5c6670;--line:#d9dee3;--soft:#f4f6f8;--bad:#b42318;
--warn:#935f00;--good:#1a7f37;--bar:#0072b2}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ed;--dim:#9aa4ae;--line:#333a42;--soft:#1d2228;
--bad:#ff8a7a;--warn:#f0b849;--good:#5fd38d;--bar:#58b1e6}}
*{box-sizing:border-box}
body{background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;
padding:1.5rem}
h1{font-size:1.45rem;line-height:1.3;margin:.4rem 0 .6rem;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:2rem 0 .6rem}
p{margin:.25rem 0;overflow-wrap:anywhere}
.tag{display:inline-block;border:1px solid currentColor;border-radius:1rem;padding:.05rem .7rem;font-size:.85rem}
.bad{color:var(--bad)}.warn{color:var(--warn)}.good{color:var(--good)}.plain,.dim{color:var(--dim)}
.stack{display:flex;height:2.2rem;border-radius:.3rem;overflow:hidden;background:var(--soft);
border:1px solid var(--line)}
.stack span{display:block;min-width:1px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{color:var(--dim);font-weight:500;text-align:left;font-size:.85rem}
th,td{padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:middle}
.n{text-align:right;white-space:nowrap}.path{overflow-wrap:anywhere}
.meter{min-width:8rem;width:40%}
.meter i{display:block;height:.75rem;background:var(--bar);border-radius:.15rem;min-width:1px}
.killed td{font-weight:600}.killed .meter i{background:var(--bad)}
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:.15rem;margin-right:.5rem;vertical-align:-.05rem}
pre{background:var(--soft);border:1px solid var(--line);border-radius:.3rem;padding:.7rem;white-space:pre-wrap;
overflow-wrap:anywhere;font-size:.82rem;margin:.4rem 0}
code{background:var(--soft);border:1px solid var(--line);border-radius:.25rem;padding:.05rem .3rem;font-size:.88em;
overflow-wrap:anywhere}
li{margin:.35rem 0}
@media(max-width:32rem){body{padding:.8rem;font-size:15px}h1{font-size:1.2rem}.meter{display:none}
th,td{padding:.25rem .45rem .25rem 0}.path{min-width:5rem}ol{padding-left:1.3rem}}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.6rem;font-size:.85rem;color:var(--dim)}
"""


@shows
def render_diagnosis(diagnosis: Diagnosis) -> str:
    """The whole page."""
    headline, *facts = diagnosis.explanation.split("\n")
    label, tone = _VERDICTS.get(diagnosis.verdict, (diagnosis.verdict, "plain"))
    event = diagnosis.events[0] if diagnosis.events else None
    body = [
        f'<span class="tag {tone}">{_text(label)}, {_text(diagnosis.confidence)}</span>',
        f"<h1>{_text(headline)}</h1>",
        *(f"<p>{_text(fact)}</p>" for fact in facts),
    ]
    if event is not None:
        body += [*_categories(event), *_tasks(event)]
    if diagnosis.comparison is not None:
        body += _comparison(diagnosis.comparison)
    if diagnosis.advice:
        body += ["<h2>What to do, cheapest first</h2>", "<ol>"]
        body += [f"<li>{_commands(step)}</li>" for step in diagnosis.advice]
        body += ["</ol>"]
    if diagnosis.evidence:
        lines = "\n".join(_text(line) for line in diagnosis.evidence)
        body += ["<h2>Evidence</h2>", f"<pre>{lines}</pre>"]
    if len(diagnosis.events) > 1:
        body += _events(diagnosis)
    body.append(f"<footer>memguard diagnose: verdict {_text(diagnosis.verdict)}{_read(diagnosis)}</footer>")
    return _page(headline, body)


def _page(title: str, body: Iterable[str]) -> str:
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style>"
    )
    content = "\n".join(body)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n<main>\n{content}\n</main>\n</body></html>\n'


def _categories(event: Event) -> list[str]:
    """One bar of who held what, and its key as a table."""
    parts = {name: size for name, size in (event.categories or {}).items() if size > 0}
    whole = max(event.usage or event.memory_total or 0, sum(parts.values()))
    if not parts:
        return []
    of = f"{format_size(event.usage)} in the limited group" if event.usage else f"{format_size(whole)} of RAM"
    spans, rows = [], []
    for name, size in parts.items():
        label, colour = _PARTS.get(name, (name, "#8a8f98"))
        share = size / whole
        tip = f"{label}: {format_size(size)}"
        spans.append(f'<span style="width:{share:.3%};background:{colour}" title="{_text(tip)}"></span>')
        key = f'<span class="key" style="background:{colour}"></span>'
        rows.append(
            f'<tr><td>{key}{_text(label)}</td><td class="n">{format_size(size)}</td><td class="n">{share:.0%}</td></tr>'
        )
    bar = f'<div class="stack" role="img" aria-label="where the memory was">{"".join(spans)}</div>'
    return [f"<h2>Where the memory was ({_text(of)})</h2>", bar, _table((), rows)]


def _tasks(event: Event) -> list[str]:
    if not event.tasks:
        return []
    killed = {event.pid, *(other.pid for other in event.others)}
    largest = max(task.rss for task in event.tasks) or 1
    detailed = any(task.rss_anon is not None for task in event.tasks)
    swapped = any(task.swap for task in event.tasks)
    heads = ["pid", "task", "resident", *(["own data"] if detailed else []), *(["in swap"] if swapped else []), "", ""]
    rows = []
    for task in event.tasks:
        cells = [f'<td class="n">{task.pid}</td><td class="path">{_text(task.name)}</td>', _number(task.rss)]
        cells += [_number(task.rss_anon)] if detailed else []
        cells += [_number(task.swap)] if swapped else []
        cells += [_meter(task.rss / largest), f"<td>{'killed' if task.pid in killed else ''}</td>"]
        rows.append(f"<tr{' class=killed' if task.pid in killed else ''}>{''.join(cells)}</tr>")
    count = event.task_count or len(event.tasks)
    more = f", the largest of {format_count(count)}" if count > len(event.tasks) else ""
    return [f"<h2>Who held it{_text(more)}</h2>", _table(heads, rows)]


def _comparison(found: PlanComparison) -> list[str]:
    rows = [(f"plan {plan.name}", plan.expected, plan.name) for plan in found.plans]
    rows += [("held at the end", found.held, "")] if found.held is not None else []
    rows += [("allowed", found.allowed, "")] if found.allowed is not None else []
    largest = max((size or 0 for _, size, _ in rows), default=0) or 1
    lines = []
    for label, size, plan in rows:
        notes = ["your script's"] if plan and plan == found.script_plan else []
        notes += ["recommended"] if plan and plan == found.recommended else []
        cells = (
            f"<td>{_text(label)}</td>{_number(size)}{_meter((size or 0) / largest)}<td>{_text(', '.join(notes))}</td>"
        )
        lines.append(f"<tr>{cells}</tr>")
    return [f"<h2>Estimate against fact: {_text(', '.join(found.inputs))}</h2>", _table((), lines)]


def _events(diagnosis: Diagnosis) -> list[str]:
    rows = []
    for event in diagnosis.events:
        pid = f" ({event.pid})" if event.pid is not None else ""
        group = f" and {len(event.others)} more" if event.others else ""
        where = event.oom_memcg or event.task_memcg or ("the machine" if event.constraint == "CONSTRAINT_NONE" else "")
        cells = [
            f"<td>{_text(event.time or '')}</td><td>{_text(event.killer)}</td>",
            f'<td class="path">{_text(f"{event.task or chr(63)}{pid}{group}")}</td>',
            _number(event.anon_rss),
            _number(event.limit),
            f'<td class="path">{_text(where)}</td>',
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    title = (
        f"Kills: {format_count(len(diagnosis.events))} of {format_count(diagnosis.event_count)}, the one above first"
    )
    return [f"<h2>{title}</h2>", _table(("time", "by", "killed", "held", "limit", "of"), rows)]


def _read(diagnosis: Diagnosis) -> str:
    return f". Read: {_text('; '.join(diagnosis.sources))}" if diagnosis.sources else ""


# -- pieces ----------------------------------------------------------------------------------------------------


def _text(text: str) -> str:
    return escape(text, quote=True)


def _commands(step: str) -> str:
    """Backquoted commands as code."""
    parts = _text(step).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _number(size: int | None) -> str:
    return f'<td class="n">{format_size(size) if size is not None else ""}</td>'


def _meter(share: float) -> str:
    return f'<td class="meter"><i style="width:{min(1.0, share):.1%}"></i></td>'


def _table(heads: Sequence[str], rows: Iterable[str]) -> str:
    numbers = ("pid", "resident", "own data", "in swap", "held", "limit")
    cells = "".join(f"<th{' class=n' if head in numbers else ''}>{_text(head)}</th>" for head in heads)
    head = f"<thead><tr>{cells}</tr></thead>" if heads else ""
    return f'<div class="wide"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'
