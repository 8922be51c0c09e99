"""What is registered only calls what does the work, and the loop calls that itself."""
from corpus import documents, encode, save

import memguard


class Shards:
    def __init__(self):
        self.ids, self.written = [], 0

    def write(self):
        save(self.written, self.ids)
        self.written += 1
        self.ids.clear()

    def memory_is_short(self):
        self.write()


shards = Shards()
memguard.on_pressure(shards.memory_is_short)
for doc in documents(5_000_000):
    memguard.checkpoint()
    shards.ids.extend(encode(doc))
    if len(shards.ids) >= 2_700_000:
        shards.write()
shards.write()
