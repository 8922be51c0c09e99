"""Scripts with worker processes, fixed and run as they are."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.fix.propose import propose

POOL = """\
from multiprocessing import Pool
import numpy as np, tiktoken
enc = tiktoken.get_encoding("gpt2")
def tokenize(line):
    return enc.encode_ordinary(line)
def shard(lines):
    ids = []
    for line in lines:
        ids.extend(enc.encode_ordinary(line))
    return ids
if __name__ == "__main__":
    lines = open("input.txt", encoding="utf-8").readlines()
    all_ids = []
    with Pool(2) as pool:
        for ids in pool.imap(tokenize, lines, chunksize=8):
            all_ids.extend(ids)
        for ids in pool.map(shard, [lines[:50], lines[50:]]):
            all_ids += ids
    print(len(all_ids))
    np.array(all_ids, dtype=np.uint16).tofile("out.bin")
"""
EXECUTOR = """\
from concurrent.futures import ProcessPoolExecutor
import numpy as np, tiktoken
def shard(start):
    enc = tiktoken.get_encoding("gpt2")
    ids = []
    for line in open("input.txt", encoding="utf-8").readlines()[start::2]:
        ids.extend(enc.encode_ordinary(line))
    return ids
def main():
    tokens = []
    with ProcessPoolExecutor(max_workers=2) as pool:
        for future in [pool.submit(shard, n) for n in range(2)]:
            tokens.extend(future.result())
    print(len(tokens))
    np.save("out.npy", np.array(tokens, dtype=np.uint16))
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("source", [POOL, EXECUTOR], ids=["pool", "executor"])
def test_lists_of_workers_are_packed(source: str) -> None:
    found = propose(source, "prepare.py")
    assert sorted(change.rule for change in found.changes) == ["get-encoding", "token-buffer", "token-buffer"]


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("source", [POOL, EXECUTOR], ids=["pool", "executor"])
def test_workers_give_the_same(source: str, start: str, tmp_path: Path) -> None:
    method = f"import multiprocessing\nif __name__ == '__main__':\n    multiprocessing.set_start_method({start!r})\n"
    source = method + source
    found = propose(source, "prepare.py")
    seen = []
    for text in (source, found.fixed(found.changes)):
        (tmp_path / "input.txt").write_text("the cat sat on the mat\n" * 200)
        (tmp_path / "prepare.py").write_text(text)
        done = subprocess.run([sys.executable, "prepare.py"], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        files = sorted(path for path in tmp_path.iterdir() if path.suffix in (".bin", ".npy"))
        seen.append((done.stdout, [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]))
    assert seen[0] == seen[1]
