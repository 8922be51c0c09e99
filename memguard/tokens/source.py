"""Files → blocks that end at safe cuts, in order, without ever holding more than a block and its carry.

Bytes are read as they are: no newline translation, and a byte order mark is text like any other (it is for tiktoken).
Every file is one text of its own. UTF-8 is checked later, by the workers; where a text may be cut is split.py's matter.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from memguard.errors import ConfigError, InputError
from memguard.records.manifest import InputFile
from memguard.tokens.split import first_cut, last_cut
from memguard.units import MIB, format_size

__all__ = ["Block", "Source", "inspect_sources", "read_blocks"]

_HEAD = MIB  # bytes that InputFile.sha256_head covers

# First bytes of files that hold no plain text, and how to get at the text.
_NOT_TEXT = (
    (b"\xff\xfe\x00\x00", "UTF-32 text", "iconv -f UTF-32 -t UTF-8 {path} > text.txt"),
    (b"\xff\xfe", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 {path} > text.txt"),
    (b"\xfe\xff", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 {path} > text.txt"),
    (
        b"\x1f\x8b",
        "a gzip file",
        "zcat {path} > text.txt, or: zcat {path} | memguard tokenize --val-fraction 0 - -o DIR",
    ),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "zstdcat {path} > text.txt"),
    (b"\xfd7zXZ\x00", "an xz file", "xzcat {path} > text.txt"),
    (b"BZh", "a bzip2 file", "bzcat {path} > text.txt"),
    (b"PK\x03\x04", "a zip file", "unzip it first"),
    (b"PAR1", "a Parquet file", "write its text column to a text file first"),
    (b"ARROW1", "an Arrow file", "write its text column to a text file first"),
    (b"\x93NUMPY", "a NumPy array", "give the text that it was made from"),
    (b"%PDF-", "a PDF", "pdftotext {path} text.txt"),
    (b"\x7fELF", "a program", "give a text file"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read; `-` is stdin. `size` and `mtime` are None for what is no regular file."""

    path: str
    size: int | None
    mtime: float | None


@dataclass(slots=True)
class Block:
    data: bytes
    path: str
    offset: int  # of data[0] in its file
    split: str  # train | val
    ends_file: bool = False
    finished: InputFile | None = field(default=None)  # with the last block of each file


def inspect_sources(paths: list[str]) -> list[Source]:
    """Checks that every path can be read and holds text, before any work is done. Raises InputError."""
    if not paths:
        raise ConfigError("no input file", "memguard tokenize FILE -o DIR")
    if paths.count("-") > 1:
        raise ConfigError("stdin (-) can be read once only")
    sources = [_inspect(path) for path in paths]
    if all(source.size == 0 for source in sources):
        what = f"{paths[0]} is empty" if len(paths) == 1 else "all input files are empty"
        raise InputError(what, "there is nothing to tokenize", path=paths[0])
    return sources


def _inspect(path: str) -> Source:
    if path == "-":
        return Source(path, None, None)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path} is a directory", f"name its files: {os.path.join(path, '*.txt')}", path=path)
        if not stat.S_ISREG(status.st_mode):
            return Source(path, None, None)  # a pipe: opened once, when its turn comes
        with open(path, "rb", buffering=0) as file:
            _refuse_binary(path, file.read(16) or b"")
    except OSError as error:
        raise _cannot_read(path, error) from None
    return Source(path, status.st_size, status.st_mtime)


def _refuse_binary(path: str, head: bytes) -> None:
    for magic, what, mend in _NOT_TEXT:
        if head.startswith(magic):
            raise InputError(f"{path} is {what}, not UTF-8 text", mend.format(path=path), path=path, offset=0)


def _cannot_read(path: str, error: OSError) -> InputError:
    hint = {
        FileNotFoundError: "check the name; a pattern such as *.txt that matches nothing is passed on as it is",
        PermissionError: "the file exists, but you may not read it",
    }.get(type(error), "")
    return InputError(f"cannot read {path}: {error.strerror or error}", hint, path=path)


def read_blocks(
    sources: list[Source], *, family: str | None, block: int, longest_piece: int, split_at: int | None = None
) -> Generator[Block, None, None]:
    """The text of all sources in order, in blocks of about `block` bytes that end at safe cuts or with their file.

    `split_at` counts bytes over all sources: blocks are `train` up to the first safe cut at or after it (the end of a
    file is one), and `val` from there. That place does not depend on `block`. A file's last block has `ends_file`.
    Raises InputError when a piece of more than `longest_piece` bytes has no safe cut.
    """
    before = 0  # bytes of the files before this one
    for source in sources:
        place = None if split_at is None else split_at - before
        reader = _FileReader(source, family, block, longest_piece, place)
        yield from reader.blocks()
        before += reader.position


class _FileReader:
    def __init__(
        self, source: Source, family: str | None, block: int, longest_piece: int, split_at: int | None
    ) -> None:
        self.source, self.family, self.block, self.longest_piece = source, family, block, longest_piece
        self.split_at = split_at  # None: all of it is train
        self.position = 0  # bytes yielded
        self._read = 0
        self._head = hashlib.sha256()

    def blocks(self) -> Iterator[Block]:
        path = self.source.path
        try:
            with open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-") as file:
                yield from self._blocks(file)
        except OSError as error:
            raise _cannot_read(path, error) from None

    def _blocks(self, file: BinaryIO) -> Iterator[Block]:
        data = self._fill(file)
        if self.source.size is None:
            _refuse_binary(self.source.path, data[:16])
        while len(data) >= self.block:
            cut, data = self._cut(file, data)
            if cut is None:  # the file ended meanwhile
                break
            yield from self._divide(data, cut)
            data = data[cut:]
            data += self._fill(file, self.block - len(data))
        self._check_unchanged(file)
        *blocks, last = list(self._divide(data, len(data))) or [self._block(b"", self._split())]
        yield from blocks
        last.ends_file = True
        last.finished = InputFile(self.source.path, self.position, self.source.mtime, self._head.hexdigest())
        yield last

    def _cut(self, file: BinaryIO, data: bytes) -> tuple[int | None, bytes]:
        """The last safe cut in `data`, which is grown while it has none; None at the end of the file."""
        searched = 1
        while True:
            cut = last_cut(data, self.family, low=searched) if self.family else None
            if cut is not None:
                return cut, data
            if len(data) >= self.longest_piece:
                raise self._too_long()
            searched = max(1, len(data) - 4)
            more = self._fill(file, min(max(self.block, len(data)), self.longest_piece - len(data)))
            if not more:
                return None, data
            data += more

    def _too_long(self) -> InputError:
        path, size = self.source.path, format_size(self.longest_piece)
        if self.family is None:
            return InputError(
                f"{path}: no safe place to cut is known for this encoding, and the file is longer than {size}",
                "a larger --max-memory takes a longer file",
                path=path,
                offset=self.position,
            )
        return InputError(
            f"{path}: no safe place to cut in the {size} from byte {self.position:,} on (no space, no punctuation)",
            "is this text? If so: a larger --max-memory takes a longer piece",
            path=path,
            offset=self.position,
        )

    def _divide(self, data: bytes, end: int) -> Iterator[Block]:
        """data[:end] as one block, or as two where the train part ends inside."""
        place = None if self.split_at is None or self._split() == "val" else self.split_at - self.position
        if place is not None and place < end and self.family:
            cut = first_cut(data, self.family, place)
            if cut is not None and cut < end:
                yield self._block(data[:cut], "train")
                self.split_at = self.position
                yield self._block(data[cut:end], "val")
                return
        if end:
            yield self._block(data[:end], self._split())

    def _split(self) -> str:
        return "val" if self.split_at is not None and self.position >= self.split_at else "train"

    def _block(self, data: bytes, split: str) -> Block:
        block = Block(data, self.source.path, self.position, split)
        self.position += len(data)
        return block

    def _fill(self, file: BinaryIO, size: int | None = None) -> bytes:
        """`size` bytes (one block where not given); fewer at the end of the file only."""
        wanted = self.block if size is None else size
        parts = []
        while wanted > 0:
            part = file.read(wanted)
            if not part:
                break
            parts.append(part)
            wanted -= len(part)
            if self._read < _HEAD:
                self._head.update(part[: _HEAD - self._read])
            self._read += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _check_unchanged(self, file: BinaryIO) -> None:
        if self.source.size is None:
            return
        now = os.fstat(file.fileno())
        if (now.st_size, now.st_mtime) != (self.source.size, self.source.mtime) or self._read != self.source.size:
            raise InputError(
                f"{self.source.path} changed while it was read",
                "wait until it is complete, then start again",
                path=self.source.path,
                offset=self._read,
            )
