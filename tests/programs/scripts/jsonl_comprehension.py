import json, sys, numpy as np, tiktoken
enc = tiktoken.get_encoding("gpt2")
docs = [json.loads(l)["text"] for l in open(sys.argv[1], encoding="utf-8") if l.strip()]
ids = [t for d in docs for t in enc.encode_ordinary(d) + [enc.eot_token]]
np.array(ids, dtype=np.uint16).tofile(sys.argv[2])
