"""Peak memory of a command and of all it starts: VmHWM of one process, anonymous memory of a tree."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from memguard.system.proc import Process, read_rollup, read_stat, read_tree
from tests.boxes import MemoryBox

# A bare Python starts the script: the peak that the kernel reports for a child begins with its parent's at the fork.
LAUNCHER = """\
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_EVERYTHING = 1 << 50


def single_peak(command: list[str], environment: Mapping[str, str]) -> tuple[int, float]:
    """(VmHWM in bytes, wall seconds)."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command], env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    code, peak = done.stdout.split()
    if code != "0":
        raise RuntimeError(f"exit code {code}: {command}")
    return int(peak) * 1024, time.perf_counter() - started


def tree_peak(command: list[str], environment: Mapping[str, str]) -> tuple[int, float]:
    """(anonymous memory of the tree in bytes, wall seconds): a cgroup's where one can be made, else the sum of PSS."""
    if MemoryBox.missing():
        return _watch(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL), None)
    with MemoryBox(_EVERYTHING) as box:
        process = box.start(command, env=environment, stdout=subprocess.DEVNULL)
        return _watch(process, box.directory / "memory.stat")


def _watch(process: subprocess.Popen[str] | subprocess.Popen[bytes], stat: Path | None) -> tuple[int, float]:
    started, peak = time.perf_counter(), 0
    while process.poll() is None:
        peak = max(peak, _cgroup(stat) if stat else _pss(process.pid))
        time.sleep(0.005)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {process.args}")
    return peak, time.perf_counter() - started


def _cgroup(stat: Path) -> int:
    """`anon` of cgroup v2, `rss` of v1: the same thing."""
    figures = dict(line.split() for line in stat.read_text().splitlines())
    return int(figures.get("anon", figures.get("rss", "0")))


def _pss(pid: int) -> int:
    stat = read_stat(pid)
    if stat is None:
        return 0
    rollups = (read_rollup(process.pid) for process in read_tree(Process(pid, stat.start_time)))
    return sum(rollup.pss_anon or 0 for rollup in rollups if rollup is not None)
