import sys
import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
parts = []
with open(sys.argv[1], encoding="utf-8") as f:
    for text in iter(lambda: f.read(2**20), ""):
        parts.append(np.array(enc.encode_ordinary(text), dtype=np.uint16))
tokens = np.concatenate(parts)
tokens.tofile(sys.argv[2])
