"""One block of text → its ids as they are written: UTF-8 checked, special and end-of-text tokens in their places."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memguard.errors import InputError
from memguard.tokens.engine.encode import Engine, Vocabulary
from memguard.tokens.input.blocks import Block, BlockPart
from memguard.tokens.input.source import ByteReader
from memguard.tokens.input.special import Specials
from memguard.tokens.input.utf8 import Bytes, clean
from memguard.units import MIB

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.unsignedinteger]
    Ends = npt.NDArray[np.int64]

__all__ = ["EncodeSettings", "Encoded", "encode_block"]


@dataclass(slots=True)
class Encoded:
    """The ids of each part of a block, as they are written, and where in them documents end."""

    parts: list[tuple[str, Ids, Ends]]
    invalid_bytes: int
    size: int  # of the text, bytes
    memory: int | None = None  # anonymous memory of this process, bytes


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """What every worker needs to know."""

    vocabulary: Vocabulary
    engine: str
    errors: str
    eot: str  # none | append | prepend
    documents: bool  # more than one of them may come in a block
    specials: Specials | None = None


def encode_block(engine: Engine, block: Block, settings: EncodeSettings) -> Encoded:
    """Raises InputError where a text is not UTF-8, or the engine gives up on it."""
    invalid = size = 0
    parts: list[tuple[str, Ids, Ends]] = []
    for part in block.parts:
        documents, more = _clean(block, part, settings.errors)
        try:
            if settings.specials is not None:
                ids = _encode_with_specials(engine, settings, settings.specials, documents)
            elif len(documents) == 1 and not settings.documents:
                ids = engine.encode(documents[0])
            else:
                ids = engine.encode_documents(documents)
        except ValueError as error:
            raise InputError(
                f"{block.source.path}: cannot encode the text from byte {block.offset:,} on: {error}",
                "try --engine gigatoken",
                path=block.source.path,
                offset=block.offset,
            ) from None
        parts.append((part.split, *_place_ends(ids, part, settings.vocabulary, settings.eot)))
        invalid += more
        size += sum(map(len, documents))
    return Encoded(parts, invalid, size)


def _encode_with_specials(
    engine: Engine, settings: EncodeSettings, specials: Specials, documents: list[Bytes]
) -> npt.NDArray[np.uint32]:
    vocabulary = settings.vocabulary
    known = {token.encode(): number for token, number in vocabulary.special}
    texts, between = specials.split(documents, known, vocabulary.n_vocab)
    ids = engine.encode_documents(texts)
    ids[ids == vocabulary.n_vocab] = between
    return ids


def _clean(block: Block, part: BlockPart, errors: str) -> tuple[list[Bytes], int]:
    documents = part.documents
    try:
        if len(documents) == 1:
            document, invalid = clean(documents[0], errors)
            return [document], invalid
        clean(b"\n".join(documents), "strict")
        return documents, 0
    except UnicodeDecodeError as error:
        if errors == "strict":
            raise _invalid_utf8(block, error) from None
    cleaned = [clean(document, errors) for document in documents]
    return [document for document, _ in cleaned], sum(invalid for _, invalid in cleaned)


def _place_ends(ids: npt.NDArray[np.uint32], part: BlockPart, vocabulary: Vocabulary, eot: str) -> tuple[Ids, Ends]:
    """`ids` of a part's documents, the id n_vocab between them → ids as they are written, and the documents' ends."""
    import numpy as np

    between = np.flatnonzero(ids == vocabulary.n_vocab) if len(part.documents) > 1 else np.empty(0, np.int64)
    if eot == "none":
        out = (np.delete(ids, between) if len(between) else ids).astype(vocabulary.dtype)
        ends = between - np.arange(len(between))
    else:
        before = eot == "prepend" and part.starts
        after = eot == "append" and part.ends
        out = np.empty(before + ids.size + after, vocabulary.dtype)
        out[before : before + ids.size] = ids
        out[between + before] = vocabulary.eot
        if before:
            out[0] = vocabulary.eot
        if after:
            out[-1] = vocabulary.eot
        ends = between + (1 if eot == "append" else before)
    return out, np.append(ends, out.size) if part.ends else ends


def _invalid_utf8(block: Block, error: UnicodeDecodeError) -> InputError:
    """Names the byte in the file. `error` counts in the documents: for text, the file is looked at again."""
    path, byte, reason = block.source.path, error.object[error.start], error.reason
    offset, where = block.offset + error.start, ""
    if block.source.kind == "parquet":
        offset, where = block.offset, f", in the rows from {block.offset:,} on"
    elif not block.source.once:
        found = _first_invalid(block)
        if found is not None:
            offset, byte = found
    if not where:
        where = f" at offset {offset:,}"
    return InputError(
        f"{path} is not UTF-8: byte 0x{byte:02x}{where} ({reason})",
        "--errors replace (U+FFFD for it) or --errors ignore goes on; iconv -f LATIN1 -t UTF-8 converts old text",
        path=path,
        offset=offset,
    )


def _first_invalid(block: Block) -> tuple[int, int] | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with ByteReader(block.source, block.offset) as reader:
        while True:
            start = reader.position - len(decoder.getstate()[0])
            data = reader.read(MIB)
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                return start + error.start, error.object[error.start]
            if not data:
                return None
