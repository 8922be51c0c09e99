import sys

import numpy as np
import pyarrow.parquet as pq
import tiktoken

enc = tiktoken.get_encoding("gpt2")
with open(sys.argv[2], "wb") as out:
    for batch in pq.ParquetFile(sys.argv[1]).iter_batches(batch_size=1024, columns=["text"]):
        for doc in batch.column("text").to_pylist():
            ids = enc.encode_ordinary(doc)
            ids.append(enc.eot_token)
            out.write(np.array(ids, dtype=np.uint16).tobytes())
