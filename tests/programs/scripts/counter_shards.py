import sys, tiktoken, numpy as np
enc = tiktoken.get_encoding("gpt2")
with open(sys.argv[1]) as f, open(sys.argv[2], "ab") as out:
    buf, total = [], 0
    for line in f:
        ids = enc.encode_ordinary(line)
        if total + len(ids) > 1_000_000:
            out.write(np.concatenate(buf).tobytes()); buf, total = [], 0
        buf.append(np.asarray(ids, np.uint16)); total += len(ids)
    out.write(np.concatenate(buf).tobytes())
