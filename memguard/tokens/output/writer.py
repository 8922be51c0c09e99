"""The files of a job: shards per split, written under temporary names, published whole, taken up again after a kill.

    write → shard full → fsync → checkpoint in the journal → rename → … → manifest.json → the journal goes

Whatever waits for the disk (fsync, hashing a header again, renames) is done by one thread beside, in order, so that
the next tokens are encoded meanwhile.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memguard.records.manifest import FileInfo, ShardInfo
from memguard.tokens.output.disk import disk_errors, sync_directory, temporary_of
from memguard.tokens.output.formats import Format, OpenShard
from memguard.tokens.output.journal import Checkpoint, Journal, Unfinished
from memguard.tokens.output.offsets import OffsetsFile, file_info, offsets_name
from memguard.tokens.tuning import TUNING, Tuning

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.integer]

__all__ = ["Output", "OutputLayout"]

_PENDING = 2  # shards, checkpoints and syncs that may wait for the disk


@dataclass(frozen=True, slots=True)
class OutputLayout:
    """What the files of a job are like. `val_shards`: train and val are one stream whose first shards are val."""

    form: Format
    dtype: str
    n_vocab: int | None
    splits: tuple[str, ...] = ("train",)
    shard_tokens: int | None = None  # None: one shard per split
    val_shards: int = 0
    offsets: bool = False

    def split_of(self, stream: str, index: int) -> str:
        if not self.val_shards:
            return stream
        return "val" if index < self.val_shards else "train"


class Output:
    """All files of one job in one directory. Not shared between threads."""

    def __init__(
        self,
        directory: str,
        layout: OutputLayout,
        journal: Journal | None,
        unfinished: Unfinished | None = None,
        *,
        deferred: bool = False,
        tuning: Tuning = TUNING,
    ) -> None:
        """`deferred`: nothing takes its final name before `publish`, since an older job's files stand there."""
        self.directory, self.layout, self._journal, self._deferred = directory, layout, journal, deferred
        self.tuning = tuning
        self.shards: list[ShardInfo] = list(unfinished.finished) if unfinished else []
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="memguard-disk")
        self._pending: deque[Future[None]] = deque()
        self._full: list[OpenShard] = []  # handed over to the disk thread
        self._sealed: list[ShardInfo] = []  # finished since the last checkpoint; the disk thread's own
        self._kept = unfinished is not None  # there is something on the disk that --resume can go on from
        last = unfinished.checkpoint if unfinished else None
        states = last.streams if last else {}
        self.streams: dict[str, _Stream] = {}
        try:
            for name in layout.splits:
                self.streams[name] = _Stream(self, name, states.get(name), last is not None and last.complete)
        except BaseException:
            self.stop()
            raise

    @property
    def tokens(self) -> int:
        return sum(stream.tokens for stream in self.streams.values())

    @property
    def bytes(self) -> int:
        import numpy as np

        return self.tokens * np.dtype(self.layout.dtype).itemsize

    def write(self, split: str, ids: Ids, ends: npt.NDArray[np.int64]) -> int:
        """Appends to a split; documents end before the positions `ends`. Returns how many shards became full."""
        stream = self.streams.get(split) or next(iter(self.streams.values()))
        with disk_errors(os.path.join(self.directory, split)):
            return stream.write(ids, ends)

    def checkpoint(self, record: Checkpoint) -> None:
        """Everything written so far counts, once it is on the disk; `record.streams` and `.finished` are filled in."""
        states = {name: stream.state() for name, stream in self.streams.items()}
        open_files = [file for stream in self.streams.values() for file in stream.open_files()]
        record.streams = states
        record.files = [os.path.basename(path) for file in open_files for path in file.paths()]
        self._later(lambda: self._write_checkpoint(record, open_files))

    def _write_checkpoint(self, record: Checkpoint, open_files: list[OpenShard | OffsetsFile]) -> None:
        for file in open_files:
            with disk_errors(file.temp_path):
                file.sync()
        record.finished, self._sealed = self._sealed, []
        if self._journal is not None:
            with disk_errors(self._journal.path):
                self._journal.add(record)
            self._kept = True
        if not self._deferred:
            for shard in record.finished:
                self._rename(shard)
            sync_directory(self.directory)

    def sync(self, shard: OpenShard) -> None:
        """What is written so far goes to the disk, beside."""

        def sync() -> None:
            with disk_errors(shard.temp_path):
                shard.sync()

        self._later(sync)

    def seal(self, shard: OpenShard, name: str, split: str, documents: int) -> None:
        """The shard is full: it is finished beside, and takes its name with the next checkpoint."""
        self._full.append(shard)
        self._later(lambda: self._seal(shard, name, split, documents))

    def _seal(self, shard: OpenShard, name: str, split: str, documents: int) -> None:
        with disk_errors(os.path.join(self.directory, name)):
            first, *more = shard.finish()
        self._full.remove(shard)
        files = tuple(FileInfo(file.final_name(name), file.bytes, file.sha256) for file in more)
        self._sealed.append(ShardInfo(name, split, shard.tokens, documents or None, first.bytes, first.sha256, files))
        self.shards.append(self._sealed[-1])

    def _later(self, task: Callable[[], None]) -> None:
        self._pending.append(self._disk.submit(task))
        while len(self._pending) > _PENDING or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()

    def settle(self) -> None:
        """Waits for the disk; raises what went wrong there."""
        while self._pending:
            self._pending.popleft().result()

    def finish(self, record: Checkpoint) -> None:
        """Every shard is sealed, and the last checkpoint says so."""
        self.seal_all()
        record.complete = True
        self.checkpoint(record)
        self.settle()

    def seal_all(self) -> None:
        for stream in self.streams.values():
            stream.finish()
        self.settle()

    def offsets_files(self) -> tuple[FileInfo, ...]:
        return tuple(stream.offsets_info() for stream in self.streams.values()) if self.layout.offsets else ()

    def publish(self) -> None:
        """Gives whatever is finished its name; what has it already stays as it is."""
        for shard in self.shards:
            self._rename(shard)
        for stream in self.streams.values():
            if self.layout.offsets:
                self._rename_file(offsets_name(stream.name))
        sync_directory(self.directory)

    def _rename(self, shard: ShardInfo) -> None:
        for name in reversed(shard.names):  # the file with the ids last
            self._rename_file(name)

    def _rename_file(self, name: str) -> None:
        path = os.path.join(self.directory, name)
        temporary = os.path.join(self.directory, temporary_of(name))
        with disk_errors(path):
            if os.path.lexists(temporary):
                os.replace(temporary, path)

    @property
    def kept(self) -> bool:
        """Whether the journal holds something that --resume can go on from."""
        return self._kept

    def stop(self) -> None:
        """Ends in the middle; the files stay as they are."""
        self._disk.shutdown(wait=True, cancel_futures=True)
        for file in (*self._full, *(file for stream in self.streams.values() for file in stream.open_files())):
            file.close()


class _Stream:
    """The shards of one split, one after the other."""

    def __init__(self, output: Output, name: str, state: dict[str, Any] | None, complete: bool) -> None:
        """`complete`: all of it is written, and it may have its final name already."""
        self._output, self._layout, self._tuning, self.name = output, output.layout, output.tuning, name
        state = state or {}
        self._index, self.tokens = int(state.get("index", 0)), int(state.get("tokens", 0))
        self.offsets: OffsetsFile | None = None
        self._shard: OpenShard | None = None
        self._unsynced = 0  # bytes
        layout = self._layout
        if layout.offsets and not complete:
            with disk_errors(self._path(offsets_name(name))):
                self.offsets = OffsetsFile(self._path(temporary_of(offsets_name(name))), state.get("offsets"))
        if state.get("open"):
            path = self._path(temporary_of(self._shard_name()))
            with disk_errors(path):
                self._shard = OpenShard.restore(
                    layout.form,
                    path,
                    layout.dtype,
                    layout.n_vocab,
                    layout.shard_tokens,
                    state["open"],
                    tuning=self._tuning,
                )
        elif layout.form.whole_split and not state:
            self._open()

    def _path(self, name: str) -> str:
        return os.path.join(self._output.directory, name)

    def _shard_name(self) -> str:
        return self._layout.form.shard_name(self._layout.split_of(self.name, self._index), self._index)

    def _open(self) -> OpenShard:
        layout, path = self._layout, self._path(temporary_of(self._shard_name()))
        with disk_errors(self._path(self._shard_name())):
            self._shard = OpenShard(
                layout.form, path, layout.dtype, layout.n_vocab, layout.shard_tokens, tuning=self._tuning
            )
        return self._shard

    def write(self, ids: Ids, ends: npt.NDArray[np.int64]) -> int:
        import numpy as np

        if self.offsets is not None and len(ends):
            self.offsets.add(self.tokens, ends)
        full = 0
        while ids.size or len(ends):
            shard = self._shard or self._open()
            most = self._layout.shard_tokens
            count = ids.size if most is None else min(ids.size, most - shard.tokens)
            here = int(np.searchsorted(ends, count, side="right"))
            shard.write_documents(ids[:count], ends[:here])
            self.tokens += count
            self._unsynced += count * shard.dtype.itemsize
            ids, ends = ids[count:], ends[here:] - count
            if most is not None and shard.tokens >= most:
                self._seal()
                full += 1
        if self._unsynced >= self._tuning.sync_step and self._shard is not None:
            self._output.sync(self._shard)
            self._unsynced = 0
        return full

    def _seal(self) -> None:
        shard = self._shard
        if shard is not None:
            split = self._layout.split_of(self.name, self._index)
            self._output.seal(shard, self._shard_name(), split, shard.documents)
            self._shard, self._index = None, self._index + 1

    def finish(self) -> None:
        self._seal()
        if self.offsets is not None:
            with disk_errors(self.offsets.temp_path):
                self.offsets.sync()

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"index": self._index, "tokens": self.tokens}
        if self.offsets is not None:
            state["offsets"] = self.offsets.documents
        if self._shard is not None:
            state["open"] = self._shard.resume_state()
        return state

    def open_files(self) -> list[OpenShard | OffsetsFile]:
        return [file for file in (self._shard, self.offsets) if file is not None]

    def offsets_info(self) -> FileInfo:
        name = offsets_name(self.name)
        temporary = self._path(temporary_of(name))
        with disk_errors(temporary):
            return file_info(name, temporary if os.path.exists(temporary) else self._path(name))
