"""What the programs here read: documents of 2,000 ids, each id once, at the pace of a tokenizer. argv[1]: where to write."""
import hashlib
import os
import sys

import numpy as np

OUT = sys.argv[1]
IDS = 2_000
_WORK = bytes(400_000)


def documents(total=4_000_000):
    return range(0, total, IDS)


def encode(first, work=_WORK):
    hashlib.sha256(work).digest()
    return list(range(first, first + IDS))


def save(number, ids):
    np.asarray(ids, np.uint32).tofile(os.path.join(OUT, f"shard_{number:05}.bin"))
