"""One tokenize job: blocks → ids → train.bin and val.bin → manifest.json.

The calling thread reads and writes, in order; `workers` threads check, encode and narrow. At most two blocks per
worker are under way, so memory does not depend on the size of the input, and the output does not depend on the number
of workers or the size of a block.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memguard import __version__
from memguard.errors import ConfigError, InputError, ShardError
from memguard.records.manifest import EncodingInfo, InputFile, Manifest
from memguard.system.proc import read_status
from memguard.tokens import budget as budgets
from memguard.tokens.encode import Engine, Vocabulary, load_vocabulary, make_engine
from memguard.tokens.manifest import MANIFEST, refuse_foreign_files, write_manifest
from memguard.tokens.source import Block, inspect_sources, read_blocks
from memguard.tokens.utf8 import ERRORS, clean
from memguard.tokens.writer import ShardWriter, free_space, remove_remains, sync_directory
from memguard.units import KIB, format_size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["OUTPUTS", "Progress", "tokenize"]

OUTPUTS = ("train.bin", "val.bin", MANIFEST)

# Bytes of text that an engine reads at least before its word cache is dropped (again), which costs about 50 ms.
_FORGET_INTERVAL = 256 * KIB
# The disk is looked at again after so many blocks.
_DISK_INTERVAL = 64

_malloc_trim: Callable[[int], int] | None = None  # looked up when first needed


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, after every block. `bytes_total` is None where stdin or a pipe is among the inputs."""

    bytes_done: int
    bytes_total: int | None
    tokens: int
    memory: int | None  # anonymous memory of this process now, bytes
    seconds: float


@dataclass(slots=True)
class _Encoded:
    ids: npt.NDArray[np.unsignedinteger]
    invalid_bytes: int
    memory: int | None


def tokenize(
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    encoding: str = "gpt2",
    val_fraction: float = 0.1,
    eot: bool = False,
    errors: str = "strict",
    engine: str = "auto",
    workers: int | None = None,
    max_memory: int = budgets.DEFAULT_MEMORY,
    overwrite: bool = False,
    block: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Writes train.bin, val.bin and manifest.json into the directory `out`; returns the manifest.

    Each file is one text: its tokens are exactly tiktoken's encode_ordinary of the whole file, and the files follow
    each other in the order given, with `eot` each followed by the end-of-text token. `val_fraction` of the bytes, from
    the end, go to val.bin, from the first safe cut on; 0 writes train.bin alone. `errors` is as in bytes.decode.
    `max_memory`, in bytes, bounds this process's anonymous memory, not counting what your own code holds when the job
    begins. Raises a MemguardError, and leaves no file behind
    when it does.
    """
    job = _Job(
        [os.fspath(path) for path in paths],
        os.fspath(out),
        encoding=encoding,
        val_fraction=val_fraction,
        eot=eot,
        errors=errors,
        engine=engine,
        overwrite=overwrite,
        progress=progress,
    )
    return job.run(max_memory, workers, block)


class _Job:
    def __init__(
        self,
        paths: list[str],
        out: str,
        *,
        encoding: str,
        val_fraction: float,
        eot: bool,
        errors: str,
        engine: str,
        overwrite: bool,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        if not 0 <= val_fraction < 1:
            raise ConfigError(f"--val-fraction must be at least 0 and below 1: {val_fraction}", "0.1 is nanoGPT's")
        if errors not in ERRORS:
            raise ConfigError(f"--errors cannot be {errors!r}", f"one of {', '.join(ERRORS)}")
        self.out, self.val_fraction, self.errors, self.overwrite = out, val_fraction, errors, overwrite
        self.options: dict[str, str | int | float | bool | None] = {
            "val_fraction": val_fraction,
            "eot": eot,
            "errors": errors,
        }
        self.vocabulary: Vocabulary = load_vocabulary(encoding)
        if eot and self.vocabulary.eot is None:
            raise ConfigError(f"the encoding {encoding} has no <|endoftext|> token", "leave --eot out")
        self.eot = self.vocabulary.eot if eot else None
        self.sources = inspect_sources(paths)
        sizes = [source.size for source in self.sources]
        self.bytes_total = None if None in sizes else sum(size or 0 for size in sizes)
        if self.bytes_total is None and val_fraction:
            stream = next(source.path for source in self.sources if source.size is None)
            name = "stdin" if stream == "-" else f"{stream} (a pipe)"
            raise ConfigError(
                f"{name} has no known size to take --val-fraction {val_fraction:g} of",
                "use --val-fraction 0 (train.bin alone), or give a file",
            )
        self.engine_asked = engine
        self.on_progress = progress
        self.started = time.monotonic()
        self.bytes_done = self.blocks_done = self.invalid_bytes = 0
        self.inputs: list[InputFile] = []
        self.writers: dict[str, ShardWriter] = {}

    def run(self, max_memory: int, workers: int | None, block: int | None) -> Manifest:
        own = max(0, (_anonymous_memory() or 0) - budgets.BARE_PROCESS)  # what a library user's code holds already
        first = make_engine(self.vocabulary.name, self.engine_asked)
        budget = budgets.divide(max_memory, workers, _cores(), first.name, block)
        new_directory = self._prepare_directory()
        try:
            self._open_writers()
            pool = _Pool(first, self.vocabulary, self.engine_asked, self.errors, budget, own)
            with contextlib.closing(self._read(budget)) as blocks, pool:
                for piece, encoded in pool.map(blocks):
                    self._take(piece, encoded)
            return self._publish(first.name)
        except BaseException:
            self._discard(new_directory)
            raise

    def _read(self, budget: budgets.Budget) -> Generator[Block, None, None]:
        total = self.bytes_total
        split_at = round((1 - self.val_fraction) * total) if self.val_fraction and total is not None else None
        return read_blocks(
            self.sources,
            family=self.vocabulary.family,
            block=budget.block,
            longest_piece=budget.longest_piece,
            split_at=split_at,
        )

    def _prepare_directory(self) -> bool:
        """True where the directory had to be made."""
        if os.path.isdir(self.out):
            if not self.overwrite:
                refuse_foreign_files(self.out, OUTPUTS)
            remove_remains(self.out, OUTPUTS)
            self._protect_inputs()
            return False
        try:
            os.makedirs(self.out)
        except FileExistsError:
            raise ShardError(f"{self.out} is a file, not a directory", "choose another -o DIR") from None
        except OSError as error:
            raise ShardError(
                f"cannot make the directory {self.out}: {error.strerror or error}", "choose another -o DIR"
            ) from None
        return True

    def _protect_inputs(self) -> None:
        for name in OUTPUTS:
            target = os.path.join(self.out, name)
            for source in self.sources:
                if source.size is not None and os.path.exists(target) and os.path.samefile(source.path, target):
                    raise ShardError(f"{source.path} is an input and would be overwritten", "choose another -o DIR")

    def _open_writers(self) -> None:
        splits = ("train", "val") if self.val_fraction else ("train",)
        for split in splits:
            self.writers[split] = ShardWriter(self.out, f"{split}.bin", split, self.vocabulary.dtype)

    def _take(self, piece: Block, encoded: _Encoded) -> None:
        import numpy as np

        writer = self.writers[piece.split]
        writer.write(encoded.ids)
        if piece.ends_file and self.eot is not None:
            writer.write(np.array([self.eot], dtype=self.vocabulary.dtype))
            writer.documents += 1
        if piece.finished is not None:
            self.inputs.append(piece.finished)
        self.bytes_done += len(piece.data)
        self.invalid_bytes += encoded.invalid_bytes
        if self.blocks_done % _DISK_INTERVAL == 0:
            self._check_disk()
        self.blocks_done += 1
        if self.on_progress is not None:
            tokens = sum(writer.tokens for writer in self.writers.values())
            seconds = time.monotonic() - self.started
            self.on_progress(Progress(self.bytes_done, self.bytes_total, tokens, encoded.memory, seconds))

    def _check_disk(self) -> None:
        """Stops early where what is still to come cannot fit, by the bytes per token so far, with a fifth to spare."""
        if not self.bytes_total or not self.bytes_done:
            return
        written = sum(writer.bytes for writer in self.writers.values())
        to_come = round(written / self.bytes_done * (self.bytes_total - self.bytes_done))
        free = free_space(self.out)
        if free is not None and to_come * 0.8 > free:
            raise ShardError(
                f"{self.out} needs about {format_size(to_come)} more, and {format_size(free)} is free",
                "nothing was kept; make room, or choose another -o DIR",
            )

    def _publish(self, engine: str) -> Manifest:
        shards = tuple(writer.seal() for writer in self.writers.values())
        manifest = Manifest(
            inputs=tuple(self.inputs),
            encoding=EncodingInfo(self.vocabulary.name, self.vocabulary.n_vocab, self.vocabulary.eot),
            dtype=self.vocabulary.dtype,
            format="nanogpt",
            shards=shards,
            complete=True,
            options=self.options,
            invalid_bytes=self.invalid_bytes,
            engine=engine,
            version=__version__,
        )
        for name in OUTPUTS:  # an older job's, under --overwrite: from here on they would belong to no manifest
            if name == MANIFEST or name.removesuffix(".bin") not in self.writers:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.out, name))
        published = []
        try:
            for writer in self.writers.values():
                writer.publish()
                published.append(writer.path)
            sync_directory(self.out)
            write_manifest(self.out, manifest)
        except BaseException:
            for path in published:
                os.unlink(path)
            raise
        return manifest

    def _discard(self, new_directory: bool) -> None:
        for writer in self.writers.values():
            writer.discard()
        if new_directory:
            with contextlib.suppress(OSError):
                os.rmdir(self.out)


class _Pool:
    """Worker threads, each with its own engine, and an ordered, bounded queue in front of them."""

    def __init__(
        self, first: Engine, vocabulary: Vocabulary, engine: str, errors: str, budget: budgets.Budget, own: int
    ) -> None:
        self._spare = [first]  # the engine that was made to learn its name serves the first worker
        self._vocabulary, self._engine, self._errors, self._budget = vocabulary, engine, errors, budget
        self._forget_at = budget.forget_at + own
        self._threads = ThreadPoolExecutor(budget.workers, thread_name_prefix="memguard-encode")
        self._local = threading.local()

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def map(self, blocks: Iterator[Block]) -> Iterator[tuple[Block, _Encoded]]:
        waiting: deque[tuple[Block, Future[_Encoded]]] = deque()
        for piece in blocks:
            waiting.append((piece, self._threads.submit(self._encode, piece)))
            if len(waiting) >= 2 * self._budget.workers:
                block, future = waiting.popleft()
                yield block, future.result()
        while waiting:
            block, future = waiting.popleft()
            yield block, future.result()

    def _encode(self, piece: Block) -> _Encoded:
        engine = self._own_engine()
        try:
            data, invalid = clean(piece.data, self._errors)
            ids = engine.encode(data).astype(self._vocabulary.dtype)
        except UnicodeDecodeError as error:
            raise _invalid_utf8(piece, error) from None
        except ValueError as error:
            raise InputError(
                f"{piece.path}: cannot encode the text from byte {piece.offset:,} on: {error}",
                "try --engine gigatoken",
                path=piece.path,
                offset=piece.offset,
            ) from None
        return _Encoded(ids, invalid, self._watch_memory(engine, len(data)))

    def _own_engine(self) -> Engine:
        engine: Engine | None = getattr(self._local, "engine", None)
        if engine is None:
            try:
                engine = self._spare.pop()
            except IndexError:
                engine = make_engine(self._vocabulary.name, self._engine)
            self._local.engine, self._local.since = engine, 0
        return engine

    def _watch_memory(self, engine: Engine, size: int) -> int | None:
        """Anonymous memory of the process. Beyond the budget's mark it is brought down: first what the allocator keeps
        of freed blocks goes back to the kernel, then, if that is not enough, this worker's word cache is dropped."""
        memory = _anonymous_memory()
        self._local.since += size
        if memory is None or memory <= self._forget_at or self._local.since < _FORGET_INTERVAL:
            return memory
        self._local.since = 0
        trim_heap()
        memory = _anonymous_memory()
        if memory is not None and memory > self._forget_at and engine.forget():
            memory = _anonymous_memory()
        return memory


def _invalid_utf8(piece: Block, error: UnicodeDecodeError) -> InputError:
    offset = piece.offset + error.start
    return InputError(
        f"{piece.path} is not UTF-8: byte 0x{piece.data[error.start]:02x} at offset {offset:,} ({error.reason})",
        "--errors replace (U+FFFD for it) or --errors ignore goes on; iconv -f LATIN1 -t UTF-8 converts old text",
        path=piece.path,
        offset=offset,
    )


def trim_heap() -> None:
    """Freed heap back to the kernel (glibc keeps tens of MiB of it between blocks); nothing where there is no glibc."""
    global _malloc_trim
    if _malloc_trim is None:
        import ctypes

        try:
            _malloc_trim = ctypes.CDLL(None).malloc_trim
        except (AttributeError, OSError, TypeError):
            _malloc_trim = int
    _malloc_trim(0)


def _anonymous_memory() -> int | None:
    status = read_status(os.getpid())
    if status is not None:
        return status.rss_anon
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.Process().memory_info().rss)


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
