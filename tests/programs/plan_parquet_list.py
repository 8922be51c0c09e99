"""A Parquet column as a Python list, then all tokens in a list of ints.

usage: plan_parquet_list.py INPUT.parquet OUTPUT_DIR [ENCODING [pandas|pyarrow]]
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
reader = sys.argv[4] if len(sys.argv) > 4 else "pandas"
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

if reader == "pandas":
    import pandas as pd

    df = pd.read_parquet(path)
    texts = df["text"].tolist()
else:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    texts = table["text"].to_pylist()
tokens = []
for text in texts:
    tokens.extend(encoding.encode_ordinary(text))
array = np.array(tokens, dtype=dtype)
array.tofile(os.path.join(output, "train.bin"))
print(len(array), 0)
