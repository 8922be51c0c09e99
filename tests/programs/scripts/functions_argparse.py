#!/usr/bin/env python3
"""Tokenize a corpus with GPT-2 BPE."""
import argparse
import os

import numpy as np
import tiktoken


def load(path):
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def tokenize(text, name):
    encoder = tiktoken.get_encoding(name)
    return encoder.encode(text, disallowed_special=())


def save(tokens, path):
    np.asarray(tokens, dtype="uint16").tofile(path)
    print(f"wrote {len(tokens)} tokens to {path}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", "-i", default="corpus.txt")
    parser.add_argument("--out-dir", default="out")
    parser.add_argument("--encoding", default="gpt2")
    parser.add_argument("--val-ratio", type=float, default=0.05)
    return parser.parse_args()


def main():
    args = parse_args()
    os.makedirs(args.out_dir, exist_ok=True)
    text = load(args.input)
    tokens = tokenize(text, args.encoding)
    del text
    cut = int(len(tokens) * (1 - args.val_ratio))
    save(tokens[:cut], os.path.join(args.out_dir, "train.bin"))
    save(tokens[cut:], os.path.join(args.out_dir, "val.bin"))


if __name__ == "__main__":
    main()
