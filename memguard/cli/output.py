"""Where a command's result goes: text or JSON to stdout, with the terminal's width and colours respected."""

from __future__ import annotations

import os
import sys

from memguard.records.codec import to_json

TYPE_CHECKING = False  # typing would cost the watcher 0.5 MiB
if TYPE_CHECKING:
    from typing import Any, TextIO

__all__ = ["terminal_width", "use_color", "write_json", "write_text"]


def use_color(stream: TextIO) -> bool:
    """Colours only on a terminal that can, and never against NO_COLOR (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def terminal_width(stream: TextIO) -> int:
    """Columns of `stream`'s terminal; COLUMNS where that is set; 100 where there is no terminal."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 100
    except (OSError, ValueError):
        return 100


def write_text(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def write_json(record: Any) -> None:
    write_text(to_json(record))
