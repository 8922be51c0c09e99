"""For your own prepare.py: a writer of shards for ids from anywhere, and the ids of texts without any files.

with memguard.ShardWriter("data", encoding="gpt2", format="npy", shard_tokens=100_000_000) as writer:
    for document in documents:
        writer.write(encode(document), end_document=True)

for ids in memguard.iter_token_blocks(["train.txt"]):
    count += numpy.bincount(ids, minlength=50257)
"""

from __future__ import annotations

import _thread
import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from memguard import pressure
from memguard._version import __version__
from memguard.errors import ConfigError, ShardError
from memguard.records.codec import to_dict
from memguard.records.manifest import EncodingInfo, Manifest
from memguard.tokens.budget import DEFAULT_MEMORY
from memguard.tokens.engine.encode import load_vocabulary
from memguard.tokens.job import encoded_blocks
from memguard.tokens.options import SHARD_TOKENS, Options
from memguard.tokens.output.directory import prepare_directory, remove_old_files
from memguard.tokens.output.manifest import write_manifest
from memguard.tokens.output.writer import Output, OutputLayout
from memguard.tokens.pipeline import Resources

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt

__all__ = ["ShardWriter", "iter_token_blocks"]

_BUFFER = 1 << 18  # ids


class ShardWriter:
    """Token ids → token files with a manifest, in memory that does not grow; a context manager.

    Nothing stands under its final name before the `with` block ends; if it ends with an exception, nothing is left.
    `splits` are the names that `write` may be given; a directory that holds other files is refused, as by `memguard
    tokenize`. `write` is a checkpoint for its own buffer: under a guard that is short of memory it writes it out. Not
    for several threads at once: a call inside another one, by a second thread or a callback, raises ShardError.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        encoding: str = "gpt2",
        format: str = "nanogpt",
        shard_tokens: int | None = None,
        splits: Sequence[str] = ("train",),
        offsets: bool = False,
        overwrite: bool = False,
    ) -> None:
        if not splits or set(splits) - {"train", "val"}:
            raise ConfigError(f"splits must be train, val or both: {splits!r}")
        vocabulary = load_vocabulary(encoding)
        options = Options(encoding=encoding, format=format, shard_tokens=shard_tokens, offsets=offsets)
        size = None if options.form.whole_split else shard_tokens or SHARD_TOKENS
        self._manifest = Manifest(
            inputs=(),
            encoding=EncodingInfo(vocabulary.name, vocabulary.n_vocab, vocabulary.eot),
            dtype=vocabulary.dtype,
            format=format,
            shards=(),
            complete=True,
            options={"written_by": "ShardWriter", "shard_tokens": size},
            version=__version__,
        )
        job = {
            key: to_dict(getattr(self._manifest, key)) for key in ("inputs", "encoding", "dtype", "format", "options")
        }
        path = os.fspath(directory)
        self._target = prepare_directory(path, job, [], resume=False, overwrite=overwrite, journalled=False)
        layout = OutputLayout(options.form, vocabulary.dtype, vocabulary.n_vocab, tuple(splits), size, 0, offsets)
        try:
            self._output = Output(path, layout, None, deferred=True)
        except BaseException:
            self._target.clear()
            raise
        self._default, self._dtype = splits[0], vocabulary.dtype
        self._waiting: dict[str, list[npt.NDArray[Any]]] = {split: [] for split in splits}
        self._ends: dict[str, list[int]] = {split: [] for split in splits}
        self._sizes = dict.fromkeys(splits, 0)
        self._buffer = pressure.Buffer("ShardWriter.write")
        self._inside = _thread.allocate_lock()
        self.manifest: Manifest | None = None  # once it is written

    def write(
        self, ids: Sequence[int] | npt.NDArray[np.integer], split: str | None = None, *, end_document: bool = False
    ) -> None:
        """Appends `ids`. Raises ShardError for one outside the vocabulary, ConfigError for an unknown split."""
        with self._alone("write"):
            self._append(ids, split, end_document)

    def _append(self, ids: Sequence[int] | npt.NDArray[np.integer], split: str | None, end_document: bool) -> None:
        import numpy as np

        split = split or self._default
        if split not in self._waiting:
            raise ConfigError(f"no such split: {split!r}", f"one of {', '.join(self._waiting)}")
        array = np.asarray(ids)
        if array.size and array.dtype.kind not in "ui":
            raise ConfigError(f"token ids must be whole numbers, not {array.dtype}")
        if array.size:
            self._waiting[split].append(array.reshape(-1).copy() if array is ids else array.reshape(-1))
        self._sizes[split] += array.size
        if end_document:
            self._ends[split].append(self._sizes[split])
        if self._buffer.asked():
            self._buffer.answer(self._write_out)
        elif self._sizes[split] >= _BUFFER:
            self._write_out()

    def flush(self) -> None:
        """Everything so far goes into the (temporary) files."""
        with self._alone("flush"):
            self._write_out()

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        if not self._inside.acquire(blocking=False):
            raise ShardError(
                f"ShardWriter.{name} was called while another call of the same writer was at work",
                "use it in one thread, or under a lock of your own; ask for more writers where threads write",
            )
        try:
            yield
        finally:
            self._inside.release()

    def _write_out(self) -> None:
        import numpy as np

        for split, waiting in self._waiting.items():
            if waiting or self._ends[split]:
                ids = np.concatenate(waiting) if waiting else np.empty(0, self._dtype)
                self._output.write(split, ids, np.asarray(self._ends[split], np.int64))
                self._waiting[split], self._ends[split], self._sizes[split] = [], [], 0

    def close(self) -> Manifest:
        """Publishes the files and the manifest. The `with` block does it."""
        from dataclasses import replace

        self.flush()
        self._output.seal_all()
        shards = tuple(self._output.shards)
        manifest = replace(self._manifest, shards=shards, offsets=self._output.offsets_files())
        if self._target.older is not None:
            remove_old_files(self._target.directory, self._target.older, manifest)
        self._output.publish()
        write_manifest(self._target.directory, manifest)
        self._end()
        self._target.clear(keep_directory=True)
        self.manifest = manifest
        return manifest

    def discard(self) -> None:
        """Leaves nothing behind. Does nothing once closed."""
        if self.manifest is None:
            self._end()
            self._target.clear()

    def _end(self) -> None:
        self._buffer.close()
        self._output.stop()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
        elif self.manifest is None:
            try:
                self.close()
            except BaseException:
                self.discard()
                raise


def iter_token_blocks(
    paths: Iterable[str | os.PathLike[str]],
    *,
    engine: str = "auto",
    workers: int | None = None,
    max_memory: int = DEFAULT_MEMORY,
    block: int | None = None,
    **options: Any,
) -> Iterator[npt.NDArray[np.unsignedinteger]]:
    """The ids of the texts in order, in arrays (uint16 or uint32) of any length; nothing is written.

    Joined they are what `tokenize` would write with val_fraction=0 and the same `options`: encoding, documents,
    separator, column, eot, errors, input_format.
    """
    if options.setdefault("val_fraction", 0.0):
        raise ConfigError("iter_token_blocks does not divide into train and val", "leave val_fraction out")
    for _, encoded in encoded_blocks(paths, Options(**options), Resources(engine, workers, max_memory, block)):
        for _, ids, _ in encoded.parts:
            yield ids
