"""Character level, as for a first toy model: one id per character.

usage: plan_char_list.py INPUT OUTPUT_DIR
"""

import os
import sys

import numpy as np
import tiktoken  # as every plan: the baseline is the same

path, output = sys.argv[1:3]
tiktoken.get_encoding("gpt2").encode_ordinary("The first words of a text. " * 4000)

with open(path, "r", encoding="utf-8") as file:
    data = file.read()
alphabet = sorted(set(data))
stoi = {ch: i for i, ch in enumerate(alphabet)}


def encode(text):
    return [stoi[ch] for ch in text]


n = len(data)
train_data = data[: int(n * 0.9)]
val_data = data[int(n * 0.9) :]
train_ids = encode(train_data)
val_ids = encode(val_data)
train_ids = np.array(train_ids, dtype=np.uint16)
val_ids = np.array(val_ids, dtype=np.uint16)
train_ids.tofile(os.path.join(output, "train.bin"))
val_ids.tofile(os.path.join(output, "val.bin"))
print(len(train_ids), len(val_ids))
