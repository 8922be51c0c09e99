import sys
import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
with open(sys.argv[1], encoding="utf-8") as f:
    docs = f.read().splitlines(keepends=True)
batches = enc.encode_ordinary_batch(docs, num_threads=2)
total = sum(map(len, batches))
out = np.zeros(total, dtype=np.uint16)
pos = 0
for ids in batches:
    out[pos:pos + len(ids)] = ids
    pos += len(ids)
out.tofile(sys.argv[2])
