"""A list per line, flattened at the end.

usage: plan_list_of_lists.py INPUT OUTPUT_DIR [ENCODING]
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

with open(path, "r", encoding="utf-8") as file:
    documents = [encoding.encode_ordinary(line) for line in file]
flat = [token for document in documents for token in document]
array = np.array(flat, dtype=dtype)
array.tofile(os.path.join(output, "train.bin"))
print(len(array), 0)
