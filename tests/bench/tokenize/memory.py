"""Peak anonymous memory of memguard tokenize on texts that are hard on it, from outside: all below --max-memory.

python -m tests.bench tokenize memory [FILE…] [--texts …] [--max-memory 256M] [--workers 1 2 16]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from memguard.units import parse_size
from tests.bench.tokenize._runs import measure, table, vocabulary
from tests.bench.tokenize._texts import TEXTS, write

__all__ = ["main"]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench tokenize memory", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="*", help="real texts, beside the made ones")
    parser.add_argument("--max-memory", default="256M")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 16])
    parser.add_argument("--texts", nargs="*", choices=sorted(TEXTS), default=sorted(TEXTS), help="of the made ones")
    parser.add_argument("--scratch", type=Path)
    arguments = parser.parse_args(argv)
    limit, worst = parse_size(arguments.max_memory), 0
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        scratch = Path(name)
        environment = vocabulary(scratch)
        texts: list[tuple[str, Path, tuple[str, ...]]] = [(path.name, path, ()) for path in arguments.file]
        texts += [
            (text, scratch / "text", options) for text, (_, _, options) in TEXTS.items() if text in arguments.texts
        ]
        for text, path, options in texts:
            if text in TEXTS:
                how, size, _ = TEXTS[text]
                write(how(size), path)
            for workers in arguments.workers:
                out = scratch / "out"
                command = [sys.executable, "-m", "memguard", "tokenize", str(path), "-o", str(out), *options]
                command += ["--workers", str(workers), "--max-memory", arguments.max_memory]
                run = measure(command, environment, path.stat().st_size)
                shutil.rmtree(out, ignore_errors=True)
                print(table(f"{text}, {workers} workers", run), flush=True)
                worst = max(worst, run.peak)
                if run.code:
                    return 1
    print("the promise holds" if worst <= limit else f"MORE THAN {arguments.max_memory}")
    return int(worst > limit)
