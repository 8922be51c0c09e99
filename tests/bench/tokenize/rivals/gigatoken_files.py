"""gigatoken's own reader of files, on all cores.    gigatoken_files.py FILE OUT (the vocabulary: $R50K)"""

import os
import sys

import numpy as np
from gigatoken import Tokenizer

tokenizer = Tokenizer.from_tiktoken(os.environ["R50K"], "gpt2", {})
rows = tokenizer.encode_files(sys.argv[1])
np.asarray(rows.layout.content.data).astype(np.uint16).tofile(sys.argv[2])
