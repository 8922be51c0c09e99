"""The usual script on a text that its memory does not hold: killed as it was, finished with the drop-ins."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from memguard.units import MIB
from tests.bench.dropin import HEAD, SCRIPTS, WAYS
from tests.boxes import MemoryBox

ROOT = Path(__file__).resolve().parents[2]


def write_script(directory: Path, name: str, way: str) -> list[str]:
    program = HEAD + SCRIPTS[name]
    for word, meaning in WAYS[way].items():
        program = program.replace(word, meaning)
    (directory / "script.py").write_text(program)
    return [sys.executable, "script.py", "text"]


@pytest.mark.slow
@pytest.mark.cgroup
@pytest.mark.parametrize("name", ["whole", "chunks", "lines", "documents"])
def test_a_box_that_is_too_small_for_lists(name: str, tmp_path: Path, english: str) -> None:
    (tmp_path / "text").write_text(english * 64, encoding="utf-8")  # 32 MB
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    made = []
    for way, limit in (("plain", 4096), ("all", 192)):
        with MemoryBox(limit * MIB) as box:
            done = box.run(write_script(tmp_path, name, way), **options)
        assert (done.returncode, box.oom_kills) == (0, 0), done.stderr
        made.append((done.stdout, {path.name: path.read_bytes() for path in tmp_path.glob("*.bin")}))
    assert made[0] == made[1]
    with MemoryBox(192 * MIB) as box:
        assert box.run(write_script(tmp_path, name, "plain"), **options).returncode == -9
