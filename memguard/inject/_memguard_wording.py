"""What was found, in figures and in one sentence: what it is, what it holds, what it would be as token ids on disk.

    all_tokens (list, 41,200,000 ints) at prepare.py:23 holds 1.48 GiB, 36 bytes a token; as uint16 it would be 79 MiB

Standard library only, Python 3.8 or later.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType  # noqa: F401
    from typing import Any  # noqa: F401

_agent = sys.modules["_memguard_agent"]  # type: Any
_sizes = _agent.load("_memguard_sizes")  # type: Any
_visible = _agent.load("_memguard_visible").visible  # type: Any
_variables = _agent.load("_memguard_variables")  # type: Any

_ALIASES = 8
_CELL = 1 << 16  # characters of a cell
_COUNTED = 100000  # inner lists whose lengths are added up; beyond that, those of a sample
_INNER = 100  # inner lists whose elements are looked at
_INNER_IDS = 12  # and so many of each
_INT_CODES = "bBhHiIlLqQ"  # of array.array
_UINT16, _UINT32 = 1 << 16, 1 << 32
_PLURALS = {"int": "ints", "float": "floats", "str": "strings", "bytes": "bytes objects", "dict": "dicts"}
_ADVICE_IDS = (
    "write the ids out as they come (memguard.ShardWriter), or keep them in array('{code}'): {size} bytes a token"
)
_ADVICE_ARRAY = (
    "dtype {dtype} holds these ids in {size} bytes a token; write shards as they fill (memguard.ShardWriter)"
)
_ADVICE_TEXT = "read the text in blocks instead of at once: memguard.iter_token_blocks(path), or for line in file"
_ADVICE_ROWS = "take one item at a time from its source instead of keeping them all; flush what is done"
_ADVICE_BYTES = "write it out in pieces as it grows"


def cells(frame):
    # type: (FrameType | None) -> dict[str, Any]
    """{file: {"name": "In[3]", "source": the cell's text}} of a notebook's cells on the stack: no file has them."""
    shell = _variables.notebook()
    found = {}  # type: dict[str, Any]
    if shell is None:
        return found
    lines = sys.modules.get("linecache")  # type: Any  # loaded wherever IPython is
    for one in _variables.script_frames(frame)[0]:
        file = one.f_code.co_filename
        name = _variables.cell_name(shell, file)
        if name and file not in found and lines is not None:
            found[file] = {"name": name, "source": "".join(lines.getlines(file))[:_CELL]}
    return found


def describe(one):
    # type: (Any) -> dict[str, Any]
    value, held = one.value, round(one.bytes)
    length = _length(value)
    try:
        count, largest = token_ids(value)
    except BaseException:  # of a user's own __len__ or __getitem__
        count, largest = 0, 0
    try:
        items = _items(value)
    except BaseException:
        items = "items"
    width = 2 if largest < _UINT16 else 4 if largest < _UINT32 else 8
    per_item = held / float(count) if count else held / float(length) if length else None
    found = {
        "variable": one.name,
        "type": type(value).__name__,
        "length": length,
        "file": one.file,
        "line": one.line,
        "function": one.function,
        "bytes": held,
        "bytes_as_uint16": 2 * count if count and width == 2 else None,
        "bytes_per_item": None if per_item is None else round(per_item, 2),
        "tokens": count or None,
        "advice": _advice(value, count, width, per_item),
    }
    if one.aliases:
        found["aliases"] = sorted(set(one.aliases))[:_ALIASES]
    if one.unnamed:
        found.update(unnamed=True, built=one.built)
    found["text"] = _visible(_sentence(found, items, width))
    return found


def _sentence(found, items, width):
    # type: (dict[str, Any], str, int) -> str
    size = "" if found["length"] is None else ", %s %s" % (format(found["length"], ","), items)
    line = "" if found["line"] is None else ":%d" % found["line"]
    text = "%s (%s%s) at %s%s holds %s" % (
        found["variable"],
        found["type"],
        size,
        _base(found["file"]),
        line,
        human(found["bytes"]),
    )
    if found["tokens"] and found["bytes_per_item"]:
        text += ", %s bytes a token" % _figure(found["bytes_per_item"])
        if width < 8 and width * found["tokens"] < 0.9 * found["bytes"]:
            text += "; as uint%d it would be %s" % (8 * width, human(width * found["tokens"]))
    return text


def _base(file):
    # type: (str) -> str
    shell = _variables.notebook()
    return (_variables.cell_name(shell, file) if shell is not None else "") or os.path.basename(file)


def human(size):
    # type: (float) -> str
    """`1586495488` → `1.48 GiB`, as memguard writes sizes everywhere."""
    value = float(size)
    if value < 1024:
        return "%.0f B" % value
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        value, unit = value / 1024, larger
        if value < 999.5:
            break
    return "%.*f %s" % (2 if value < 9.995 else 1 if value < 99.95 else 0, value, unit)


def _figure(value):
    # type: (float) -> str
    return "%.0f" % value if value >= 9.5 or abs(value - round(value)) < 0.05 else "%.1f" % value


def _length(value):
    # type: (Any) -> int | None
    try:
        if _sizes.is_ndarray(value):
            return int(value.size)
        return len(value)
    except BaseException:  # a user's __len__ may raise SystemExit
        return None


def _items(value):
    # type: (Any) -> str
    """What the elements are, from a few of them: "ints", "lists", "values"."""
    if isinstance(value, str):
        return "characters"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes"
    if _sizes.is_ndarray(value):
        return str(value.dtype)
    if _sizes.library(value) == "array":
        return "values of type %r" % value.typecode
    if isinstance(value, dict):
        return "entries"
    if isinstance(value, _sizes.CONTAINERS):
        kinds = {type(part).__name__ for part in _sizes.sample(value, 32)}
        if len(kinds) == 1:
            kind = kinds.pop()
            return _PLURALS.get(kind, kind + "s")
        return "elements"
    return "rows" if hasattr(value, "columns") else "items"


def token_ids(value, nested=True):
    # type: (Any, bool) -> tuple[int, int]
    """(how many token ids `value` holds, the largest one of a sample); (0, 0) where it holds anything else.

    A sequence of non-negative whole numbers, or one of such sequences. A set or a dict is no sequence of ids.
    """
    number = _sizes.SAMPLE if nested else _INNER_IDS
    if _sizes.is_ndarray(value):
        if value.dtype.kind not in "iu" or not value.size:
            return 0, 0
        flat = value.reshape(-1)
        found = [int(flat[position]) for position in _sizes.spread(len(flat), min(len(flat), number))]
        return (len(flat), max(found)) if min(found) >= 0 else (0, 0)
    if _sizes.library(value) == "array" and value.typecode not in _INT_CODES:
        return 0, 0
    if not (_sizes.library(value) == "array" or isinstance(value, (list, tuple, _sizes.deque))) or not len(value):
        return 0, 0
    if _sizes.library(value) == "array":
        parts = [value[position] for position in _sizes.spread(len(value), min(len(value), number))]
    else:
        parts = _sizes.sample(value, number)
    if parts and all(type(part) is int for part in parts):
        return (len(value), max(parts)) if min(parts) >= 0 else (0, 0)
    return _nested_ids(value, parts) if nested else (0, 0)


def _nested_ids(value, parts):
    # type: (Any, list[Any]) -> tuple[int, int]
    inner = [token_ids(part, nested=False) for part in parts[:: max(1, len(parts) // _INNER)] if _length(part)]
    if not inner or not all(count for count, _ in inner):
        return 0, 0
    if len(value) <= _COUNTED and isinstance(value, (list, tuple)):
        count = sum(len(part) for part in value)
    else:
        count = round(len(value) * sum(_length(part) or 0 for part in parts) / float(len(parts)))
    return count, max(largest for _, largest in inner)


def _advice(value, count, width, per_item):
    # type: (Any, int, int, float | None) -> str | None
    if count and width < 8 and per_item and per_item > width * 1.1:
        if _sizes.is_ndarray(value):
            return _ADVICE_ARRAY.format(dtype="uint%d" % (8 * width), size=width)
        return _ADVICE_IDS.format(code="H" if width == 2 else "I", size=width)
    if count:
        return "write shards as they fill instead of keeping all: memguard.ShardWriter"
    if isinstance(value, str):
        return _ADVICE_TEXT
    if isinstance(value, (bytes, bytearray)):
        return _ADVICE_BYTES
    return _ADVICE_ROWS if isinstance(value, _sizes.CONTAINERS) else None
