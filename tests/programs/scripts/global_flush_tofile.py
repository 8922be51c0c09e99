import sys, os
import numpy as np
import tiktoken

SHARD = 10**6
enc = tiktoken.get_encoding("gpt2")
buf = []
n_shard = 0


def flush():
    global buf, n_shard
    arr = np.array(buf[:SHARD], dtype=np.uint16)
    arr.tofile(os.path.join(sys.argv[2], "shard%04d.bin" % n_shard))
    buf = buf[SHARD:]
    n_shard += 1


for line in open(sys.argv[1], encoding="utf-8"):
    buf += enc.encode_ordinary(line)
    while len(buf) >= SHARD:
        flush()
if buf:
    flush()
