"""memguard run against hostile programs and innocent ones, and what it costs, in a memory cgroup of the kernel's.

    python -m tests.bench guard [--runs 10] [--limit 512MiB] [--loaded] [--only NAME …] [--seconds 20] [--job 60]

Each program runs with --limit inside a box of limit + 25 %, so that the kernel's killer stands right behind the guard.

Hostile (tests/programs/guard_*.py): how often the guard ended it (exit 75); kills by the kernel; how often the line in
the record is the one marked CULPRIT; the most that was used at an abort ÷ limit; the longest time from the box's first
reaching 97 % of the limit to the end; processes and files in /dev/shm left. Innocent: false stops. Flush: a script that
registered a callback finishes, with the bytes of its unguarded run. Cost: CPU and memory of the watcher beside a job
that holds still, and the wall time of one job with and without the guard, in turns.

--loaded keeps both cores busy meanwhile. Exit code 1 where a promise of docs/run.md is not kept. Needs the right to
make a memory cgroup.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from memguard.units import MIB, parse_size
from tests.bench.guard.cost import show_cost, show_wall
from tests.bench.guard.hostile import HOSTILE, show_hostile
from tests.bench.guard.innocent import INNOCENT, show_flush, show_innocent
from tests.bench.guard.trial import Setting
from tests.boxes import MemoryBox

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*HOSTILE, "hostile", *INNOCENT, "innocent", "flush", "cost", "wall"]
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--limit", type=parse_size, default=512 * MIB)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--loaded", action="store_true", help="two busy loops at normal priority beside it")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each measurement of the watcher's CPU")
    parser.add_argument("--job", type=float, default=60.0, help="seconds of the job whose wall time is compared")
    parser.add_argument(
        "--option", action="append", default=[], help="one more option of memguard run: --option=--fence=on"
    )
    options = parser.parse_args(arguments)
    if MemoryBox.missing():
        print(MemoryBox.missing(), file=sys.stderr)
        return 3
    wanted = set(options.only or ["hostile", "innocent", "flush", "cost", "wall"])
    hostile = [name for name in HOSTILE if name in wanted or "hostile" in wanted]
    innocent = [name for name in INNOCENT if name in wanted or "innocent" in wanted]
    kept = True
    with tempfile.TemporaryDirectory() as directory, busy(2 if options.loaded else 0):
        setting = Setting(options.limit, options.runs, directory, tuple(options.option))
        if hostile:
            kept &= show_hostile(hostile, setting)
        if innocent:
            kept &= show_innocent(innocent, setting)
        if "flush" in wanted:
            kept &= show_flush(setting)
        if "cost" in wanted:
            show_cost(setting, options.seconds)
        if "wall" in wanted:
            show_wall(setting, options.job)
    return 0 if kept else 1


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` processes that compute, for as long as this lasts."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
