"""Turns a text file into train.bin and val.bin, the way most prepare scripts do.

    python prepare.py train.txt [OUTPUT_DIR]

It is correct, short, and needs 10 to 20 times the file's size in memory: `memguard estimate` says how much.
"""

import os
import sys

import numpy as np
import tiktoken

source = sys.argv[1]
output = sys.argv[2] if len(sys.argv) > 2 else "."

with open(source, encoding="utf-8") as f:
    text = f.read()
split = int(len(text) * 0.9)
train_text = text[:split]
val_text = text[split:]

enc = tiktoken.get_encoding("gpt2")
train_ids = enc.encode_ordinary(train_text)
val_ids = enc.encode_ordinary(val_text)
print(f"train has {len(train_ids):,} tokens, val has {len(val_ids):,} tokens")

os.makedirs(output, exist_ok=True)
train_ids = np.array(train_ids, dtype=np.uint16)
val_ids = np.array(val_ids, dtype=np.uint16)
train_ids.tofile(os.path.join(output, "train.bin"))
val_ids.tofile(os.path.join(output, "val.bin"))
