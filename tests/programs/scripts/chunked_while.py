import sys
import numpy as np
import tiktoken

CHUNK_SIZE = 1_000_000  # read 1M characters at a time to save memory

enc = tiktoken.get_encoding("gpt2")
all_tokens = []
with open(sys.argv[1], "r", encoding="utf-8") as f:
    while True:
        chunk = f.read(CHUNK_SIZE)
        if not chunk:
            break
        tokens = enc.encode_ordinary(chunk)
        all_tokens.extend(tokens)
        print(f"\r{len(all_tokens):,} tokens", end="")

arr = np.array(all_tokens, dtype=np.uint16)
n = int(0.9 * len(arr))
arr[:n].tofile(sys.argv[2] + "/train.bin")
arr[n:].tofile(sys.argv[2] + "/val.bin")
