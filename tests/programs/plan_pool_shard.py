"""A pool that tokenizes documents, and one preallocated shard that the parent fills (as for FineWeb).

usage: plan_pool_shard.py INPUT OUTPUT_DIR [ENCODING [WORKERS [SHARD_TOKENS]]]
INPUT: .txt (a document a line), .jsonl or .parquet with a column `text`
"""

import os
import sys
from multiprocessing import Pool

import numpy as np
import tiktoken
from datasets import disable_progress_bars, load_dataset

encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32


def tokenize(document):
    tokens = [encoding.eot_token]
    tokens.extend(encoding.encode_ordinary(document["text"]))
    return np.array(tokens).astype(dtype)


if __name__ == "__main__":
    disable_progress_bars()
    path, output = sys.argv[1:3]
    workers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    shard_tokens = int(sys.argv[5]) if len(sys.argv) > 5 else 100_000_000
    kind = {".jsonl": "json", ".parquet": "parquet"}.get(os.path.splitext(path)[1], "text")
    documents = load_dataset(kind, data_files=path, split="train", cache_dir=os.path.join(output, "cache"))
    total = shard = count = 0
    buffer = np.empty((shard_tokens,), dtype=dtype)
    with Pool(workers) as pool:
        for tokens in pool.imap(tokenize, documents, chunksize=16):
            total += len(tokens)
            if count + len(tokens) < shard_tokens:
                buffer[count : count + len(tokens)] = tokens
                count += len(tokens)
                continue
            room = shard_tokens - count
            buffer[count:] = tokens[:room]
            np.save(os.path.join(output, f"train_{shard:06d}"), buffer)
            shard += 1
            buffer[: len(tokens) - room] = tokens[room:]
            count = len(tokens) - room
    if count:
        np.save(os.path.join(output, f"train_{shard:06d}"), buffer[:count])
    print(total, 0)
