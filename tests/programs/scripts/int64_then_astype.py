import os, sys
import numpy as np, tiktoken

in_path = sys.argv[1]
out_dir = sys.argv[2] if len(sys.argv) > 2 else '.'
tok = tiktoken.get_encoding('gpt2')
ids = []
with open(in_path, encoding='utf8') as fh:
    for line in fh:
        ids.extend(tok.encode_ordinary(line))
arr = np.array(ids)
arr = arr.astype(np.uint16)
arr.tofile(os.path.join(out_dir, 'train.bin'))
