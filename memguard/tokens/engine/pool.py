"""Worker threads between reading and writing: blocks in, ids out, in order, never more than a few at a time.

The engines release Python's lock while they work, so threads of one process do, with one vocabulary and no copies. The
thread that reads and writes is one of the workers: on as many cores as workers nobody waits for another's turn.
"""

from __future__ import annotations

import codecs
import functools
import mmap
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from memguard.errors import InputError
from memguard.system.kernel_file import KeptFile
from memguard.system.proc import parse_statm
from memguard.tokens import budget as budgets
from memguard.tokens.engine.encode import Engine, Vocabulary, make_engine
from memguard.tokens.engine.engine_check import check_on_input
from memguard.tokens.input.blocks import Block, BlockPart
from memguard.tokens.input.source import ByteReader, Source
from memguard.tokens.input.special import Specials
from memguard.tokens.input.utf8 import Bytes, clean
from memguard.tokens.memory import anonymous_memory, trim_heap
from memguard.units import MIB

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.unsignedinteger]
    Ends = npt.NDArray[np.int64]

T = TypeVar("T")

__all__ = ["Encoded", "Pool", "place_ends"]

_PAGE = mmap.PAGESIZE


@dataclass(slots=True)
class Encoded:
    """The ids of each part of a block, as they are written, and where in them documents end."""

    parts: list[tuple[str, Ids, Ends]]
    invalid_bytes: int
    memory: int | None  # anonymous memory of this process, bytes


@dataclass(slots=True)
class _Work:
    block: Block
    future: Future[Encoded]


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """What every worker needs to know."""

    vocabulary: Vocabulary
    engine: str
    errors: str
    eot: str  # none | append | prepend
    documents: bool  # more than one of them may come in a block
    specials: Specials | None = None


def place_ends(ids: npt.NDArray[np.uint32], part: BlockPart, vocabulary: Vocabulary, eot: str) -> tuple[Ids, Ends]:
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

    def __init__(
        self, settings: EncodeSettings, first: Engine, budget: budgets.Budget, own: int, *, cache_interval: int
    ) -> None:
        """`own`: bytes that the caller's own code held before the job. `cache_interval`: bytes of text that an engine
        reads at least before its word cache is dropped (again), which costs about 50 ms."""
        self._settings, self._budget, self._own = settings, budget, own
        self._cache_interval = cache_interval
        self._cache_limit = budget.cache_limit + own  # anonymous memory at which word caches are dropped
        self._spare = [first]  # the engine that was made to learn its name serves the first worker
        others = budget.workers - 1  # the calling thread is a worker, too
        self._threads = ThreadPoolExecutor(others, thread_name_prefix="memguard-encode") if others else None
        self._local = threading.local()
        self._statm = KeptFile(f"/proc/{os.getpid()}/statm")
        self._pressed = 0  # how often the guard has asked for memory

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
        self._statm.close()

    def shrink(self) -> None:
        """From now on one block per worker is under way, and the caches of words stay smaller than they were; a
        worker's next block begins with a fresh one."""
        memory = self._memory()
        if memory is not None:
            self._cache_limit = budgets.lowered_limit(self._cache_limit, memory, self._budget.cache_floor + self._own)
        self._pressed += 1

    def check(self, sources: list[Source], head: Block) -> Future[None]:
        """A sample of the input is encoded by tiktoken too; the future raises where the tokens differ."""
        documents = [document for part in head.parts for document in part.documents]
        name = self._settings.vocabulary.name
        check = functools.partial(check_on_input, self._own_engine, name, sources, documents)
        return self._submit(check) if self._threads is not None else _run(check)

    def map(self, blocks: Iterator[Block]) -> Iterator[tuple[Block, Encoded]]:
        waiting: deque[_Work] = deque()
        for block in blocks:
            waiting.append(_Work(block, self._submit(self._encode, block)))
            while len(waiting) >= self._budget.workers * (1 if self._pressed else 2):
                yield self._oldest(waiting)
        while waiting:
            yield self._oldest(waiting)

    def _submit(self, task: Callable[..., T], *arguments: object) -> Future[T]:
        return Future() if self._threads is None else self._threads.submit(task, *arguments)

    def _oldest(self, waiting: deque[_Work]) -> tuple[Block, Encoded]:
        """As long as another thread is at it, this one does not wait but takes a block that nobody has begun: there are
        never more threads at work than workers, and none waits for a core that another of them has."""
        while not waiting[0].future.done():
            work = next((work for work in waiting if work.future.cancel()), None)
            if work is None:
                break
            work.future = _run(self._encode, work.block)
        work = waiting.popleft()
        return work.block, work.future.result()

    def _encode(self, block: Block) -> Encoded:
        engine, invalid, size = self._own_engine(), 0, 0
        parts: list[tuple[str, Ids, Ends]] = []
        for part in block.parts:
            documents, more = self._clean(block, part)
            try:
                if self._settings.specials is not None:
                    ids = self._encode_with_specials(engine, self._settings.specials, documents)
                elif len(documents) == 1 and not self._settings.documents:
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
            parts.append((part.split, *place_ends(ids, part, self._settings.vocabulary, self._settings.eot)))
            invalid += more
            size += sum(map(len, documents))
        return Encoded(parts, invalid, self._watch_memory(engine, size))

    def _encode_with_specials(
        self, engine: Engine, specials: Specials, documents: list[Bytes]
    ) -> npt.NDArray[np.uint32]:
        vocabulary = self._settings.vocabulary
        known = {token.encode(): number for token, number in vocabulary.special}
        texts, between = specials.split(documents, known, vocabulary.n_vocab)
        ids = engine.encode_documents(texts)
        ids[ids == vocabulary.n_vocab] = between
        return ids

    def _clean(self, block: Block, part: BlockPart) -> tuple[list[Bytes], int]:
        documents, errors = part.documents, self._settings.errors
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
                settings = self._settings
                engine = make_engine(settings.vocabulary.name, settings.engine, documents=settings.documents)
            self._local.engine, self._local.since, self._local.pressed = engine, 0, self._pressed
        return engine

    def _watch_memory(self, engine: Engine, size: int) -> int | None:
        """Anonymous memory of the process. Beyond the limit it is brought down: first what the allocator keeps
        of freed blocks goes back to the kernel, then, if that is not enough, this worker's word cache is dropped."""
        memory = self._memory()
        if self._local.pressed != self._pressed:
            self._local.pressed, self._local.since = self._pressed, 0
            engine.forget()
            trim_heap()
            return self._memory()
        self._local.since += size
        limit = self._cache_limit
        if memory is None or memory <= limit or self._local.since < self._cache_interval:
            return memory
        self._local.since = 0
        trim_heap()
        memory = self._memory()
        if memory is not None and memory > limit and engine.forget():
            memory = self._memory()
        return memory

    def _memory(self) -> int | None:
        """`anonymous_memory`, asked after every block: a kept descriptor takes a hundredth of the time."""
        statm = parse_statm((self._statm.read() or b"").decode(), _PAGE)
        return anonymous_memory() if statm is None else statm.resident - statm.shared


def _run(task: Callable[..., T], *arguments: object) -> Future[T]:
    """Here and now; what it raises comes when its turn does."""
    future: Future[T] = Future()
    try:
        future.set_result(task(*arguments))
    except Exception as error:
        future.set_exception(error)
    return future


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
