"""One tokenize job: sources → blocks → ids → shards → manifest.json, with a journal that --resume goes on from.

plan.py says what the job is, pipeline.py makes its ids, progress.py knows how far it is; here they meet the files. The
calling thread reads and writes, in order; one more waits for the disk.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterable
from typing import Any

from memguard._version import __version__
from memguard.errors import ConfigError, ShardError
from memguard.records.manifest import Manifest
from memguard.tokens import budget as budgets
from memguard.tokens.engine.block_encoder import Encoded
from memguard.tokens.input.blocks import Block
from memguard.tokens.options import Options
from memguard.tokens.output.directory import OutputDirectory, prepare_directory, remove_old_files
from memguard.tokens.output.disk import check_space
from memguard.tokens.output.manifest import write_manifest
from memguard.tokens.output.writer import Output
from memguard.tokens.pipeline import Pipeline, Resources, make_pipeline
from memguard.tokens.plan import JobPlan, plan_job
from memguard.tokens.progress import JobPosition, JobProgress
from memguard.tokens.tuning import TUNING, Tuning
from memguard.units import format_size

__all__ = ["encoded_blocks", "run_job", "tokenize"]


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
    tuning: Tuning = TUNING,
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
    plan = plan_job(paths, Options(**options))
    resources = Resources(engine, workers, max_memory, block, headroom)
    return run_job(
        plan, os.fspath(out), resources, resume=resume, overwrite=overwrite, progress=progress, tuning=tuning
    )


def encoded_blocks(
    paths: Iterable[str | os.PathLike[str]], options: Options, resources: Resources
) -> Generator[tuple[Block, Encoded], None, None]:
    """The ids of the texts in order, nothing written."""
    plan = plan_job(paths, options)
    with contextlib.closing(make_pipeline(plan, resources).encoded(plan.start)) as blocks:
        yield from blocks


def run_job(
    plan: JobPlan,
    out: str,
    resources: Resources,
    *,
    resume: bool,
    overwrite: bool,
    progress: Callable[[JobProgress], None] | None = None,
    tuning: Tuning = TUNING,
) -> Manifest:
    """The planned job into the directory `out`; with `resume`, it does nothing where that is complete."""
    started = time.monotonic()
    if resume and not plan.resumable:
        raise ConfigError("--resume needs files: stdin and pipes cannot be read again", "start with --overwrite")
    pipeline = make_pipeline(plan, resources, tuning)  # refuses what cannot be, before anything is made
    target = prepare_directory(
        out, plan.identity(), plan.sources, resume=resume, overwrite=overwrite, journalled=plan.resumable
    )
    if target.complete is not None:
        target.clear()
        return target.complete
    output: Output | None = None
    try:
        deferred = target.older is not None or not plan.resumable
        output = Output(out, plan.layout(), target.journal, target.unfinished, deferred=deferred, tuning=tuning)
        last = target.unfinished.checkpoint if target.unfinished else None
        run = _Run(pipeline, output, JobPosition(plan.start) if last is None else JobPosition.of(last), started)
        if last is None or not last.complete:
            run.encode(progress)
        manifest = run.manifest()
        if target.older is not None:
            remove_old_files(out, target.older, manifest)
        output.publish()
        write_manifest(out, manifest)
    except BaseException as error:
        _stop(target, output, error, plan.resumable)
        raise
    output.stop()
    target.clear(keep_directory=True)
    return manifest


def _stop(target: OutputDirectory, output: Output | None, error: BaseException, resumable: bool) -> None:
    """The job ends in the middle: what a checkpoint covers stays, or nothing does."""
    if output is not None:
        output.stop()
    unfinished = output.kept if output is not None else target.unfinished is not None
    if not (unfinished and resumable):
        target.clear()
        return
    if target.journal is not None:
        target.journal.close()
    if isinstance(error, ShardError):
        more = "what is done so far stays, and --resume goes on from there"
        error.hint = f"{error.hint}; {more}" if error.hint else more


class _Run:
    """The blocks of a pipeline into the files, with a checkpoint now and then."""

    def __init__(self, pipeline: Pipeline, output: Output, position: JobPosition, started: float) -> None:
        self._pipeline, self._output, self._position, self._started = pipeline, output, position, started
        self._plan, self._tuning = pipeline.plan, pipeline.tuning

    def encode(self, progress: Callable[[JobProgress], None] | None) -> None:
        """All blocks from the position on; then every shard is sealed, and the last checkpoint says so."""
        output, position, last = self._output, self._position, time.monotonic()
        with contextlib.closing(self._pipeline.encoded(position.after)) as blocks:
            for number, (block, encoded) in enumerate(blocks):
                full = 0
                for split, ids, ends in encoded.parts:
                    full += output.write(split, ids, ends)
                position.advance(block, encoded.invalid_bytes)
                if number % self._tuning.disk_interval == 0:
                    self._check_disk()
                if progress is not None:
                    progress(self._progress(encoded.memory))
                now = time.monotonic()
                if self._plan.resumable and (full or now - last > self._tuning.checkpoint_seconds):
                    output.checkpoint(position.checkpoint())
                    last = now
        output.finish(position.checkpoint())

    def _check_disk(self) -> None:
        """Stops early where what is still to come cannot fit, by the bytes per token so far, with a fifth to spare."""
        done, total = self._position.done, self._plan.bytes_total
        if total and done:
            to_come = round(self._output.bytes / done * (total - done))
            check_space(self._output.directory, to_come * 0.8, f"about {format_size(to_come)} more")

    def _progress(self, memory: int | None) -> JobProgress:
        position, budget = self._position, self._pipeline.budget
        seconds = time.monotonic() - self._started
        return JobProgress(
            position.done,
            self._plan.bytes_total,
            self._output.tokens,
            memory,
            seconds,
            position.before,
            budget.workers,
        )

    def manifest(self) -> Manifest:
        plan, output, position = self._plan, self._output, self._position
        # what can be read once only is known when it was read; everything else was known before
        inputs = [source.as_input() for source in plan.sources] if plan.resumable else position.inputs
        return Manifest(
            inputs=tuple(inputs),
            encoding=plan.encoding_info(),
            dtype=plan.vocabulary.dtype,
            format=plan.options.format,
            shards=tuple(sorted(output.shards, key=lambda shard: (shard.split == "val", shard.path))),
            complete=True,
            options=plan.recorded(),
            invalid_bytes=position.invalid_bytes,
            engine=self._pipeline.engine.name,
            version=__version__,
            offsets=output.offsets_files(),
            skipped=position.skipped,
        )
