"""A list that is written out every SHARD_TOKENS tokens.

usage: plan_sharded_list.py INPUT OUTPUT_DIR [ENCODING [SHARD_TOKENS [CHUNK_CHARS]]]
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
shard_tokens = int(sys.argv[4]) if len(sys.argv) > 4 else 100_000_000
chunk_chars = int(sys.argv[5]) if len(sys.argv) > 5 else 1_000_000
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

total = 0
shard = []
count = 0


def flush():
    global shard, count, total
    array = np.array(shard, dtype=dtype)
    array.tofile(os.path.join(output, f"train_{count:06d}.bin"))
    total += len(array)
    count += 1
    shard = []


with open(path, "r", encoding="utf-8") as file:
    while True:
        chunk = file.read(chunk_chars)
        if not chunk:
            break
        shard.extend(encoding.encode_ordinary(chunk))
        if len(shard) >= shard_tokens:
            flush()
if shard:
    flush()
print(total, 0)
