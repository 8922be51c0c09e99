"""`memguard demo`, as a newcomer runs it: under a minute, no network, nothing left behind."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.people import myself


@pytest.mark.slow
def test_the_demo_tells_the_whole_story(tmp_path: Path) -> None:
    who = myself(tmp_path)
    who.env["TIKTOKEN_CACHE_DIR"] = str(tmp_path / "none")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = who.memguard("demo", "--limit", "300MiB", "--size", "32MB")  # the smallest that it takes
    result = subprocess.run(command, env=who.env, cwd=tmp_path, capture_output=True, text=True)
    shown = result.stdout + result.stderr
    assert result.returncode == 0, shown
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 60  # of processor time: the machine may be at work for others
    for words in ("memguard estimate train.txt", "killed", "exit code 75", "prepare.py:", "byte for byte"):
        assert words in shown, words
    assert "Traceback" not in shown
    assert not list(tmp_path.glob("memguard-demo-*"))


def test_a_size_that_would_fit_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    result = subprocess.run(
        [sys.executable, "-m", "memguard", "demo", "--keep", str(target), "--size", "1MB"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2 and "too small" in result.stderr
    assert not target.exists()
