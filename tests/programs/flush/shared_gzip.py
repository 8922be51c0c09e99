"""Loop and callback write into one compressed file; a callback inside its write() would spoil it."""
import gzip
import os

import numpy as np
from corpus import OUT, documents, encode

import memguard

path = os.path.join(OUT, "all.gz")
later = []
with gzip.open(path, "wb", compresslevel=1) as file:

    @memguard.on_pressure
    def write_out():
        file.write(np.array(later, np.uint32).tobytes())
        later.clear()

    for doc in documents(7_000_000):
        memguard.checkpoint()
        ids = encode(doc)
        if doc % 4_000:
            file.write(np.array(ids, np.uint32).tobytes())
        else:
            later.extend(ids)
    write_out()
with gzip.open(path) as file:
    np.sort(np.frombuffer(file.read(), np.uint32)).tofile(os.path.join(OUT, "shard_0.bin"))
