"""load_dataset, map in several processes, a memory-mapped file (as for OpenWebText).

usage: plan_datasets_map.py INPUT OUTPUT_DIR [ENCODING [WORKERS]]     INPUT: .txt (a document a line), .jsonl, .parquet
"""

import os
import sys

import numpy as np
import tiktoken
from datasets import disable_progress_bars, load_dataset

path, output = sys.argv[1:3]
encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
workers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32


def process(example):
    ids = encoding.encode_ordinary(example["text"])
    ids.append(50256)
    return {"ids": ids, "len": len(ids)}


if __name__ == "__main__":
    disable_progress_bars()
    kind = {".jsonl": "json", ".parquet": "parquet"}.get(os.path.splitext(path)[1], "text")
    dataset = load_dataset(kind, data_files=path, split="train", cache_dir=os.path.join(output, "cache"))
    tokenized = dataset.map(process, remove_columns=["text"], num_proc=workers)
    total = int(np.sum(tokenized["len"], dtype=np.uint64))
    out = np.memmap(os.path.join(output, "train.bin"), dtype=dtype, mode="w+", shape=(total,))
    place = 0
    parts = min(1024, len(tokenized))
    for index in range(parts):
        batch = tokenized.shard(num_shards=parts, index=index, contiguous=True).with_format("numpy")
        ids = np.concatenate(batch["ids"])
        out[place : place + len(ids)] = ids
        place += len(ids)
    out.flush()
    print(total, 0)
