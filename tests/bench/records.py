"""Records of several fields: what a real run takes, beside what the estimate says of it.

    python -m tests.bench records --python PYTHON           every file, every program
    python -m tests.bench records --python PYTHON --library pandas --records 20000

Each line is one file and one program: the peak of a fresh process, in MiB, the estimate's band and expected peak, and
their ratio. The files differ in the number of fields, their lengths, their letters and how they nest; the texts are
made of pydoc_data.topics. The constants of pandas' JSON lines in estimate/script/tables.py come from such files; what
dicts, keys and strs take is counted on a sample of the file, not fitted.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import memguard
from memguard.units import MIB

_WORDS = " ".join(topics.values()).split()
_MEASURED = """\
import runpy, sys
runpy.run_path(sys.argv[1], run_name="__main__")
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""


def _text(draw: random.Random, size: int, letters: str = "") -> str:
    if letters:
        return "".join(draw.choice(letters) for _ in range(size))
    return " ".join(draw.choice(_WORDS) for _ in range(max(1, size // 6)))


def _pairs(draw: random.Random) -> dict[str, Any]:
    return {"id": draw.random(), "question": _text(draw, 80), "answer": _text(draw, 400), "source": "wiki"}


def _chats(draw: random.Random) -> dict[str, Any]:
    turns = [{"role": "user", "content": _text(draw, draw.randrange(60, 300))} for _ in range(draw.randrange(2, 6))]
    return {"id": "x", "messages": turns}


def _wide(draw: random.Random) -> dict[str, Any]:
    letters = "".join(map(chr, range(0x4E00, 0x4F00)))
    return {"title": _text(draw, 20, letters), "content": _text(draw, 500, letters)}


def _short(draw: random.Random) -> dict[str, Any]:
    return {"level": "info", "host": "a", "message": _text(draw, 60), "user": draw.randrange(9**6), "ms": draw.random()}


_RECORDS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "pairs": _pairs,
    "chats": _chats,
    "wide": _wide,
    "short": _short,
}
_LONGEST = {"pairs": "answer", "chats": "messages", "wide": "content", "short": "message"}
_LINES = "import json\nrows = [json.loads(line) for line in open('rows.jsonl')]\n"
_PROGRAMS = {
    "records": ("", "rows.jsonl", _LINES),
    "field": ("", "rows.jsonl", _LINES + "kept = [row['{name}'] for row in rows]\ndel rows\ntext = str(len(kept))\n"),
    "array": (
        "",
        "rows.json",
        "import json\nrows = json.load(open('rows.json'))\nkept = [r['{name}'] for r in rows]\n",
    ),
    "csv": ("", "rows.csv", "import csv\nrows = list(csv.DictReader(open('rows.csv', newline='')))\n"),
    "pandas json": ("pandas", "rows.jsonl", "import pandas\nframe = pandas.read_json('rows.jsonl', lines=True)\n"),
    "pandas csv": ("pandas", "rows.csv", "import pandas\nframe = pandas.read_csv('rows.csv')\n"),
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench records", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter of the programs (default: this one)")
    parser.add_argument("--records", type=int, default=30_000, help="of each file (default: 30,000)")
    parser.add_argument("--library", choices=("pandas",), help="its programs alone")
    options = parser.parse_args(arguments)
    for kind, make in _RECORDS.items():
        draw = random.Random(kind)
        with tempfile.TemporaryDirectory(prefix="memguard-bench-") as directory:
            _write(Path(directory), [make(draw) for _ in range(options.records)])
            for line in _measured(Path(directory), kind, options):
                print(line, flush=True)
    return 0


def _write(directory: Path, rows: list[dict[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (directory / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (directory / "rows.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    with (directory / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _measured(directory: Path, kind: str, options: argparse.Namespace) -> Iterator[str]:
    for name, (library, file, program) in _PROGRAMS.items():
        if options.library not in (None, library) or (kind == "chats" and "csv" in name):
            continue
        script = directory / "program.py"
        script.write_text(program.replace("{name}", _LONGEST[kind]), encoding="utf-8")
        command = [options.python, "-c", _MEASURED, str(script)]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, preexec_fn=_capped)
        if done.returncode:
            yield f"{kind:<8} {name:<12} skipped: {(done.stderr.strip().splitlines() or ['no reason given'])[-1][:80]}"
            continue
        here = os.getcwd()
        os.chdir(directory)
        peak = memguard.estimate(file, script=str(script)).script.plan.peak  # type: ignore[attr-defined]
        os.chdir(here)
        real = int(done.stdout.split()[-1]) * 1024
        band = f"{peak.low / MIB:.0f} to {peak.high / MIB:.0f}, expected {peak.expected / MIB:.0f}"
        yield f"{kind:<8} {name:<12} measured {real / MIB:6.1f}  estimate {band}  ratio {peak.expected / real:.2f}"


def _capped() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
