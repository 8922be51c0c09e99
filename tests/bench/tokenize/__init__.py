"""memguard tokenize beside others, its memory, and its tokens.

python -m tests.bench tokenize speed FILE…      MB/s, CPU and memory beside other tools, same file, one run
python -m tests.bench tokenize memory           peak memory on hostile texts, from outside
python -m tests.bench tokenize large            10 GB of text inside a 300 MiB memory cgroup
python -m tests.bench tokenize exact            millions of nasty strings, engine against engine
"""

from __future__ import annotations

import importlib
import sys

NAMES = ("speed", "memory", "large", "exact")


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in NAMES:
        print(__doc__, file=sys.stderr)
        return 2
    return int(importlib.import_module(f"tests.bench.tokenize.{argv[0]}").main(argv[1:]))
