"""10 GB of text inside a 300 MiB memory cgroup: it finishes, at the peak of 1 GB (`--sizes 1 10` shows both).

    python -m tests.bench tokenize large FILE [--sizes 10] [--limit 300M]

FILE is repeated, its letters moved on by one more each time, so that there are always new words. Needs the right to
make a memory cgroup, and room on the disk for the text and about as much again for its tokens; both are removed.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from memguard.units import format_size, parse_size
from tests.bench.tokenize._runs import measure, table, vocabulary
from tests.bench.tokenize._texts import english_stream, write
from tests.boxes import MemoryBox

__all__ = ["main"]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench tokenize large", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--sizes", type=float, nargs="+", default=[10.0], help="in GB")
    parser.add_argument("--limit", default="300M")
    parser.add_argument("--scratch", type=Path)
    arguments = parser.parse_args(argv)
    if MemoryBox.missing():
        print(f"not here: {MemoryBox.missing()}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is removed then, too
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        scratch = Path(name)
        environment, text, out = vocabulary(scratch), scratch / "text", scratch / "out"
        needed = int(max(arguments.sizes) * 2.3e9)
        free = shutil.disk_usage(scratch).free
        if free < needed:
            print(f"not here: {format_size(needed)} of disk needed, {format_size(free)} free", file=sys.stderr)
            return 3
        for size in arguments.sizes:
            written = write(english_stream(arguments.file, int(size * 1e9)), text)
            command = [sys.executable, "-m", "memguard", "tokenize", str(text), "-o", str(out), "-q"]
            run = measure(command, environment, written, parse_size(arguments.limit))
            shutil.rmtree(out, ignore_errors=True)
            print(table(f"{size:g} GB in {arguments.limit}", run), flush=True)
            if run.code:
                return 1
    return 0
