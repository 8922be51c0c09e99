"""verify/1 for people: the answer first, then what is wrong and where, then every file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.records.verify import Problem, ShardCheck, VerifyReport
from memguard.records.visible import shows
from memguard.report.terminal import quoted, to_text
from memguard.units import format_count, format_duration, format_rate, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["render"]

_SHARDS_SHOWN = 12
_PROBLEMS_SHOWN = 20


@shows
def render(report: VerifyReport, *, width: int = 100, color: bool = False) -> str:
    parts: list[RenderableType] = [_headline(report)]
    for problem in report.problems[:_PROBLEMS_SHOWN]:
        parts += ["", *_problem(problem)]
    if len(report.problems) > _PROBLEMS_SHOWN:
        parts += ["", _indented(f"and {len(report.problems) - _PROBLEMS_SHOWN} more problems (--json has them all)")]
    parts += ["", _shards(report), _facts(report)]
    parts += [_indented(f"note: {note}", "yellow") for note in report.notes]
    return to_text(*parts, width=width, color=color)


def _headline(report: VerifyReport) -> Text:
    from rich.text import Text

    tokens = f"{format_count(report.tokens)} {report.encoding} tokens"
    if not report.ok:
        number = len(report.problems)
        return Text(f"FAILED: {report.directory} has {number} problem{'' if number == 1 else 's'}", style="bold red")
    text = Text("ok: ", style="bold green")
    if report.text_compared:
        return text.append(f"the {tokens} in {report.directory} are exactly the text of {_sources(report)}", "default")
    return text.append(f"{report.directory} holds {tokens}, as written; the text was not compared", "default")


def _sources(report: VerifyReport) -> str:
    first, *more = report.sources
    return first if not more else f"{first} and {len(more)} more" if len(more) > 1 else f"{first} and {more[0]}"


def _problem(problem: Problem) -> list[Text]:
    lines = [_indented(problem.message, "red")]
    for who, text in (("the source says", problem.expected), ("the tokens say", problem.found)):
        if text is not None:
            lines.append(_indented(f"  {who:<15}  {quoted(text)}" if text else f"  {who:<15}  nothing more"))
    return lines


def _shards(report: VerifyReport) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    shown = [check for check in report.shards if not check.ok][:_SHARDS_SHOWN]
    if len(report.shards) <= _SHARDS_SHOWN:
        shown = list(report.shards)
    for check in shown:
        table.add_row(*_row(check))
    left = len(report.shards) - len(shown)
    if left:
        what = "more, all ok" if all(check.ok for check in report.shards if check not in shown) else "more"
        table.add_row(f"  {left} {what}", "", "", "")
    return table


def _row(check: ShardCheck) -> tuple[str | Text, ...]:
    from rich.text import Text

    state = Text("ok", style="green") if check.ok else Text("wrong", style="red")
    if check.tokens is None:
        return f"  {check.path}", "", "", state
    return f"  {check.path}", f"{format_count(check.tokens)} tokens", format_size(check.bytes), state


def _facts(report: VerifyReport) -> Text:
    facts = [f"{report.format}, {report.dtype}"]
    if report.eot_tokens:
        facts.append(f"{format_count(report.eot_tokens)} end-of-text token{'' if report.eot_tokens == 1 else 's'}")
    if report.text_bytes is not None:
        facts.append(f"{format_size(report.text_bytes)} of text compared")
    facts.append(format_duration(report.seconds))
    if report.text_bytes and report.seconds > 1:  # a shorter time measures little but the start of the process
        facts.append(format_rate(report.text_bytes / report.seconds))
    return _indented(", ".join(facts), "dim")


def _indented(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(f"  {text}", style=style)
