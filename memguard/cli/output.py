"""Where a command's result goes: text or JSON to stdout, with the terminal's width and colours respected; notes and
errors to stderr. All of memguard's own output passes here, where control characters are made visible, and where what
is not UTF-8 gets ASCII in the place of memguard's own bars, dashes and arrows.
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

# What memguard's own text holds beside ASCII. Bars, marks and dashes keep their width, so that tables stay straight.
_IN_ASCII = {
    **dict.fromkeys("█▉▊▋▌▍▎▏●", "#"),
    **dict.fromkeys("│├", "|"),
    **dict.fromkeys("─–−", "-"),
    **dict.fromkeys("»▶❯➜", ">"),
    "·": ".",
    "⋯": ":",
    "└": "`",
    "○": "o",
    "≈": "~",
    "×": "x",
    "÷": "/",
    "→": "->",
    "…": "...",
    "—": "--",
    "≤": "<=",
    "≥": ">=",
    "±": "+-",
    "µ": "u",
    "Σ": "sum ",
    "²": "^2",
    "³": "^3",
}
_ASCII_TABLE = str.maketrans(_IN_ASCII)
_CUT_OFF = "…\n"  # a line that is cut off at the terminal's edge has room for one character there


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
    """JSON has escapes of its own, for control characters and for what the stream cannot encode."""
    text = to_json(record) + "\n"
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:  # outside of its strings JSON is ASCII
        text = "".join(letter if letter.isascii() else _json_escape(letter) for letter in text)
    sys.stdout.write(text)


def _json_escape(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def write_report(text: str) -> None:
    """Several lines to stderr, of a command whose stdout is somebody else's."""
    _write(sys.stderr, printable(text))
    sys.stderr.flush()


def note(line: str) -> None:
    """One line to stderr, whatever names stand in it."""
    _write(sys.stderr, visible(line) + "\n")
    sys.stderr.flush()


def _write(stream: TextIO, text: str) -> None:
    encoding = _plain_encoding(stream)
    if encoding is not None:
        text = text.replace(_CUT_OFF, ">\n").translate(_ASCII_TABLE)
        text = text.encode(encoding, "backslashreplace").decode(encoding)  # names that it has no letters for
    stream.write(text)


def _plain_encoding(stream: TextIO) -> str | None:
    """What `stream` is in where that is not UTF-8. LC_ALL=C asks for ASCII, though Python itself writes UTF-8 then (PEP
    540), unless PYTHONIOENCODING or PYTHONUTF8 says more.
    """
    encoding: str = getattr(stream, "encoding", None) or "ascii"
    if not encoding.lower().startswith("utf"):
        return encoding
    asked = os.environ.get("PYTHONIOENCODING") or os.environ.get("PYTHONUTF8") == "1"
    return "ascii" if not asked and os.environ.get("LC_ALL") in ("C", "POSIX") else None
