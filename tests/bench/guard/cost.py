"""What the guard costs: the watcher's CPU and memory, and the wall time of a job."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from memguard.units import MIB, format_size
from tests.bench.guard.trial import PROGRAMS, RUN, Setting
from tests.boxes import MemoryBox

SETTLE = 2.0  # seconds before the CPU is counted
# Computes, allocates and reads; argv[1]: rounds of some 10 ms.
JOB = "import sys\nx = 0\nfor n in range(int(sys.argv[1])): x ^= hash(tuple(range(500_000)))"


def show_cost(setting: Setting, seconds: float) -> None:
    print(f"\n{'watcher beside a job at':<24} {'CPU':>7} {'peak RSS':>9}")
    for share in (0.1, 0.45, 0.75, 0.85, 0.95):
        job = [str(PROGRAMS / "guard_steady.py"), str(max(1, round(setting.limit * share / MIB) - 10)), "600"]
        with MemoryBox(setting.box) as box:
            command = [*RUN, "--limit", str(setting.limit), *setting.options, *job]
            process = box.start(command, env=setting.environment, stderr=subprocess.DEVNULL)
            time.sleep(SETTLE)
            before = _cpu_seconds(process.pid)
            time.sleep(seconds)
            cpu = (_cpu_seconds(process.pid) - before) / seconds
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            rss = next(line for line in status if line.startswith("VmHWM"))
            process.terminate()
            process.wait()
        print(f"{share:>5.0%} of the limit         {cpu:>7.2%} {format_size(int(rss.split()[1]) << 10):>9}", flush=True)


def _cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def show_wall(setting: Setting, seconds: float) -> None:
    """One job with and without the guard, in turns; the order changes each time."""
    rounds = _rounds(seconds)
    plain, guarded = [sys.executable, "-c", JOB, rounds], [*RUN[:4], "--", sys.executable, "-c", JOB, rounds]
    ratios = []
    for number in range(max(2, setting.runs // 5)):
        taken = {}
        for command in (plain, guarded) if number % 2 else (guarded, plain):
            start = time.perf_counter()
            subprocess.run(command, env=setting.environment, check=True)
            taken[len(command)] = time.perf_counter() - start
        ratios.append(taken[len(guarded)] / taken[len(plain)])
        print(f"  plain {taken[len(plain)]:.2f} s, guarded {taken[len(guarded)]:.2f} s", flush=True)
    shown = ", ".join(f"{ratio:.4f}" for ratio in ratios)
    print(f"\nwall time guarded ÷ plain: median {statistics.median(ratios):.4f} of {shown}")


def _rounds(seconds: float) -> str:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", JOB, "100"], check=True)
    return str(round(100 * seconds / (time.perf_counter() - start)))
