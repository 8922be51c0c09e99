"""memguard tokenize against the usual script, whole processes, same file, one after the other.

    python -m tests.bench tokenize FILE [--rounds 3] [--naive-rounds 1]

The naive script reads the file whole, encodes it with tiktoken, and writes np.array(ids, uint16): the start of each
process, imports included, is part of its time. Memory is the anonymous memory of the whole process tree, sampled from
outside every 5 ms. The tokens of both are compared byte for byte. FILE should be 100 MB or more for a fair ratio: the
naive one then needs about 2 GB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memguard.system.proc import read_children, read_status
from memguard.units import MIB, format_size

NAIVE = """
import sys
import numpy as np
import tiktoken
with open(sys.argv[1], "r", encoding="utf-8", newline="") as f:
    text = f.read()
ids = tiktoken.get_encoding("gpt2").encode_ordinary(text)
np.array(ids, dtype=np.uint16).tofile(sys.argv[2])
"""


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds of the whole tree, and its peak anonymous memory in bytes."""
    before, start, peak = os.times(), time.perf_counter(), 0
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            tree, anonymous = [process.pid], 0
            for pid in tree:
                tree += read_children(pid)
                status = read_status(pid)
                anonymous += (status.rss_anon or 0) if status else 0
            peak = max(peak, anonymous)
            time.sleep(0.005)
    wall, after = time.perf_counter() - start, os.times()
    if process.returncode:
        raise SystemExit(f"{command} failed with {process.returncode}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, peak


def vocabulary(directory: Path) -> str:
    """tiktoken's cache with the bundled vocabulary, so that the naive script needs no network either."""
    import hashlib

    from memguard.inject import gpt2_files

    for url in gpt2_files.URLS:
        (directory / hashlib.sha1(url.encode()).hexdigest()).write_bytes(gpt2_files.contents(url) or b"")
    return str(directory)


def row(name: str, size: int, runs: list[tuple[float, float, int]]) -> float:
    wall = statistics.median(run[0] for run in runs)
    cpu = statistics.median(run[1] for run in runs)
    peak = max(run[2] for run in runs)
    print(f"{name:<28} {wall:7.2f} s  {size / wall / 1e6:7.1f} MB/s  cpu {cpu:6.2f} s  peak {format_size(peak)}")
    return wall


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench tokenize", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=3, help="of memguard; the median counts")
    parser.add_argument("--naive-rounds", type=int, default=1)
    arguments = parser.parse_args(argv)
    size = arguments.file.stat().st_size
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        environment = {**os.environ, "TIKTOKEN_CACHE_DIR": vocabulary(directory)}
        naive_out, ours_out = directory / "naive.bin", directory / "ours"
        tokenize = [sys.executable, "-m", "memguard", "tokenize", str(arguments.file), "-q", "--overwrite"]
        tokenize += ["--val-fraction", "0", "-o", str(ours_out)]
        naive = [sys.executable, "-c", NAIVE, str(arguments.file), str(naive_out)]
        print(f"{arguments.file.name}: {size / 1e6:.1f} MB, {len(os.sched_getaffinity(0))} cores")
        slow = row(
            "naive (tiktoken, read all)", size, [measure(naive, environment) for _ in range(arguments.naive_rounds)]
        )
        for workers in (1, 2):
            runs = [measure([*tokenize, "--workers", str(workers)], environment) for _ in range(arguments.rounds)]
            fast = row(f"memguard, {workers} worker(s)", size, runs)
            print(f"{'':<28} {slow / fast:.1f} times as fast")
            if max(run[2] for run in runs) > 256 * MIB:
                print("MORE THAN 256 MiB")
                return 1
        same = naive_out.read_bytes() == (ours_out / "train.bin").read_bytes()
        print("tokens identical" if same else "TOKENS DIFFER")
        return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
