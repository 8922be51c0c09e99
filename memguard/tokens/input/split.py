"""Where a text may be cut so that encode(left) + encode(right) is exactly encode(left + right). Pure.

A byte-pair encoding first splits the text by a pattern and never merges across the pieces. A cut is safe where every
text with these two neighbouring characters has a piece boundary, and where neither side's pieces change when the
other is taken away. That depends on the pattern, so there is one set of rules per family of patterns; each is held
against tiktoken itself, at every position of random texts (tests/tokens/test_split.py).

Whitespace is Unicode's White_Space, as in tiktoken's regex engine (Python's isspace() also takes U+001C to U+001F).
A character counts as a letter, number, mark or other only where Unicode 3.2 and this Python's Unicode agree, because
the regex engine's tables are a third version: newly assigned characters are never next to a cut that looks at them.
"""

from __future__ import annotations

import re
import unicodedata

from memguard.tokens.input.utf8 import Bytes

__all__ = ["FAMILIES", "PATTERNS", "first_cut", "last_cut"]

# Letters of the class string that the rules below are written in:
#   C carriage return or line feed   W other white space   L letter   N number   M mark   Q apostrophe
#   O punctuation or symbol          X something else that is certainly no white space      ? never next to a cut
_WHITE_SPACE = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_NEVER = "\u180e"  # white space until Unicode 6.3


class _Classes(dict[int, str]):
    """Code point → class letter, filled in as str.translate asks for it."""

    def __missing__(self, code: int) -> str:
        letter = self[code] = _classify(chr(code))
        return letter


def _classify(character: str) -> str:
    if character in _WHITE_SPACE:
        return "C" if character in "\r\n" else "W"
    if character == "'":
        return "Q"
    if character in _NEVER or "\ud800" <= character <= "\udfff":  # a surrogate here is a byte that is not UTF-8
        return "?"
    now, then = unicodedata.category(character)[0], unicodedata.ucd_3_2_0.category(character)[0]
    if now != then:
        return "O" if {now, then} <= {"P", "S"} else "X"
    return {"L": "L", "N": "N", "M": "M", "P": "O", "S": "O"}.get(now, "X")


_CLASSES = _Classes()

# A match starts at the character that the cut comes before.
FAMILIES: dict[str, re.Pattern[str]] = {
    # GPT-2's own pattern (gpt2, r50k_base, p50k_base, p50k_edit): pieces are runs of one class with at most one space
    # before them. Any white space after something else, any change between letter, number and other; an apostrophe
    # belongs to the letters behind it (`'s`, `'ll`).
    "r50k": re.compile("(?<=[LNMOQX])[WC]|(?<=L)[NOMQ]|(?<=N)[LOMQ]|(?<=[OM])[LN]|(?<=Q)N"),
    # cl100k_base: a character may stick to the letters behind it, line ends to the punctuation before them.
    "cl100k": re.compile("(?<=[LNMOQX])W|(?<=[LN])[CO]"),
    # o200k_base, o200k_harmony: marks count as letters too, and contractions are part of their word.
    "o200k": re.compile("(?<=[LNMOQX])W|(?<=[LN])[CO]"),
}

# The splitting patterns themselves, in the spellings that are in use (each is held against the rules by its tests). An
# encoding of somebody else's is cut by these rules where its pattern is one of them: Llama 3's is cl100k's.
_TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_WORD = r"[^\r\n\p{L}\p{N}]?"
PATTERNS: dict[str, tuple[str, ...]] = {
    "r50k": (
        r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
        r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
        r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    ),
    "cl100k": (
        _ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _TAIL,
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|"""
        r"""\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
    ),
    "o200k": (
        f"{_WORD}{_UPPER}*{_LOWER}+{_ENDINGS}?|{_WORD}{_UPPER}+{_LOWER}*{_ENDINGS}?"
        + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*"
        + _TAIL,
    ),
}

# The one cut that is safe in every family and can be seen in bytes: a space after visible ASCII.
_SPACE = re.compile(rb"(?<=[\x21-\x7e]) ")

_FIRST_WINDOW = 1 << 8  # bytes; doubled while no cut is found, so that a search costs what it looks at


def last_cut(data: Bytes, family: str, *, low: int = 1) -> int | None:
    """The last safe cut at or after byte `low` and before the end of `data`; None where there is none.

    Bytes that are not UTF-8 are allowed; no cut is next to one.
    """
    low, end, width = max(1, low), len(data), _FIRST_WINDOW
    while end > low:
        start = max(low, end - width)
        cut = _last_in(data, family, start, end)
        if cut is not None:
            return cut
        end, width = start, 2 * width
    return None


def first_cut(data: Bytes, family: str, low: int) -> int | None:
    """The first safe cut at or after byte `low` and before the end of `data`; None where there is none.

    It depends on nothing but the bytes around it: the same one is found however the text was divided before.
    """
    start, width = max(1, low), _FIRST_WINDOW
    while start < len(data):
        end = min(len(data), start + width)
        cut = _search(data, family, start, end, last=False)
        if cut is not None:
            return cut
        start, width = end, 2 * width
    return None


def _last_in(data: Bytes, family: str, start: int, end: int) -> int | None:
    space = None
    for space in _SPACE.finditer(data, start, end):  # noqa: B007
        pass
    return space.start() if space else _search(data, family, start, end, last=True)


def _search(data: Bytes, family: str, start: int, end: int, *, last: bool) -> int | None:
    """The first or last cut p with start ≤ p < end, by the family's rules.

    Whole characters are looked at: the window is widened to the left by the character before `start`, and to the
    right by the rest of the one that begins before `end`.
    """
    left = _character_start(data, start - 1)
    right = end
    while right < len(data) and 0x80 <= data[right] < 0xC0 and right < end + 3:
        right += 1
    text = data[left:right].decode("utf-8", "surrogateescape")
    found = [match.start() for match in FAMILIES[family].finditer(text.translate(_CLASSES))]
    for index in reversed(found) if last else found:
        cut = left + len(text[:index].encode("utf-8", "surrogateescape"))
        if start <= cut < end:  # the widening may have shown one or two that lie outside
            return cut
    return None


def _character_start(data: Bytes, position: int) -> int:
    """The start of the character that holds byte `position` (that byte itself where this is not UTF-8)."""
    start = position
    while start > 0 and position - start < 3 and 0x80 <= data[start] < 0xC0:
        start -= 1
    return start
