"""nanoGPT's openwebtext: datasets.map on all cores, then a memmap filled from it.    datasets_map.py FILE OUT"""

import os
import sys
import tempfile

import datasets
import numpy as np
import tiktoken
from documents import documents

datasets.disable_progress_bars()
encoding = tiktoken.get_encoding("gpt2")


def tokenize(example):
    ids = encoding.encode_ordinary(example["text"])
    ids.append(encoding.eot_token)
    return {"ids": ids, "len": len(ids)}


def examples(path):
    for text in documents(path):
        yield {"text": text}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        raw = datasets.Dataset.from_generator(examples, gen_kwargs={"path": sys.argv[1]}, cache_dir=cache)
        done = raw.map(tokenize, remove_columns=["text"], num_proc=len(os.sched_getaffinity(0)))
        array = np.memmap(sys.argv[2], dtype=np.uint16, mode="w+", shape=(int(np.sum(done["len"], dtype=np.uint64)),))
        parts, place = min(1024, len(done)), 0
        for index in range(parts):
            ids = done.shard(num_shards=parts, index=index, contiguous=True).with_format("numpy")["ids"]
            batch = np.concatenate(list(ids))
            array[place : place + len(batch)] = batch
            place += len(batch)
        array.flush()
