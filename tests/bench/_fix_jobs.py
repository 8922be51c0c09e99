"""The families of tests/fix/families.py as jobs of a size: the same programs, with real text in the form each reads."""
# ruff: noqa: E501 (programs, each in one piece)

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fix.families import FAMILIES, Family

__all__ = ["Job", "jobs", "write_inputs"]

_DOCUMENT = 3000  # characters
_SHARDS = 20
_HEAD = "import json, os, random, sys\nimport numpy as np\nimport tiktoken\n"
_ENC = 'enc = tiktoken.get_encoding("gpt2")\n'
_SAVE = 'np.array(ids, dtype=np.uint16).tofile("out.bin")\n'


@dataclass(frozen=True)
class Job:
    """`forms`: the names of its inputs and what each is made of; `files`: what else lies beside the script."""

    name: str
    source: str
    forms: dict[str, str]
    files: dict[str, bytes]
    needs: tuple[str, ...]
    declined: bool  # what is large is left as it is


# A family that is small in the tests, at a size.
_AT_SIZE = {
    "P6 chunks, walrus": (("f.read(64)", "f.read(1_000_000)"),),
    "P6 chunks, iter": (("f.read(50)", "f.read(100_000)"),),
    "P13 a character that is not there": (("data[:20]", "data[:int(len(data)*0.9)]"),),
    **{f"P9 {how}": (("30", "{shard}"),) for how in ("ids = []", "ids.clear()", "del ids[:30]", "ids = ids[30:]")},
}
_FORMS = {
    "P2 read_text, CRLF": "crlf",
    "P3 invalid UTF-8": "invalid",
    "P4 a special token": "special",
    "P4 allowed": "special",
    "P5 latin-1": "latin-1",
    "P5 utf-8-sig": "utf-8-sig",
    "P5 utf-16": "utf-16",
}
_MORE = (
    Family(
        "P14 JSONL, a document at a time",
        _HEAD
        + "docs = [json.loads(line)['text'] for line in open('input.jsonl', encoding='utf-8')]\nprint(len(docs))\n"
        + _ENC
        + "ids = []\nfor doc in docs:\n    ids.extend(enc.encode_ordinary(doc))\n    ids.append(enc.eot_token)\n"
        + _SAVE,
        texts={"input.jsonl": b""},
    ),
    Family(
        "P20 Pool.imap, files",
        _HEAD
        + "import glob\nfrom multiprocessing import Pool\n"
        + "def process(path):\n    enc = tiktoken.get_encoding('gpt2')\n    tokens = []\n    with open(path, encoding='utf-8') as f:\n        for line in f:\n            tokens.extend(enc.encode_ordinary(line))\n            tokens.append(enc.eot_token)\n    return tokens\n"
        + "if __name__ == '__main__':\n    ids = []\n    with Pool(2) as pool:\n        for tokens in pool.imap(process, sorted(glob.glob('shard_*.txt'))):\n            ids.extend(tokens)\n    print(len(ids))\n    "
        + _SAVE,
        texts={"shards": b""},
    ),
    Family(
        "P20 executor, files",
        _HEAD
        + "import glob\nfrom concurrent.futures import ProcessPoolExecutor\n"
        + "def process(path):\n    enc = tiktoken.get_encoding('gpt2')\n    with open(path, encoding='utf-8') as f:\n        text = f.read()\n    return enc.encode_ordinary(text)\n"
        + "def main():\n    ids = []\n    with ProcessPoolExecutor(max_workers=2) as pool:\n        futures = [pool.submit(process, p) for p in sorted(glob.glob('shard_*.txt'))]\n        for future in futures:\n            ids.extend(future.result())\n    print(len(ids))\n    "
        + _SAVE
        + "if __name__ == '__main__':\n    main()\n",
        texts={"shards": b""},
    ),
    Family(
        "P21 parquet, encoded",
        _HEAD
        + "import pandas as pd\n"
        + _ENC
        + "texts = pd.read_parquet('a.parquet', columns=['text'])['text'].dropna().tolist()\nids = []\nfor text in texts:\n    ids.extend(enc.encode_ordinary(text))\n    ids.append(enc.eot_token)\n"
        + _SAVE,
        texts={"a.parquet": b""},
        needs="pandas",
    ),
    Family(
        "P7 csv rows",
        _HEAD
        + "import csv\n"
        + _ENC
        + "ids = []\nwith open('input.csv', newline='', encoding='utf-8') as f:\n    for row in csv.DictReader(f):\n        ids.extend(enc.encode_ordinary(row['text']))\n        ids.append(enc.eot_token)\n"
        + _SAVE,
        texts={"input.csv": b""},
    ),
    Family(
        "P10 int64, saved",
        _HEAD
        + "with open('input.txt', encoding='utf-8') as f:\n    text = f.read()\n"
        + _ENC
        + "ids = enc.encode(text, disallowed_special=())\narr = np.array(ids)\nprint(arr.shape, arr.dtype)\nnp.save('out.npy', arr)\n",
    ),
    Family(
        "P19 one list a split, files",
        _HEAD
        + "import glob\n"
        + _ENC
        + "train_ids, val_ids = [], []\nfor n, path in enumerate(sorted(glob.glob('shard_*.txt'))):\n    with open(path, encoding='utf-8') as f:\n        text = f.read()\n    cut = int(len(text) * 0.9)\n    train_ids.extend(enc.encode_ordinary(text[:cut]))\n    val_ids.extend(enc.encode_ordinary(text[cut:]))\nnp.array(train_ids, dtype=np.uint16).tofile('train.bin')\nnp.array(val_ids, dtype=np.uint16).tofile('val.bin')\n",
        texts={"shards": b""},
    ),
)


def jobs(size: int) -> list[Job]:
    """In the order of the families; `size` is that of the text in bytes."""
    found = [_job(family, size) for family in (*FAMILIES, *_MORE)]
    return sorted(found, key=lambda job: int(job.name.split()[0][1:]))


def _job(family: Family, size: int) -> Job:
    source, texts = family.source, dict(family.texts)
    for old, new in _AT_SIZE.get(family.name, ()):
        source = source.replace(old, new.format(shard=max(1000, size // 10)))
    forms = {name: _form(family.name, name) for name in texts if not name.endswith(".py")}
    if "a.parquet" in source:
        forms = {"a.parquet": "parquet"}
    files = {name: data for name, data in texts.items() if name.endswith(".py")}
    needs = tuple({"pandas": ("pandas", "pyarrow"), "datasets": ("datasets",)}.get(family.needs, ()))
    return Job(family.name, source, forms, files, needs, bool(family.reasons))


def _form(family: str, name: str) -> str:
    suffix = {"input.jsonl": "jsonl", "input.csv": "csv", "shards": "shards"}
    return suffix.get(name) or _FORMS.get(family, "text")


def documents(text: str) -> Iterator[str]:
    """Pieces of at least _DOCUMENT characters that end with a line."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _DOCUMENT) + 1 or len(text)
        yield text[start:end]
        start = end


def _write_jsonl(text: str, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, document in enumerate(documents(text)):
            file.write(json.dumps({"text": document, "id": number}) + "\n")


def _write_csv(text: str, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "text"])
        rows.writerows(enumerate(documents(text)))


def _write_parquet(text: str, path: Path) -> None:
    import pyarrow as pa  # type: ignore[import-not-found,import-untyped,unused-ignore]
    import pyarrow.parquet as pq  # type: ignore[import-not-found,import-untyped,unused-ignore]

    texts = list(documents(text))
    pq.write_table(pa.table({"text": texts, "id": range(len(texts))}), path, row_group_size=1000)


def _write_shards(text: str, path: Path) -> None:
    path.mkdir()
    step = len(text) // _SHARDS + 1
    for number, start in enumerate(range(0, len(text), step)):
        (path / f"shard_{number:02}.txt").write_text(text[start : start + step], encoding="utf-8")


def _middle(added: bytes) -> Callable[[str, Path], None]:
    def write(text: str, path: Path) -> None:
        data = text.encode()
        at = data.index(b"\n", len(data) * 6 // 10)
        path.write_bytes(data[:at] + added + data[at:])

    return write


def _encoded(encoding: str, errors: str = "strict") -> Callable[[str, Path], None]:
    def write(text: str, path: Path) -> None:
        path.write_bytes(text.encode(encoding, errors))

    return write


_WRITERS: dict[str, Callable[[str, Path], None]] = {
    "text": _encoded("utf-8"),
    "crlf": lambda text, path: _encoded("utf-8")(text.replace("\n", "\r\n") + "\ra lone one\r", path),
    "invalid": _middle(b"\xff\xfe"),
    "special": _middle(b"<|endoftext|>"),
    "latin-1": _encoded("latin-1", "ignore"),
    "utf-8-sig": _encoded("utf-8-sig"),
    "utf-16": _encoded("utf-16"),
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "parquet": _write_parquet,
    "shards": _write_shards,
}


def write_inputs(job: Job, text: str, store: Path, work: Path) -> set[str]:
    """The inputs of `job` in `work`, links to what `store` holds of each form once. Returns their names."""
    names = set()
    for name, form in job.forms.items():
        stored = store / form
        if not stored.exists():
            part = store / f"{form}.part"
            _WRITERS[form](text, part)
            part.rename(stored)
        for path in sorted(stored.iterdir()) if stored.is_dir() else [stored]:
            link = work / (path.name if stored.is_dir() else name)
            if "'w'" in job.source:  # it may write to its input
                shutil.copyfile(path, link)
            else:
                link.hardlink_to(path)
            names.add(link.name)
    for name, data in job.files.items():
        (work / name).write_bytes(data)
        names.add(name)
    return names
