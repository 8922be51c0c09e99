"""The examples of a JSONL file tokenized, packed by first fit into sequences of one length, padded, as arrays.

usage: plan_sft_packing.py INPUT OUTPUT_DIR [ENCODING [LENGTH]]     INPUT: .jsonl with a field `text`
"""

import json
import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
length = int(sys.argv[4]) if len(sys.argv) > 4 else 2048

with open(path, "r", encoding="utf-8") as file:
    examples = [json.loads(line) for line in file]
tokenized = []
for example in examples:
    ids = encoding.encode_ordinary(example["text"])[: length - 1] + [encoding.eot_token]
    tokenized.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": list(ids)})

names = ("input_ids", "attention_mask", "labels")
filling = {"input_ids": encoding.eot_token, "attention_mask": 0, "labels": -100}
packed, current = [], {name: [] for name in names}
for example in tokenized:
    if len(current["input_ids"]) + len(example["input_ids"]) > length:
        packed.append(current)
        current = {name: [] for name in names}
    for name in names:
        current[name].extend(example[name])
packed.append(current)
for sequence in packed:
    room = length - len(sequence["input_ids"])
    for name in names:
        sequence[name].extend([filling[name]] * room)
arrays = {name: np.array([sequence[name] for sequence in packed]) for name in names}
np.savez(os.path.join(output, "train.npz"), **arrays)
print(len(packed) * length, 0)
