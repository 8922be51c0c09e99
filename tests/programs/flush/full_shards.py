"""The loop writes a shard when it is full, with the function that the callback calls, too."""
from corpus import documents, encode, save

import memguard

FULL = 2_700_000
buffered, written = [], 0


def write_shard(ids):
    global written
    save(written, ids)
    written += 1


def write_out():
    write_shard(buffered)
    buffered.clear()


memguard.on_pressure(write_out)
for doc in documents(5_000_000):
    memguard.checkpoint()
    buffered.extend(encode(doc))
    if len(buffered) >= FULL:
        write_shard(buffered)
        buffered.clear()
write_out()
