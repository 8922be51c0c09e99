"""One array that grows by np.concatenate, some hundred documents at a time."""
import numpy as np
from corpus import documents, encode, save

import memguard

everything, parts, written = np.empty(0, np.uint32), [], 0


def write_out():
    global everything, written
    save(written, everything)
    everything, written = np.empty(0, np.uint32), written + 1


memguard.on_pressure(write_out)
for doc in documents(24_000_000):
    memguard.checkpoint()
    parts.append(np.array(encode(doc, b""), np.uint32))
    if len(parts) == 250:
        everything = np.concatenate([everything, *parts])
        parts = []
everything = np.concatenate([everything, *parts])
write_out()
