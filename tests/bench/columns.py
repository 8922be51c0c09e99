"""What tables take, stage by stage: each line is a fresh process that reads, then does one thing with the texts.

    python -m tests.bench columns --python PYTHON            every library, 20 and 40 MB, all forms
    python -m tests.bench columns --library pandas --form csv --size 80MB --then apply --then to_json

`peak` is the most that a stage was resident, `now` what is left after it, in MiB beside what the imports take: the
constants of estimate/script/tables.py and of load_dataset in estimate/plans/pools.py come from these figures. Texts are
made of pydoc_data.topics or `--text`, in documents of some 2 KB; Parquet once in groups of 1,000 rows, once in one. A
library that PYTHON does not have is skipped with that reason.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from memguard.units import MIB, parse_size
from tests.bench._estimate_runs import texts

# The stages of a process: resident memory is read from /proc, and the high-water mark reset (proc(5), clear_refs).
_MARKS = """\
import re, sys
def mark(name):
    found = open("/proc/self/status").read()
    print(name, *(re.search(key + r":\\s+(\\d+)", found)[1] for key in ("VmHWM", "VmRSS")), sep="\\t", flush=True)
    open("/proc/self/clear_refs", "w").write("5")
path, form = sys.argv[1:3]
"""
_READERS = {
    "pandas": """\
import pandas as pd
mark("import")
readers = {"parquet": pd.read_parquet, "csv": pd.read_csv, "jsonl": lambda path: pd.read_json(path, lines=True)}
table = readers[form](path)
column = table["text"]
""",
    "polars": """\
import polars as pl
mark("import")
column = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[form](path)["text"]
""",
    "pyarrow": """\
import pyarrow.csv, pyarrow.json, pyarrow.parquet
mark("import")
options = pyarrow.csv.ParseOptions(newlines_in_values=True)
readers = {"parquet": pyarrow.parquet.read_table, "jsonl": pyarrow.json.read_json}
readers["csv"] = lambda path: pyarrow.csv.read_csv(path, parse_options=options)
column = readers[form](path)["text"]
""",
    "datasets": """\
import datasets, tempfile
mark("import")
kind = {"jsonl": "json"}.get(form, form)
table = datasets.load_dataset(kind, data_files=path, split="train", cache_dir=tempfile.mkdtemp(dir="."))
column = table["text"]
""",
    "batches": """\
import pyarrow.parquet
mark("import")
column = []
for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=1000, columns=["text"]):
    texts = batch.column("text").to_pylist()
""",
}
_STAGES = {
    "list": "texts = list(column[:]) if hasattr(column, 'source') else list(column)",
    "join": "text = '\\n'.join(column)",
    "cat": "text = column.str.cat(sep='\\n')",
    "apply": "lengths = column.apply(len)",
    "lists": "table['ids'] = column.apply(lambda text: [ord(c) + 1000 for c in text[::4]])",
    "lists to_parquet": "table['ids'] = column.apply(lambda text: [ord(c) + 1000 for c in text[::4]]); mark('lists')\n"
    "table.to_parquet('out.parquet')",
    "to_csv": "table.to_csv('out.csv')",
    "to_json": "table.to_json('out.json', orient='records', lines=True)",
    "lower": "other = column.str.lower()",
    "sample": "other = table.sample(frac=1)",
    "drop_duplicates": "other = table.drop_duplicates(subset='text')",
    "records": "rows = table.to_dict('records')",
    "iterrows": "n = sum(len(row['text']) for _, row in table.iterrows())",
}


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    sizes = [parse_size(size) for size in options.size or ["20MB", "40MB"]]
    for size in sizes:
        for name, data in texts(size, options.text, not options.text):
            if not options.text and name != "ASCII":
                continue  # one is enough to see the stages
            with tempfile.TemporaryDirectory(prefix="memguard-bench-") as directory:
                for path in _written(data().decode(), Path(directory), options.form, options.python):
                    for library in options.library or list(_READERS):
                        if library != "batches" or path.suffix == ".parquet":
                            _show(f"{name} {size // 1_000_000} MB", path, library, options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench columns", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", action="append", default=[], help="bytes per text (default: 20MB and 40MB)")
    parser.add_argument("--text", action="append", default=[], help="a real text, cut to --size; may be repeated")
    parser.add_argument("--library", action="append", choices=_READERS, default=[])
    parser.add_argument("--form", action="append", choices=("parquet", "csv", "jsonl"), default=[])
    parser.add_argument("--then", action="append", choices=_STAGES, default=[], help="after reading (default: list)")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the scripts (default: this one)")
    return parser


def _show(text: str, path: Path, library: str, options: argparse.Namespace) -> None:
    form = path.suffix[1:]
    for then in options.then or ["list"]:
        stage = _STAGES[then]
        program = _MARKS + _READERS[library] + "mark('read')\n" + stage + f"\nmark({then!r})\n"
        done = subprocess.run(
            [options.python, "-c", program, str(path), form], cwd=path.parent, capture_output=True, text=True
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            print(f"{text:<24} {path.name:<18} {library:<10} {then:<18} skipped: {reason[0][:80]}")
            continue
        marks = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2]
        base = int(marks[0][2]) * 1024
        stages = [f"{stage} peak {_mib(peak, base)} now {_mib(now, base)}" for stage, peak, now in marks[1:]]
        print(f"{text:<24} {path.name:<18} {library:<10} {'; '.join(stages)}", flush=True)


def _mib(figure: str, base: int) -> str:
    return f"{(int(figure) * 1024 - base) / MIB:.1f}"


def _written(text: str, directory: Path, forms: list[str], python: str) -> list[Path]:
    """The documents in each form, with an id."""
    documents = _documents(text.split("\n"))
    paths = []
    if not forms or "jsonl" in forms:
        paths.append(directory / "rows.jsonl")
        paths[-1].write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
    if not forms or "csv" in forms:
        paths.append(directory / "rows.csv")
        with paths[-1].open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["text"], *([document] for document in documents)])
    if not forms or "parquet" in forms:
        program = "import json, sys, pyarrow as pa, pyarrow.parquet as pq; rows = json.load(sys.stdin)\n"
        program += "pq.write_table(pa.table({'text': rows}), 'rows.parquet', row_group_size=1000)\n"
        program += "pq.write_table(pa.table({'text': rows}), 'one-group.parquet')"
        subprocess.run([python, "-c", program], input=json.dumps(documents), text=True, check=True, cwd=directory)
        paths += [directory / "rows.parquet", directory / "one-group.parquet"]
    return paths


def _documents(lines: list[str]) -> list[str]:
    documents, part, length = [], [], 0
    for line in lines:
        part.append(line)
        length += len(line) + 1
        if length >= 2000:
            documents.append("\n".join(part))
            part, length = [], 0
    return [*documents, "\n".join(part)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
