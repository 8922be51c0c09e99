"""Small batches go to a writing thread through a queue, which the callback uses as well; texts are kept meanwhile."""
import queue
import threading

from corpus import documents, encode, save

import memguard

batches, buffered, texts = queue.Queue(4), [], []


def write():
    for number, ids in enumerate(iter(batches.get, None)):
        save(number, ids)


@memguard.on_pressure
def send():
    batches.put(buffered[:])
    del buffered[:]
    del texts[:]


writer = threading.Thread(target=write)
writer.start()
for doc in documents():
    memguard.checkpoint()
    buffered.extend(encode(doc))
    texts.append(bytes(60_000))
    if len(buffered) >= 4_000:
        batches.put(buffered[:])
        del buffered[:]
send()
batches.put(None)
writer.join()
