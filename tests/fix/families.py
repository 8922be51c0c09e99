"""Programs by family: what each has to become. `rules` are those that change it, `reasons` why something is left."""
# ruff: noqa: E501 (programs, each in one piece)

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["FAMILIES", "Family"]

_PLAIN = "The cat sat on the mat.\nIt was the best of times, naïve and 日本語 🙂.\n\nAnother story, the end.\n" * 12
_TEXTS = {"input.txt": _PLAIN.encode()}
_HEAD = "import json, os, random, sys\nimport numpy as np\nimport tiktoken\nfrom pathlib import Path\n"
_ENC = 'enc = tiktoken.get_encoding("gpt2")\n'
_SAVE = 'np.array(ids, dtype=np.uint16).tofile("out.bin")\n'


@dataclass(frozen=True)
class Family:
    name: str
    source: str
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    texts: dict[str, bytes] = field(default_factory=lambda: dict(_TEXTS))
    error: str = ""  # the class of the exception that it ends in
    needs: str = ""  # a library


def _family(name: str, body: str, *rules: str, head: str = _HEAD, **more: object) -> Family:
    return Family(name, head + body, rules, **more)  # type: ignore[arg-type]


_READ = 'with open("input.txt", "r", encoding="utf-8") as f:\n    data = f.read()\n'
_SLICES = (
    "n = len(data)\ntrain_data = data[:int(n*0.9)]\nval_data = data[int(n*0.9):]\n"
    + _ENC
    + "train_ids = enc.encode_ordinary(train_data)\nval_ids = enc.encode_ordinary(val_data)\n"
    'print(f"train has {len(train_ids):,} tokens")\n'
    "train_ids = np.array(train_ids, dtype=np.uint16)\nval_ids = np.array(val_ids, dtype=np.uint16)\n"
    'train_ids.tofile("train.bin")\nval_ids.tofile("val.bin")\n'
)
_LINES = _ENC + 'ids = []\nfor line in open("input.txt", encoding="utf-8"):\n'
_CHARS = (
    "chars = sorted(list(set({of})))\nvocab_size = len(chars)\nprint(''.join(chars)[:5], vocab_size)\n"
    "stoi = {{ ch:i for i,ch in enumerate(chars) }}\nitos = {{ i:ch for i,ch in enumerate(chars) }}\n"
    "def encode(s):\n    return [stoi[c] for c in s]\ndef decode(l):\n    return ''.join([itos[i] for i in l])\n"
    "n = len(data)\ntrain_ids = encode(data[:int(n*0.9)])\nval_ids = encode(data[int(n*0.9):])\n"
    "print(len(train_ids), decode(train_ids[:9]))\n"
    'np.array(train_ids, dtype=np.uint16).tofile("train.bin")\nnp.array(val_ids, dtype=np.uint16).tofile("val.bin")\n'
    "import pickle\nwith open('meta.pkl', 'wb') as f:\n    pickle.dump({{'stoi': stoi, 'itos': itos}}, f)\n"
)
_CR = {"input.txt": b"one\r\ntwo\rthree \xe2\x82\xac\r\n\r\nfour\n" * 40}
_BAD = {"input.txt": b"the cat sat\n" * 60 + b"\xff\xfe" + b"on the mat\n" * 40}
_SPECIAL = {"input.txt": b"the cat <|endoftext|> sat on the mat\n" * 30}
_JSONL = {
    "input.jsonl": b"".join(b'{"text": "story %d, the cat \\u00e9\\nsat", "id": %d}\n' % (n, n) for n in range(40))
}
_JSON_LIST = "data = []\nwith open('input.jsonl', encoding='utf-8') as f:\n    for line in f:\n        data.append(json.loads(line)['text'])\n"

FAMILIES = (
    # -- a text read as a whole
    _family("P1 nanoGPT shakespeare", _READ + _SLICES, "open-text", "get-encoding"),
    _family(
        "P1 names of its own",
        _READ.replace("data", "raw") + "data = raw.strip()\n" + _SLICES,
        "open-text",
        "get-encoding",
    ),
    _family(
        "P1 in a function",
        "def main():\n    " + (_READ + _SLICES).replace("\n", "\n    ") + "\nmain()\n",
        "open-text",
        "get-encoding",
    ),
    _family(
        "P2 read_text, CRLF",
        "data = Path('input.txt').read_text(encoding='utf-8')\n" + _SLICES,
        "read-text",
        "get-encoding",
        texts=_CR,
    ),
    _family("P3 invalid UTF-8", _READ + _SLICES, "open-text", "get-encoding", texts=_BAD, error="UnicodeDecodeError"),
    _family(
        "P4 a special token",
        _READ + _ENC + "ids = enc.encode(data)\n" + _SAVE,
        "open-text",
        "get-encoding",
        texts=_SPECIAL,
        error="ValueError",
    ),
    _family(
        "P4 allowed",
        _READ + _ENC + "ids = enc.encode(data, allowed_special={'<|endoftext|>'})\n" + _SAVE,
        "open-text",
        "get-encoding",
        texts=_SPECIAL,
    ),
    *(
        _family(
            f"P5 {name}",
            _READ.replace("utf-8", name) + _SLICES,
            "open-text",
            "get-encoding",
            texts={"input.txt": _PLAIN.replace("日本語 🙂", "").encode(name)},
        )
        for name in ("latin-1", "utf-8-sig", "utf-16")
    ),
    # -- lists
    _family(
        "P6 chunks, walrus",
        _ENC
        + "ids = []\nwith open('input.txt', encoding='utf-8') as f:\n    while chunk := f.read(64):\n        ids.extend(enc.encode_ordinary(chunk))\n        print(len(ids))\n"
        + _SAVE,
        "token-buffer",
        "get-encoding",
    ),
    _family(
        "P6 chunks, iter",
        _ENC
        + "ids = []\nf = open('input.txt', encoding='utf-8')\nfor chunk in iter(lambda: f.read(50), ''):\n    ids += enc.encode_ordinary(chunk)\n"
        + _SAVE,
        "token-buffer",
        "get-encoding",
    ),
    _family(
        "P7 lines",
        _LINES + "    ids += enc.encode_ordinary(line) + [enc.eot_token]\n" + _SAVE,
        "token-buffer",
        "get-encoding",
    ),
    _family(
        "P7 lines, before",
        _LINES + "    ids.extend([enc.eot_token] + enc.encode_ordinary(line))\n" + _SAVE,
        "token-buffer",
        "get-encoding",
    ),
    _family(
        "P8 one by one",
        _LINES + "    for t in enc.encode_ordinary(line):\n        ids.append(t)\n" + _SAVE,
        "token-buffer",
        "get-encoding",
    ),
    *(
        _family(
            f"P9 {emptied}",
            _ENC
            + "ids, shard = [], 0\nfor line in open('input.txt', encoding='utf-8'):\n    ids.extend(enc.encode_ordinary(line))\n"
            f"    while len(ids) >= 30:\n        np.save(f's{{shard}}.npy', np.array(ids[:30], dtype=np.uint16))\n        shard += 1\n        {emptied}\n"
            + _SAVE,
            "token-buffer",
            "get-encoding",
        )
        for emptied in ("ids = []", "ids.clear()", "del ids[:30]", "ids = ids[30:]")
    ),
    _family(
        "P10 int64, wraps",
        _LINES
        + "    ids.extend(enc.encode_ordinary(line)); ids.append(70000)\narr = np.array(ids)\nprint(arr.dtype)\narr.astype(np.uint16).tofile('out.bin')\n",
        "token-buffer",
        "get-encoding",
    ),
    _family(
        "P11 uint8",
        _LINES + "    ids.extend(enc.encode_ordinary(line))\nnp.array(ids, dtype=np.uint8).tofile('out.bin')\n",
        "token-buffer",
        "get-encoding",
        error="OverflowError",
    ),
    # -- characters
    _family("P12 char level", _READ + _CHARS.format(of="data"), "open-text", "look-up"),
    _family(
        "P12 lambda",
        _READ
        + _CHARS.format(of="data").replace(
            "def encode(s):\n    return [stoi[c] for c in s]", "encode = lambda s: [stoi[c] for c in s]"
        ),
        "open-text",
        "look-up",
    ),
    _family(
        "P13 a character that is not there",
        _READ + _CHARS.format(of="data[:20]"),
        "open-text",
        "look-up",
        error="KeyError",
    ),
    # -- documents
    _family(
        "P14 JSONL, join, slices",
        _JSON_LIST + "data = '\\n'.join(data)\n" + _SLICES,
        "text-list",
        "get-encoding",
        texts=_JSONL,
    ),
    _family(
        "P15 JSONL, shuffle",
        _JSON_LIST
        + "random.seed(3)\nrandom.shuffle(data)\n"
        + _ENC
        + "cut = int(len(data) * 0.9)\nfor name, part in (('train', data[:cut]), ('val', data[cut:])):\n    ids = []\n    for doc in part:\n        ids.extend(enc.encode_ordinary(doc))\n    np.array(ids, dtype=np.uint16).tofile(name + '.bin')\n",
        "text-list",
        "token-buffer",
        "get-encoding",
        texts=_JSONL,
    ),
    _family(
        "P16 stories",
        "docs, story = [], ''\nfor line in open('input.txt', encoding='utf-8'):\n    if line.strip():\n        story += line\n    elif story:\n        docs.append(story)\n        story = ''\nrandom.Random(5).shuffle(docs)\n"
        + _ENC
        + "ids = []\nfor doc in docs:\n    ids += enc.encode_ordinary(doc)\n"
        + _SAVE,
        "text-list",
        "token-buffer",
        "get-encoding",
    ),
    _family(
        "P18 list of lists",
        _ENC
        + "docs = []\nfor line in open('input.txt', encoding='utf-8'):\n    docs.append(enc.encode_ordinary(line))\nids = np.concatenate(docs)\nprint(ids.dtype, len(docs))\n"
        + _SAVE,
        "token-buffers",
        "get-encoding",
    ),
    _family(
        "P18 batch",
        _ENC
        + "lines = open('input.txt', encoding='utf-8').read().split('\\n')\nids = [t for doc in enc.encode_ordinary_batch(lines) for t in doc]\n"
        + _SAVE,
        "open-text",
        "token-buffer",
        "get-encoding",
    ),
    _family(
        "P18 chain",
        "from itertools import chain\n"
        + _ENC
        + "docs = [enc.encode_ordinary(line) for line in open('input.txt', encoding='utf-8')]\nids = list(chain.from_iterable(docs))\n"
        + _SAVE,
        "token-buffer",
        "token-buffers",
        "get-encoding",
    ),
    _family(
        "P19 defaultdict",
        "from collections import defaultdict\n"
        + _ENC
        + "tokens = defaultdict(list)\nfor i, line in enumerate(open('input.txt', encoding='utf-8')):\n    tokens['val' if i % 10 == 0 else 'train'].extend(enc.encode_ordinary(line))\nfor name, ids in tokens.items():\n    np.array(ids, dtype=np.uint16).tofile(name + '.bin')\n",
        "token-buffer",
        "get-encoding",
    ),
    _family(
        "P19 dict of lists",
        _ENC
        + "tokens = {'train': [], 'val': []}\nfor i, line in enumerate(open('input.txt', encoding='utf-8')):\n    tokens['val' if i % 10 == 0 else 'train'] += enc.encode_ordinary(line)\nfor name in tokens:\n    np.array(tokens[name], dtype=np.uint16).tofile(name + '.bin')\n",
        "token-buffer",
        "token-buffer",
        "get-encoding",
    ),
    _family(
        "P19 dataclass",
        "from dataclasses import dataclass, field\n@dataclass\nclass Part:\n    name: str\n    ids: list = field(default_factory=list)\n"
        + _ENC
        + "part = Part('out')\nfor line in open('input.txt', encoding='utf-8'):\n    part.ids.extend(enc.encode_ordinary(line))\nids = part.ids\n"
        + _SAVE,
        "token-buffer",
        "get-encoding",
    ),
    # -- tables
    _family(
        "P17 from_dict, map",
        "import datasets\ndatasets.disable_progress_bars()\ndata = open('input.txt', encoding='utf-8').read()\ndocs = [d.strip() for d in data.split('\\n\\n')]\n"
        + _ENC
        + "def tokenize(row):\n    return {'ids': enc.encode_ordinary(row['text'])}\nsplit = datasets.Dataset.from_dict({'text': docs}).train_test_split(test_size=0.2, seed=5)\nsplit = split.map(tokenize, remove_columns=['text'])\nfor name, part in split.items():\n    ids = np.concatenate([np.array(row['ids'], dtype=np.uint16) for row in part])\n    ids.tofile(name + '.bin')\n",
        "open-text",
        "text-list",
        "dataset-of",
        needs="datasets",
    ),
    _family(
        "P21 parquet",
        "import pandas as pd\nfor text in pd.read_parquet('a.parquet', columns=['text'])['text'].dropna().tolist():\n    print(text)\n",
        "parquet-texts",
        needs="pandas",
        error="FileNotFoundError",
    ),
    _family(
        "P21 the frame is used for more",
        "import pandas as pd\ndf = pd.read_parquet('a.parquet')\nprint(df.shape)\ntexts = df['text'].tolist()\nprint(len(texts))\n",
        reasons=("FRAME",),
        needs="pandas",
        error="FileNotFoundError",
    ),
    # -- what is left
    _family(
        "P22 a function of another file",
        "from helpers import write\n" + _LINES + "    ids.extend(enc.encode_ordinary(line))\nwrite(ids)\n" + _SAVE,
        "get-encoding",
        reasons=("GIVEN",),
        texts={**_TEXTS, "helpers.py": b"def write(ids):\n    print(type(ids).__name__)\n"},
    ),
    _family(
        "P22 a decorator",
        "import helpers\n@helpers.logged\ndef tokens(path):\n    enc = tiktoken.get_encoding('gpt2')\n    ids = []\n    for line in open(path, encoding='utf-8'):\n        ids.extend(enc.encode_ordinary(line))\n    return ids\nids = tokens('input.txt')\n"
        + _SAVE,
        "get-encoding",
        reasons=("UNSEEN",),
        texts={**_TEXTS, "helpers.py": b"def logged(f):\n    return f\n"},
    ),
    _family(
        "P22 a callback",
        "import helpers\n" + _LINES + "    ids.extend(enc.encode_ordinary(line))\nhelpers.call(lambda: ids)\n" + _SAVE,
        "get-encoding",
        reasons=("UNSEEN",),
        texts={**_TEXTS, "helpers.py": b"def call(f):\n    print(len(f()))\n"},
    ),
    *(
        _family(
            f"P23 {what}",
            _LINES + "    ids.extend(enc.encode_ordinary(line))\n" + what + "\n" + _SAVE,
            "get-encoding",
            reasons=(reason,),
        )
        for what, reason in (
            ("ids[0] = 5", "ONE_BY_ONE"),
            ("ids.insert(0, enc.eot_token)", "CHANGED"),
            ("ids.sort()", "CHANGED"),
            ("random.shuffle(ids)", "CHANGED"),
            ("import pickle; pickle.dump(ids, open('ids.pkl', 'wb'))", "PICKLED"),
            ("json.dump(ids, open('ids.json', 'w'))", "AS_JSON"),
            ("print(isinstance(ids, list))", "TYPE"),
            ("ids = ids * 2", "REPEATED"),
        )
    ),
    *(
        _family(
            f"P24 {what}",
            _READ + what + "\n" + _ENC + "ids = enc.encode_ordinary(data)\n" + _SAVE,
            "get-encoding",
            reasons=(reason,),
        )
        for what, reason in (
            ("data = data.replace('the', 'a')", "NEW_TEXT"),
            ("data = data.lower()", "NEW_TEXT"),
            ("import re; data = re.sub(r'\\s+', ' ', data)", "WHOLE_TEXT"),
            ("data = data[::-1]", "REVERSED"),
            ("data = data + 'end'", "NEW_TEXT"),
        )
    ),
    _family(
        "P25 written to afterwards",
        _READ
        + _ENC
        + "with open('input.txt', 'w') as f:\n    f.write('gone')\nids = enc.encode_ordinary(data)\n"
        + _SAVE,
        "get-encoding",
        reasons=("REWRITTEN",),
    ),
    _family(
        "P25 written to before",
        "if not os.path.exists('input.txt'):\n    with open('input.txt', 'w') as f:\n        f.write('the cat')\n"
        + _READ.replace("data = f", "data = f")
        + _SLICES,
        "open-text",
        "get-encoding",
    ),
    _family("P26 exec", _READ + "exec('x = 1')\n" + _SLICES, reasons=("DYNAMIC", "DYNAMIC")),
    _family("P26 globals", _READ + "globals()['x'] = 1\n" + _SLICES, reasons=("DYNAMIC", "DYNAMIC")),
    _family("P26 getattr", _READ + "print(getattr(np, 'uint' + '16'))\n" + _SLICES, reasons=("DYNAMIC", "DYNAMIC")),
    _family(
        "P26 import *",
        "from helpers import *\n" + _READ + _SLICES,
        reasons=("DYNAMIC", "DYNAMIC"),
        texts={**_TEXTS, "helpers.py": b"x = 1\n"},
    ),
    # -- how it is written
    _family("P28 tabs", _READ.replace("    ", "\t") + _SLICES, "open-text", "get-encoding"),
    _family(
        "P28 CRLF",
        (_READ + _SLICES).replace("\n", "\r\n"),
        "open-text",
        "get-encoding",
        head=_HEAD.replace("\n", "\r\n"),
    ),
    _family(
        "P28 semicolons",
        _READ + _SLICES,
        "open-text",
        "get-encoding",
        head="import os; import numpy as np; import tiktoken; SEED = 1\n",
    ),
    _family(
        "P28 future, docstring",
        _READ + _SLICES,
        "open-text",
        "get-encoding",
        head='"""Prepares."""\nfrom __future__ import annotations\nimport numpy as np\nimport tiktoken  # ids\n\n',
    ),
    _family(
        "P28 imports in the middle",
        _READ + "import numpy as np\nimport tiktoken\n" + _SLICES,
        "open-text",
        "get-encoding",
        head="import os\n",
    ),
    _family(
        "P28 no import before",
        "import numpy as np, tiktoken\n" + _READ + _SLICES,
        "open-text",
        "get-encoding",
        head="x = 1\n",
    ),
    _family(
        "P28 a function first",
        "import numpy as np, tiktoken\n" + _READ + _SLICES,
        "open-text",
        "get-encoding",
        head="def f():\n    return 1\n",
    ),
    _family(
        "P28 memguard is there",
        _READ + _SLICES,
        "open-text",
        "get-encoding",
        head="import memguard as mg\nimport numpy as np\nimport tiktoken\n",
    ),
    _family(
        "P28 memguard is a name", "memguard = 5\n" + _READ + _SLICES + "print(memguard)\n", "open-text", "get-encoding"
    ),
    _family(
        "P30 another tokenizer",
        "class Own:\n    def encode(self, text):\n        return [ord(c) for c in text]\n"
        + _READ
        + "ids = []\nfor line in data.split('\\n'):\n    ids.extend(Own().encode(line))\n"
        + _SAVE,
        "open-text",
        "token-buffer",
        "token-buffer",
        error="OverflowError",
    ),
    _family(
        "P31 a list or None",
        _ENC
        + "ids = [] if len(sys.argv) else None\nfor line in open('input.txt', encoding='utf-8'):\n    ids.extend(enc.encode_ordinary(line))\n"
        + _SAVE,
        "get-encoding",
        reasons=("MIXED",),
    ),
)
