"""Are these token files what their manifest says, and do they hold exactly the text that they were made from?

Every file is there, complete, and of the size, header and SHA-256 that the manifest names; no file is there that a
loader would read by mistake; every id is one of the encoding's; the tokens, turned back into bytes, are the source's
bytes, one by one, with the end-of-text tokens exactly where documents end. Everything is read once, in a stream.

That the tokens are the ones tiktoken would have chosen does not follow from that; tokenize answers for it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from memguard.errors import InputError, ShardError
from memguard.records.manifest import FileInfo, InputFile, Manifest, ManifestPart, ShardInfo, parts_of
from memguard.records.verify import Problem, ShardCheck, VerifyReport
from memguard.tokens.check.comparison import Chunk, Comparison, Difference
from memguard.tokens.check.decode import STEP, Decoder
from memguard.tokens.check.expected import find_inputs, options_of, read_expected
from memguard.tokens.input.source import Source
from memguard.tokens.options import Options
from memguard.tokens.output.formats import FORMATS
from memguard.tokens.output.manifest import MANIFEST, read_manifest
from memguard.tokens.output.readers import DocumentEnds, Index, ShardReader, TokenProgress, open_reader

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.unsignedinteger]

__all__ = ["verify"]


def verify(
    directory: str | os.PathLike[str],
    *,
    text: bool = True,
    sources: list[str] | None = None,
    progress: Callable[[TokenProgress], None] | None = None,
) -> VerifyReport:
    """`text` False leaves the source alone: sizes, headers, hashes and ids only. `sources` are the source files where
    they no longer stand under the names that the manifest gives, in the same order.

    Raises InputError where the directory holds no manifest, or a source cannot be read.
    """
    path = os.fspath(directory)
    manifest = _manifest(path)
    return _Verification(path, manifest, text, sources, progress).run()


def _manifest(directory: str) -> Manifest:
    if not os.path.isdir(directory):
        what = "is a file" if os.path.exists(directory) else "does not exist"
        raise InputError(f"{directory} {what}", "give the directory that memguard tokenize wrote", path=directory)
    manifest = read_manifest(directory)
    if manifest is None:
        raise InputError(
            f"{directory} holds no {MANIFEST}, so there is nothing to hold the files against",
            "give the directory that memguard tokenize wrote; memguard inspect FILE looks at one file",
            path=os.path.join(directory, MANIFEST),
        )
    if "part" in manifest.options:
        part, count = manifest.options["part"], manifest.options["part_count"]
        raise InputError(
            f"{directory} is part {part} of a job of {count}, not all of it",
            "join the parts (memguard merge), and verify what comes of it",
            path=directory,
        )
    return manifest


class _Verification:
    def __init__(
        self,
        directory: str,
        manifest: Manifest,
        text: bool,
        sources: list[str] | None,
        progress: Callable[[TokenProgress], None] | None,
    ) -> None:
        self.directory, self.manifest = directory, manifest
        self.inputs = _inputs(manifest, sources)
        self.text = text
        self.progress = progress
        self.started = time.monotonic()
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.tokens_done = 0
        self.tokens_total = sum(shard.tokens for shard in manifest.shards)
        self.eot = options_of(manifest, parts_of(manifest)[0]).eot_place
        self.decoder = Decoder(manifest.encoding.name, silent=None if self.eot == "none" else manifest.encoding.eot)
        self.readers: dict[str, ShardReader] = {}
        self.ids = {split: _Ids(self._chunks(split)) for split in {shard.split for shard in manifest.shards}}

    def run(self) -> VerifyReport:
        if not self.manifest.complete:
            self._problem("manifest", f"{MANIFEST} says that the job was not finished")
        self._check_files()
        try:
            comparisons = self._compare_texts() if self.text else []
            for ids in self.ids.values():
                ids.drain()  # what was not compared is still hashed, and its ids looked at
        finally:
            for reader in self.readers.values():
                reader.close()
        return self._report(comparisons)

    # files

    def _check_files(self) -> None:
        expected = {MANIFEST}
        for shard in self.manifest.shards:
            expected.add(shard.path)
            self._check_shard(shard)
            for file in shard.files:
                expected.add(file.path)
                self._check_other(file)
        for file in self.manifest.offsets:
            expected.add(file.path)
            self._check_other(file)
        suffixes = {suffix for form in FORMATS.values() for suffix in form.suffixes}
        for name in sorted(os.listdir(self.directory)):
            if name in expected:
                continue
            if name.startswith("."):
                if name.endswith((".tmp", ".journal")):
                    self.notes.append(f"{name} was left by a killed memguard, or one is writing here right now")
            elif os.path.splitext(name)[1] in suffixes:
                self._problem("foreign", f"{name} is none of this job's files, and a loader may read it", name)
            else:
                self.notes.append(f"{name} is not in the manifest")

    def _check_shard(self, shard: ShardInfo) -> None:
        path = os.path.join(self.directory, shard.path)
        if not self._has_size(shard.path, shard.bytes):
            return
        try:
            reader = open_reader(path, format=self.manifest.format, dtype=self.manifest.dtype)
        except (ShardError, InputError) as error:
            self._problem("header", error.message, shard.path)
            return
        self.readers[shard.path] = reader
        if reader.tokens != shard.tokens:
            message = f"{shard.path} holds {reader.tokens:,} tokens, the manifest says {shard.tokens:,}"
            self._problem("size", message, shard.path)
        if reader.layout.index is not None:
            self._check_index(reader.layout.index, reader.tokens)

    def _check_other(self, file: FileInfo) -> None:
        """An index, or where documents begin."""
        if self._has_size(file.path, file.bytes):
            self._check_sha256(file.path, file.sha256, _sha256(os.path.join(self.directory, file.path)))

    def _has_size(self, name: str, size: int) -> bool:
        """False where the file cannot be looked into."""
        try:
            found = os.stat(os.path.join(self.directory, name)).st_size
        except FileNotFoundError:
            self._problem("missing", f"{name} is missing", name)
            return False
        except OSError as error:
            self._problem("missing", f"{name} cannot be read: {error.strerror}", name)
            return False
        if found != size:
            self._problem("size", f"{name} has {found:,} bytes, the manifest says {size:,}", name)
        return True

    def _check_index(self, path: str, tokens: int) -> None:
        try:
            with Index(path) as index:
                index.check(tokens)
        except (ShardError, InputError) as error:
            self._problem("index", error.message, os.path.basename(path))

    def _check_sha256(self, name: str, expected: str, found: str) -> None:
        if found != expected and not self._has_problem(name):
            message = f"{name} is not what was written: its SHA-256 is {found[:12]}…, not {expected[:12]}…"
            self._problem("sha256", message, name)

    def _broken_shards(self) -> bool:
        return any(shard.path not in self.readers for shard in self.manifest.shards)

    # ids

    def _chunks(self, split: str) -> Iterator[Chunk]:
        """The ids of a split's shards in their order; each shard's hash and ids are checked on the way."""
        for shard in self.manifest.shards:
            reader = self.readers.get(shard.path)
            if shard.split != split or reader is None:
                continue
            digest, index, unknown = hashlib.sha256(), 0, None
            with DocumentEnds(reader) as ends:
                for block in reader.blocks(digest=digest):
                    if unknown is None:
                        unknown = self.decoder.first_unknown(block)
                        if unknown is not None:
                            self._report_unknown(shard, index + unknown, int(block[unknown]))
                    if reader.layout.index is not None:
                        self._check_documents(split, reader, ends, block, index)
                    for start in range(0, block.size, STEP):
                        yield Chunk(shard.path, index + start, block[start : start + STEP])
                    index += block.size
                    self.tokens_done += block.size
                    if self.progress is not None:
                        self.progress(TokenProgress(self.tokens_done, self.tokens_total))
            self._check_sha256(shard.path, shard.sha256, digest.hexdigest())

    def _check_documents(self, split: str, reader: ShardReader, ends: DocumentEnds, ids: Ids, start: int) -> None:
        """An index's documents end where the end-of-text tokens say. `ids` begin at token `start`."""
        name, stop = os.path.basename(reader.layout.index or ""), start + ids.size
        if self.eot == "none" or self._has_problem(name):
            return
        marks = np.flatnonzero(ids == self.decoder.silent) + start
        found, expected = (
            (ends.until(stop), marks + 1) if self.eot == "append" else (ends.until(stop - 1), marks[marks > 0])
        )
        # Where a job ends, a document may go on in its val file: the index ends it there, no token does.
        cut = np.isin(found, self._ends_of_jobs(split)) & ~np.isin(found, expected)
        if not np.array_equal(found[~cut], expected):
            message = f"{name}: its documents do not end where the end-of-text tokens are, from token {start:,} on"
            self._problem("index", message, name)

    def _ends_of_jobs(self, split: str) -> npt.NDArray[np.int64]:
        """In tokens of the split; more than one in a merged directory."""
        return np.cumsum([part.tokens.get(split, 0) for part in parts_of(self.manifest)], dtype=np.int64)

    def _report_unknown(self, shard: ShardInfo, token: int, value: int) -> None:
        name, n_vocab = self.manifest.encoding.name, self.decoder.n_vocab
        what = f"{name} has {n_vocab:,} tokens" if value >= n_vocab else f"{name} leaves it out"
        self.problems.append(
            Problem("ids", f"{shard.path}, token {token:,}: the id {value} does not exist; {what}", shard.path, token)
        )

    # text

    def _compare_texts(self) -> list[Comparison]:
        """Every job that the directory was made from: one, where it was not merged."""
        if self._broken_shards():
            return []
        found, position = [], 0
        for part in parts_of(self.manifest):
            inputs = self.inputs[position : position + part.inputs]
            position += part.inputs
            options = options_of(self.manifest, part)
            sources = find_inputs(inputs, options)
            if not self._are_unchanged(sources, inputs):
                return []
            comparisons = self._comparisons(part, options)
            found += list(dict.fromkeys(comparisons.values()))
            difference = _compare(sources, options, comparisons)
            # An id that does not exist is reported when its block is read, compared or not.
            if difference is not None:
                if difference.kind != "ids":
                    self.problems.append(_as_problem(difference))
                break
        return found

    def _comparisons(self, part: ManifestPart, options: Options) -> dict[str | None, Comparison]:
        """By split; under None, one for all of them, where the splits follow each other in the text."""
        ids = {split: self.ids[split].take(count) for split, count in part.tokens.items()}
        if options.val_by == "document" and options.val_fraction:
            return {split: Comparison(ids[split], self.decoder, self.eot) for split in ids}
        order = ("val", "train") if options.val_by == "shard" else ("train", "val")
        stream = chain.from_iterable(ids[split] for split in order if split in ids)
        return {None: Comparison(stream, self.decoder, self.eot)}

    def _are_unchanged(self, sources: list[Source], inputs: tuple[InputFile, ...]) -> bool:
        before = len(self.problems)
        for now, then in zip(sources, inputs, strict=True):
            message = f"{now.path} has changed since it was read"
            if now.size != then.bytes:
                message = f"{now.path} has {now.size:,} bytes now, and had {then.bytes:,} when it was read"
            elif now.sha256_head == then.sha256_head:
                continue
            self.problems.append(Problem("source", message, source=now.path))
        return len(self.problems) == before

    # report

    def _problem(self, kind: str, message: str, shard: str | None = None) -> None:
        self.problems.append(Problem(kind, message, shard))

    def _has_problem(self, path: str) -> bool:
        return any(problem.shard == path for problem in self.problems)

    def _report(self, comparisons: list[Comparison]) -> VerifyReport:
        manifest = self.manifest
        checks = []
        for shard in manifest.shards:
            reader = self.readers.get(shard.path)
            tokens, size = (reader.tokens, reader.size) if reader else (None, None)
            ok = not any(map(self._has_problem, (shard.path, *(file.path for file in shard.files))))
            checks.append(ShardCheck(shard.path, shard.split, tokens, size, ok))
        return VerifyReport(
            directory=self.directory,
            ok=not self.problems,
            text_compared=bool(comparisons),
            format=manifest.format,
            encoding=manifest.encoding.name,
            dtype=manifest.dtype,
            sources=tuple(source.path for source in self.inputs),
            shards=tuple(checks),
            problems=tuple(self.problems),
            tokens=sum(check.tokens or 0 for check in checks),
            eot_tokens=sum(one.eot_tokens for one in comparisons) if comparisons else None,
            text_bytes=sum(one.text_bytes for one in comparisons) if comparisons else None,
            seconds=time.monotonic() - self.started,
            notes=tuple(self.notes),
        )


def _inputs(manifest: Manifest, sources: list[str] | None) -> tuple[InputFile, ...]:
    """The manifest's inputs, under the names they have now."""
    if sources is None:
        return manifest.inputs
    if len(sources) != len(manifest.inputs):
        raise InputError(
            f"the tokens were made from {len(manifest.inputs)} sources, not from {len(sources)}",
            "give all of them, in the order that the manifest names them in",
            path=sources[0] if sources else "",
        )
    return tuple(
        InputFile(path, known.bytes, known.mtime, known.sha256_head)
        for path, known in zip(sources, manifest.inputs, strict=True)
    )


def _as_problem(difference: Difference) -> Problem:
    where = "after the last token"
    if difference.token is not None:
        where = f"{difference.shard}, token {difference.token:,}"
    expected, found = (
        None if data is None else data.decode("utf-8", "backslashreplace")
        for data in (difference.expected, difference.found)
    )
    message = f"{where}: {difference.what} ({difference.source}, byte {difference.offset:,})"
    return Problem(
        difference.kind,
        message,
        difference.shard,
        difference.token,
        difference.source,
        difference.offset,
        expected,
        found,
    )


def _compare(sources: list[Source], options: Options, comparisons: dict[str | None, Comparison]) -> Difference | None:
    for piece in read_expected(sources, options):
        comparison = comparisons[piece.split]
        difference = comparison.add(piece.data, piece.source, piece.offset)
        if difference is None and piece.ends_document:
            difference = comparison.end_document()
        if difference is not None:
            return difference
    return next(filter(None, (comparison.close() for comparison in comparisons.values())), None)


class _Ids:
    """The ids of one split, taken part by part."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._rest: Chunk | None = None

    def take(self, count: int) -> Iterator[Chunk]:
        while count > 0:
            chunk = self._rest or next(self._chunks, None)
            self._rest = None
            if chunk is None:
                return
            ids = chunk.ids[:count]
            if ids.size < chunk.ids.size:
                self._rest = Chunk(chunk.shard, chunk.index + ids.size, chunk.ids[ids.size :])
            count -= ids.size
            yield Chunk(chunk.shard, chunk.index, ids)

    def drain(self) -> None:
        for _ in self._chunks:
            pass


def _sha256(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
