"""Its own style: a list of ids, a shard every SHARD_TOKENS, a callback for the guard; SHARD_TOKENS is never reached.

usage: guard_flush.py OUTPUT_DIR TOKENS
"""
import os
import sys

import numpy as np

try:
    import memguard
except ImportError:
    memguard = None

output, wanted = sys.argv[1], int(sys.argv[2])
SHARD_TOKENS = 100_000_000
ids = []
count = 0


def flush():
    global ids, count
    if ids:
        np.array(ids, dtype=np.uint16).tofile(os.path.join(output, f"{count:04d}.bin"))
        count += 1
        ids = []


if memguard is not None:
    memguard.on_pressure(flush)
for start in range(0, wanted, 10_000):
    ids.extend(number * 7919 % 50257 for number in range(start, min(start + 10_000, wanted)))
    if len(ids) >= SHARD_TOKENS:
        flush()
flush()
print(wanted)
