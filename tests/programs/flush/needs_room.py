"""The callback makes arrays of the list first, as most do: while it runs, the use passes where a freeze would come."""
import numpy as np
from corpus import documents, encode, save

import memguard

buffered, written = [], 0


@memguard.on_pressure
def write_out():
    global written
    save(written, np.array(buffered).astype(np.uint32))
    written += 1
    buffered.clear()


for doc in documents(14_000_000):
    memguard.checkpoint()
    buffered.extend(encode(doc))
write_out()
