import glob
import multiprocessing as mp
import os
import sys
import numpy as np
import tiktoken

OUT = sys.argv[2]
NUM_WORKERS = 2


def process_file(path):
    enc = tiktoken.get_encoding("gpt2")
    text = open(path, encoding="utf-8").read()
    ids = enc.encode_ordinary(text)
    out = os.path.join(OUT, os.path.basename(path).replace(".txt", ".bin"))
    np.array(ids, dtype=np.uint16).tofile(out)
    return len(ids)


if __name__ == "__main__":
    files = sorted(glob.glob(os.path.join(sys.argv[1], "*.txt")))
    with mp.Pool(NUM_WORKERS) as pool:
        counts = pool.map(process_file, files)
    print(sum(counts))
