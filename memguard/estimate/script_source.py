"""The source of a script, or of a module of its own: a file → its text, decoded as Python would."""

from __future__ import annotations

import io
import os
import stat
import tokenize

from memguard.errors import InputError
from memguard.units import MIB

__all__ = ["read_source"]

_LARGEST_SCRIPT = 4 * MIB  # a prep script has some hundred lines


def read_source(path: str) -> str:
    """The script's text, decoded as Python would (PEP 263)."""
    try:
        if not stat.S_ISREG(mode := os.stat(path).st_mode):  # a FIFO would never end, nor would /dev/zero
            words = "is a directory" if stat.S_ISDIR(mode) else "is no regular file: a pipe, a socket or a device"
            raise InputError(f"{path}: {words}", "--script reads Python source: give it the script's file", path=path)
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            data = file.read(_LARGEST_SCRIPT + 1)
    except (OSError, ValueError) as error:  # a NUL in the name
        words = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: {words.lower()}", path=path) from None
    if len(data) > _LARGEST_SCRIPT:
        raise InputError(f"{path}: too large for a script", "--script reads Python source; files follow it", path=path)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError, ValueError):
        raise InputError(f"{path}: not Python source: it is not text in the encoding it declares", path=path) from None
