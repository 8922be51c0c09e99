import sys, tiktoken, numpy as np; np.array(tiktoken.get_encoding("gpt2").encode_ordinary(open(sys.argv[1], encoding="utf-8").read()), dtype=np.uint16).tofile(sys.argv[2])
