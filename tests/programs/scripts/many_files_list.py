import argparse
from pathlib import Path

import numpy as np
import tiktoken


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("files", nargs="+", type=Path)
    ap.add_argument("-o", "--output", type=Path, default=Path("tokens.bin"))
    opts = ap.parse_args()

    enc = tiktoken.get_encoding("gpt2")
    tokens = []
    for name in opts.files:
        tokens.extend(enc.encode_ordinary(name.read_text(encoding="utf-8")))
        tokens.append(enc.eot_token)
    np.array(tokens, np.uint16).tofile(opts.output)


main()
