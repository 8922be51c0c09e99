"""The loop extends with `+=`, the callback starts a new list: flushed in between, the old list would come back."""
from corpus import documents, encode, save

import memguard

buffered, written = [], 0


@memguard.on_pressure
def write_out():
    global buffered, written
    save(written, buffered)
    written += 1
    buffered = []


for doc in documents():
    memguard.checkpoint()
    buffered += encode(doc)
write_out()
