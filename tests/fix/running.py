"""Programs run in this process, one after the other, and what each of them does: files, output, exception."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import os
import random
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Outcome", "outcome_of", "small_limits"]


@dataclass(frozen=True)
class Outcome:
    """`error` is the exception's class and the first line of its message; "" for none."""

    error: str
    stdout: str
    files: dict[str, str]
    sizes: dict[str, int]

    def differs(self, other: Outcome) -> str:
        """In what; "" for nothing."""
        if self.error != other.error:
            return f"{self.error or 'no error'} / {other.error or 'no error'}"
        if self.stdout != other.stdout:
            return f"stdout: {self.stdout[:300]!r} / {other.stdout[:300]!r}"
        if self.files != other.files:
            return f"files: {self.sizes} / {other.sizes}"
        return ""


def outcome_of(source: str, texts: dict[str, bytes], directory: Path) -> Outcome:
    """Runs `source` as a script in an empty directory of that name, with `texts` beside it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name, data in texts.items():
        (directory / name).write_bytes(data)
    before = _digests(directory)
    path = str(directory / "prepare.py")
    scope: dict[str, Any] = {"__name__": "__main__", "__file__": path, "__builtins__": __builtins__}
    shown = io.StringIO()
    error = ""
    old = os.getcwd(), sys.argv
    random.seed(7)
    np.random.seed(7)
    os.chdir(directory)
    sys.argv = [path]
    sys.path.insert(0, str(directory))
    try:
        with contextlib.redirect_stdout(shown), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                exec(compile(source, path, "exec"), scope)
            finally:
                scope.clear()  # a script closes what it opens, or does not
                gc.collect(0)
    except SystemExit as stop:
        error = f"SystemExit {stop.code}"
    except Exception as found:  # any
        error = f"{type(found).__name__}: {(str(found).splitlines() or [''])[0]}"
    finally:
        os.chdir(old[0])
        sys.argv = old[1]
        sys.path.remove(str(directory))
        sys.modules.pop("helpers", None)
    after = {name: digest for name, digest in _digests(directory).items() if before.get(name) != digest}
    return Outcome(error, shown.getvalue(), after, {n: (directory / n).stat().st_size for n in after})


def _digests(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@contextlib.contextmanager
def small_limits() -> Iterator[None]:
    """The drop-in objects with limits so small that a short text reaches them: files, pieces, long texts."""
    from memguard.dropin import encoding, packed, text

    changed = [(packed.Packed, "limit", 64), (text, "SHORT", 16), (encoding, "_LONG", 200)]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changed]
    for owner, name, value in changed:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
