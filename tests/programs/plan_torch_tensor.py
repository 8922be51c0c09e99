"""torch.tensor of the list: int64, eight bytes a token beside the list.

usage: plan_torch_tensor.py INPUT OUTPUT_DIR [ENCODING]
"""

import os
import sys

import numpy
import tiktoken
import torch

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")

with open(path, "r", encoding="utf-8") as file:
    text = file.read()
tokens = encoding.encode_ordinary(text)
tensor = torch.tensor(tokens, dtype=torch.long)
torch.save(tensor, os.path.join(output, "train.pt"))
print(len(tensor), 0)
