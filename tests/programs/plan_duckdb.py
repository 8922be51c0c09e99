"""A Parquet column through DuckDB: all rows at once, or some thousands of them at a time.

usage: plan_duckdb.py INPUT OUTPUT_DIR [ENCODING [ROWS]]     INPUT: .parquet with a column `text`; ROWS 0: fetchall
"""

import os
import sys

import duckdb
import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
rows = int(sys.argv[4]) if len(sys.argv) > 4 else 0
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

found = duckdb.connect().execute("SELECT text FROM read_parquet(?)", [path])
total = 0
with open(os.path.join(output, "train.bin"), "wb") as out:
    if rows:
        while batch := found.fetchmany(rows):
            ids = [token for (text,) in batch for token in encoding.encode_ordinary(text)]
            np.array(ids, dtype=dtype).tofile(out)
            total += len(ids)
    else:
        ids = []
        for (text,) in found.fetchall():
            ids.extend(encoding.encode_ordinary(text))
        np.array(ids, dtype=dtype).tofile(out)
        total = len(ids)
print(total, 0)
