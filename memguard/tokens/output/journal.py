"""The journal of an unfinished job, `.memguard.journal` in its output directory: what makes --resume exact.

Its first line says what the job is; each further line is a checkpoint: all input up to a place is in the files, which
are on the disk so far. Lines are appended and synced, a torn last line is none. The journal is locked (flock) while
its job lives, and removed when manifest.json is there.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

from memguard.errors import ManifestMismatch, ShardError
from memguard.records.codec import from_dict, to_dict
from memguard.records.manifest import ShardInfo
from memguard.tokens.input.blocks import Start
from memguard.tokens.input.documents import Place

__all__ = ["JOURNAL", "Checkpoint", "Journal", "Unfinished", "read_journal"]

JOURNAL = ".memguard.journal"
_SCHEMA = "memguard.journal/1"


@dataclass(slots=True)
class Checkpoint:
    """Everything before `after` is written. `streams`: the state of each split's files."""

    after: Start
    done: int  # bytes of input as stored
    invalid_bytes: int
    skipped: int
    streams: dict[str, dict[str, Any]]
    finished: list[ShardInfo] = field(default_factory=list)  # since the checkpoint before
    complete: bool = False  # there is no more input
    files: list[str] = field(default_factory=list)  # temporary files that are open


@dataclass(slots=True)
class Unfinished:
    """What read_journal found: the job, its last checkpoint, all shards that are finished."""

    job: dict[str, Any]
    checkpoint: Checkpoint | None
    finished: list[ShardInfo]
    size: int  # bytes of the journal that are whole


class Journal:
    """Open for appending, and locked."""

    def __init__(self, directory: str) -> None:
        """An old journal's lines stay until `cut`. Raises ShardError while another job holds it."""
        self.path = os.path.join(directory, JOURNAL)
        while True:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
            try:
                _lock(self._file.fileno())
            except BlockingIOError:
                self._file.close()
                raise ShardError(
                    f"another memguard is writing to {directory} right now", "wait for it, or choose another -o DIR"
                ) from None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(self.path), os.fstat(self._file.fileno())):
                    return
            self._file.close()  # the job that held it has just ended and removed it

    def cut(self, size: int) -> None:
        """Only the first `size` bytes stay."""
        os.ftruncate(self._file.fileno(), size)

    def begin(self, job: dict[str, Any]) -> None:
        self._append({"schema": _SCHEMA, "job": job})

    def add(self, checkpoint: Checkpoint) -> None:
        self._append(to_dict(checkpoint))

    def _append(self, record: dict[str, Any]) -> None:
        data = memoryview(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        while data:
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        """First removed, then unlocked: nobody takes it up meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self._file.close()


def read_journal(directory: str) -> Unfinished | None:
    """None where there is none, or none that got as far as its first line."""
    try:
        with open(os.path.join(directory, JOURNAL), "rb") as file:
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    found: Unfinished | None = None
    for line in lines:
        try:
            record = json.loads(line)
            if found is None:
                if record["schema"] != _SCHEMA:
                    raise ManifestMismatch(
                        f"{directory} holds an unfinished job of another memguard ({record['schema']})"
                    )
                found = Unfinished(record["job"], None, [], 0)
            else:
                found.checkpoint = _checkpoint(record)
                found.finished += found.checkpoint.finished
        except (ValueError, KeyError, TypeError):
            break
        found.size += len(line) + 1
    return found


def _checkpoint(record: dict[str, Any]) -> Checkpoint:
    after = record["after"]
    return Checkpoint(
        after=Start(after["source"], Place(**after["place"]), after["split"]),
        done=record["done"],
        invalid_bytes=record["invalid_bytes"],
        skipped=record["skipped"],
        streams=record["streams"],
        finished=[from_dict(ShardInfo, shard) for shard in record["finished"]],
        complete=record["complete"],
        files=record["files"],
    )


def _lock(descriptor: int) -> None:
    """Raises BlockingIOError where another process holds the lock; does nothing where there are no such locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # a file system without locks (some network mounts)
