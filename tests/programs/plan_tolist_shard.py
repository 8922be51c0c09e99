"""A preallocated shard that is turned into a list before it is written: the buffer was not the peak.

usage: plan_tolist_shard.py INPUT OUTPUT_DIR [ENCODING [SHARD_TOKENS]]     INPUT: text, a document a line
"""

import os
import sys

import numpy as np
import tiktoken

encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32
path, output = sys.argv[1:3]
shard_tokens = int(sys.argv[4]) if len(sys.argv) > 4 else 100_000_000


def write_datafile(filename, toks):
    toks_np = np.array(toks, dtype=dtype)
    with open(filename, "wb") as file:
        file.write(toks_np.tobytes())


total = shard = count = 0
buffer = np.empty((shard_tokens,), dtype=dtype)
with open(path, "r", encoding="utf-8") as file:
    for line in file:
        tokens = np.array(encoding.encode_ordinary(line), dtype=dtype)
        total += len(tokens)
        if count + len(tokens) >= shard_tokens:
            room = shard_tokens - count
            buffer[count:] = tokens[:room]
            write_datafile(os.path.join(output, f"train_{shard:06d}.bin"), buffer.tolist())
            shard, count, tokens = shard + 1, 0, tokens[room:]
        buffer[count : count + len(tokens)] = tokens
        count += len(tokens)
if count:
    write_datafile(os.path.join(output, f"train_{shard:06d}.bin"), buffer[:count].tolist())
print(total, 0)
