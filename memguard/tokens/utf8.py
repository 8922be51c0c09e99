"""Bytes → bytes that are valid UTF-8, with the meaning that bytes.decode(errors=…) gives to `errors`. Pure."""

from __future__ import annotations

import codecs

__all__ = ["ERRORS", "clean"]

ERRORS = ("strict", "replace", "ignore")

# Bytes looked at in one step. Most steps of an English text are pure ASCII, which costs next to nothing to see; only
# the others are decoded (4 KiB: 1.6 times as fast as 64 KiB on English, 1.2 times on a text in many languages).
_SLICE = 1 << 12


def clean(data: bytes, errors: str = "strict") -> tuple[bytes, int]:
    """`data` as valid UTF-8, and how many of its bytes were replaced or left out.

    `strict` raises UnicodeDecodeError, its `start` the first bad byte. A text may be cleaned in parts if every part
    but the first begins with a byte that is no continuation byte: the parts joined are then the whole, cleaned.
    """
    if data.isascii():
        return data, 0
    try:
        _check(data)
    except UnicodeDecodeError:
        if errors == "strict":
            raise
        left = data.decode("utf-8", "ignore").encode("utf-8")
        text = left if errors == "ignore" else data.decode("utf-8", errors).encode("utf-8")
        return text, len(data) - len(left)
    return data, 0


def _check(data: bytes) -> None:
    position = 0
    while position < len(data):
        part = data[position : position + _SLICE]
        if part.isascii():
            position += len(part)
            continue
        final = position + len(part) == len(data)
        try:
            _, used = codecs.utf_8_decode(part, "strict", final)
        except UnicodeDecodeError as error:
            start, end = position + error.start, position + error.end
            raise UnicodeDecodeError("utf-8", data, start, end, error.reason) from None
        position += used
