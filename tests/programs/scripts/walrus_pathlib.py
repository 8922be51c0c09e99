from pathlib import Path
import sys

import numpy as np
import tiktoken

source = Path(sys.argv[1])
target = Path(sys.argv[2]) / "train.bin"
encoding = tiktoken.get_encoding("gpt2")
ids: list[int] = []

with source.open(encoding="utf-8") as stream:
    while block := stream.read(4 * 1024 * 1024):
        ids += encoding.encode_ordinary(block)

target.write_bytes(np.array(ids, dtype=np.uint16).tobytes())
