"""A script of the usual style whose shards would never be full: SHARD tokens are more than there are. argv: text, directory."""
import os
import sys

import numpy as np
import tiktoken

import memguard

SHARD = 500_000_000
encoding = tiktoken.get_encoding("gpt2")
tokens, shards = [], 0


@memguard.on_pressure
def flush():
    global shards
    if tokens:
        path = os.path.join(sys.argv[2], f"shard_{shards:04d}.bin")
        np.array(tokens, dtype=np.uint16).tofile(path)
        shards += 1
        tokens.clear()


with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        memguard.checkpoint()
        tokens.extend(encoding.encode_ordinary(line))
        if len(tokens) >= SHARD:
            flush()
flush()
