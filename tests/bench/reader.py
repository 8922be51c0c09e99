"""The script reader on other people's Python: no traceback, no long wait, little memory, whatever stands in a file.

    python -m tests.bench reader DIRECTORY… [--files 5000] [--each] [--json]

Every *.py file below the directories is read and priced as `memguard estimate --script` does, each in a child process
of its own: its processor time, the memory that it takes at most, the answer. Prints the slowest, the largest, and each
traceback; exits 1 where a file has one, or is over a limit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from memguard.units import MIB

__all__ = ["MOST_BYTES", "MOST_SECONDS", "Reading", "files_below", "main", "read_each"]

MOST_SECONDS = 2.0  # of processor time
MOST_BYTES = 150 * MIB  # of the process, its libraries included
_WORST = 8
_PATIENCE = 120.0  # seconds for one file, before it is given up


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one file."""

    path: str
    seconds: float  # of processor time
    peak: int  # bytes, of the whole process
    answer: str  # a verdict, "error: …", or a traceback's last lines

    @property
    def failed(self) -> bool:
        return self.answer.startswith("Traceback")

    @property
    def over(self) -> bool:
        return self.seconds > MOST_SECONDS or self.peak > MOST_BYTES


def files_below(directories: Iterable[str], most: int) -> list[str]:
    """At most `most` files, the same ones each time; the largest are always among them."""
    found = sorted(str(p) for directory in directories for p in Path(directory).rglob("*.py") if p.is_file())
    found.sort(key=os.path.getsize, reverse=True)
    if len(found) > most:
        large = found[: most // 10]
        found = large + random.Random(0).sample(found[len(large) :], most - len(large))
    return found


def read_each(files: Iterable[str]) -> Iterator[Reading]:
    """Reads each file in a child of this process, which has loaded all that it takes: see the module's text."""
    from tests.estimate.hostile_sources import answer

    with tempfile.TemporaryDirectory() as scratch:
        answer("x = open('a').read()\n", Path(scratch, "s.py"))  # loads what is loaded late
        for file in files:
            yield _in_a_child(file)


def _in_a_child(file: str) -> Reading:
    context = multiprocessing.get_context("fork")
    mine, its = context.Pipe()
    child = context.Process(target=_read, args=(file, its))
    child.start()
    its.close()
    found: Reading | None = None
    with contextlib.suppress(EOFError):
        if mine.poll(_PATIENCE):
            found = mine.recv()
    if found is None:
        child.kill()
    child.join()
    mine.close()
    return found or Reading(file, _PATIENCE, 0, f"Traceback: no answer, exit code {child.exitcode}")


def _read(file: str, pipe: Connection) -> None:
    from tests.estimate.hostile_sources import answer_to

    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
    started = time.process_time()
    try:
        words, _ = answer_to(file)
    except BaseException:
        words = "Traceback: " + "".join(traceback.format_exc().splitlines(keepends=True)[-5:])
    seconds = time.process_time() - started
    pipe.send(Reading(file, round(seconds, 3), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, words))
    pipe.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench reader", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directories", nargs="+", metavar="DIRECTORY")
    parser.add_argument("--files", type=int, default=5000, metavar="N", help="at most (default: %(default)s)")
    parser.add_argument("--each", action="store_true", help="one line for each file")
    parser.add_argument("--json", action="store_true", help="one JSON line for each file")
    asked = parser.parse_args(arguments)
    found: list[Reading] = []
    for reading in read_each(files_below(asked.directories, asked.files)):
        found.append(reading)
        if asked.json:
            print(json.dumps(asdict(reading)), flush=True)
        elif asked.each or reading.failed:
            print(f"{reading.seconds:6.2f} s {reading.peak / MIB:6.0f} MiB {reading.path} {reading.answer}", flush=True)
    if not asked.json:
        _show(found)
    return int(not found or any(reading.failed or reading.over for reading in found))


def _show(found: list[Reading]) -> None:
    answers = Counter("error" if r.answer.startswith("error") else r.answer.partition(":")[0] for r in found)
    print(f"{len(found):,} files, {sum(r.seconds for r in found):.0f} s: {dict(answers)}")
    for words, key in (("slowest", "seconds"), ("largest", "peak")):
        print(f"{words}:")
        for r in sorted(found, key=lambda r: getattr(r, key), reverse=True)[:_WORST]:
            print(f"  {r.seconds:6.2f} s {r.peak / MIB:6.0f} MiB {r.answer[:60]:20} {r.path}")
    for words, count in (
        ("tracebacks", sum(r.failed for r in found)),
        (f"above {MOST_SECONDS:g} s", sum(r.seconds > MOST_SECONDS for r in found)),
        (f"above {MOST_BYTES / MIB:.0f} MiB", sum(r.peak > MOST_BYTES for r in found)),
    ):
        print(f"{words}: {count}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
