"""A pool that tokenizes the lines of a JSONL file, its results appended to one .bin with an .idx (as for Megatron).

usage: plan_indexed_dataset.py INPUT OUTPUT_DIR [ENCODING [WORKERS]]     INPUT: .jsonl with a field `text`
"""

import json
import os
import sys
from multiprocessing import Pool

import numpy as np
import tiktoken

encoding = None


def start(name):
    global encoding
    encoding = tiktoken.get_encoding(name)


def encode(line):
    ids = encoding.encode_ordinary(json.loads(line)["text"])
    ids.append(encoding.eot_token)
    return {"text": ids}, len(line)


if __name__ == "__main__":
    path, output = sys.argv[1:3]
    name = sys.argv[3] if len(sys.argv) > 3 else "gpt2"
    workers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    sizes, documents, total, done = [], [0], 0, 0
    with open(path, "r", encoding="utf-8") as file, open(os.path.join(output, "train.bin"), "wb") as out:
        with Pool(workers, initializer=start, initargs=(name,)) as pool:
            for found, length in pool.imap(encode, file, 32):
                ids = np.array(found["text"], dtype=np.int32)
                out.write(ids.tobytes())
                sizes.append(len(ids))
                documents.append(len(sizes))
                total += len(ids)
                done += length
    with open(os.path.join(output, "train.idx"), "wb") as index:
        index.write(np.array(sizes, dtype=np.int32).tobytes())
        ends = np.cumsum([0, *sizes[:-1]], dtype=np.int64) * 4
        index.write(ends.tobytes())
        index.write(np.array(documents, dtype=np.int64).tobytes())
    print(total, 0)
