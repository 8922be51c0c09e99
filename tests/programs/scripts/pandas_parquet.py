import sys
import numpy as np
import pandas as pd
import tiktoken

df = pd.read_parquet(sys.argv[1])
texts = df["text"].tolist()
enc = tiktoken.get_encoding("gpt2")
all_ids = []
for t in texts:
    ids = enc.encode_ordinary(t)
    ids.append(enc.eot_token)
    all_ids.extend(ids)
np.array(all_ids, dtype=np.uint16).tofile(sys.argv[2])
