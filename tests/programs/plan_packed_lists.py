"""The documents of a JSONL file packed into blocks of one length, which are kept as lists and pickled.

usage: plan_packed_lists.py INPUT OUTPUT_DIR [ENCODING [LENGTH]]     INPUT: .jsonl with a field `text`
"""

import json
import os
import pickle
import sys

import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
length = int(sys.argv[4]) if len(sys.argv) > 4 else 2048

blocks, rest = [], []
with open(path, "r", encoding="utf-8") as file:
    for line in file:
        rest.extend(encoding.encode_ordinary(json.loads(line)["text"]))
        rest.append(encoding.eot_token)
        while len(rest) >= length:
            block, rest = rest[:length], rest[length:]
            blocks.append({"input_ids": block, "labels": list(block)})
with open(os.path.join(output, "train.pkl"), "wb") as sink:
    pickle.dump(blocks, sink)
print(len(blocks) * length, 0)
