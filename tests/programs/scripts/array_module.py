import sys
from array import array
from functools import partial
import tiktoken


def main(src, dst):
    encode = tiktoken.get_encoding("gpt2").encode_ordinary
    buf = array("H")
    with open(src, encoding="utf-8") as fin, open(dst, "wb") as fout:
        for piece in iter(partial(fin.read, 1 << 20), ""):
            buf.extend(encode(piece))
        buf.tofile(fout)


if __name__ == "__main__":
    main(*sys.argv[1:3])
