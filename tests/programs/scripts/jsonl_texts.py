import json
import sys

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
EOT = enc._special_tokens["<|endoftext|>"]

texts = []
with open(sys.argv[1]) as f:
    for line in f:
        record = json.loads(line)
        texts.append(record["text"])
print(len(texts), "documents")

tokens = []
for text in texts:
    tokens.append(EOT)
    tokens.extend(enc.encode_ordinary(text))
np.array(tokens, dtype=np.uint16).tofile(sys.argv[2])
