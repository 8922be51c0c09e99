"""The usual prepare script, one text at once: read it all, slice, encode, np.array, tofile.

usage: plan_read_all.py INPUT OUTPUT_DIR [ENCODING [VAL_FRACTION]]     VAL_FRACTION 0: no slices, train.bin alone
"""

import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
val_fraction = float(sys.argv[4]) if len(sys.argv) > 4 else 0.1
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

with open(path, "r", encoding="utf-8") as file:
    data = file.read()

if val_fraction:
    n = len(data)
    train_data = data[: int(n * (1 - val_fraction))]
    val_data = data[int(n * (1 - val_fraction)) :]
    train_ids = encoding.encode_ordinary(train_data)
    val_ids = encoding.encode_ordinary(val_data)
    train_ids = np.array(train_ids, dtype=dtype)
    val_ids = np.array(val_ids, dtype=dtype)
    train_ids.tofile(os.path.join(output, "train.bin"))
    val_ids.tofile(os.path.join(output, "val.bin"))
    print(len(train_ids), len(val_ids))
else:
    ids = encoding.encode_ordinary(data)
    ids = np.array(ids, dtype=dtype)
    ids.tofile(os.path.join(output, "train.bin"))
    print(len(ids), 0)
