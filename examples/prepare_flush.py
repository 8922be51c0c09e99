"""Tokenizes line by line into a list, and writes a shard when the list is full, or when memory gets short.

    memguard run --limit 320MiB prepare_flush.py train.txt [OUTPUT_DIR]

The usual way, with two lines of memguard: @memguard.on_pressure says what to call when memory gets short, and
memguard.checkpoint() says where. Without `memguard run` both do nothing.
"""

import os
import sys

import numpy as np
import tiktoken

import memguard

SHARD = 500_000_000  # tokens; as a Python list 14 to 20 GB, long before one is full

source = sys.argv[1]
output = sys.argv[2] if len(sys.argv) > 2 else "."
os.makedirs(output, exist_ok=True)
enc = tiktoken.get_encoding("gpt2")
tokens, shards = [], 0


@memguard.on_pressure
def flush():
    global tokens, shards
    if tokens:
        np.array(tokens, dtype=np.uint16).tofile(os.path.join(output, f"shard_{shards:04}.bin"))
        tokens, shards = [], shards + 1


with open(source, encoding="utf-8") as f:
    for line in f:
        memguard.checkpoint()
        tokens.extend(enc.encode_ordinary(line))
        if len(tokens) >= SHARD:
            flush()
flush()
print(f"{shards} shards")
