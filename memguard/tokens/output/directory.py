"""The output directory before a job: whose files stand there, whether the job may write, and where it goes on.

A file that no journal and no manifest of memguard's names is never touched, whatever the options.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import Any

from memguard.errors import ManifestMismatch, ShardError
from memguard.records.codec import to_dict
from memguard.records.manifest import Manifest
from memguard.tokens.input.source import Source, is_url
from memguard.tokens.output.disk import disk_errors, temporary_of
from memguard.tokens.output.journal import Journal, Unfinished, read_journal
from memguard.tokens.output.manifest import MANIFEST, read_manifest

__all__ = ["OutputDirectory", "prepare_directory", "remove_old_files"]

# Names that a job of memguard's may write.
_NAME = re.compile(r"(train|val|tokens)(_\d{6,})?(\.bin|\.idx|\.npy|\.offsets\.bin)")
_TEMPORARY = re.compile(r"\.((train|val|tokens)[._].*|manifest\.json.*)\.tmp(\.new(\.idx)?)?")


@dataclass(slots=True)
class OutputDirectory:
    """A directory that is ours to write to. `complete`: an earlier job has done all of this one."""

    directory: str
    made: bool = False
    journal: Journal | None = None
    unfinished: Unfinished | None = None
    complete: Manifest | None = None
    older: Manifest | None = None  # of the job that is being overwritten

    def clear(self, *, keep_directory: bool = False) -> None:
        """Takes away the journal and every temporary file: the job is done, or nothing of it is to be kept."""
        _remove_remains(self.directory, set())
        if self.journal is not None:
            self.journal.remove()
        if self.made and not keep_directory:
            with contextlib.suppress(OSError):
                os.rmdir(self.directory)


def prepare_directory(
    directory: str, job: dict[str, Any], sources: list[Source], *, resume: bool, overwrite: bool, journalled: bool
) -> OutputDirectory:
    """Raises ManifestMismatch where other files stand there, ShardError where it cannot be written to."""
    target = OutputDirectory(directory, _make(directory))
    existing_files = [] if target.made else [name for name in sorted(os.listdir(directory)) if _NAME.fullmatch(name)]
    _protect_inputs(directory, [*existing_files, MANIFEST], sources)
    try:
        _open_journal(target)
        _decide(target, job, existing_files, resume=resume, overwrite=overwrite)
        if target.complete is None:
            _begin(target, job, journalled)
    except BaseException:
        if target.journal is not None:
            if os.path.getsize(target.journal.path):
                target.journal.close()  # an unfinished job's: it stays
            else:
                target.journal.remove()
        if target.made:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        raise
    return target


def _make(directory: str) -> bool:
    """True where the directory had to be made."""
    if os.path.isdir(directory):
        return False
    try:
        os.makedirs(directory)
    except FileExistsError:
        raise ShardError(f"{directory} is a file, not a directory", "choose another -o DIR") from None
    except OSError as error:
        why = error.strerror or error
        raise ShardError(f"cannot make the directory {directory}: {why}", "choose another -o DIR") from None
    return True


def _protect_inputs(directory: str, names: list[str], sources: list[Source]) -> None:
    for name in names:
        target = os.path.join(directory, name)
        for source in sources:
            if source.path == "-" or is_url(source.path):
                continue
            if os.path.exists(target) and os.path.samefile(source.path, target):
                raise ShardError(f"{source.path} is an input and would be overwritten", "choose another -o DIR")


def _open_journal(target: OutputDirectory) -> None:
    with disk_errors(os.path.join(target.directory, "the token files")):
        target.journal = Journal(target.directory)
    target.unfinished = read_journal(target.directory)


def _decide(
    target: OutputDirectory, job: dict[str, Any], existing_files: list[str], *, resume: bool, overwrite: bool
) -> None:
    directory, unfinished = target.directory, target.unfinished
    older = read_manifest(directory) if not overwrite or os.path.exists(os.path.join(directory, MANIFEST)) else None
    ours = {name for shard in unfinished.finished for name in shard.names} if unfinished else set()
    ours |= names_of(older)
    foreign = [name for name in existing_files if name not in ours]
    if unfinished is not None and resume:
        _compare(directory, job, unfinished.job, "the unfinished job")
        target.older = older
        return
    if unfinished is not None and not overwrite:
        done = unfinished.checkpoint.done if unfinished.checkpoint else 0
        total = sum(source["bytes"] for source in unfinished.job["inputs"]) or 1
        raise ManifestMismatch(
            f"{directory} holds an unfinished job ({100 * done / total:.0f} % done) of {_origin(unfinished.job)}",
            "--resume goes on with it, --overwrite starts again",
        )
    if older is not None and resume:
        _compare(directory, job, job_of(older), "the finished job")
        target.complete = older
        return
    if older is not None and not overwrite:
        found = ", ".join([*existing_files[:3], *(["…"] if len(existing_files) > 3 else []), MANIFEST])
        raise ManifestMismatch(
            f"{directory} already holds {found}, made from {_origin(job_of(older))}",
            "choose another -o DIR, or --overwrite to replace them",
        )
    if foreign:
        raise ManifestMismatch(
            f"{directory} already holds {', '.join(foreign[:3])}, which no memguard job has written there",
            "choose another -o DIR, or move them away",
        )
    if unfinished is not None:
        for name in ours - names_of(older):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, name))
        target.unfinished = None
    target.older = older


def _begin(target: OutputDirectory, job: dict[str, Any], journalled: bool) -> None:
    assert target.journal is not None
    unfinished = target.unfinished
    checkpoint = unfinished.checkpoint if unfinished else None
    if checkpoint is None:
        target.unfinished = None
    kept = set()
    if unfinished is not None and checkpoint is not None:
        kept = {temporary_of(name) for shard in unfinished.finished for name in shard.names} | set(checkpoint.files)
        target.journal.cut(unfinished.size)
    _remove_remains(target.directory, kept)
    if checkpoint is None:
        with disk_errors(target.journal.path):
            target.journal.cut(0)
            if journalled:
                target.journal.begin(job)


def _remove_remains(directory: str, kept: set[str]) -> None:
    """Temporary files that a killed writer left and nobody goes on with; the journal's lock says so."""
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if _TEMPORARY.fullmatch(name) and name not in kept:
                os.unlink(os.path.join(directory, name))


def remove_old_files(directory: str, older: Manifest, new: Manifest) -> None:
    """What the overwritten job wrote and this one does not replace. After a kill behind its last step the older job is
    this one itself."""
    for name in names_of(older) - names_of(new):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(directory, name))


def names_of(manifest: Manifest | None) -> set[str]:
    if manifest is None:
        return set()
    files = [name for shard in manifest.shards for name in shard.names]
    return {*files, *(file.path for file in manifest.offsets)}


def job_of(manifest: Manifest) -> dict[str, Any]:
    record = to_dict(manifest)
    return {key: record[key] for key in ("inputs", "encoding", "dtype", "format", "options")}


def _origin(job: dict[str, Any]) -> str:
    inputs = [source["path"] for source in job["inputs"]]
    more = f" and {len(inputs) - 3} more" if len(inputs) > 3 else ""
    return f"{', '.join(inputs[:3])}{more} with {job['encoding']['name']}"


def _compare(directory: str, now: dict[str, Any], then: dict[str, Any], what: str) -> None:
    """Raises ManifestMismatch that names the first thing in which the jobs differ."""
    difference = _difference(now, then)
    if difference:
        raise ManifestMismatch(
            f"{what} in {directory} was another one: {difference}",
            "give the same input and options, or --overwrite to start again",
        )


def _difference(now: dict[str, Any], then: dict[str, Any]) -> str:
    if now["encoding"] != then["encoding"]:
        return f"its encoding was {then['encoding']['name']}, now it is {now['encoding']['name']}"
    for key in ("format", "dtype"):
        if now[key] != then[key]:
            return f"its {key} was {then[key]}, now it is {now[key]}"
    for key in sorted(now["options"].keys() | then["options"].keys()):
        old, new = then["options"].get(key), now["options"].get(key)
        if old != new:
            return f"--{key.replace('_', '-')} was {old}, now it is {new}"
    if len(now["inputs"]) != len(then["inputs"]):
        return f"it had {len(then['inputs'])} input files, now there are {len(now['inputs'])}"
    for new, old in zip(now["inputs"], then["inputs"], strict=True):
        if new["path"] != old["path"]:
            return f"it read {old['path']} where now {new['path']} is given"
        for key, word in (("bytes", "size"), ("sha256_head", "first MiB"), ("mtime", "time of change")):
            if new[key] != old[key]:
                return f"{new['path']} has changed ({word})"
    return ""
