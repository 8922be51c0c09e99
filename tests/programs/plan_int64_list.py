"""np.array without a dtype is int64: the list, then eight bytes a token more, then the array that was wanted.

usage: plan_int64_list.py INPUT OUTPUT_DIR [ENCODING [CHUNK_CHARS]]
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
chunk_chars = int(sys.argv[4]) if len(sys.argv) > 4 else 1_000_000
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

tokens = []
with open(path, "r", encoding="utf-8") as file:
    while chunk := file.read(chunk_chars):
        tokens += encoding.encode_ordinary(chunk)

arr = np.array(tokens)
arr = arr.astype(dtype)
arr.tofile(os.path.join(output, "train.bin"))
print(len(arr), 0)
