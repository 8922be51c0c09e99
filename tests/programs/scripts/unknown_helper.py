"""Uses a tokenizer library of the author's own, which nobody else can read."""
import sys
import numpy as np
from mycompany.text import clean, Tokenizer

tok = Tokenizer.load("v3")
out = []
for raw in open(sys.argv[1], encoding="utf-8"):
    out.extend(tok.tokens_of(clean(raw)))
np.asarray(out, dtype=np.uint16).tofile(sys.argv[2])
