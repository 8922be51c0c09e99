"""inspect/1 for people: what the file is, the text at its ends, and how its ids are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.records.inspect import InspectReport
from memguard.records.visible import shows
from memguard.report.terminal import quoted, to_text
from memguard.units import format_count, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["render"]

_LABEL = 11
_LONGEST_BAR = 40


@shows
def render(report: InspectReport, *, width: int = 100, color: bool = False) -> str:
    parts: list[RenderableType] = [_headline(report), _facts(report)]
    if report.tokens:
        parts += [
            "",
            _heading("ids"),
            _ranges(report, width),
            "",
            _heading("most frequent tokens"),
            _frequent(report, width),
        ]
    from rich.text import Text

    parts += [Text(f"note: {note}", style="yellow") for note in report.notes]
    return to_text(*parts, width=width, color=color)


def _headline(report: InspectReport) -> Text:
    from rich.text import Text

    text = Text(f"{report.path}: ")
    text.append(_counted(report.tokens, "token"), style="bold")
    return text.append(f", {format_size(report.bytes)}")


def _heading(text: str) -> Text:
    from rich.text import Text

    return Text(text.upper(), style="bold")


def _facts(report: InspectReport) -> RenderableType:
    from rich.table import Table

    rows = [("format", f"{report.format}, {report.dtype} ({report.reason})")]
    rows.append(("encoding", f"{report.encoding or 'not known'} ({report.encoding_reason})"))
    if report.documents is not None:
        rows.append(("documents", f"{format_count(report.documents)}, by the index"))
    if report.eot_tokens is not None:
        rows.append(("end of text", _counted(report.eot_tokens, "token")))
    if report.unknown_ids:
        rows.append(("wrong", f"{_counted(report.unknown_ids, 'token')} that {report.encoding} does not have"))
    if report.tokens:
        rows.append(("ids", _ids(report)))
    if report.text_bytes and report.tokens:
        rate = report.text_bytes / (report.tokens - (report.eot_tokens or 0))
        rows.append(("text", f"{format_size(report.text_bytes)}, {rate:.2f} bytes per token"))
    for name, text in (("begins", report.first_text), ("ends", report.last_text)):
        if text:
            rows.append((name, quoted(text)))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=_LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _ids(report: InspectReport) -> str:
    facts = [f"{format_count(report.smallest_id)} to {format_count(report.largest_id)}"]
    facts.append(f"{format_count(report.distinct_ids)} different ones")
    if report.small_id_fraction is not None:
        facts.append(f"{report.small_id_fraction:.1%} at most 256")
    return ", ".join(facts)


def _ranges(report: InspectReport, width: int) -> RenderableType:
    longest = max(8, min(_LONGEST_BAR, width - 30))
    table = _bar_table()
    most = max(part.count for part in report.ranges)
    for part in report.ranges:
        table.add_row(
            f"{format_count(part.first)} to {format_count(part.last)}",
            _bar(part.count / most, longest),
            f"{part.count / report.tokens:.1%}",
        )
    return table


def _frequent(report: InspectReport, width: int) -> RenderableType:
    longest = max(8, min(_LONGEST_BAR, width - 56))
    table = _bar_table(named=True)
    most = report.most_frequent[0].count
    for token in report.most_frequent:
        table.add_row(
            format_count(token.id),
            "" if token.text is None else quoted(token.text),
            _bar(token.count / most, longest),
            f"{token.count / report.tokens:.1%}",
            format_count(token.count),
        )
    return table


def _bar_table(*, named: bool = False) -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    if named:
        table.add_column(no_wrap=True, max_width=20)
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(justify="right", no_wrap=True)
    if named:
        table.add_column(justify="right", no_wrap=True)
    return table


def _bar(share: float, longest: int) -> str:
    """Eighths of a column: every share above 0 is visible."""
    eighths = max(1 if share else 0, round(share * longest * 8))
    parts = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
    return "█" * (eighths // 8) + parts[eighths % 8]


def _counted(number: int, noun: str) -> str:
    return f"{format_count(number)} {noun}" + ("" if number == 1 else "s")
