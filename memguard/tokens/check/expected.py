"""The text that the tokens of a job should say: its sources read again, as its recorded options say.

Whole text files are read here byte by byte, without the reader that made the tokens. What a document is (records,
lines, separators) and which split it went to by its hash is asked of the same code, blocks.py.
"""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from memguard.errors import InputError
from memguard.records.manifest import InputFile, Manifest, ManifestPart
from memguard.tokens.engine.encode import load_vocabulary
from memguard.tokens.input.blocks import Block, Division, Start, read_blocks
from memguard.tokens.input.documents import Sizes
from memguard.tokens.input.source import ByteReader, Source, find_sources
from memguard.tokens.input.utf8 import Bytes, clean
from memguard.tokens.options import Options

__all__ = ["Piece", "find_inputs", "options_of", "read_expected"]

_READ = 1 << 20  # bytes of a source at a time
_LONGEST = 1 << 26  # bytes of a record, or of a stretch without a safe cut


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the text; `ends_document` where a document ends behind it. `split` is None where the splits follow
    each other in the text. `offset` is the byte of its beginning in `source`: a file, or one document of it."""

    data: Bytes
    source: str
    offset: int
    ends_document: bool = False
    split: str | None = None


def options_of(manifest: Manifest, part: ManifestPart) -> Options:
    """What the job was asked for. Options that this version does not know are left out."""
    known = {field.name for field in dataclasses.fields(Options)}
    recorded = {key: value for key, value in part.options.items() if key in known}
    return Options(**{**recorded, "encoding": manifest.encoding.name, "format": manifest.format})  # type: ignore[arg-type]


def find_inputs(inputs: tuple[InputFile, ...], options: Options) -> list[Source]:
    """The sources as they are now. Raises InputError where one cannot be read (again)."""
    hint = "--source FILE where it has moved; --no-text checks the files and their ids alone"
    try:
        sources = [_find(known, options.input_format) for known in inputs]
    except InputError as error:
        error.hint = hint
        raise
    for source in sources:
        if source.once:
            name = "stdin" if source.path == "-" else f"the pipe {source.path}"
            raise InputError(f"the tokens were made from {name}, which cannot be read again", hint, path=source.path)
    return sources


def _find(known: InputFile, kind: str | None) -> Source:
    try:
        found = find_sources([known.path], kind)
    except InputError as error:
        if known.bytes or "is empty" not in error.message:
            raise
        return Source(known.path, 0, known.mtime, kind or "text", None, known.sha256_head)
    if [source.path for source in found] != [known.path]:  # a directory, or a pattern, took its name
        raise InputError(f"{known.path} is no file any more", path=known.path)
    return found[0]


def read_expected(sources: list[Source], options: Options) -> Iterator[Piece]:
    whole = options.separator is None and (options.documents or "file") == "file"
    if whole and options.val_by != "document" and all(source.kind == "text" for source in sources):
        for source in sources:
            yield from _whole_text(source, options.errors)
        return
    division = options.division(sources) if options.val_by == "document" else Division()
    family = load_vocabulary(options.encoding).family
    sizes = Sizes(_READ, _LONGEST, division.prefix)
    numbers = _Numbers()
    for block in read_blocks(sources, options.reading, division, family, sizes, Start()):
        yield from _pieces(block, options.errors, numbers, division)


def _whole_text(source: Source, errors: str) -> Iterator[Piece]:
    decoder = None if errors == "strict" else codecs.getincrementaldecoder("utf-8")(errors)
    with ByteReader(source) as reader:
        while True:
            offset = reader.position
            data = reader.read(_READ)
            text = data if decoder is None else decoder.decode(data, final=not data).encode()
            yield Piece(text, source.path, offset, ends_document=not data)
            if not data:
                return


@dataclass(slots=True)
class _Numbers:
    """Which document of its source comes next, and how much of its text has gone by."""

    source: str = ""
    document: int = 1
    offset: int = 0

    def label(self, source: str) -> str:
        if source != self.source:
            self.source, self.document, self.offset = source, 1, 0
        return f"{source}, document {self.document:,}"


def _pieces(block: Block, errors: str, numbers: _Numbers, division: Division) -> Iterator[Piece]:
    for part in block.parts:
        last = len(part.documents) - 1
        for index, document in enumerate(part.documents):
            data = clean(document, errors)[0]
            ends = index < last or part.ends
            split = part.split if division.fraction else None
            yield Piece(data, numbers.label(block.source.path), numbers.offset, ends, split)
            numbers.offset += len(data)
            if ends:
                numbers.document, numbers.offset = numbers.document + 1, 0
