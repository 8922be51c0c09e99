"""A Parquet column batch by batch, every batch written out at once.

usage: plan_iter_batches.py INPUT.parquet OUTPUT_DIR [ENCODING [BATCH_ROWS]]
"""

import os
import sys

import numpy as np
import pyarrow.parquet as pq
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
batch_rows = int(sys.argv[4]) if len(sys.argv) > 4 else 65536
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

total = 0
with open(os.path.join(output, "train.bin"), "wb") as out:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=batch_rows, columns=["text"]):
        tokens = []
        for text in batch.column("text").to_pylist():
            tokens.extend(encoding.encode_ordinary(text))
        total += len(tokens)
        out.write(np.array(tokens, dtype=dtype).tobytes())
print(total, 0)
