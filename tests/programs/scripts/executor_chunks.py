import sys, tiktoken, numpy as np
from concurrent.futures import ProcessPoolExecutor
enc = tiktoken.get_encoding("gpt2")
def work(chunk): return np.array(enc.encode_ordinary(chunk), dtype=np.uint16)
def chunks():
    with open(sys.argv[1]) as f:
        while True:
            c = f.read(1<<20)
            if not c: return
            yield c
if __name__ == "__main__":
    with ProcessPoolExecutor(max_workers=2) as ex:
        parts = list(ex.map(work, chunks()))
    np.concatenate(parts).tofile(sys.argv[2])
