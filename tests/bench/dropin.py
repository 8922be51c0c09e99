"""Scripts that hold a text and its tokens, with str and list and with the drop-in objects: CPU, memory, same bytes.

python -m tests.bench dropin FILE [--size 100M] [--scripts whole chunks …] [--limit 256M]

Each script runs as written and with `open`, `[]` and `tiktoken.get_encoding` replaced. `--limit` runs the replaced ones
in a memory cgroup of that size instead, the others without one, for the hashes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from pathlib import Path

from memguard.units import format_size, parse_size
from tests.bench.tokenize._runs import measure, vocabulary

HEAD = "import sys, numpy as np, tiktoken, memguard\nenc = GET('gpt2')\n"
# After each script the process says what it has used itself.
FOOT = """
for line in open('/proc/self/status'):
    if line.startswith('VmHWM'):
        print(line.split()[1], file=sys.stderr)
"""
SCRIPTS = {
    "whole": """
with OPEN(sys.argv[1], 'r', encoding='utf-8') as f:
    data = f.read()
n = len(data)
train_data, val_data = data[:int(n * 0.9)], data[int(n * 0.9):]
train_ids, val_ids = enc.encode_ordinary(train_data), enc.encode_ordinary(val_data)
print(f'train has {len(train_ids):,} tokens')
train_ids = np.array(train_ids, dtype=np.uint16)
val_ids = np.array(val_ids, dtype=np.uint16)
train_ids.tofile('train.bin')
val_ids.tofile('val.bin')
""",
    "chunks": """
ids = LIST
with open(sys.argv[1], encoding='utf-8') as f:
    while chunk := f.read(1_000_000):
        ids.extend(enc.encode_ordinary(chunk))
np.array(ids, dtype=np.uint16).tofile('train.bin')
""",
    "lines": """
ids = LIST
with open(sys.argv[1], encoding='utf-8') as f:
    for line in f:
        ids += enc.encode_ordinary(line)
        ids.append(enc.eot_token)
arr = np.array(ids)
print(arr.dtype, len(ids))
arr = arr.astype(np.uint16)
arr.tofile('train.bin')
""",
    "documents": """
docs = LISTS
with OPEN(sys.argv[1], encoding='utf-8') as f:
    text = f.read()
for number, start in enumerate(range(0, len(text), 3000)):
    docs.append(enc.encode(text[start:start + 3000], disallowed_special=()))
print(len(docs), sum(len(ids) for ids in docs))
np.concatenate(docs).astype(np.uint16).tofile('train.bin')
""",
    "tokens": """
ids = LIST
with open(sys.argv[1], encoding='utf-8') as f:
    for line in f:
        for token in enc.encode_ordinary(line):
            ids.append(token)
np.save('train.npy', np.array(ids, dtype=np.uint16))
""",
    "characters": """
with OPEN(sys.argv[1], encoding='utf-8') as f:
    data = f.read()
chars = sorted(set(data))
stoi = {c: i for i, c in enumerate(chars)}
print(len(data), ''.join(chars))
ids = LIST
ids.extend(stoi[c] for c in data)
np.array(ids, dtype=np.uint16).tofile('train.bin')
""",
}
PLAIN = {"OPEN": "open", "LISTS": "[]", "LIST": "[]", "GET": "tiktoken.get_encoding"}
PACKED = {
    "OPEN": "memguard.open_text",
    "LISTS": "memguard.TokenBuffers()",
    "LIST": "memguard.TokenBuffer()",
    "GET": "memguard.get_encoding",
}
LISTS_ONLY = {**PACKED, "OPEN": "open", "GET": "tiktoken.get_encoding"}
WAYS = {"plain": PLAIN, "lists only": LISTS_ONLY, "all": PACKED}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench dropin", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", default="100MB", help="of the file's beginning")
    parser.add_argument("--scripts", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--limit", default=None)
    parser.add_argument("--scratch", type=Path)
    arguments = parser.parse_args(argv)
    size, wrong = parse_size(arguments.size), 0
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        scratch = Path(name)
        environment = {**vocabulary(scratch), "PYTHONPATH": os.getcwd()}
        text = scratch / "text"
        text.write_bytes(arguments.file.read_bytes()[:size].decode("utf-8", "ignore").encode())
        for script in arguments.scripts:
            wrong += _compare(script, arguments.ways, scratch, environment, arguments.limit)
    return min(1, wrong)


def _compare(script: str, ways: list[str], scratch: Path, environment: dict[str, str], limit: str | None) -> int:
    hashes: set[str] = set()
    for way in ways:
        program = HEAD + SCRIPTS[script] + FOOT
        for word, meaning in WAYS[way].items():
            program = program.replace(word, meaning)
        (scratch / "script.py").write_text(program)
        work = scratch / "work"
        work.mkdir()
        command = [sys.executable, "-c", f"import os, runpy, sys; os.chdir({str(work)!r})\n" + _RUN, str(scratch)]
        box = {"limit": parse_size(limit)} if limit and way != "plain" else {}
        run = measure(command, environment, (scratch / "text").stat().st_size, **box)
        found = hashlib.sha256()
        for path in sorted(work.iterdir()):
            found.update(path.read_bytes())
            path.unlink()
        work.rmdir()
        hashes.add(found.hexdigest() if not run.code else f"exit code {run.code}")
        high = format_size(int(run.stderr.split()[-1]) * 1024) if not run.code else run.stderr[-300:]
        print(
            f"{script:11} {way:11} {run.cpu:6.1f} s CPU {run.wall:6.1f} s  anonymous {format_size(run.peak):>8}"
            f"  resident {high:>8}  {found.hexdigest()[:12]} exit {run.code}",
            flush=True,
        )
    return len(hashes) > 1


_RUN = (
    "sys.argv = [sys.argv[1] + '/script.py', sys.argv[1] + '/text']; runpy.run_path(sys.argv[0], run_name='__main__')"
)
