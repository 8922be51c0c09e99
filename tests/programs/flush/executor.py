"""Another thread writes: the callback hands the list over and goes on with a new one."""
from concurrent.futures import ThreadPoolExecutor

from corpus import documents, encode, save

import memguard

buffered, writes = [], []
with ThreadPoolExecutor(1) as writer:

    @memguard.on_pressure
    def hand_over():
        global buffered
        writes.append(writer.submit(save, len(writes), buffered))
        buffered = []

    for doc in documents():
        memguard.checkpoint()
        buffered.extend(encode(doc))
    hand_over()
for write in writes:
    write.result()
