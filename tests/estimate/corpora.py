"""A corpus from the names of files, as estimate makes it; stdin that holds some bytes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from memguard.estimate.corpus.inputs import find_inputs
from memguard.estimate.corpus.read import Corpus, read_corpus

__all__ = ["read_files", "stdin_of"]


def read_files(paths: Sequence[str], kind: str | None = None, **options: Any) -> Corpus:
    return read_corpus(find_inputs(paths, kind), **options)


@contextlib.contextmanager
def stdin_of(path: Path) -> Iterator[None]:
    """The file of `path` as this process's stdin."""
    before, file = os.dup(0), os.open(path, os.O_RDONLY)
    os.dup2(file, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(file)
