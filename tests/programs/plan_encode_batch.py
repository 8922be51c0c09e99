"""All lines, then encode_ordinary_batch: a list of lists at once, then one flat array.

usage: plan_encode_batch.py INPUT OUTPUT_DIR [ENCODING [THREADS]]
"""

import itertools
import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
threads = int(sys.argv[4]) if len(sys.argv) > 4 else 8
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

with open(path, "r", encoding="utf-8") as file:
    lines = file.readlines()
batch = encoding.encode_ordinary_batch(lines, num_threads=threads)
total = sum(map(len, batch))
array = np.fromiter(itertools.chain.from_iterable(batch), dtype=dtype, count=total)
array.tofile(os.path.join(output, "train.bin"))
print(len(array), 0)
