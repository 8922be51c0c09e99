"""All lines in a list of strs, then all their tokens in a list of ints.

usage: plan_line_list.py INPUT OUTPUT_DIR [ENCODING]
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

with open(path, "r", encoding="utf-8") as file:
    lines = file.readlines()
tokens = []
for line in lines:
    tokens.extend(encoding.encode_ordinary(line))
array = np.array(tokens, dtype=dtype)
array.tofile(os.path.join(output, "train.bin"))
print(len(array), 0)
