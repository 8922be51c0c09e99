"""FixRecord → text: the figures before and after, line by line what it holds then, and what is left. Pure."""

from __future__ import annotations

from memguard.records.fix import FixEdit, FixLeft, FixRecord, FixState, FixStay
from memguard.records.visible import shows
from memguard.report.terminal import command, labelled, shortened, to_text, unbroken
from memguard.units import MIB, format_size

__all__ = ["render", "rule_list"]

_NARROW = 60
_VERDICTS = {"fits": "fits", "tight": "tight", "killed": "killed"}


@shows
def render(record: FixRecord, *, width: int = 80, color: bool = False) -> str:
    """The report on stderr; the diff is on stdout."""
    from rich.text import Text

    parts = [unbroken(_headline(record), "bold")]
    if record.edits or record.after != record.before:
        parts += [Text(line) for line in _figures(record, width)]
        parts.append(Text(""))
    parts += [unbroken(line) for edit in record.edits for line in _edit(edit, width)]
    if record.left:
        parts += [Text(""), Text("left as it is", style="bold")]
        parts += [unbroken(line) for left in record.left for line in _left(left, width)]
    if record.stays:
        parts += [Text(""), Text("still large", style="bold")]
        parts += [unbroken(line) for stay in record.stays for line in _stay(stay, width)]
    if record.advice:
        parts.append(command("The same job without the script:", record.advice, width))
    for line in record.unused_ignores:
        parts.append(unbroken(f"line {line}: memguard: ignore keeps nothing there"))
    if record.verify is not None:
        parts += [Text(""), unbroken(_verified(record))]
    notes = [labelled("note", note, "dim", width, column=6) for note in record.notes]
    return to_text(*parts, *notes, width=width, color=color)


def _headline(record: FixRecord) -> str:
    changed = len(record.edits)
    if not changed and not record.left:
        return f"{record.script} needs no fix with {record.text}: peak {format_size(record.before.peak.expected)}"
    if not changed:
        return f"{record.script}: nothing changed, {len(record.left)} left"
    return f"{record.script}: {changed} line{'s' * (changed > 1)} changed, {len(record.left)} left"


def _figures(record: FixRecord, width: int) -> list[str]:
    before, after = record.before, record.after
    rows = [
        ("peak", format_size(before.peak.expected), format_size(after.peak.expected)),
        ("verdict", _VERDICTS.get(before.verdict, before.verdict), _VERDICTS.get(after.verdict, after.verdict)),
        ("time", _seconds(before), _seconds(after)),
        ("disk meanwhile", _disk(before), _disk(after)),
    ]
    of = f"with {record.text}, {format_size(record.allowed)} allowed"
    column = 12 if width >= _NARROW else 9
    label = max(len(name) for name, _, _ in rows) + 2
    head = f"  {'':<{label}}{'before':>{column}}  {'after':>{column}}"
    lines = [f"  {shortened(of, width - 2)}", head]
    return lines + [f"  {name:<{label}}{one:>{column}}  {two:>{column}}" for name, one, two in rows]


def _seconds(state: FixState) -> str:
    return "–" if state.seconds is None else f"≈ {state.seconds:.0f} s" if state.seconds >= 1 else "< 1 s"


def _disk(state: FixState) -> str:
    return format_size(state.disk) if state.disk else "–"


def _edit(edit: FixEdit, width: int) -> list[str]:
    names = ", ".join(edit.variables[:3])
    saved = f"−{format_size(edit.saves)}" if edit.saves >= MIB else "faster" if edit.faster else ""
    words = f"  line {edit.line}  {edit.words}"
    holds = f"{names}: {edit.holds}" if names else edit.holds
    if edit.applicability != "safe":
        holds = f"{holds} ({edit.applicability})"
    if width >= _NARROW:
        return [words, f"           {holds}{'  ' if saved else ''}{saved}"]
    return [words, f"    {holds}", *([f"    {saved}"] if saved else [])]


def _left(left: FixLeft, width: int) -> list[str]:
    where = f"  line {left.line}"
    if left.line != left.made_line:
        where = f"{where} (made in line {left.made_line})"
    source = shortened(left.source, max(20, width - 6))
    return [f"{where}: {left.sentence}", f"      {source}"]


def _stay(stay: FixStay, width: int) -> list[str]:
    name = f"{stay.variable} ({stay.makes})" if stay.variable else stay.makes
    source = shortened(stay.source, max(20, width - 6))
    return [f"  line {stay.line}: {name} {format_size(stay.bytes)}", f"      {source}"]


def _verified(record: FixRecord) -> str:
    found = record.verify
    assert found is not None
    ran = f"run with {format_size(found.slice_bytes)} of the text, both ended with {found.exit_code}"
    if found.same:
        return f"verified: {ran}; {found.files} file{'s' * (found.files != 1)} and the output are the same"
    return f"NOT the same, run with {format_size(found.slice_bytes)} of the text: {', '.join(found.differs)} differ"


def rule_list(rules: list[tuple[str, str, str, str]], *, width: int = 80, color: bool = False) -> str:
    """--list-rules: name, level, what it does, what the line holds then."""
    parts = []
    for name, level, words, holds in rules:
        parts += [unbroken(f"{name:<16}{level:<8}{words}"), unbroken(f"{'':<24}{holds}")]
    return to_text(*parts, width=width, color=color)
