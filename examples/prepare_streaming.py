"""The streaming twin of prepare.py: the same train.bin and val.bin, byte for byte, in about 100 MB of memory.

    python prepare_streaming.py train.txt [OUTPUT_DIR]

Three ideas make it stream: it reads the text in blocks; it cuts each block where no GPT-2 token can cross, just
before a space that follows a visible ASCII character; and it writes uint16 at once instead of keeping a list of
Python ints. `memguard tokenize` does the same job ten times faster, for every encoding; this shows it by hand.
"""

import os
import re
import sys

import numpy as np
import tiktoken

BLOCK = 1 << 20  # characters
# In GPT-2's pattern a space opens the next word and joins nothing before it, unless that is white space too.
SAFE_CUT = re.compile("[!-~](?= )")

source = sys.argv[1]
output = sys.argv[2] if len(sys.argv) > 2 else "."
enc = tiktoken.get_encoding("gpt2")


def read(f, size):
    """The next `size` characters of f, block by block."""
    while size and (block := f.read(min(BLOCK, size))):
        size -= len(block)
        yield block


def pieces(blocks):
    """The blocks again, each cut where both sides may be encoded apart: no token crosses from one to the next."""
    rest = ""
    for block in blocks:
        rest += block
        cuts = [match.end() for match in SAFE_CUT.finditer(rest, max(0, len(rest) - 4096))]
        if cuts:
            yield rest[: cuts[-1]]
            rest = rest[cuts[-1] :]
    yield rest


def tokenize(blocks, target):
    count = 0
    with open(target, "wb") as out:
        for piece in pieces(blocks):
            ids = np.array(enc.encode_ordinary(piece), dtype=np.uint16)
            ids.tofile(out)
            count += len(ids)
    return count


with open(source, encoding="utf-8") as f:
    length = sum(len(block) for block in read(f, sys.maxsize))
split = int(length * 0.9)

os.makedirs(output, exist_ok=True)
with open(source, encoding="utf-8") as f:
    train = tokenize(read(f, split), os.path.join(output, "train.bin"))
    val = tokenize(read(f, length - split), os.path.join(output, "val.bin"))
print(f"train has {train:,} tokens, val has {val:,} tokens")
