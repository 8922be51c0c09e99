"""Where a command's result goes: text or JSON to stdout, with the terminal's width and colours respected; notes and
errors to stderr. All of memguard's own output passes here, where control characters are made visible.
"""

from __future__ import annotations

import os
import sys

from memguard.records.codec import to_json
from memguard.records.visible import printable, visible

TYPE_CHECKING = False  # typing would cost the watcher 0.5 MiB
if TYPE_CHECKING:
    from typing import Any, TextIO

__all__ = ["note", "terminal_width", "use_color", "write_json", "write_report", "write_text"]


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
    _write(sys.stdout, printable(text if text.endswith("\n") else text + "\n"))


def write_json(record: Any) -> None:
    _write(sys.stdout, to_json(record) + "\n")  # JSON has its own escapes


def write_report(text: str) -> None:
    """Several lines to stderr, of a command whose stdout is somebody else's."""
    _write(sys.stderr, printable(text))
    sys.stderr.flush()


def note(line: str) -> None:
    """One line to stderr, whatever names stand in it."""
    _write(sys.stderr, visible(line) + "\n")
    sys.stderr.flush()


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:  # a terminal that is set to Latin-1, say
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
