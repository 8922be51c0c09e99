import sys, tiktoken, numpy as np
class TokenSink:
    LIMIT = 5_000_000
    def __init__(self, out): self.out, self.toks, self.n = out, [], 0
    def __enter__(self): return self
    def __exit__(self, *a): self._dump()
    def push(self, toks):
        for t in toks:
            self.toks.append(t)
            if len(self.toks) == self.LIMIT: self._dump()
    def _dump(self):
        np.array(self.toks, np.uint16).tofile(f"{self.out}/{self.n}.bin")
        self.n += 1
        self.toks.clear()
enc = tiktoken.get_encoding("gpt2")
with TokenSink(sys.argv[2]) as s, open(sys.argv[1]) as f:
    for line in f: s.push(enc.encode_ordinary(line))
