"""Rich renderables as plain text: the one place that makes a Console. Pure: width and colour come from outside.

The renderers beside this file build tables and paragraphs; cli/output.py prints what they return.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["quoted", "to_text"]


def to_text(*renderables: RenderableType, width: int = 100, color: bool = False) -> str:
    """`renderables` one below the other, at most `width` columns wide; ends with a newline.

    Strings are taken literally: rich's markup, its emoji codes and its highlighting of numbers are off, since paths
    and log lines hold brackets and colons of their own. Use rich.text.Text or a style for emphasis. Without `color`
    the text carries no escape sequence. Trailing blanks are cut.
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
            console.print(renderable)
    lines = capture.get().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def quoted(text: str) -> str:
    """In quotes, line ends and other control characters spelled out as in Python, everything else as it is."""
    return "'" + "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text) + "'"
