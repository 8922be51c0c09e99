"""An array per line, joined with np.concatenate at the end.

usage: plan_list_of_arrays.py INPUT OUTPUT_DIR [ENCODING]
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

parts = []
with open(path, "r", encoding="utf-8") as file:
    for line in file:
        parts.append(np.array(encoding.encode_ordinary(line), dtype=dtype))
array = np.concatenate(parts)
array.tofile(os.path.join(output, "train.bin"))
print(len(array), 0)
