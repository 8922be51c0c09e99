"""The text field of every JSON line in a list of strs, then all tokens in a list of ints.

usage: plan_jsonl_list.py INPUT OUTPUT_DIR [ENCODING [FIELD]]
"""

import json
import os
import sys

import numpy as np
import tiktoken

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
field = sys.argv[4] if len(sys.argv) > 4 else "text"
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32

texts = []
with open(path, "r", encoding="utf-8") as file:
    for line in file:
        texts.append(json.loads(line)[field])
tokens = []
for text in texts:
    tokens.extend(encoding.encode_ordinary(text))
array = np.array(tokens, dtype=dtype)
array.tofile(os.path.join(output, "train.bin"))
print(len(array), 0)
