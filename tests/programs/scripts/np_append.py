import sys
import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
tokens = np.array([], dtype=np.uint16)
f = open(sys.argv[1], encoding="utf-8")
chunk = f.read(1000000)
while chunk:
    tokens = np.append(tokens, np.array(enc.encode_ordinary(chunk), dtype=np.uint16))
    chunk = f.read(1000000)
f.close()
tokens.tofile(sys.argv[2])
