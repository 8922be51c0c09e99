import itertools
import sys

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")


def chunks(path, n):
    with open(path, encoding="utf-8") as f:
        while chunk := f.read(n):
            yield chunk


encoded = [enc.encode_ordinary(c) for c in chunks(sys.argv[1], 200_000)]
flat = list(itertools.chain.from_iterable(encoded))
print(len(flat), "tokens")
np.array(flat, dtype=np.uint16).tofile(sys.argv[2])
