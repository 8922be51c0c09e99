"""Sources → blocks → ids, in order and within a budget; nothing is written here.

The calling thread reads and encodes a block whenever it would have to wait; `workers` − 1 others check, encode and
narrow. At most two blocks per worker are under way, so memory does not depend on the size of the input, and the ids do
not depend on the number of workers or the size of a block.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass

from memguard import pressure
from memguard.tokens import budget as budgets
from memguard.tokens.engine.block_encoder import Encoded
from memguard.tokens.engine.encode import Engine, make_engine
from memguard.tokens.engine.pool import Pool
from memguard.tokens.headroom import read_headroom
from memguard.tokens.input.blocks import Block, Start, read_blocks
from memguard.tokens.input.documents import Sizes
from memguard.tokens.memory import anonymous_memory
from memguard.tokens.plan import JobPlan
from memguard.tokens.tuning import TUNING, Tuning

__all__ = ["Pipeline", "Resources", "make_pipeline"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What a job may use, as asked for; sizes in bytes. None: chosen here."""

    engine: str = "auto"
    workers: int | None = None
    max_memory: int = budgets.DEFAULT_MEMORY  # anonymous memory of the process, beside what the caller's code holds
    block: int | None = None  # of text per task
    headroom: int | None = None  # that the machine's limits leave


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`engine` was made to learn its name, and serves the first worker: `encoded` is for once."""

    plan: JobPlan
    engine_asked: str
    engine: Engine
    budget: budgets.Budget
    tuning: Tuning

    def encoded(self, after: Start) -> Generator[tuple[Block, Encoded], None, None]:
        """The blocks from `after` on, encoded. Under memory pressure it gives back what it holds for speed alone.
        Raises InputError for text that cannot be read or encoded."""
        plan, budget = self.plan, self.budget
        own = max(0, (anonymous_memory() or 0) - budgets.BARE_PROCESS)  # what a library user's code holds already
        sizes = Sizes(budget.block, budget.longest_piece, plan.division.prefix)
        blocks = read_blocks(plan.sources, plan.options.reading, plan.division, plan.vocabulary.family, sizes, after)
        settings = plan.encode_settings(self.engine_asked)
        pool = Pool(settings, self.engine, budget, own, cache_interval=self.tuning.cache_interval)
        buffer = pressure.Buffer("memguard.tokenize")
        with contextlib.closing(blocks), contextlib.closing(buffer), pool:
            first = next(blocks, None)
            if first is None:  # an earlier run had read everything, and was killed before it could say so
                return
            check: Future[None] | None = None
            if self.engine_asked == "auto" and self.engine.name != "tiktoken":
                check = pool.check(plan.sources, first)
            for found in pool.map(itertools.chain((first,), blocks)):
                if check is not None and check.done():
                    check.result()
                    check = None
                if buffer.asked():
                    buffer.answer(pool.shrink)
                yield found
            if check is not None:
                check.result()


def make_pipeline(plan: JobPlan, resources: Resources, tuning: Tuning = TUNING) -> Pipeline:
    """Raises ConfigError where the memory does not hold one worker, EngineNotInstalled for an engine that is not
    there."""
    engine = make_engine(plan.vocabulary.name, resources.engine, documents=plan.many_documents)
    reader = max((budgets.READERS.get(source.compression or source.kind, 0) for source in plan.sources), default=0)
    max_memory = resources.max_memory
    headroom = read_headroom() if resources.headroom is None else resources.headroom
    if headroom is not None and headroom < max_memory:
        max_memory = min(max_memory, max(headroom, budgets.least_memory(engine.name, reader)))
    budget = budgets.divide(max_memory, resources.workers, _cores(), engine.name, resources.block, reader)
    return Pipeline(plan, resources.engine, engine, budget, tuning)


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
