"""One command measured from outside: wall and CPU seconds, and the peak anonymous memory of its tree of processes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memguard.inject import gpt2_files
from memguard.system.proc import read_children, read_status
from memguard.units import MIB, format_size
from tests.bench._peaks import _EVERYTHING, _cgroup
from tests.boxes import MemoryBox
from tests.gpt2_cache import GPT2_URLS, fill_cache

__all__ = ["Run", "measure", "table", "vocabulary"]


@dataclass(frozen=True, slots=True)
class Run:
    size: int  # bytes of text
    wall: float
    cpu: float
    peak: int
    code: int
    stderr: str = ""

    @property
    def speed(self) -> float:
        """MB/s."""
        return self.size / self.wall / 1e6


def measure(command: list[str], environment: Mapping[str, str], size: int, limit: int = _EVERYTHING) -> Run:
    """In a memory cgroup where one can be made, which sees short-lived workers and counts shared pages once; else the
    tree's anonymous memory is summed. Every 5 ms."""
    before, peak, started = os.times(), 0, time.perf_counter()
    options = {"env": dict(environment), "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    if MemoryBox.missing():
        with subprocess.Popen(command, text=True, **options) as process:  # type: ignore[call-overload]
            while process.poll() is None:
                peak = max(peak, _summed(process.pid))
                time.sleep(0.005)
            said = process.stderr.read()
    else:
        with MemoryBox(limit) as box:
            process = box.start(command, **options)
            while process.poll() is None:
                peak = max(peak, _cgroup(box.directory / "memory.stat"))
                time.sleep(0.005)
            said = process.stderr.read()
            process.stderr.close()
    wall, after = time.perf_counter() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(size, wall, cpu, peak, process.returncode, said)


def _summed(root: int) -> int:
    tree, total = [root], 0
    for pid in tree:
        tree += read_children(pid)
        status = read_status(pid)
        total += (status.rss_anon or 0) if status else 0
    return total


def table(name: str, run: Run) -> str:
    if run.code:
        return f"{name:<34} exit code {run.code}: {(run.stderr.strip().splitlines() or [''])[-1][:60]}"
    peak = format_size(run.peak) if run.peak < 10_000 * MIB else f"{run.peak / (1 << 30):.1f} GiB"
    return f"{name:<34} {run.wall:7.2f} s {run.speed:7.1f} MB/s   cpu {run.cpu:7.2f} s   peak {peak:>9}"


def vocabulary(directory: Path) -> dict[str, str]:
    """The environment in which every tool finds the GPT-2 vocabulary without a network."""
    fill_cache(directory)
    for url in GPT2_URLS:
        (directory / url.rsplit("/", 1)[1]).write_bytes(gpt2_files.contents(url) or b"")
    return {
        **os.environ,
        "TIKTOKEN_CACHE_DIR": str(directory),
        "GPT2_FILES": str(directory),
        "R50K": str(directory / "r50k_base.tiktoken"),
        "HF_HUB_OFFLINE": "1",
    }
