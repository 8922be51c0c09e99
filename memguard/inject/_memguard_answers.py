"""What the agent tells the guard: one line of JSON each, appended to the run's events.jsonl.

The encoder is the agent's own. `import json` would find the user's json.py, should one lie beside the script, and a
module of the standard library that the script has not asked for would be in its sys.modules. No import, Python 3.8 on.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401

_SHORT = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def report(run, event):
    # type: (Any, dict[str, Any]) -> None
    """One line, in one write(): the lines of several processes never mix."""
    descriptor = os.open(run.events, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(descriptor, (encode(event) + "\n").encode("ascii"))
    finally:
        os.close(descriptor)


def encode(value):
    # type: (Any) -> str
    """JSON in ASCII of None, bools, ints, floats, strings, and of lists, tuples and dicts of them.

    A subclass is written as what it derives from, and none of its own methods is called. JSON has no infinity and no
    NaN: they become null. Raises TypeError for anything else.
    """
    kind = type(value)
    if value is None or value is True or value is False:
        return "null" if value is None else "true" if value else "false"
    if issubclass(kind, str):
        return _string(value)
    if issubclass(kind, int):
        return int.__repr__(value)
    if issubclass(kind, float):
        text = float.__repr__(value)
        return "null" if text.lstrip("-") in ("inf", "nan") else text
    if issubclass(kind, (list, tuple)):
        parts = list.__iter__(value) if issubclass(kind, list) else tuple.__iter__(value)
        return "[" + ", ".join([encode(part) for part in parts]) + "]"
    if issubclass(kind, dict):
        return "{" + ", ".join([_key(key) + ": " + encode(part) for key, part in dict.items(value)]) + "}"
    raise TypeError("no JSON for a value of type " + kind.__name__)


def _key(key):
    # type: (Any) -> str
    return _string(key) if issubclass(type(key), str) else '"' + encode(key) + '"'


def _string(text):
    # type: (str) -> str
    """A lone surrogate stays one, as json.dumps leaves it: that is how Python holds a file name that is not UTF-8."""
    return '"' + "".join([_character(ord(letter)) for letter in str.__iter__(text)]) + '"'


def _character(code):
    # type: (int) -> str
    if code in _SHORT:
        return _SHORT[code]
    if 32 <= code < 127:
        return chr(code)
    if code < 0x10000:
        return "\\u%04x" % code
    code -= 0x10000
    return "\\u%04x\\u%04x" % (0xD800 | code >> 10, 0xDC00 | code & 0x3FF)
