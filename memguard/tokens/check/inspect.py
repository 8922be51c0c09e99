"""What one token file holds: its layout, its counts, how its ids are spread, and the text at both ends.

The file is read once, in blocks; what is kept is a count per id.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from memguard.errors import ConfigError, InputError, MemguardError
from memguard.records.inspect import IdRange, InspectReport, TokenCount
from memguard.records.manifest import Manifest
from memguard.tokens.check.decode import Decoder
from memguard.tokens.output.manifest import MANIFEST, read_manifest
from memguard.tokens.output.megatron_index import Index
from memguard.tokens.output.readers import ShardReader, open_reader
from memguard.tokens.tuning import TUNING, Tuning

if TYPE_CHECKING:
    import numpy.typing as npt

    Counts = npt.NDArray[np.int64]

__all__ = ["inspect"]

_ENDS = 48  # tokens shown as text at each end
_MOST_FREQUENT = 12
_LARGEST_VOCABULARY = 1 << 21  # ids beyond are no ids of any encoding: another dtype, or another file
# tiktoken's encodings, by the number of their tokens: the smallest that has all ids is the best guess there is.
_GUESSES = (("gpt2", 50257), ("cl100k_base", 100277), ("o200k_base", 200019))


def inspect(
    path: str | os.PathLike[str], *, encoding: str | None = None, dtype: str | None = None, tuning: Tuning = TUNING
) -> InspectReport:
    """`encoding` and `dtype` where you know them; else the manifest beside the file, its header, and its ids tell.

    Raises InputError, ShardError where this is no token file that can be read.
    """
    name = os.fspath(path)
    if name == "-":
        raise ConfigError("inspect reads a file, not stdin", "give the file's name")
    manifest, listed = _manifest_of(name)
    known = (manifest.format, manifest.dtype) if manifest is not None and dtype is None else (None, dtype)
    by = "as said" if dtype is not None else f"as {MANIFEST} says"
    with open_reader(name, format=known[0], dtype=known[1], by=by, block=tuning.read_ids) as reader:
        counts = _count(reader)
        return _report(reader, counts, manifest, listed, encoding)


def _manifest_of(path: str) -> tuple[Manifest | None, int | None]:
    """The manifest beside `path` and the tokens that it gives the file; (None, None) unless it speaks of the file."""
    directory, name = os.path.split(path)
    try:
        manifest = read_manifest(directory or ".")
    except MemguardError:
        return None, None
    for shard in manifest.shards if manifest is not None else ():
        if shard.path == name:
            return manifest, shard.tokens
    return None, None


def _count(reader: ShardReader) -> Counts:
    """How often each id occurs, from 0 to the largest there is."""
    counts = np.zeros(1 << 16, dtype=np.int64)
    for ids in reader.blocks():
        largest = int(ids.max())
        if largest >= _LARGEST_VOCABULARY:
            raise InputError(
                f"{reader.path} holds the number {largest:,}, which is an id of no encoding",
                "is it a token file? --dtype uint16 reads it as such",
                path=reader.path,
            )
        found = np.bincount(ids, minlength=counts.size)
        if found.size > counts.size:
            found[: counts.size] += counts
            counts = found
        else:
            counts += found
    return np.trim_zeros(counts, "b")


def _report(
    reader: ShardReader, counts: Counts, manifest: Manifest | None, listed: int | None, asked: str | None
) -> InspectReport:
    name, why, notes = _encoding(counts, manifest, asked)
    decoder = None
    if name is not None:
        try:
            decoder = Decoder(name)
        except InputError as error:
            if asked is not None:
                raise
            notes.append(f"no texts: {error.message} ({error.hint})")
    if listed is not None and listed != reader.tokens:
        notes.append(f"{MANIFEST} gives it {listed:,} tokens: memguard verify tells more")
    used = np.flatnonzero(counts)
    documents = None
    if reader.layout.index is not None:
        with Index(reader.layout.index) as index:
            documents = index.documents
    first, last = _texts(reader, decoder)
    return InspectReport(
        path=reader.path,
        bytes=reader.size,
        format=reader.layout.format,
        dtype=reader.layout.dtype,
        reason=reader.layout.reason,
        header_bytes=reader.layout.header,
        tokens=reader.tokens,
        documents=documents,
        encoding=name,
        encoding_reason=why,
        n_vocab=decoder.n_vocab if decoder else None,
        smallest_id=int(used[0]) if used.size else None,
        largest_id=int(used[-1]) if used.size else None,
        distinct_ids=int(used.size),
        unknown_ids=_unknown(counts, decoder),
        eot_tokens=None if decoder is None or decoder.eot is None else _at(counts, decoder.eot),
        small_id_fraction=float(counts[:257].sum()) / reader.tokens if reader.tokens else None,
        text_bytes=_text_bytes(counts, decoder),
        first_text=first,
        last_text=last,
        most_frequent=_most_frequent(counts, decoder),
        ranges=_ranges(counts),
        notes=tuple(notes),
    )


def _encoding(counts: Counts, manifest: Manifest | None, asked: str | None) -> tuple[str | None, str, list[str]]:
    """The encoding's name, how it is known, and notes."""
    if asked is not None:
        return asked, "as said", []
    if manifest is not None:
        return manifest.encoding.name, f"as {MANIFEST} says", []
    for name, n_vocab in _GUESSES:
        if counts.size <= n_vocab:
            return name, f"a guess: the smallest of tiktoken's usual encodings that has the id {counts.size - 1}", []
    return None, f"none of tiktoken's usual encodings has the id {counts.size - 1}", []


def _unknown(counts: Counts, decoder: Decoder | None) -> int | None:
    if decoder is None:
        return None
    ids = np.arange(counts.size, dtype=np.uint32)
    return int(counts[~decoder.known(ids)].sum())


def _at(counts: Counts, token: int) -> int:
    return int(counts[token]) if token < counts.size else 0


def _text_bytes(counts: Counts, decoder: Decoder | None) -> int | None:
    if decoder is None:
        return None
    ids = np.flatnonzero(counts).astype(np.uint32)
    ids = ids[decoder.known(ids)]
    if decoder.eot is not None:
        ids = ids[ids != decoder.eot]
    return int((counts[ids] * decoder.lengths(ids)).sum())


def _texts(reader: ShardReader, decoder: Decoder | None) -> tuple[str | None, str | None]:
    """The text of the first and of the last tokens."""
    if decoder is None:
        return None, None
    texts = []
    for start in (0, max(0, reader.tokens - _ENDS)):
        ids = [token for block in reader.blocks(start, _ENDS) for token in block.tolist()]
        texts.append(b"".join(_token(decoder, token) for token in ids).decode("utf-8", "backslashreplace"))
    return texts[0], texts[1]


def _token(decoder: Decoder, token: int) -> bytes:
    ids = np.array([token], dtype=np.uint32)
    return decoder.decode(ids).tobytes() if decoder.known(ids).all() else f"<{token}?>".encode()


def _most_frequent(counts: Counts, decoder: Decoder | None) -> tuple[TokenCount, ...]:
    order = np.argsort(-counts, kind="stable")[:_MOST_FREQUENT]
    return tuple(
        TokenCount(
            int(token),
            None if decoder is None else _token(decoder, int(token)).decode("utf-8", "backslashreplace"),
            int(counts[token]),
        )
        for token in order
        if counts[token]
    )


def _ranges(counts: Counts) -> tuple[IdRange, ...]:
    """Ids 0 to 255, then up to each power of two: byte-pair encodings number their tokens by how early they were
    merged, so the ids are roughly in the order of their frequency."""
    ranges, first, end = [], 0, 256
    while first < counts.size:
        ranges.append(IdRange(first, min(end, counts.size) - 1, int(counts[first:end].sum())))
        first, end = end, 2 * end
    return tuple(ranges)
