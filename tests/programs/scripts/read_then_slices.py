from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tiktoken

BLOCK = 10_000


class Corpus:
    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")

    def __len__(self) -> int:
        return len(self.text)

    def encode(self) -> np.ndarray:
        enc = tiktoken.get_encoding("gpt2")
        tokens: list[int] = []
        for start in range(0, len(self.text), BLOCK):
            tokens.extend(enc.encode_ordinary(self.text[start:start + BLOCK]))
        return np.fromiter(tokens, dtype=np.uint16, count=len(tokens))


corpus = Corpus(Path(sys.argv[1]))
corpus.encode().tofile(sys.argv[2])
