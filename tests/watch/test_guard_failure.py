"""The watcher of a with-block fails or is killed: the program goes on, never frozen, with one line said."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
ROOT = Path(__file__).resolve().parents[2]

# The block's watcher is started with a Python that first makes one of its calls fail.
WATCHER = """
import errno, os, signal, sys
import memguard.watch.beside as beside
{patch}
sys.exit(beside.main(sys.argv[4:]))
"""
PROGRAM = """
import sys, time
import memguard
python, sys.executable = sys.executable, sys.argv[1]
rows = []
try:
    with memguard.guard(limit="96MiB") as g:
        sys.executable = python
        for i in range(200):
            rows.append(bytearray(b"x") * (1 << 20))
            time.sleep(0.002)
except memguard.MemoryLimitExceeded:
    print("exceeded")
print("went on with", len(rows), g.record.guard_failure if g.record else None)
"""


def run(patch: str, directory: Path) -> subprocess.CompletedProcess[str]:
    watcher = directory / "watcher.py"
    watcher.write_text(WATCHER.format(patch=textwrap.dedent(patch)))
    fake = directory / "python"
    fake.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(watcher)])} "$@"\n')
    fake.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, str(fake)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("beside.Loop.consider", "OSError(errno.EMFILE, 'Too many open files')"),
        ("beside.GuardedTree.stop", "MemoryError()"),
        ("beside.GuardedTree.strays", "ValueError('a bug')"),
        ("beside.Loop.shutdown", "OSError(errno.EMFILE, 'Too many open files')"),
        ("beside.Loop.blame", "ValueError('a bug')"),
    ],
)
def test_it_goes_on_without_a_guard(place: str, error: str, tmp_path: Path) -> None:
    result = run(f"def fails(*_, **__): raise {error}\n{place} = fails", tmp_path)
    assert result.returncode == 0, result.stderr
    stopped = place.endswith("blame")  # after the end of the block
    assert result.stdout.endswith(f"went on with {len('x' * 200)} None\n") or (stopped and "exceeded" in result.stdout)
    (line,) = result.stderr.splitlines()
    assert line.startswith("memguard: the guard failed (") and "goes on without a guard" in line


@pytest.mark.parametrize("when", ["GuardedTree.stop", "Loop.shutdown"])
def test_a_watcher_that_is_killed_leaves_nobody_frozen(when: str, tmp_path: Path) -> None:
    """kill -9, or the kernel's OOM killer, while the process is stopped: the sentinel continues it."""
    patch = f"""
    original = beside.{when}
    def dies(*arguments):
        original(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    beside.{when} = dies
    """
    result = run(patch, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "went on with 200" in result.stdout
    assert "memguard: the guard itself (process" in result.stderr and "goes on without a guard" in result.stderr


def test_nobody_is_left_of_an_orderly_end(tmp_path: Path) -> None:
    """The sentinel is there for as long as the process is frozen, and no longer."""
    result = run("", tmp_path)
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.startswith("exceeded\n")
    left = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        left += [pid] * (str(tmp_path).encode() in words)
    assert left == []
