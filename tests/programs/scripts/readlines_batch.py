import random
import sys

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
lines = open(sys.argv[1], encoding="utf-8").readlines()
random.seed(1337)
random.shuffle(lines)
split = int(len(lines) * 0.98)


def write(subset, path):
    ids = []
    for line in subset:
        ids.extend(enc.encode_ordinary(line))
        ids.append(enc.eot_token)
    np.array(ids, dtype=np.uint16).tofile(path)


write(lines[:split], sys.argv[2] + "/train.bin")
write(lines[split:], sys.argv[2] + "/val.bin")
