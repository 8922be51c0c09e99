"""Scripts that hold a list of texts, or a text by its letters, as written and with TextList, look_up, dataset_of.

python -m tests.bench texts FILE [--size 30M] [--scripts join shuffle …] [--limit 192M]

FILE is a text; documents of about 3,000 characters are made of it. CPU seconds, peak anonymous memory, the process's
own highest resident memory, and whether the files that they write are the same. `dataset` needs datasets.
`--limit`: the script with the objects runs in a memory cgroup of that size.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

from memguard.units import format_size, parse_size
from tests.bench.tokenize._runs import measure, vocabulary

DOCUMENT = 3000  # characters
HEAD = "import json, random, sys\nimport numpy as np, tiktoken, memguard\nenc = GET('gpt2')\n"
FOOT = """
for line in open('/proc/self/status'):
    if line.startswith('VmHWM'):
        print(line.split()[1], file=sys.stderr)
"""
READ = """
docs = TEXTS
with open(sys.argv[2], encoding='utf-8') as f:
    for line in f:
        docs.append(json.loads(line)['text'])
"""
PER_DOCUMENT = """
cut = int(len(docs) * 0.9)
for name, part in (('train', docs[:cut]), ('val', docs[cut:])):
    ids = LIST
    for doc in part:
        ids.append(enc.eot_token)
        ids.extend(enc.encode_ordinary(doc))
    np.array(ids, dtype=np.uint16).tofile(f'{name}.bin')
"""
SCRIPTS = {
    "join": READ
    + """
text = JOINED
ids = enc.encode_ordinary(text[:int(len(text) * 0.9)])
np.array(ids, dtype=np.uint16).tofile('train.bin')
ids = enc.encode_ordinary(text[int(len(text) * 0.9):])
np.array(ids, dtype=np.uint16).tofile('val.bin')
""",
    "documents": READ + PER_DOCUMENT,
    "shuffle": READ + "random.seed(7)\nSHUFFLED\n" + PER_DOCUMENT,
    "letters": """
with OPEN(sys.argv[1], encoding='utf-8') as f:
    data = f.read()
stoi = {c: i for i, c in enumerate(sorted(set(data)))}
n = len(data)
for name, part in (('train', data[:int(n * 0.9)]), ('val', data[int(n * 0.9):])):
    np.array(LOOKED_UP, dtype=np.uint16).tofile(f'{name}.bin')
""",
    "dataset": READ
    + """
from datasets import Dataset
split = DATASET({'text': docs}).train_test_split(test_size=0.01, seed=2357, shuffle=True)
def process(row):
    ids = enc.encode_ordinary(row['text'])
    ids.append(enc.eot_token)
    return {'ids': list(ids), 'len': len(ids)}
for name, part in split.map(process, remove_columns=['text']).items():
    arr = np.memmap(f'{name}.bin', dtype=np.uint16, mode='w+', shape=(int(np.sum(part['len'], dtype=np.uint64)),))
    at = 0
    for batch in range(16):
        ids = np.concatenate(part.shard(16, batch, contiguous=True).with_format('numpy')['ids'][:])
        arr[at:at + len(ids)] = ids
        at += len(ids)
    arr.flush()
""",
}
WAYS = {
    "plain": {
        "GET": "tiktoken.get_encoding",
        "OPEN": "open",
        "TEXTS": "[]",
        "LIST": "[]",
        "JOINED": "'\\n'.join(docs)",
        "SHUFFLED": "random.shuffle(docs)",
        "LOOKED_UP": "[stoi[c] for c in part]",
        "DATASET": "Dataset.from_dict",
    },
    "all": {
        "GET": "memguard.get_encoding",
        "OPEN": "memguard.open_text",
        "TEXTS": "memguard.TextList()",
        "LIST": "memguard.TokenBuffer()",
        "JOINED": "docs.join('\\n')",
        "SHUFFLED": "docs.shuffle(random)",
        "LOOKED_UP": "memguard.look_up(stoi, part)",
        "DATASET": "memguard.dataset_of",
    },
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench texts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", default="30MB", help="of the file's beginning")
    parser.add_argument(
        "--scripts", nargs="+", choices=SCRIPTS, default=[name for name in SCRIPTS if name != "dataset"]
    )
    parser.add_argument("--limit", default=None)
    parser.add_argument("--scratch", type=Path)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        scratch = Path(name)
        data = arguments.file.read_bytes()[: parse_size(arguments.size)].decode("utf-8", "ignore")
        (scratch / "text").write_text(data, encoding="utf-8")
        with (scratch / "texts.jsonl").open("w", encoding="utf-8") as file:
            for at in range(0, len(data), DOCUMENT):
                file.write(json.dumps({"text": data[at : at + DOCUMENT]}) + "\n")
        environment = {**vocabulary(scratch), "PYTHONPATH": os.getcwd(), "HF_HOME": str(scratch / "home")}
        environment["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
        return max(_compare(script, scratch, environment, arguments.limit) for script in arguments.scripts)


def _compare(script: str, scratch: Path, environment: dict[str, str], limit: str | None) -> int:
    hashes = set()
    for way, meanings in WAYS.items():
        program = HEAD + SCRIPTS[script] + FOOT
        for word, meaning in meanings.items():
            program = program.replace(word, meaning)
        work = scratch / way
        work.mkdir(exist_ok=True)
        (work / "script.py").write_text(program)
        start = (
            f"import os, runpy, sys; os.chdir({str(work)!r}); sys.argv = ['script.py', '../text', '../texts.jsonl']\n"
        )
        command = [sys.executable, "-c", f"{start}runpy.run_path('script.py', run_name='__main__')"]
        box = {"limit": parse_size(limit)} if limit and way != "plain" else {}
        run = measure(command, environment, (scratch / "text").stat().st_size, **box)
        digest = hashlib.sha256()
        for path in sorted(work.glob("*.bin")):
            digest.update(path.read_bytes())
            path.unlink()
        hashes.add(digest.hexdigest() if not run.code else None)
        high = format_size(int(run.stderr.split()[-1]) * 1024) if not run.code else run.stderr[-300:]
        print(
            f"{script:10} {way:6} {run.cpu:6.1f} s CPU {run.wall:6.1f} s  anonymous {format_size(run.peak):>8}"
            f"  resident {high:>8}  {digest.hexdigest()[:12]} exit {run.code}",
            flush=True,
        )
    return len(hashes) != 1 or None in hashes
