"""A list accumulator whose shard would never be full: under the guard it flushes in time and finishes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.units import MIB
from tests.boxes import MemoryBox

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "guard_flush.py"
ROOT = PROGRAM.parents[2]
RUN = [sys.executable, "-m", "memguard", "run", "--python", sys.executable]


def shards(directory: Path) -> tuple[int, bytes]:
    paths = sorted(directory.glob("shard_*.bin"))
    return len(paths), b"".join(path.read_bytes() for path in paths)


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "MEMGUARD_STATE_DIR": str(tmp_path / "state")}


def assert_same_as_unguarded(text: Path, tmp_path: Path, record: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    command = [*RUN, "--limit", "8GiB", str(PROGRAM), str(text), str(plain)]  # only for the vocabulary it brings along
    subprocess.run(command, env=environment(tmp_path), check=True, capture_output=True)
    assert shards(plain)[0] == 1
    count, flushed = shards(tmp_path / "flushed")
    assert count > 1 and flushed == shards(plain)[1]
    written = json.loads(record.read_text())
    assert any(decision["action"] == "flush" for decision in written["decisions"])
    assert any(answer["event"] == "flushed" and answer["called"] == 1 for answer in written["answers"])
    assert written["termination_reason"] is None


def test_it_flushes_before_the_limit_and_finishes(english: str, tmp_path: Path) -> None:
    text, record = tmp_path / "text.txt", tmp_path / "record.json"
    text.write_text(english * 18)
    (tmp_path / "flushed").mkdir()
    command = [*RUN, "--limit", "100MiB", "--record", str(record), str(PROGRAM), str(text), str(tmp_path / "flushed")]
    result = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert_same_as_unguarded(text, tmp_path, record)


@pytest.mark.slow
@pytest.mark.cgroup
@pytest.mark.skipif(bool(MemoryBox.missing()), reason=MemoryBox.missing() or "-")
@pytest.mark.parametrize("attempt", range(5))
def test_in_a_limit_of_the_kernels(english: str, tmp_path: Path, attempt: int) -> None:
    text, record = tmp_path / "text.txt", tmp_path / "record.json"
    text.write_text(english * 60)
    (tmp_path / "flushed").mkdir()
    with MemoryBox(320 * MIB) as box:
        command = [*RUN, "--record", str(record), str(PROGRAM), str(text), str(tmp_path / "flushed")]
        result = box.run(command, env=environment(tmp_path))
    assert result.returncode == 0, result.stderr
    assert box.oom_kills == 0
    assert_same_as_unguarded(text, tmp_path, record)
