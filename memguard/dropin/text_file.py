"""open_text and read_text: a text file whose read() leaves the text in the file."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from memguard.dropin.source import file_source, spill_source
from memguard.dropin.spill import SpillFile
from memguard.dropin.text import LazyText

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["TextFile", "open_text", "read_text"]

_STEP = 1 << 20  # characters that are decoded at a time


def open_text(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Callable[[str, int], int] | None = None,
) -> Any:
    """open(), with its arguments and its errors; read() of a whole text file gives a LazyText.

    A text in UTF-8 without carriage returns is read where it is. Any other encoding, `errors` and "\\r\\n" are decoded
    once, into a file without a name of the text's size. Modes other than "r" and "rt" give open()'s own file; so do
    read(n), readline and iteration, and read() of what is no regular file or where reading has begun already.
    """
    opened = open(file, mode, buffering, encoding, errors, newline, closefd, opener)  # noqa: SIM115
    return TextFile(opened, newline) if set(mode) <= set("rt") else opened


def read_text(path: Any, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> Any:
    """pathlib.Path(path).read_text(encoding, errors) as a LazyText."""
    with open_text(path, "r", encoding=encoding, errors=errors, newline=newline) as file:
        return file.read()


class TextFile:
    """A text file opened for reading; all but read() is the file's own."""

    def __init__(self, file: IO[str], newline: str | None) -> None:
        self._file, self._newline = file, newline

    def read(self, size: int | None = -1, /) -> str | LazyText:
        everything = size is None or (type(size) is int and size < 0)
        if not everything or not self._is_whole():
            return self._file.read(size)  # type: ignore[arg-type]  # None too, and what is no int for its error
        text = self._where_it_is() if self._is_utf8() else None
        if text is None:
            text = self._decoded()
        if text is None:
            self._file.seek(0)
            return self._file.read()
        self._file.seek(0, os.SEEK_END)
        return text

    def _is_whole(self) -> bool:
        """Whether a regular file is to be read from its beginning."""
        if self._file.closed:
            return False  # it says so itself
        try:
            descriptor = self._file.fileno()
            return stat.S_ISREG(os.fstat(descriptor).st_mode) and self._file.tell() == 0
        except OSError:  # iteration has begun, or it is not seekable
            return False

    def _is_utf8(self) -> bool:
        file = cast("Any", self._file)
        return file.errors == "strict" and codecs.lookup(file.encoding).name == "utf-8"

    def _where_it_is(self) -> LazyText | None:
        source = file_source(self._file.fileno(), self._file.name)
        translated = self._newline is None
        if not source.index((lambda data: b"\r" not in data) if translated else None):
            return None
        return LazyText(source)

    def _decoded(self) -> LazyText | None:
        """None where that raises, so that reading it all at once raises it in full, or has characters that no UTF-8
        has."""
        spill = SpillFile()
        try:
            while block := self._file.read(_STEP):
                spill.append(block.encode())
        except UnicodeError:
            return None
        return LazyText(spill_source(spill))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> TextFile:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, traceback)

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __next__(self) -> str:
        return next(self._file)
