"""np.zeros large enough for everything, filled chunk by chunk: it costs nothing until it is touched, then all of it.

usage: plan_preallocated.py INPUT OUTPUT_DIR [ENCODING [CHUNK_CHARS]]
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
chunk_chars = int(sys.argv[4]) if len(sys.argv) > 4 else 1_000_000
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

tokens = np.zeros(os.path.getsize(path), dtype=dtype)
count = 0
with open(path, "r", encoding="utf-8") as file:
    while chunk := file.read(chunk_chars):
        ids = encoding.encode_ordinary(chunk)
        tokens[count : count + len(ids)] = ids
        count += len(ids)
tokens[:count].tofile(os.path.join(output, "train.bin"))
print(count, 0)
