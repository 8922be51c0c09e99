import sys
import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")


def pieces(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            yield line


total = sum(len(enc.encode_ordinary(p)) for p in pieces(sys.argv[1]))
out = np.memmap(sys.argv[2], dtype=np.uint16, mode="w+", shape=(total,))
at = 0
for p in pieces(sys.argv[1]):
    ids = enc.encode_ordinary(p)
    out[at:at + len(ids)] = ids
    at += len(ids)
out.flush()
