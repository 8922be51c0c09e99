import os
import sys


def build(input_path, output_dir, chunk_size=None):
    import numpy as np
    import tiktoken

    enc = tiktoken.get_encoding("gpt2")
    chunk_size = chunk_size or 250_000
    ids = []

    def consume(text):
        nonlocal ids
        ids = ids + enc.encode_ordinary(text)

    def finish():
        out = np.array(ids, dtype=np.uint16)
        with open(os.path.join(output_dir, "all.bin"), "wb") as f:
            f.write(out.tobytes())

    with open(input_path, "rb") as f:
        while True:
            raw = f.read(chunk_size)
            if not raw:
                break
            consume(raw.decode("utf-8", errors="ignore"))
    finish()


if __name__ == "__main__":
    build(sys.argv[1], sys.argv[2])
