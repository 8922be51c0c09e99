"""Innocent: writes argv[2] MiB through a memory-mapped file, argv[1]: page cache, which the kernel takes back."""
import sys

import numpy as np

size = int(sys.argv[2]) << 20
ids = np.memmap(sys.argv[1], dtype=np.uint16, mode="w+", shape=(size // 2,))
step = 2 << 20
for start in range(0, len(ids), step):
    ids[start:start + step] = start % 50257
ids.flush()
print("done")
