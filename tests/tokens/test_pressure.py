"""When memory runs short: what the pool gives back, and a job that may use more than its box holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard import pressure
from memguard.errors import ConfigError
from memguard.records.codec import from_json
from memguard.records.manifest import Manifest
from memguard.tokens import pipeline
from memguard.tokens.budget import DEFAULT_MEMORY, divide, least_memory, lowered_limit
from memguard.tokens.engine import pool as pools
from memguard.tokens.engine.encode import _Gigatoken, load_encoding
from memguard.tokens.job import tokenize
from memguard.tokens.progress import JobProgress
from memguard.tokens.tuning import Tuning
from memguard.units import GIB, MIB
from tests.boxes import MemoryBox

ROOT = Path(__file__).parents[2]

sizes = st.integers(0, 64 * GIB)


@given(limit=sizes, memory=sizes, floor=sizes)
def test_a_limit_is_only_ever_lowered_and_never_below_its_floor(limit: int, memory: int, floor: int) -> None:
    lowered = lowered_limit(limit, memory, floor)
    assert lowered <= limit
    assert lowered >= min(limit, floor)
    assert lowered == min(limit, floor) or lowered <= memory * 3 / 4
    assert lowered_limit(lowered, memory, floor) == lowered


@given(st.integers(96 * MIB, 64 * GIB), st.integers(1, 64), st.sampled_from(["gigatoken", "tiktoken"]))
def test_the_floor_holds_every_engine_and_is_no_more_than_the_limit(memory: int, cores: int, engine: str) -> None:
    budget = divide(memory, None, cores, engine)
    assert budget.cache_floor <= budget.cache_limit
    if engine == "gigatoken":
        assert budget.cache_floor >= 24 * MIB + budget.workers * 32 * MIB


@pytest.mark.parametrize("engine", ["gigatoken", "tiktoken"])
@pytest.mark.parametrize("reader", [0, 68 * MIB])
def test_the_least_memory_is_what_is_just_not_refused(engine: str, reader: int) -> None:
    least = least_memory(engine, reader)
    assert divide(least, None, 8, engine, None, reader).workers == 1
    with pytest.raises(ConfigError, match="does not fit"):
        divide(least - 1, None, 8, engine, None, reader)


@pytest.fixture
def text(tmp_path: Path, english: str) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(english[:400_000])
    return path


def test_after_a_press_caches_are_dropped_at_three_quarters_of_what_was_in_use(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is 800 MiB, then 590, then 610, in a process that may use 1 GiB and more."""
    memory, forgotten, blocks = [800 * MIB], [], [0]
    real = _Gigatoken.forget
    monkeypatch.setattr(_Gigatoken, "forget", lambda self: forgotten.append(blocks[0]) or real(self))
    monkeypatch.setattr(pipeline, "anonymous_memory", lambda: 0)  # the caller's own code holds nothing
    monkeypatch.setattr(pools.Pool, "_memory", lambda self: memory[0])

    def progress(now: JobProgress) -> None:
        blocks[0] += 1
        if blocks[0] == 10:
            assert not forgotten
            pressure.request()  # answered before the next block is given out
        if blocks[0] == 11:
            memory[0] = 590 * MIB
        if blocks[0] == 20:
            assert forgotten == [11]  # once, for the request itself
            memory[0] = 610 * MIB

    tokenize(
        [text],
        tmp_path / "out",
        block=16384,
        workers=1,
        val_fraction=0,
        max_memory=4 * GIB,
        progress=progress,
        tuning=Tuning(cache_interval=0),
    )
    assert forgotten[:3] == [11, 20, 21]
    assert len(forgotten) >= 5  # and so on with every block, since nothing helps here
    ids = np.fromfile(tmp_path / "out" / "train.bin", np.uint16).tolist()
    assert ids == load_encoding("gpt2").encode_ordinary(text.read_text())


def test_a_job_keeps_to_the_room_that_is_left(text: Path, tmp_path: Path) -> None:
    def workers(name: str, **memory: int) -> int:
        seen: list[JobProgress] = []
        tokenize([text], tmp_path / name, workers=8, progress=seen.append, **memory)
        return seen[-1].workers

    assert workers("much", max_memory=GIB, headroom=2 * GIB) == 8
    assert workers("headroom", max_memory=GIB, headroom=160 * MIB) == workers("told", max_memory=160 * MIB) == 2
    assert workers("more headroom", max_memory=160 * MIB, headroom=GIB) == 2
    assert (
        workers("no headroom", max_memory=DEFAULT_MEMORY, headroom=0) == 1
    )  # as little as a job can do with, and tries


@pytest.fixture(scope="module")
def random_words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """60 MB of words that never come again, the worst text for a cache of words; and the hashes of its shards."""
    directory = tmp_path_factory.mktemp("random")
    path = directory / "random.txt"
    letters = np.random.default_rng(1).integers(97, 123, 60_000_000).astype("u1")
    letters[::9] = 32
    letters.tofile(path)
    manifest = tokenize([path], directory / "out", max_memory=GIB)
    yield path, [shard.sha256 for shard in manifest.shards]
    path.unlink()


LIBRARY = """
import sys, memguard
from memguard.records.codec import to_json
with memguard.guard():
    print(to_json(memguard.tokenize([sys.argv[1]], sys.argv[2], max_memory=2 << 30)))
"""


@pytest.mark.slow
@pytest.mark.cgroup
@pytest.mark.parametrize("way", ["command", "library"])
def test_two_gigabytes_allowed_in_a_box_of_300_mib(
    random_words: tuple[Path, list[str]], tmp_path: Path, way: str
) -> None:
    """Either sees the limit beforehand, and gives back memory when the guard asks for it."""
    path, expected = random_words
    out = str(tmp_path / "out")
    command = [sys.executable, "-m", "memguard", "tokenize", str(path), "-o", out, "--max-memory", "2G", "--json"]
    if way == "library":
        command = [sys.executable, "-c", LIBRARY, str(path), out]
    with MemoryBox(300 * MIB) as box:
        done = box.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert box.oom_kills == 0
    assert [shard.sha256 for shard in from_json(Manifest, done.stdout).shards] == expected
    assert ("less than --max-memory 2.00 GiB" in done.stderr) == (way == "command")


@pytest.mark.cgroup
def test_less_room_than_max_memory_is_said(text: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "memguard", "tokenize", str(text), "-o", str(tmp_path / "out")]
    with MemoryBox(300 * MIB) as box:
        done = box.run([*command, "--max-memory", "1G"], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert "less than --max-memory 1.00 GiB" in done.stderr.splitlines()[0]
    again = subprocess.run(
        [*command, "--max-memory", "100M", "--overwrite"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "less than" not in again.stderr
