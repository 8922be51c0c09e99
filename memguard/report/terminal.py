"""Rich renderables as plain text: the one place that makes a Console. Pure: width and colour come from outside.

The renderers beside this file build tables and paragraphs; cli/output.py prints what they return.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["GAP", "command", "fitting", "labelled", "quoted", "shortened", "to_text", "unbroken"]

GAP = 2  # blanks between two columns of a table

# What stays on one line: a word, and a number with its sign and its unit.
_WORD = re.compile(r"(?:[±≈] )?\S+(?: (?:[KMGT]iB|B|%)(?=\W|$)\S*)?\s*")
# A word as a shell reads it, in its own spelling: quotes and what they hold are part of it.
_SHELL_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"[^"]*"|['"\\])+""")


def to_text(*renderables: RenderableType, width: int = 100, color: bool = False) -> str:
    """`renderables` one below the other, at most `width` columns wide; ends with a newline.

    Strings are taken literally: rich's markup, its emoji codes and its highlighting of numbers are off, since paths
    and log lines hold brackets and colons of their own. Use rich.text.Text or a style for emphasis. Without `color`
    the text carries no escape sequence. Trailing blanks are cut. What unbroken() and command() make may be wider where
    a single word is.
    """
    from rich.console import Console

    # Every setting that rich would otherwise guess from the environment is given here.
    console = Console(
        file=io.StringIO(),
        width=max(20, width),
        height=50,
        force_terminal=color,
        force_interactive=False,
        force_jupyter=False,
        color_system="standard" if color else None,
        no_color=not color,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as capture:
        for renderable in renderables:
            if getattr(renderable, "overflow", None) != "ignore":
                console.print(renderable)
                continue
            for line in _wrapped(cast("Text", renderable), console.width):
                console.print(line, no_wrap=True, overflow="ignore", crop=False)
    lines = capture.get().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def quoted(text: str) -> str:
    """In quotes, line ends and other control characters spelled out as in Python, everything else as it is."""
    return "'" + "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text) + "'"


def _wrapped(text: Text, width: int) -> Iterator[Text]:
    """rich either takes words apart that are wider than `width`, or wraps nothing."""
    from rich.cells import cell_len

    for line in text.split("\n", allow_blank=True):
        ends, start, end = [], 0, 0
        for word in () if text.no_wrap else _WORD.finditer(line.plain):
            if end > start and cell_len(line.plain[start : word.end()].rstrip()) > width:
                ends.append(word.start())
                start = word.start()
            end = word.end()
        for part in line.divide(ends):
            part.rstrip()
            yield part


def unbroken(text: str | Text, style: str = "") -> Text:
    """A paragraph whose lines end between words only: a long path stays one, so that it can be copied."""
    from rich.text import Text

    made = Text(text, style=style) if isinstance(text, str) else text
    made.overflow = "ignore"
    return made


# Below this many columns a label stands above its text, instead of beside it.
_BESIDE = 60


def labelled(label: str, text: str, style: str, width: int, *, column: int = 14) -> RenderableType:
    """`label`, and `text` beside it; below it on a narrow terminal."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    if width < _BESIDE and column > 8:
        row = Table(box=None, padding=0, pad_edge=False, show_header=False)
        row.add_column(overflow="fold")
        row.add_row(Text(label, style=style))
        lines = "\n".join(line.plain for line in _wrapped(Text(text), width - 2))
        row.add_row(Padding(lines, (0, 0, 0, 2)))
        return row
    row = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    row.add_column(width=column, no_wrap=True)
    row.add_column(overflow="fold")
    beside = _wrapped(Text(text), width - column - GAP)
    row.add_row(Text(label, style=style), "\n".join(line.plain for line in beside))
    return row


def command(label: str, words: str, width: int) -> Text:
    """`label`, and a command to type; below the label where one line is too short for both.

    It can be copied as it stands: a line that the command goes on after ends with a backslash, as a shell wants it.
    """
    from rich.text import Text

    lines = [f"{label} {words}"]
    if len(lines[0]) > width:
        lines = [label, *(f"  {line}" for line in _continued(words, width - 2))]
    text = Text("\n".join(lines), style="bold cyan", no_wrap=True, overflow="ignore")
    text.stylize("default", 0, len(label))
    return text


def _continued(words: str, width: int) -> list[str]:
    if len(words) <= width:
        return [words]
    lines = [""]
    for word in _SHELL_WORD.findall(words):
        if lines[-1].strip() and len(lines[-1]) + len(word) + 3 > width:  # a blank before it, two characters behind
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def fitting(widths: dict[str, int], dropped: Sequence[str], width: int) -> tuple[list[str], int]:
    """The columns of a table (name → width, GAP between two) that `width` has room for, and how much they take.

    `dropped` names what goes, first things first; the others stay, whatever the width.
    """
    for count in range(len(dropped) + 1):
        names = [name for name in widths if name not in dropped[:count]]
        taken = sum(widths[name] + GAP for name in names) - GAP
        if taken <= width:
            break
    return names, taken


def shortened(text: str, width: int) -> str:
    """At most `width` characters, the last one … where there are more."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
