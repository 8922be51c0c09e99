import argparse
import tiktoken
import torch

p = argparse.ArgumentParser()
p.add_argument("file")
p.add_argument("output", nargs="?", default="tokens.pt")
a = p.parse_args()

enc = tiktoken.get_encoding("gpt2")
with open(a.file, "r") as f:
    text = f.read()
tokens = torch.tensor(enc.encode(text, allowed_special={"<|endoftext|>"}), dtype=torch.long)
print(tokens.shape)
torch.save(tokens, a.output)
