"""Finished jobs joined into one: their shards one after the other, and a manifest that still names every source.

nanoGPT's and Megatron-LM's files are joined into one per split; shards of N tokens are copied as they are, numbered
again. Each byte that is read is held against its manifest's SHA-256. Nothing stands under its final name before all of
it is on the disk, and the jobs that are joined stay as they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from memguard._version import __version__
from memguard.errors import ConfigError, InputError, ManifestMismatch, ShardError
from memguard.records.manifest import FileInfo, InputFile, Manifest, ShardInfo, parts_of
from memguard.tokens.output.directory import OutputDirectory, job_of, prepare_directory, remove_old_files
from memguard.tokens.output.disk import check_space, disk_errors, sync_directory, temporary_of
from memguard.tokens.output.formats import FORMATS, Format, OpenShard
from memguard.tokens.output.manifest import MANIFEST, read_manifest, write_manifest
from memguard.tokens.output.offsets import OffsetsFile, file_info, read_offsets
from memguard.tokens.output.readers import DocumentEnds, TokenProgress, open_reader
from memguard.tokens.tuning import TUNING, Tuning
from memguard.units import format_size

__all__ = ["merge"]

# What tells the tasks of one job apart, in their options.
_NO_PART = dict.fromkeys(("part", "part_count", "part_source", "part_start", "part_stop"))


@dataclass(frozen=True, slots=True)
class _FinishedJob:
    directory: str
    manifest: Manifest

    def shards(self, split: str) -> list[ShardInfo]:
        return [shard for shard in self.manifest.shards if shard.split == split]

    def offsets(self, name: str) -> FileInfo:
        return next(file for file in self.manifest.offsets if file.path == name)


def merge(
    directories: list[str],
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Callable[[TokenProgress], None] | None = None,
    tuning: Tuning = TUNING,
) -> Manifest:
    """Joins the finished jobs in `directories`, in that order, into the directory `out`; returns its manifest.

    Raises ManifestMismatch where they do not go together, ShardError where a file is damaged or cannot be written.
    """
    jobs = [_FinishedJob(directory, _finished(directory)) for directory in directories]
    tasks = _are_tasks(jobs)
    if len(jobs) < 2 and not tasks:
        raise ConfigError("merge joins two or more directories", "memguard merge DIR DIR -o OUT")
    _refuse_differences(jobs)
    _refuse_common_offsets(jobs)
    target = os.fspath(out)
    _refuse_target(target, directories)
    return _Merge(jobs, target, progress, tasks, tuning).run(overwrite)


def _finished(directory: str) -> Manifest:
    if not os.path.isdir(directory):
        what = "is a file" if os.path.exists(directory) else "does not exist"
        raise InputError(f"{directory} {what}", "give directories that memguard tokenize wrote", path=directory)
    manifest = read_manifest(directory)
    if manifest is None or not manifest.complete:
        raise ManifestMismatch(
            f"{directory} holds no finished job: there is no {MANIFEST}", "finish it with memguard tokenize --resume"
        )
    return manifest


def _are_tasks(jobs: list[_FinishedJob]) -> bool:
    """Whether these are the tasks of one job (task.py): all of them then, and in order."""
    found = [job.manifest.options.get("part") for job in jobs]
    if all(number is None for number in found):
        return False
    count = next(n for job in jobs if (n := job.manifest.options.get("part_count")) is not None)
    for expected, (number, job) in enumerate(zip(found, jobs, strict=True)):
        if number != expected:
            what = "no part of that job" if number is None else f"part {number}"
            raise ManifestMismatch(
                f"{job.directory} is {what}, where part {expected} of {count} belongs",
                "give every part of the one job, in order",
            )
    if len(jobs) != count:
        raise ManifestMismatch(f"part {len(jobs)} of {count} is missing", "give every part of the one job, in order")
    _refuse_other_options(jobs)
    return True


def _refuse_other_options(tasks: list[_FinishedJob]) -> None:
    first, *others = ({**task.manifest.options, **_NO_PART} for task in tasks)
    for task, options in zip(tasks[1:], others, strict=True):
        if options != first:
            different = ", ".join(sorted(key for key in first | options if first.get(key) != options.get(key)))
            raise ManifestMismatch(
                f"{task.directory} is a part of another job: its {different} differs", "plan the tasks once, for all"
            )


def _refuse_differences(jobs: list[_FinishedJob]) -> None:
    first, *others = jobs
    for job in others:
        for what, one, other in (
            ("encoding", first.manifest.encoding.name, job.manifest.encoding.name),
            ("format", first.manifest.format, job.manifest.format),
            ("dtype", first.manifest.dtype, job.manifest.dtype),
            ("place of end-of-text tokens", first.manifest.options.get("eot"), job.manifest.options.get("eot")),
            ("vocabulary", first.manifest.encoding.n_vocab, job.manifest.encoding.n_vocab),
            ("files of document offsets", _offset_names(first.manifest), _offset_names(job.manifest)),
        ):
            if one != other:
                raise ManifestMismatch(
                    f"cannot merge {first.directory} and {job.directory}: the {what} of the first is {_shown(one)}, "
                    f"of the second {_shown(other)}",
                    "tokenize one of them again with the options of the other",
                )


def _refuse_common_offsets(jobs: list[_FinishedJob]) -> None:
    """Where val is the first shards of one stream, documents are counted over val and train together, and after a
    merge the two no longer follow each other."""
    for job in jobs:
        if any(file.path.startswith("tokens.") for file in job.manifest.offsets):
            raise ManifestMismatch(
                f"cannot merge {job.directory}: its document offsets count over val and train together",
                "tokenize it again with --val-by tail or document, or without --offsets",
            )


def _offset_names(manifest: Manifest) -> str:
    return ", ".join(sorted(file.path for file in manifest.offsets))


def _shown(value: object) -> str:
    return "none" if value in (None, "") else str(value)


def _refuse_target(out: str, directories: list[str]) -> None:
    for directory in directories:
        if os.path.isdir(out) and os.path.samefile(out, directory):
            raise ShardError(
                f"{directory} is one of the jobs to merge and would be overwritten", "choose another -o DIR"
            )


class _Merge:
    def __init__(
        self,
        jobs: list[_FinishedJob],
        out: str,
        progress: Callable[[TokenProgress], None] | None,
        tasks: bool,
        tuning: Tuning,
    ) -> None:
        self.jobs, self.out, self.progress, self.tasks, self.tuning = jobs, out, progress, tasks, tuning
        first = jobs[0].manifest
        self.form: Format = FORMATS[first.format]
        self.dtype, self.n_vocab = first.dtype, first.encoding.n_vocab
        self.splits = tuple(dict.fromkeys(shard.split for job in jobs for shard in job.manifest.shards))
        self.tokens_done = 0
        self.tokens_total = sum(shard.tokens for job in jobs for shard in job.manifest.shards)
        self.shards: list[ShardInfo] = []
        self.offsets: list[FileInfo] = []

    def run(self, overwrite: bool) -> Manifest:
        manifest = self._manifest()
        target = prepare_directory(self.out, job_of(manifest), [], resume=False, overwrite=overwrite, journalled=False)
        try:
            self._check_space()
            for split in self.splits:
                self._write_split(split)
            for name in _offset_names(self.jobs[0].manifest).split(", ") if self.jobs[0].manifest.offsets else []:
                self._write_offsets(name)
            manifest = replace(manifest, shards=tuple(self.shards), offsets=tuple(self.offsets))
            self._publish(target, manifest)
        except BaseException:
            target.clear()
            raise
        return manifest

    def _manifest(self) -> Manifest:
        manifests = [job.manifest for job in self.jobs]
        first = manifests[0]
        return Manifest(
            inputs=self._inputs(),
            encoding=first.encoding,
            dtype=first.dtype,
            format=first.format,
            shards=(),
            complete=True,
            options={
                key: value
                for key, value in first.options.items()
                if _same(key, manifests) and not (self.tasks and key in _NO_PART)
            },
            invalid_bytes=sum(manifest.invalid_bytes for manifest in manifests),
            engine=first.engine if len({manifest.engine for manifest in manifests}) == 1 else None,
            version=__version__,
            skipped=sum(manifest.skipped for manifest in manifests),
            parts=() if self.tasks else tuple(part for manifest in manifests for part in parts_of(manifest)),
        )

    def _inputs(self) -> tuple[InputFile, ...]:
        """Each source of a job once, however many of its tasks have read it."""
        found: dict[object, InputFile] = {}
        for number, job in enumerate(self.jobs):
            for place, source in enumerate(job.manifest.inputs):
                key = job.manifest.options.get("part_source") if self.tasks else (number, place)
                if found.setdefault(key, source) != source:
                    raise ManifestMismatch(
                        f"{source.path} was another file when {job.directory} was made", "plan the tasks again"
                    )
        return tuple(found.values())

    def _check_space(self) -> None:
        needed = sum(shard.bytes for job in self.jobs for shard in job.manifest.shards)
        check_space(self.out, needed, format_size(needed))

    # shards

    def _write_split(self, split: str) -> None:
        sources = [(job, shard) for job in self.jobs for shard in job.shards(split)]
        groups = [sources] if self.form.whole_split else [[source] for source in sources]
        for number, group in enumerate(groups):
            self._write_shard(self.form.shard_name(split, number), split, group)

    def _write_shard(self, name: str, split: str, sources: list[tuple[_FinishedJob, ShardInfo]]) -> None:
        expected = sum(shard.tokens for _, shard in sources)
        path, temporary = os.path.join(self.out, name), os.path.join(self.out, temporary_of(name))
        with disk_errors(path):
            writer = OpenShard(self.form, temporary, self.dtype, self.n_vocab, expected, tuning=self.tuning)
        try:
            for job, shard in sources:
                self._copy(os.path.join(job.directory, shard.path), shard, writer, path)
            with disk_errors(path):
                ids, *others = writer.finish()
        finally:
            writer.close()
        counts = [shard.documents for _, shard in sources]
        documents = sum(count or 0 for count in counts) or None
        if None in counts and not self.tasks:  # not counted; in a task, none that ends there
            documents = None
        files = tuple(FileInfo(file.final_name(name), file.bytes, file.sha256) for file in others)
        self.shards.append(ShardInfo(name, split, writer.tokens, documents, ids.bytes, ids.sha256, files))

    def _copy(self, path: str, shard: ShardInfo, writer: OpenShard, target: str) -> None:
        with (
            open_reader(path, format=self.form.name, dtype=self.dtype, block=self.tuning.read_ids) as reader,
            DocumentEnds(reader) as ends,
        ):
            digest, position = hashlib.sha256(), 0
            for ids in reader.blocks(digest=digest):
                position += ids.size
                inside = ends.until(position)
                with disk_errors(target):
                    writer.write_documents(ids, inside - (position - ids.size))
                self.tokens_done += ids.size
                if self.progress is not None:
                    self.progress(TokenProgress(self.tokens_done, self.tokens_total))
            if reader.tokens != shard.tokens or digest.hexdigest() != shard.sha256:
                raise ShardError(
                    f"{path} is not the file that its {MANIFEST} speaks of",
                    f"memguard verify {os.path.dirname(path) or '.'} tells what is wrong",
                )

    # offsets

    def _write_offsets(self, name: str) -> None:
        """Joins where documents begin: each job's, counted on from the tokens of the jobs before it."""
        path, temporary = os.path.join(self.out, name), os.path.join(self.out, temporary_of(name))
        with disk_errors(path):
            target = OffsetsFile(temporary)
        try:
            before = 0
            for job in self.jobs:
                for ends in read_offsets(job.directory, job.offsets(name), block=self.tuning.read_offsets):
                    with disk_errors(path):
                        target.add(before, ends)
                before += sum(shard.tokens for shard in job.shards(name.split(".")[0]))
            with disk_errors(path):
                target.sync()
        finally:
            target.close()
        self.offsets.append(file_info(name, temporary))

    # the end

    def _publish(self, target: OutputDirectory, manifest: Manifest) -> None:
        if target.older is not None:  # a manifest never stands beside files that it does not speak of
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.out, MANIFEST))
        # The file with the ids comes last: where it stands, its index does too.
        names = [path for shard in self.shards for path in (*(file.path for file in shard.files), shard.path)]
        for name in [*names, *(file.path for file in self.offsets)]:
            path = os.path.join(self.out, name)
            with disk_errors(path):
                os.replace(os.path.join(self.out, temporary_of(name)), path)
        sync_directory(self.out)
        if target.older is not None:
            remove_old_files(self.out, target.older, manifest)
        write_manifest(self.out, manifest)
        if target.journal is not None:
            target.journal.remove()


def _same(key: str, manifests: list[Manifest]) -> bool:
    return all(key in manifest.options and manifest.options[key] == manifests[0].options[key] for manifest in manifests)
