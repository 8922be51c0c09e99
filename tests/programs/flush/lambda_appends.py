"""A lambda around the script's own flush(), which appends to one open file and is called by the loop as well."""
import os

import numpy as np
from corpus import OUT, documents, encode

import memguard

buffered = []
file = open(os.path.join(OUT, "shard_0.bin"), "wb")


def flush():
    np.array(buffered, np.uint32).tofile(file)
    buffered.clear()


memguard.on_pressure(lambda: flush())
for doc in documents(5_000_000):
    memguard.checkpoint()
    buffered.extend(encode(doc))
    if len(buffered) >= 2_700_000:
        flush()
flush()
file.close()
