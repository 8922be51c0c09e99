"""Engines that tests of many small jobs share: making one takes 0.1 s of processor time, a small job a tenth of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from memguard.tokens.engine.encode import Engine, make_engine

_idle: defaultdict[Any, list[Engine]] = defaultdict(list)


class _Lent:
    """An engine of an earlier job; it goes back when the job drops it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._key = (args, tuple(options.items()))
        self._engine = _idle[self._key].pop() if _idle[self._key] else make_engine(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __del__(self) -> None:
        if "_engine" in vars(self):
            _idle[self._key].append(self._engine)


@contextmanager
def lent_engines() -> Iterator[None]:
    """Jobs and estimates of this process take their engines from those of earlier ones, until the block is left.

    Each holds 30 MiB and more, which a later test that forks under a limit would have to carry.
    """
    from memguard.estimate.corpus import read
    from memguard.tokens import pipeline
    from memguard.tokens.engine import pool

    with pytest.MonkeyPatch.context() as patch:
        for module in (pipeline, pool, read):
            patch.setattr(module, "make_engine", _Lent)
        try:
            yield
        finally:
            _idle.clear()
