"""One array made once, and how far it is filled; what grows is the documents kept beside it."""
import numpy as np
from corpus import documents, encode, save

import memguard

shard, filled, written, texts = np.empty(20_000_000, np.uint32), 0, 0, []


@memguard.on_pressure
def write_out():
    global filled, written
    save(written, shard[:filled])
    filled, written = 0, written + 1
    texts.clear()


for doc in documents(8_000_000):
    memguard.checkpoint()
    ids = encode(doc)
    shard[filled : filled + len(ids)] = ids
    filled += len(ids)
    texts.append(bytearray(60_000))
write_out()
