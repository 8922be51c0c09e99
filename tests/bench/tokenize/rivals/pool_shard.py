"""build-nanogpt's way: a Pool tokenizes documents, a shard is filled with them.    pool_shard.py FILE OUT"""

import multiprocessing
import os
import sys

import numpy as np
import tiktoken
from documents import documents

SHARD = 100_000_000
encoding = tiktoken.get_encoding("gpt2")


def tokenize(document: str) -> np.ndarray:
    ids = [encoding.eot_token]
    ids.extend(encoding.encode_ordinary(document))
    return np.array(ids).astype(np.uint16)


if __name__ == "__main__":
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        shard, count, number = np.empty(SHARD, dtype=np.uint16), 0, 0
        for ids in pool.imap(tokenize, documents(sys.argv[1]), chunksize=16):
            if count + len(ids) > SHARD:
                np.save(f"{sys.argv[2]}_{number:06d}", shard[:count])
                count, number = 0, number + 1
            shard[count : count + len(ids)] = ids
            count += len(ids)
        np.save(f"{sys.argv[2]}_{number:06d}", shard[:count])
