import sys, tiktoken, numpy as np
from collections import defaultdict
enc = tiktoken.get_encoding("gpt2")
buckets = defaultdict(list)
for i, line in enumerate(open(sys.argv[1])):
    buckets["val" if i % 10 == 0 else "train"].extend(enc.encode_ordinary(line))
for k, v in buckets.items():
    np.array(v, dtype=np.uint16).tofile(f"{sys.argv[2]}/{k}.bin")
