"""A pool whose workers each hold a whole file: the text, all its tokens, the array.

usage: plan_pool_files.py DIRECTORY OUTPUT_DIR [ENCODING [WORKERS]]     DIRECTORY: text files
"""

import glob
import os
import sys
from multiprocessing import Pool

import numpy as np
import tiktoken

encoding = tiktoken.get_encoding(sys.argv[3] if len(sys.argv) > 3 else "gpt2")
dtype = np.uint16 if encoding.n_vocab <= 65536 else np.uint32


def process(job):
    path, output = job
    with open(path, "r", encoding="utf-8") as file:
        text = file.read()
    tokens = encoding.encode_ordinary(text)
    array = np.array(tokens, dtype=dtype)
    name = os.path.splitext(os.path.basename(path))[0]
    np.save(os.path.join(output, name + ".npy"), array)
    return len(array)


if __name__ == "__main__":
    directory, output = sys.argv[1:3]
    workers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    paths = sorted(glob.glob(os.path.join(directory, "*.txt")))
    with Pool(workers) as pool:
        print(sum(pool.map(process, [(path, output) for path in paths], chunksize=1)), 0)
