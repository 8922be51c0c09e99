"""What is to be read: files, directories, patterns, stdin and URLs → Sources, each openable as a stream of bytes.

`find_sources` expands and checks every name before any work is done; `ByteReader` reads one of them from any place
on, decompressed, and notices when the file changes meanwhile. Bytes are taken as they are: no newline translation,
and a byte order mark is text like any other (it is for tiktoken). What a document is, is documents.py's matter.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from memguard.errors import ConfigError, EngineNotInstalled, InputError
from memguard.records.manifest import InputFile
from memguard.tokens.input.compressed import compression_of, decompressed, readable
from memguard.units import MIB

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = [
    "KINDS",
    "ByteReader",
    "Source",
    "cannot_read",
    "check_unchanged",
    "find_sources",
    "is_url",
    "kind_of",
    "open_binary",
    "refuse_other_kinds",
]

_HEAD = MIB  # bytes that InputFile.sha256_head covers
_SKIP = MIB  # bytes read at a time while a compressed file is read again up to a place

# What a name says about a file: the kind of records in it.
_SUFFIXES = {
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
KINDS = tuple(dict.fromkeys(_SUFFIXES.values()))
_COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")

# First bytes of files that hold no plain text, and how to get at the text.
_NOT_TEXT = (
    (b"\xff\xfe\x00\x00", "UTF-32 text", "iconv -f UTF-32 -t UTF-8 {path} > text.txt"),
    (b"\xff\xfe", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 {path} > text.txt"),
    (b"\xfe\xff", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 {path} > text.txt"),
    (b"PK\x03\x04", "a zip file", "unzip it first"),
    (b"PAR1", "a Parquet file", "tokenize --input-format parquet reads its text column"),
    (b"ARROW1", "an Arrow file", "write its text column to a Parquet or text file first"),
    (b"\x93NUMPY", "a NumPy array", "give the text that it was made from"),
    (b"%PDF-", "a PDF", "pdftotext {path} text.txt"),
    (b"\x7fELF", "a program", "give a text file"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """One input. `-` is stdin. `size` (bytes as stored) and `mtime` are None for what is no regular file, and
    `sha256_head` (of the first MiB as stored) for what can be read once only."""

    path: str
    size: int | None
    mtime: float | None
    kind: str = "text"
    compression: str | None = None
    sha256_head: str | None = None
    stop: int | None = None  # where a task's part of it ends: byte of a plain file, row of Parquet; None: at its end

    @property
    def once(self) -> bool:
        """Stdin or a pipe: what was read is gone."""
        return self.sha256_head is None

    @property
    def text_size(self) -> int | None:
        """Bytes of text, where that is known before reading."""
        return None if self.compression or self.kind != "text" else self.size

    def as_input(self) -> InputFile:
        return InputFile(self.path, self.size or 0, self.mtime, self.sha256_head or "")


def is_url(path: str) -> bool:
    return "://" in path


def find_sources(paths: list[str], kind: str | None = None, *, head: int = _HEAD) -> list[Source]:
    """Every file that `paths` name, directories and patterns expanded, in a fixed order; each can be opened and is
    what it seems. `kind` overrides what the names say. `head`: bytes of each that are read, and that its sha256_head is
    of; less than usual for who does not keep that. Raises InputError, ConfigError."""
    if not paths:
        raise ConfigError("no input file", "memguard tokenize FILE -o DIR")
    if paths.count("-") > 1:
        raise ConfigError("stdin (-) can be read once only")
    sources = [_inspect(path, kind, head) for given in paths for path in _expand(given)]
    if all(source.size == 0 for source in sources):
        what = f"{sources[0].path} is empty" if len(sources) == 1 else "all input files are empty"
        raise InputError(what, "there is nothing to tokenize", path=sources[0].path)
    return sources


def _expand(path: str) -> list[str]:
    if path == "-" or is_url(path):
        return [path]
    if os.path.isdir(path):
        return _text_files(path)
    if glob.has_magic(path) and not os.path.lexists(path):
        found = sorted(name for name in glob.glob(path, recursive=True) if os.path.isfile(name))
        if not found:
            raise InputError(f"no file matches {path}", "check the pattern; ** goes through directories", path=path)
        return found
    return [path]


def _text_files(directory: str) -> list[str]:
    """The files below it that are text by their names, hidden ones left out, sorted by path."""
    found = []
    for parent, below, names in os.walk(directory):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [os.path.join(parent, name) for name in names if not name.startswith(".") and kind_of(name)]
    if not found:
        known = ", ".join(sorted(_SUFFIXES))
        raise InputError(
            f"the directory {directory} holds no file that is text by its name",
            f"looked for {known}, also with {', '.join(_COMPRESSED_SUFFIXES)} behind; name other files themselves",
            path=directory,
        )
    return sorted(found)


def kind_of(path: str) -> str | None:
    """What its name says a file holds, compressed or not; None where it is no text by its name."""
    stem, suffix = os.path.splitext(path.lower())
    if suffix in _COMPRESSED_SUFFIXES:
        suffix = os.path.splitext(stem)[1]
    return _SUFFIXES.get(suffix)


def _inspect(path: str, asked: str | None, head_size: int) -> Source:
    kind = asked or kind_of(path) or "text"
    if path == "-":
        return Source(path, None, None, kind)
    try:
        size, mtime = _size_and_time(path)
        if size is None:
            return Source(path, None, None, kind)  # a pipe: opened once, when its turn comes
        with open_binary(path) as file:
            head = _read_exactly(file, head_size)
    except OSError as error:
        raise cannot_read(path, error) from None
    compression = compression_of(head)
    if compression is None:
        if asked is None and head.startswith(b"PAR1"):
            kind = "parquet"
        _refuse_binary(path, head, kind)
    return Source(path, size, mtime, kind, compression, hashlib.sha256(head).hexdigest())


def _size_and_time(path: str) -> tuple[int | None, float | None]:
    """(None, None) for what is no regular file."""
    if is_url(path):
        system, name = _remote(path)
        size = system.info(name).get("size")
        return (None, None) if size is None else (int(size), None)
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(21, "Is a directory")
    return (status.st_size, status.st_mtime) if stat.S_ISREG(status.st_mode) else (None, None)


def _refuse_binary(path: str, head: bytes, kind: str) -> None:
    if kind == "parquet":
        if not head.startswith(b"PAR1"):
            raise InputError(f"{path} is no Parquet file", "--input-format text reads text", path=path, offset=0)
        return
    refuse_other_kinds(path, head)


def refuse_other_kinds(path: str, head: bytes) -> None:
    """Raises InputError where the first bytes are those of something else than UTF-8 text."""
    for magic, what, hint in _NOT_TEXT:
        if head.startswith(magic):
            raise InputError(f"{path} is {what}, not UTF-8 text", hint.format(path=path), path=path, offset=0)


def cannot_read(path: str, error: OSError) -> InputError:
    hint = {
        FileNotFoundError: "check the name",
        PermissionError: "the file exists, but you may not read it",
    }.get(type(error), "")
    return InputError(f"cannot read {path}: {error.strerror or error}", hint, path=path)


def _remote(path: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the name in it."""
    try:
        import fsspec
    except ImportError:
        raise EngineNotInstalled(f"{path} needs fsspec, which is not installed", extra="remote") from None
    try:
        system, name = fsspec.core.url_to_fs(path)
        return system, str(name)
    except (ImportError, ValueError) as error:  # the package of this kind of URL is missing, or there is no such kind
        raise ConfigError(f"cannot open {path}: {error}", "pip install what the message names") from None


def open_binary(path: str) -> BinaryIO:
    """Bytes as stored. The caller closes it, which leaves stdin itself open."""
    if is_url(path):
        system, name = _remote(path)
        return cast("BinaryIO", system.open(name, "rb"))
    return open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-")


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    """`size` bytes; fewer at the end of the file only."""
    parts = []
    while size > 0:
        part = file.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Prefixed(io.RawIOBase):
    """A stream whose first bytes were looked at already. `tell` is what the reader of it has had."""

    def __init__(self, first: bytes, file: BinaryIO) -> None:
        self._first, self._file, self._read = first, file, 0
        self.head = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._first[: len(buffer)] or self._file.read(len(buffer)) or b""
        self._first = self._first[len(data) :]
        buffer[: len(data)] = data
        if self._read < _HEAD:
            self.head.update(data[: _HEAD - self._read])
        self._read += len(data)
        return len(data)

    def tell(self) -> int:
        return self._read


class ByteReader:
    """The text bytes of one source, from byte `start` of the (decompressed) text on; a context manager."""

    def __init__(self, source: Source, start: int = 0) -> None:
        self.source, self.position = source, start
        self._files = contextlib.ExitStack()
        try:
            self._open(start)
        except OSError as error:
            self._files.close()
            raise cannot_read(source.path, error) from None
        except BaseException:
            self._files.close()
            raise

    def _open(self, start: int) -> None:
        path, compression = self.source.path, self.source.compression
        self._stored = self._files.enter_context(open_binary(path))
        self._once: _Prefixed | None = None
        stream = self._stored
        if self.source.once:
            first = _read_exactly(self._stored, 16)
            compression = compression_of(first)
            if compression is None:
                _refuse_binary(path, first, self.source.kind)
            self._once = _Prefixed(first, self._stored)
            stream = cast("BinaryIO", self._once)
        self._stream = decompressed(stream, compression, path) if compression else stream
        self._plain = compression is None
        if self._plain and start:
            self._stream.seek(start)
        while not self._plain and start > 0:
            with readable(path):
                skipped = len(self._stream.read(min(start, _SKIP)))
            if not skipped:
                break
            start -= skipped

    def __enter__(self) -> ByteReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer at the end only."""
        size = min(size, self._left(size))
        with self._errors():
            data = _read_exactly(self._stream, size)
        self.position += len(data)
        return data

    def read_behind(self, data: bytes | bytearray, size: int) -> bytearray:
        """`data` and the bytes that follow it, `size` in all; fewer at the end only. One copy less than data + read():
        a large text spends more time on such copies than on being read."""
        filled = len(data)
        size = min(size, filled + self._left(size))
        whole = bytearray(size)
        whole[:filled] = data
        with self._errors(), memoryview(whole) as left:
            while filled < size and (more := cast("io.RawIOBase", self._stream).readinto(left[filled:])):
                filled += more
                self.position += more
        del whole[filled:]
        return whole

    def _left(self, size: int) -> int:
        """Bytes up to the end of the part that is read; `size` where it is the end of the file."""
        return size if self.source.stop is None else max(0, self.source.stop - self.position)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with contextlib.nullcontext() if self._plain else readable(self.source.path):
                yield
        except OSError as error:
            raise cannot_read(self.source.path, error) from None

    @property
    def done(self) -> int:
        """Bytes read of the source as it is stored."""
        if self._once is not None:
            return self._once.tell()
        return self.position if self._plain else self._stored.tell()

    def finish(self) -> InputFile:
        """What was read, once all of it is. Raises InputError where the file changed meanwhile."""
        source = self.source
        if self._once is not None:
            return InputFile(source.path, self._once.tell(), None, self._once.head.hexdigest())
        check_unchanged(source, self._stored)
        if self._plain and self.position != (source.size if source.stop is None else source.stop):
            raise _changed(source, self.position)
        return source.as_input()


def check_unchanged(source: Source, file: BinaryIO) -> None:
    """By the size and time of the open file. A URL has neither."""
    if source.mtime is None:
        return
    now = os.fstat(file.fileno())
    if (now.st_size, now.st_mtime) != (source.size, source.mtime):
        raise _changed(source, None)


def _changed(source: Source, offset: int | None) -> InputError:
    hint = "wait until it is complete, then start again with --overwrite"
    return InputError(f"{source.path} changed while it was read", hint, path=source.path, offset=offset)
