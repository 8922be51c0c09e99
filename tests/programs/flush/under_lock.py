"""The loop adds under a lock that the callback takes, too."""
import threading

from corpus import documents, encode, save

import memguard

lock = threading.Lock()
buffered, written = [], 0


@memguard.on_pressure
def write_out():
    global written
    with lock:
        save(written, buffered)
        written += 1
        buffered.clear()


def prepare(docs):
    for doc in docs:
        memguard.checkpoint()
        with lock:
            buffered.extend(encode(doc))


prepare(documents())
write_out()
