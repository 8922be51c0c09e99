"""nanoGPT's way: the file read whole, tiktoken over all of it, a list, an array.    read_all.py FILE OUT"""

import sys

import numpy as np
import tiktoken

with open(sys.argv[1], encoding="utf-8", newline="") as file:
    text = file.read()
ids = tiktoken.get_encoding("gpt2").encode_ordinary(text)
np.array(ids, dtype=np.uint16).tofile(sys.argv[2])
