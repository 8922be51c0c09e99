"""Worker threads between reading and writing: blocks in, ids out, in order, never more than a few at a time.

The engines release Python's lock while they work, so threads of one process do, with one vocabulary and no copies.
"""

from __future__ import annotations

import codecs
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memguard.errors import InputError
from memguard.system.proc import read_status
from memguard.tokens import budget as budgets
from memguard.tokens.blocks import Block, Part
from memguard.tokens.encode import Engine, Vocabulary, make_engine
from memguard.tokens.sample import check_on_input
from memguard.tokens.source import ByteReader, Source
from memguard.tokens.utf8 import clean
from memguard.units import KIB, MIB

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.unsignedinteger]
    Ends = npt.NDArray[np.int64]

__all__ = ["EOT_PLACES", "Encoded", "Pool", "anonymous_memory", "place_ends", "trim_heap"]

EOT_PLACES = ("none", "append", "prepend")

# Bytes of text that an engine reads at least before its word cache is dropped (again), which costs about 50 ms.
_FORGET_INTERVAL = 256 * KIB

_malloc_trim: Callable[[int], int] | None = None  # looked up when first needed


@dataclass(slots=True)
class Encoded:
    """The ids of each part of a block, as they are written, and where in them documents end."""

    parts: list[tuple[str, Ids, Ends]]
    invalid_bytes: int
    memory: int | None  # anonymous memory of this process, bytes


@dataclass(frozen=True, slots=True)
class Task:
    """What every worker needs to know."""

    vocabulary: Vocabulary
    engine: str
    errors: str
    eot: str  # one of EOT_PLACES
    documents: bool  # more than one of them may come in a block


def place_ends(ids: npt.NDArray[np.uint32], part: Part, vocabulary: Vocabulary, eot: str) -> tuple[Ids, Ends]:
    """`ids` of a part's documents, the id n_vocab between them → ids as they are written, and the documents' ends."""
    import numpy as np

    between = np.flatnonzero(ids == vocabulary.n_vocab) if len(part.documents) > 1 else np.empty(0, np.int64)
    if eot == "none":
        out = (np.delete(ids, between) if len(between) else ids).astype(vocabulary.dtype)
        ends = between - np.arange(len(between))
    else:
        before = eot == "prepend" and part.starts
        after = eot == "append" and part.ends
        out = np.empty(before + ids.size + after, vocabulary.dtype)
        out[before : before + ids.size] = ids
        out[between + before] = vocabulary.eot
        if before:
            out[0] = vocabulary.eot
        if after:
            out[-1] = vocabulary.eot
        ends = between + (1 if eot == "append" else before)
    return out, np.append(ends, out.size) if part.ends else ends


class Pool:
    """A context manager; `map` gives the blocks back in order, encoded."""

    def __init__(self, task: Task, first: Engine, budget: budgets.Budget, own: int) -> None:
        """`own`: bytes that the caller's own code held before the job."""
        self._task, self._budget, self._own = task, budget, own
        self._spare = [first]  # the engine that was made to learn its name serves the first worker
        self._threads = ThreadPoolExecutor(budget.workers, thread_name_prefix="memguard-encode")
        self._local = threading.local()
        self._pressed = 0  # how often the guard has asked for memory

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def shrink(self) -> None:
        """From now on: one block per worker under way, and every worker starts its word cache afresh, at once."""
        self._pressed += 1

    def check(self, sources: list[Source], head: Block) -> Future[None]:
        """A sample of the input is encoded by tiktoken too; the future raises where the tokens differ."""
        documents = [document for part in head.parts for document in part.documents]
        name = self._task.vocabulary.name
        return self._threads.submit(lambda: check_on_input(self._own_engine(), name, sources, documents))

    def map(self, blocks: Iterator[Block]) -> Iterator[tuple[Block, Encoded]]:
        waiting: deque[tuple[Block, Future[Encoded]]] = deque()
        for block in blocks:
            waiting.append((block, self._threads.submit(self._encode, block)))
            while len(waiting) >= self._budget.workers * (1 if self._pressed else 2):
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()

    def _encode(self, block: Block) -> Encoded:
        engine, invalid, size = self._own_engine(), 0, 0
        parts: list[tuple[str, Ids, Ends]] = []
        for part in block.parts:
            documents, more = self._clean(block, part)
            try:
                if len(documents) == 1 and not self._task.documents:
                    ids = engine.encode(documents[0])
                else:
                    ids = engine.encode_documents(documents)
            except ValueError as error:
                raise InputError(
                    f"{block.source.path}: cannot encode the text from byte {block.offset:,} on: {error}",
                    "try --engine gigatoken",
                    path=block.source.path,
                    offset=block.offset,
                ) from None
            parts.append((part.split, *place_ends(ids, part, self._task.vocabulary, self._task.eot)))
            invalid += more
            size += sum(map(len, documents))
        return Encoded(parts, invalid, self._watch_memory(engine, size))

    def _clean(self, block: Block, part: Part) -> tuple[list[bytes], int]:
        documents, errors = part.documents, self._task.errors
        try:
            if len(documents) == 1:
                document, invalid = clean(documents[0], errors)
                return [document], invalid
            clean(b"\n".join(documents), "strict")
            return documents, 0
        except UnicodeDecodeError as error:
            if errors == "strict":
                raise _invalid_utf8(block, error) from None
        cleaned = [clean(document, errors) for document in documents]
        return [document for document, _ in cleaned], sum(invalid for _, invalid in cleaned)

    def _own_engine(self) -> Engine:
        engine: Engine | None = getattr(self._local, "engine", None)
        if engine is None:
            try:
                engine = self._spare.pop()
            except IndexError:
                task = self._task
                engine = make_engine(task.vocabulary.name, task.engine, documents=task.documents)
            self._local.engine, self._local.since, self._local.pressed = engine, 0, self._pressed
        return engine

    def _watch_memory(self, engine: Engine, size: int) -> int | None:
        """Anonymous memory of the process. Beyond the budget's mark it is brought down: first what the allocator keeps
        of freed blocks goes back to the kernel, then, if that is not enough, this worker's word cache is dropped."""
        memory = anonymous_memory()
        if self._local.pressed != self._pressed:
            self._local.pressed, self._local.since = self._pressed, 0
            engine.forget()
            trim_heap()
            return anonymous_memory()
        self._local.since += size
        mark = self._budget.forget_at + self._own
        if memory is None or memory <= mark or self._local.since < _FORGET_INTERVAL:
            return memory
        self._local.since = 0
        trim_heap()
        memory = anonymous_memory()
        if memory is not None and memory > mark and engine.forget():
            memory = anonymous_memory()
        return memory


def _invalid_utf8(block: Block, error: UnicodeDecodeError) -> InputError:
    """Names the byte in the file. `error` counts in the documents: for text, the file is looked at again."""
    path, byte, reason = block.source.path, error.object[error.start], error.reason
    offset, where = block.offset + error.start, ""
    if block.source.kind == "parquet":
        offset, where = block.offset, f", in the rows from {block.offset:,} on"
    elif not block.source.once:
        found = _first_invalid(block)
        if found is not None:
            offset, byte = found
    if not where:
        where = f" at offset {offset:,}"
    return InputError(
        f"{path} is not UTF-8: byte 0x{byte:02x}{where} ({reason})",
        "--errors replace (U+FFFD for it) or --errors ignore goes on; iconv -f LATIN1 -t UTF-8 converts old text",
        path=path,
        offset=offset,
    )


def _first_invalid(block: Block) -> tuple[int, int] | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with ByteReader(block.source, block.offset) as reader:
        while True:
            start = reader.position - len(decoder.getstate()[0])
            data = reader.read(MIB)
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                return start + error.start, error.object[error.start]
            if not data:
                return None


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


def anonymous_memory() -> int | None:
    status = read_status(os.getpid())
    if status is not None:
        return status.rss_anon
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.Process().memory_info().rss)
