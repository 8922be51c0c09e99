import sys, gzip, json
import numpy as np, tiktoken
enc = tiktoken.get_encoding("gpt2")
def docs(p):
    op = gzip.open if p.endswith(".gz") else open
    with op(p, "rt") as f:
        for l in f:
            yield json.loads(l)["text"]
def batched(it, n):
    b = []
    for x in it:
        b.append(x)
        if len(b) == n:
            yield b
            b = []
    if b: yield b
with open(sys.argv[2], "wb") as o:
    for b in batched(docs(sys.argv[1]), 512):
        for ids in enc.encode_ordinary_batch(b):
            o.write(np.array(ids, dtype=np.uint16).tobytes())
