"""The widely copied remedy that does not help: read in chunks of 1,000,000 characters, but extend one list.

usage: plan_chunked_list.py INPUT OUTPUT_DIR [ENCODING [CHUNK_CHARS]]
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
chunk_chars = int(sys.argv[4]) if len(sys.argv) > 4 else 1_000_000
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

all_ids = []
with open(path, "r", encoding="utf-8") as file:
    while True:
        chunk = file.read(chunk_chars)
        if not chunk:
            break
        all_ids.extend(encoding.encode_ordinary(chunk))

array = np.array(all_ids, dtype=dtype)
array.tofile(os.path.join(output, "train.bin"))
print(len(array), 0)
