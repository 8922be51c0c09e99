import sys
from contextlib import ExitStack

import numpy as np
import tiktoken


def read_blocks(path, size=500_000):
    with open(path, encoding="utf-8") as f:
        for block in iter(lambda: f.read(size), ""):
            yield block


def encode_blocks(blocks, enc):
    for block in blocks:
        yield np.array(enc.encode_ordinary(block), dtype=np.uint16)


def main(argv):
    enc = tiktoken.get_encoding("gpt2")
    with ExitStack() as stack:
        out = stack.enter_context(open(argv[2], "wb"))
        total = 0
        for ids in encode_blocks(read_blocks(argv[1]), enc):
            ids.tofile(out)
            total += ids.size
    print(total)


main(sys.argv)
