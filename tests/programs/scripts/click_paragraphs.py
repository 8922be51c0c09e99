import click, numpy as np, tiktoken
from pathlib import Path
@click.command()
@click.argument("src", type=click.Path(exists=True))
@click.argument("dst")
def main(src, dst):
    enc = tiktoken.get_encoding("gpt2")
    ids = []
    for i, para in enumerate(Path(src).read_text().split("\n\n")):
        ids += enc.encode_ordinary(para) + [enc.eot_token]
        if i % 1000 == 0: print(i)
    np.save(dst, np.array(ids, dtype="<u2"))
if __name__ == "__main__": main()
