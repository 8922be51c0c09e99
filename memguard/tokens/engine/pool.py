"""Worker threads between reading and writing: blocks in, ids out, in order, never more than a few at a time.

The engines release Python's lock while they work, so threads of one process do, with one vocabulary and no copies. The
thread that reads and writes is one of the workers: on as many cores as workers nobody waits for another's turn.
"""

from __future__ import annotations

import functools
import mmap
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from memguard.system.kernel_file import KeptFile
from memguard.system.proc import parse_statm
from memguard.tokens import budget as budgets
from memguard.tokens.engine.block_encoder import Encoded, EncodeSettings, encode_block
from memguard.tokens.engine.encode import Engine, make_engine
from memguard.tokens.engine.engine_check import check_on_input
from memguard.tokens.input.blocks import Block
from memguard.tokens.input.source import Source
from memguard.tokens.memory import anonymous_memory, trim_heap

T = TypeVar("T")

__all__ = ["Pool"]

_PAGE = mmap.PAGESIZE


@dataclass(slots=True)
class _Work:
    block: Block
    future: Future[Encoded]


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
        engine = self._own_engine()
        encoded = encode_block(engine, block, self._settings)
        encoded.memory = self._watch_memory(engine, encoded.size)
        return encoded

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
