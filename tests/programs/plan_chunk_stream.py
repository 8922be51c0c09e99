"""The streaming twin that people write by hand: a chunk in, its ids out, nothing else kept.

usage: plan_chunk_stream.py INPUT OUTPUT_DIR [ENCODING [CHUNK_CHARS]]
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
chunk_chars = int(sys.argv[4]) if len(sys.argv) > 4 else 1_000_000
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

total = 0
with open(path, "r", encoding="utf-8") as file, open(os.path.join(output, "train.bin"), "wb") as out:
    while chunk := file.read(chunk_chars):
        ids = encoding.encode_ordinary(chunk)
        np.array(ids, dtype=dtype).tofile(out)
        total += len(ids)
print(total, 0)
