"""The array module: two bytes a token from the start.

usage: plan_array_module.py INPUT OUTPUT_DIR [ENCODING [CHUNK_CHARS]]
"""

import os
import sys
from array import array

import numpy  # as every plan: the baseline is the same
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
chunk_chars = int(sys.argv[4]) if len(sys.argv) > 4 else 1_000_000

tokens = array("H" if encoding.n_vocab <= 65536 else "I")
with open(path, "r", encoding="utf-8") as file:
    while chunk := file.read(chunk_chars):
        tokens.extend(encoding.encode_ordinary(chunk))
with open(os.path.join(output, "train.bin"), "wb") as file:
    tokens.tofile(file)
print(len(tokens), 0)
