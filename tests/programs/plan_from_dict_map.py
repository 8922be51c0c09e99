"""A list of strs turned into a Hugging Face dataset, then map in several processes.

usage: plan_from_dict_map.py INPUT OUTPUT_DIR [ENCODING [WORKERS]]     INPUT: text, a document a line
"""

import os
import sys

import numpy as np
import tiktoken
from datasets import Dataset, disable_progress_bars

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
workers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32


def process(example):
    ids = encoding.encode_ordinary(example["text"])
    return {"ids": ids, "len": len(ids)}


if __name__ == "__main__":
    disable_progress_bars()
    with open(path, "r", encoding="utf-8") as file:
        texts = [line for line in file]
    dataset = Dataset.from_dict({"text": texts})
    tokenized = dataset.map(
        process, remove_columns=["text"], num_proc=workers, cache_file_name=os.path.join(output, "cache.arrow")
    )
    total = sum(tokenized["len"])
    out = np.memmap(os.path.join(output, "train.bin"), dtype=dtype, mode="w+", shape=(total,))
    place = 0
    parts = min(64, len(tokenized))
    for index in range(parts):
        batch = tokenized.shard(num_shards=parts, index=index, contiguous=True).with_format("numpy")
        ids = np.concatenate(batch["ids"])
        out[place : place + len(ids)] = ids
        place += len(ids)
    out.flush()
    print(total, 0)
