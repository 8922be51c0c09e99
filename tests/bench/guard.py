"""memguard run against hostile programs, innocent ones, and a plain job, in a memory cgroup of the kernel's.

    python -m tests.bench guard [--runs 5] [--limit 512MiB] [--only NAME …] [--seconds 20]

Hostile: how often the guard was first (exit 75, no kill by the kernel in the box), how often the line it names is the
one that grows (marked CULPRIT in the program), the peak of the box, the watcher's worst lateness, processes left.
Innocent: false stops. Cost: CPU of the watcher beside a job that sleeps, at several shares of the limit, and the wall
time of one job with and without the guard, in turns. Needs the right to make a memory cgroup.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from memguard.units import MIB, format_size, parse_size
from tests.boxes import MemoryBox

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
HOSTILE = ["list", "bytearray", "burst", "one_burst", "pool", "grandchild", "double_fork", "tiktoken"]
HOSTILE += ["ignores_sigterm", "cleans_up", "threads"]
RUN = [sys.executable, "-m", "memguard", "run", "--python", sys.executable]


@dataclass(frozen=True)
class Outcome:
    code: int
    kills: int
    line_right: bool | None  # None: the program marks no line
    peak: int
    lateness: float
    seconds: float
    left: int


def run_once(name: str, arguments: list[str], limit: int, environment: dict[str, str]) -> Outcome:
    script = PROGRAMS / f"guard_{name}.py"
    wanted = {n for n, line in enumerate(script.read_text().splitlines(), 1) if "# CULPRIT" in line}
    record_path = Path(environment["TMPDIR"]) / "record.json"
    record_path.unlink(missing_ok=True)
    with MemoryBox(limit) as box:
        start = time.perf_counter()
        result = box.run([*RUN, "--record", str(record_path), str(script), *arguments], env=environment, timeout=180)
        seconds = time.perf_counter() - start
        left = len(box.processes())
    record = json.loads(record_path.read_text())
    named = (record["culprit"] or {}).get("line")
    right = named in wanted if wanted else None
    return Outcome(result.returncode, box.oom_kills, right, box.peak, record["max_lateness"], seconds, left)


def show_hostile(names: list[str], runs: int, limit: int, environment: dict[str, str]) -> None:
    print(f"{'hostile':<16} {'first':>7} {'kills':>6} {'line':>7} {'peak':>9} {'late':>8} {'seconds':>8} {'left':>5}")
    for name in names:
        arguments = [environment["TMPDIR"] + "/temporary"] if name == "cleans_up" else []
        outcomes = [run_once(name, arguments, limit, environment) for _ in range(runs)]
        first = sum(o.code == 75 and not o.kills for o in outcomes)
        right = [o.line_right for o in outcomes if o.line_right is not None]
        line = f"{sum(right)}/{len(right)}" if right else "–"
        print(
            f"{name:<16} {first:>3}/{runs:<3} {sum(o.kills for o in outcomes):>6} {line:>7} "
            f"{format_size(max(o.peak for o in outcomes)):>9} {max(o.lateness for o in outcomes) * 1000:>5.0f} ms "
            f"{statistics.median(o.seconds for o in outcomes):>8.1f} {sum(o.left for o in outcomes):>5}",
            flush=True,
        )


def show_innocent(runs: int, limit: int, environment: dict[str, str]) -> None:
    usable = (limit - max(64 * MIB, limit // 10)) // MIB
    big = Path(environment["TMPDIR"]) / "big"
    with big.open("wb") as file:
        for _ in range(limit // MIB):
            file.write(os.urandom(MIB))
    programs = {
        "page_cache": [str(big), "3"],
        "sparse": [],
        "cow_pool": [str(usable * 6 // 10)],
        "steady": [str(usable * 84 // 100 - 40), "3"],
    }
    print(f"\n{'innocent':<16} {'false stops':>12} {'kills':>6}")
    for name, arguments in programs.items():
        outcomes = [run_once(name, arguments, limit, environment) for _ in range(runs)]
        stops = sum(o.code != 0 for o in outcomes)
        print(f"{name:<16} {stops:>8}/{runs:<3} {sum(o.kills for o in outcomes):>6}", flush=True)
    big.unlink()


def show_cost(limit: int, seconds: float, environment: dict[str, str]) -> None:
    usable = (limit - max(64 * MIB, limit // 10)) // MIB
    print(f"\n{'watcher beside':<24} {'CPU':>7} {'RSS':>9}")
    for share in (0.1, 0.45, 0.85, 0.95):
        job = [str(PROGRAMS / "guard_steady.py"), str(max(1, round(usable * share) - 25)), "600"]
        with MemoryBox(limit) as box:
            process = box.start([*RUN, *job], env=environment, stderr=subprocess.DEVNULL)
            time.sleep(2)
            before = cpu_seconds(process.pid)
            time.sleep(seconds)
            cpu = (cpu_seconds(process.pid) - before) / seconds
            rss = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmHWM" in line)
            process.terminate()
            process.wait()
        print(f"{share:>5.0%} of what is usable   {cpu:>7.2%} {format_size(int(rss.split()[1]) << 10):>9}", flush=True)


def cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def show_wall(rounds: int, environment: dict[str, str]) -> None:
    """A job of some 10 s that computes and writes, guarded and not, in turns."""
    code = "x = 0\nfor n in range(6_000): x ^= hash(tuple(range(20_000)))"
    times: dict[str, list[float]] = {"plain": [], "guarded": []}
    for _ in range(rounds):
        for name, prefix in (("plain", []), ("guarded", [*RUN[:4], "--"])):
            start = time.perf_counter()
            subprocess.run([*prefix, sys.executable, "-c", code], env=environment, check=True)
            times[name].append(time.perf_counter() - start)
    plain, guarded = (statistics.median(times[name]) for name in ("plain", "guarded"))
    best = min(times["guarded"]) / min(times["plain"])
    print(f"\nwall time: plain {plain:.2f} s, guarded {guarded:.2f} s; ratio {guarded / plain:.3f}, best {best:.3f}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--limit", type=parse_size, default=512 * MIB)
    parser.add_argument("--only", nargs="*", choices=[*HOSTILE, "innocent", "cost", "wall"])
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args(arguments)
    if MemoryBox.missing():
        print(MemoryBox.missing(), file=sys.stderr)
        return 3
    wanted = options.only or [*HOSTILE, "innocent", "cost", "wall"]
    with tempfile.TemporaryDirectory() as directory:
        root = str(PROGRAMS.parents[1])
        environment = {**os.environ, "PYTHONPATH": root, "TMPDIR": directory, "MEMGUARD_STATE_DIR": directory}
        hostile = [name for name in HOSTILE if name in wanted]
        if hostile:
            show_hostile(hostile, options.runs, options.limit, environment)
        if "innocent" in wanted:
            show_innocent(options.runs, options.limit, environment)
        if "cost" in wanted:
            show_cost(options.limit, options.seconds, environment)
        if "wall" in wanted:
            show_wall(max(3, options.runs), environment)
    return 0
