import sys
import numpy as np
import tiktoken
from datasets import Dataset

with open(sys.argv[1], encoding="utf-8") as f:
    paragraphs = f.read().split("\n\n")
ds = Dataset.from_dict({"text": paragraphs})
enc = tiktoken.get_encoding("gpt2")


def tokenize(row):
    return {"ids": enc.encode_ordinary(row["text"])}


if __name__ == "__main__":
    ds = ds.map(tokenize, remove_columns=["text"], num_proc=2)
    with open(sys.argv[2], "wb") as out:
        for row in ds:
            np.array(row["ids"], dtype=np.uint16).tofile(out)
