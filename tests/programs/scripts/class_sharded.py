import os
import sys
from dataclasses import dataclass, field

import numpy as np
import tiktoken


@dataclass
class ShardWriter:
    directory: str
    shard_size: int = 2_000_000
    buffer: list = field(default_factory=list)
    index: int = 0

    def add(self, tokens):
        self.buffer.extend(tokens)
        if len(self.buffer) >= self.shard_size:
            self.flush()

    def flush(self):
        if not self.buffer:
            return
        name = os.path.join(self.directory, f"shard_{self.index:05d}.bin")
        np.array(self.buffer, dtype=np.uint16).tofile(name)
        self.buffer = []
        self.index += 1


class Preparer:
    def __init__(self, path, directory):
        self.path = path
        self.enc = tiktoken.get_encoding("gpt2")
        self.writer = ShardWriter(directory)

    def chunks(self, size=1 << 20):
        with open(self.path, encoding="utf-8") as f:
            while True:
                piece = f.read(size)
                if piece == "":
                    return
                yield piece

    def run(self):
        for piece in self.chunks():
            self.writer.add(self.enc.encode_ordinary(piece))
        self.writer.flush()


if __name__ == "__main__":
    Preparer(sys.argv[1], sys.argv[2]).run()
