"""Scripts whose flush used to lose, double or hang, under the real guard: with their checkpoint, and without it.

With it nothing is lost, nothing is written twice, and they finish. Without it the callback is never called, what was
written before a stop is right, and what they are told names the line that is missing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.people import ROOT

PROGRAMS = ROOT / "tests" / "programs" / "flush"
# Name: the limit, and how many ids there are.
CASES: dict[str, tuple[str, int]] = {
    "again_and_again": ("200MiB", 400),
    "concatenate": ("128MiB", 24_000_000),
    "dict_of_lists": ("128MiB", 4_000_000),
    "executor": ("128MiB", 4_000_000),
    "full_shards": ("128MiB", 5_000_000),
    "lambda_appends": ("128MiB", 5_000_000),
    "needs_room": ("512MiB", 14_000_000),
    "plus_equals": ("128MiB", 4_000_000),
    "position": ("128MiB", 8_000_000),
    "shared_gzip": ("128MiB", 7_000_000),
    "spawn_pool": ("300MiB", 6_000_000),
    "under_lock": ("128MiB", 4_000_000),
    "wrapper": ("128MiB", 5_000_000),
    "writer_thread": ("128MiB", 4_000_000),
}
FAST = ["again_and_again", "executor", "plus_equals", "under_lock"]
ALWAYS = 126_000_000  # again_and_again's: 60 % of its limit; Python and numpy take another 15
EMPTIED_AFTERWARDS = {"shared_gzip"}  # one file, that cannot be read before it is closed


@dataclass(frozen=True)
class Outcome:
    returncode: int
    ids: np.ndarray[Any, np.dtype[np.uint32]]
    record: dict[str, Any]
    stderr: str

    @property
    def called(self) -> int:
        return sum(int(answer.get("called") or 0) for answer in self.record["answers"] if answer["event"] == "flushed")


def run(program: str, limit: str, directory: Path) -> Outcome:
    out, record = directory / "out", directory / "record.json"
    out.mkdir(parents=True)
    command = [sys.executable, "-m", "memguard", "run", "--python", sys.executable, "--limit", limit]
    command += ["--record", str(record), program, str(out), str(ALWAYS)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{PROGRAMS}", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=directory)
    parts = [np.fromfile(path, np.uint32) for path in sorted(out.glob("shard_*.bin"))]
    ids = np.concatenate(parts) if parts else np.empty(0, np.uint32)
    return Outcome(result.returncode, ids, json.loads(record.read_text()), result.stderr)


def without_checkpoints(name: str, directory: Path) -> str:
    """The program as somebody wrote it who did not know of checkpoints."""
    text = (PROGRAMS / f"{name}.py").read_text()
    bare = re.sub(r"memguard\.checkpoints\((.*)\):", r"\1:", re.sub(r" *memguard\.checkpoint\(\)\n", "", text))
    assert bare != text and "checkpoint" not in bare
    path = directory / f"{name}.py"
    path.write_text(bare)
    return str(path)


def check_with(name: str, directory: Path) -> None:
    limit, total = CASES[name]
    outcome = run(str(PROGRAMS / f"{name}.py"), limit, directory)
    assert outcome.returncode == 0, outcome.stderr
    assert np.array_equal(outcome.ids, np.arange(total, dtype=np.uint32)), "lost, twice or out of order"
    assert outcome.called >= 1, outcome.record["answers"]


def check_without(name: str, directory: Path) -> None:
    limit, total = CASES[name]
    outcome = run(without_checkpoints(name, directory), limit, directory)
    assert outcome.returncode in (0, 75), outcome.stderr
    assert outcome.called == 0
    if outcome.returncode == 0:
        assert outcome.ids.size == total
    if name not in EMPTIED_AFTERWARDS:
        assert np.array_equal(outcome.ids, np.arange(outcome.ids.size, dtype=np.uint32)), "lost, twice or out of order"
    assert "memguard.checkpoint()" in outcome.stderr


@pytest.mark.parametrize("name", FAST)
def test_with_a_checkpoint(name: str, tmp_path: Path) -> None:
    check_with(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST[1:3])
def test_without(name: str, tmp_path: Path) -> None:
    check_without(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_ten_of_ten_with_a_checkpoint(name: str, tmp_path: Path) -> None:
    for attempt in range(10):
        check_with(name, tmp_path / str(attempt))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_without_all(name: str, tmp_path: Path) -> None:
    check_without(name, tmp_path)


CANNOT_WORK = {
    "coroutine function": "async def flush(): ...\n\n\nmemguard.on_pressure(flush)",
    "generator function": "def flush():\n    yield\n\n\nmemguard.on_pressure(flush)",
    "needs arguments": "class Writer:\n    def flush(self): ...\n\n\nmemguard.on_pressure(Writer.flush)",
    "not ": "memguard.on_pressure([1, 2])",
}


@pytest.mark.parametrize("says", CANNOT_WORK)
def test_a_callback_that_cannot_work_is_refused_where_it_is_registered(says: str, tmp_path: Path) -> None:
    script = tmp_path / "prepare.py"
    script.write_text(f"import memguard\n\n{CANNOT_WORK[says]}\nprint('went on')\n")
    outcome = run(str(script), "1GiB", tmp_path / "run")
    assert outcome.returncode == 1
    assert "ConfigError" in outcome.stderr and says in outcome.stderr and "went on" not in outcome.stderr
