"""One tokenize job: sources → blocks → ids → shards → manifest.json, with a journal that --resume goes on from.

The calling thread reads and writes, in order, and encodes a block whenever it would have to wait; `workers` − 1 others
check, encode and narrow; one more waits for the disk. At most two blocks per worker are under way, so memory does not
depend on the size of the input, and the output does not depend on the number of workers or the size of a block.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from memguard import pressure
from memguard._version import __version__
from memguard.errors import ConfigError, ShardError
from memguard.records.codec import to_dict
from memguard.records.manifest import EncodingInfo, InputFile, Manifest
from memguard.tokens import budget as budgets
from memguard.tokens.engine.encode import Engine, load_vocabulary, make_engine
from memguard.tokens.engine.pool import Encoded, EncodeSettings, Pool
from memguard.tokens.headroom import read_headroom
from memguard.tokens.input.blocks import Block, Division, Start, read_blocks
from memguard.tokens.input.documents import Sizes
from memguard.tokens.input.source import Source, find_sources
from memguard.tokens.memory import anonymous_memory
from memguard.tokens.options import Options
from memguard.tokens.output.directory import OutputDirectory, prepare_directory, remove_old_files
from memguard.tokens.output.disk import free_space
from memguard.tokens.output.journal import Checkpoint
from memguard.tokens.output.manifest import write_manifest
from memguard.tokens.output.writer import Output, OutputLayout
from memguard.units import format_size

__all__ = ["JobProgress", "encoded_blocks", "tokenize", "tokenize_part"]

# Seconds of work that a kill may cost, about. A shard that is full is a checkpoint too.
_CHECKPOINT_SECONDS = 5.0
# The disk is looked at again after so many blocks.
_DISK_INTERVAL = 64


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is, after every block. Bytes are counted as stored; `bytes_total` is None where stdin or a pipe is
    among the inputs, `bytes_before` what an earlier run had done. `workers`: as far as the memory holds them."""

    bytes_done: int
    bytes_total: int | None
    tokens: int
    memory: int | None  # anonymous memory of this process now, bytes
    seconds: float
    bytes_before: int = 0
    workers: int = 1


def tokenize(
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    engine: str = "auto",
    workers: int | None = None,
    max_memory: int = budgets.DEFAULT_MEMORY,
    headroom: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    block: int | None = None,
    progress: Callable[[JobProgress], None] | None = None,
    **options: Any,
) -> Manifest:
    """Writes token files and manifest.json into the directory `out`; returns the manifest.

    `options` are the fields of memguard.tokens.options.Options: encoding, format, documents, val_fraction, eot, errors
    and so on; what they mean for the tokens is the same for any `engine`, `workers`, `max_memory` and `block` (bytes
    of text per task). `max_memory`, in bytes, bounds this process's anonymous memory, not counting what your own code
    holds when the job begins. Where the machine's limits leave less (`headroom`, bytes; None: read here), the
    job keeps to that, as far as one worker can.

    When the job fails or is interrupted, what a checkpoint covers stays in `out`, and the same call with `resume`
    goes on from there; nothing else is left behind. Raises a MemguardError.
    """
    asked = Options(**options)
    job = _Job(_sources(paths, asked), asked, engine, progress)
    job.headroom = headroom
    return job.run(os.fspath(out), max_memory, workers, block, resume=resume, overwrite=overwrite)


def tokenize_part(
    out: str,
    source: Source,
    start: Start,
    division: Division,
    options: Options,
    part: dict[str, str | int | float | bool | None],
    *,
    engine: str = "auto",
    workers: int | None = None,
    max_memory: int = budgets.DEFAULT_MEMORY,
) -> Manifest:
    """One task of a job that was planned by task.py: `source` from `start` to its `stop`. `part` goes into the
    manifest's options. Goes on with what stands in `out`, and does nothing where that is complete."""
    job = _Job([source], options, engine, None, division)
    job.after, job.part = start, part
    if source.stop is not None or start.place.offset:  # the room for all of the source is no matter of this task's
        job.bytes_total = None
    return job.run(out, max_memory, workers, None, resume=True, overwrite=False)


def encoded_blocks(
    paths: Iterable[str | os.PathLike[str]],
    options: Options,
    *,
    engine: str = "auto",
    workers: int | None = None,
    max_memory: int = budgets.DEFAULT_MEMORY,
    block: int | None = None,
) -> Generator[tuple[Block, Encoded], None, None]:
    """The ids of the texts in order, nothing written."""
    job = _Job(_sources(paths, options), options, engine, None)
    budget, first = job._budget(max_memory, workers, block)
    with contextlib.closing(job.encoded(first, budget)) as blocks:
        yield from blocks


def _sources(paths: Iterable[str | os.PathLike[str]], options: Options) -> list[Source]:
    load_vocabulary(options.encoding)  # an encoding that cannot be had is said first
    return find_sources([os.fspath(path) for path in paths], options.input_format)


class _Job:
    def __init__(
        self,
        sources: list[Source],
        options: Options,
        engine: str,
        progress: Callable[[JobProgress], None] | None,
        division: Division | None = None,
    ) -> None:
        """With a `division` the job is a task of another, and `options` leave nothing to the input."""
        self.options, self.engine_asked, self.on_progress = options, engine, progress
        self.vocabulary = load_vocabulary(options.encoding)
        if options.eot_place != "none" and self.vocabulary.eot is None:
            raise ConfigError(f"the encoding {options.encoding} has no <|endoftext|> token", "leave --eot out")
        self._check_specials()
        self.sources = sources
        if division is None:
            self.options = options.settled(self.sources)
            division = self.options.division(self.sources)
        self.division = division
        sizes = [source.size for source in self.sources]
        self.bytes_total = None if None in sizes else sum(size or 0 for size in sizes)
        self.resumable = not any(source.once for source in self.sources)
        self.started = time.monotonic()
        self.done = self.before = self.invalid_bytes = self.skipped = self.blocks_done = 0
        self.engine_name, self.workers = "", 1
        self.headroom: int | None = None
        self.inputs: list[InputFile] = []
        self.after = Start()
        self.part: dict[str, str | int | float | bool | None] = {}  # of a task

    def _check_specials(self) -> None:
        known = [token for token, _ in self.vocabulary.special]
        for token in () if self.options.specials is None else self.options.specials.tokens:
            if token.decode() not in known:
                what = f"{self.vocabulary.name} has no special token {token.decode()!r}"
                raise ConfigError(what, f"it has {', '.join(known)}" if known else "it has none")

    def identity(self) -> dict[str, Any]:
        """What the output depends on, and what --resume therefore compares."""
        return {
            "inputs": [to_dict(source.as_input()) for source in self.sources],
            "encoding": to_dict(self.encoding_info()),
            "dtype": self.vocabulary.dtype,
            "format": self.options.format,
            "options": self._recorded(),
        }

    def _recorded(self) -> dict[str, str | int | float | bool | None]:
        return {**self.options.recorded(), **self.part}

    def encoding_info(self) -> EncodingInfo:
        return EncodingInfo(self.vocabulary.name, self.vocabulary.n_vocab, self.vocabulary.eot)

    def run(
        self, out: str, max_memory: int, workers: int | None, block: int | None, *, resume: bool, overwrite: bool
    ) -> Manifest:
        if resume and not self.resumable:
            raise ConfigError("--resume needs files: stdin and pipes cannot be read again", "start with --overwrite")
        budget, engine = self._budget(max_memory, workers, block)  # refuses what cannot be, before anything is made
        job = self.identity()
        target = prepare_directory(
            out, job, self.sources, resume=resume, overwrite=overwrite, journalled=self.resumable
        )
        if target.complete is not None:
            target.clear()
            return target.complete
        output: Output | None = None
        try:
            deferred = target.older is not None or not self.resumable
            output = Output(out, self.layout(), target.journal, target.unfinished, deferred=deferred)
            last = target.unfinished.checkpoint if target.unfinished else None
            if last is not None:
                self._go_on_from(last)
            if last is None or not last.complete:
                self._encode_into(output, engine, budget)
                output.finish(self._checkpoint())
            manifest = self._manifest(output)
            if target.older is not None:
                remove_old_files(out, target.older, manifest)
            output.publish()
            write_manifest(out, manifest)
        except BaseException as error:
            self._stop(target, output, error)
            raise
        output.stop()
        target.clear(keep_directory=True)
        return manifest

    def _stop(self, target: OutputDirectory, output: Output | None, error: BaseException) -> None:
        if output is not None:
            output.stop()
        unfinished = output.kept if output is not None else target.unfinished is not None
        if not (unfinished and self.resumable):
            target.clear()
            return
        if target.journal is not None:
            target.journal.close()
        if isinstance(error, ShardError):
            more = "what is done so far stays, and --resume goes on from there"
            error.hint = f"{error.hint}; {more}" if error.hint else more

    def layout(self) -> OutputLayout:
        options = self.options
        splits: tuple[str, ...] = ("train", "val") if self.division.fraction else ("train",)
        if options.val_shards:
            splits = ("tokens",)
        return OutputLayout(
            options.form,
            self.vocabulary.dtype,
            self.vocabulary.n_vocab,
            splits,
            options.shard_size,
            options.val_shards,
            options.offsets,
        )

    def _budget(self, max_memory: int, workers: int | None, block: int | None) -> tuple[budgets.Budget, Engine]:
        engine = make_engine(self.vocabulary.name, self.engine_asked, documents=self._many_documents())
        self.engine_name = engine.name
        extra = max((budgets.READERS.get(s.compression or s.kind, 0) for s in self.sources), default=0)
        headroom = read_headroom() if self.headroom is None else self.headroom
        if headroom is not None and headroom < max_memory:
            max_memory = min(max_memory, max(headroom, budgets.least_memory(engine.name, extra)))
        budget = budgets.divide(max_memory, workers, _cores(), engine.name, block, extra)
        self.workers = budget.workers
        return budget, engine

    def _many_documents(self) -> bool:
        """Whether a block may hold more than one: documents, or stretches of text between special tokens."""
        return (
            self.options.specials is not None
            or not self.options.reading.one_text
            or any(source.kind != "text" for source in self.sources)
        )

    def encoded(self, engine: Engine, budget: budgets.Budget) -> Generator[tuple[Block, Encoded], None, None]:
        """The blocks from `self.after` on, encoded."""
        own = max(0, (anonymous_memory() or 0) - budgets.BARE_PROCESS)  # what a library user's code holds already
        options = self.options
        settings = EncodeSettings(
            self.vocabulary,
            self.engine_asked,
            options.errors,
            options.eot_place,
            self._many_documents(),
            options.specials,
        )
        sizes = Sizes(budget.block, budget.longest_piece, self.division.prefix)
        blocks = read_blocks(self.sources, options.reading, self.division, self.vocabulary.family, sizes, self.after)
        pool, check = Pool(settings, engine, budget, own), None
        buffer = pressure.Buffer("memguard.tokenize")
        with contextlib.closing(blocks), contextlib.closing(buffer), pool:
            first = next(blocks, None)
            if first is None:  # an earlier run had read everything, and was killed before it could say so
                return
            if self.engine_asked == "auto" and self.engine_name != "tiktoken":
                check = pool.check(self.sources, first)
            for found in pool.map(itertools.chain((first,), blocks)):
                if check is not None and check.done():
                    check = check.result()
                if buffer.asked():
                    buffer.answer(pool.shrink)
                yield found
            if check is not None:
                check.result()

    def _encode_into(self, output: Output, engine: Engine, budget: budgets.Budget) -> None:
        last = time.monotonic()
        with contextlib.closing(self.encoded(engine, budget)) as blocks:
            for block, encoded in blocks:
                full = 0
                for split, ids, ends in encoded.parts:
                    full += output.write(split, ids, ends)
                self._count(block, encoded, output)
                now = time.monotonic()
                if self.resumable and (full or now - last > _CHECKPOINT_SECONDS):
                    output.checkpoint(self._checkpoint())
                    last = now

    def _count(self, block: Block, encoded: Encoded, output: Output) -> None:
        if block.finished is not None:
            self.inputs.append(block.finished)
        self.after, self.done = block.after, block.done
        self.invalid_bytes += encoded.invalid_bytes + block.invalid_bytes
        self.skipped += block.skipped
        if self.blocks_done % _DISK_INTERVAL == 0:
            self._check_disk(output)
        self.blocks_done += 1
        if self.on_progress is not None:
            seconds = time.monotonic() - self.started
            now = JobProgress(
                self.done, self.bytes_total, output.tokens, encoded.memory, seconds, self.before, self.workers
            )
            self.on_progress(now)

    def _check_disk(self, output: Output) -> None:
        """Stops early where what is still to come cannot fit, by the bytes per token so far, with a fifth to spare."""
        if not self.bytes_total or not self.done:
            return
        to_come = round(output.bytes / self.done * (self.bytes_total - self.done))
        free = free_space(output.directory)
        if free is not None and to_come * 0.8 > free:
            raise ShardError(
                f"{output.directory} needs about {format_size(to_come)} more, and {format_size(free)} is free",
                "make room, or choose another -o DIR",
            )

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self.after, self.done, self.invalid_bytes, self.skipped, {})

    def _go_on_from(self, last: Checkpoint) -> None:
        self.after, self.done, self.before = last.after, last.done, last.done
        self.invalid_bytes, self.skipped = last.invalid_bytes, last.skipped

    def _manifest(self, output: Output) -> Manifest:
        # what can be read once only is known when it was read; everything else was known before
        inputs = [source.as_input() for source in self.sources] if self.resumable else self.inputs
        return Manifest(
            inputs=tuple(inputs),
            encoding=self.encoding_info(),
            dtype=self.vocabulary.dtype,
            format=self.options.format,
            shards=tuple(sorted(output.shards, key=lambda shard: (shard.split == "val", shard.path))),
            complete=True,
            options=self._recorded(),
            invalid_bytes=self.invalid_bytes,
            engine=self.engine_name,
            version=__version__,
            offsets=output.offsets_files(),
            skipped=self.skipped,
        )


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
