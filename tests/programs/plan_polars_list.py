"""A Parquet column through polars: scanned and collected whole, then its texts as a list and every token.

usage: plan_polars_list.py INPUT OUTPUT_DIR [ENCODING]     INPUT: .parquet with a column `text`
"""

import os
import sys

import numpy as np
import polars
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

frame = polars.scan_parquet(path).select("text").collect()
texts = frame["text"].to_list()
ids = []
for text in texts:
    ids.extend(encoding.encode_ordinary(text))
np.array(ids, dtype=dtype).tofile(os.path.join(output, "train.bin"))
print(len(ids), 0)
