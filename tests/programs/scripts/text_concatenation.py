import sys, tiktoken, numpy as np
enc = tiktoken.get_encoding("gpt2")
text = ""
for line in open(sys.argv[1]):
    if line.strip():
        text += line
text = text.lower()
tokens = np.array(enc.encode_ordinary(text))
np.save(sys.argv[2], tokens.astype(np.uint16))
