"""memguard tokenize beside other tools: whole processes with their start, same file, one after the other, in one run.

    python -m tests.bench tokenize speed FILE… [--rounds 3] [--rivals all] [--python PATH] [--cold] [--repeat N]

Memory is the anonymous memory of the whole tree of processes. A tool that is not installed (for the interpreter
--python) is left out, and named. The tokens of every tool that keeps the text whole are compared byte for byte.

--repeat N makes a file of N copies of FILE: text that the engine's cache of words has seen ("warm"). With --cold copy k
has every letter a–z and A–Z moved on by k, so that no word comes twice: as much new text as there can be, which also
takes more tokens, since it is no English any more.
"""

from __future__ import annotations

import argparse
import filecmp
import statistics
import string
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psutil

from memguard.units import format_size
from tests.bench.tokenize._runs import Run, measure, table, vocabulary

__all__ = ["main"]

RIVALS = {
    "gigatoken encode_files": ("gigatoken_files.py", True),
    "nanoGPT-style, tiktoken": ("read_all.py", True),
    "build-nanogpt-style Pool": ("pool_shard.py", False),
    "datasets.map": ("datasets_map.py", False),
    "datatrove DocumentTokenizer": ("datatrove_documents.py", False),
}
FAST = ("gigatoken encode_files",)
NANOGPT = 14  # bytes of memory that the nanoGPT style takes for a byte of English text
_HERE = Path(__file__).parent / "rivals"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench tokenize speed", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3, help="of memguard and gigatoken; the median counts")
    parser.add_argument("--rivals", choices=("all", "fast", "none"), default="all")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the other tools")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--scratch", type=Path, help="a directory with room for the text and the tokens")
    arguments = parser.parse_args(argv)
    code = 0
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        scratch = Path(name)
        environment = vocabulary(scratch)
        for path in arguments.file:
            text = (
                path if arguments.repeat == 1 else _repeated(path, scratch / "text", arguments.repeat, arguments.cold)
            )
            code |= _compare(text, path.name, scratch, environment, arguments)
    return code


def _compare(
    text: Path, name: str, scratch: Path, environment: Mapping[str, str], arguments: argparse.Namespace
) -> int:
    size = text.stat().st_size
    kind = "" if arguments.repeat == 1 else f", {arguments.repeat} times{', every copy new' if arguments.cold else ''}"
    print(f"\n{name}{kind}: {size / 1e6:,.1f} MB")
    tokens = scratch / "ours" / "train.bin"
    ours: dict[int, Run] = {}
    for workers in (1, 2):
        command = [sys.executable, "-m", "memguard", "tokenize", str(text), "-o", str(tokens.parent), "--json"]
        command += ["--val-fraction", "0", "--workers", str(workers)]
        ours[workers] = _median(command, environment, size, arguments.rounds, tokens.parent)
        print(table(f"memguard, {workers} worker{'s' * (workers > 1)}", ours[workers]), flush=True)
        if ours[workers].code:
            return 1
    code = 0
    for rival, (script, whole) in RIVALS.items():
        if arguments.rivals == "none" or (arguments.rivals == "fast" and rival not in FAST):
            continue
        if script == "read_all.py" and NANOGPT * size > psutil.virtual_memory().total / 2:
            print(f"{rival:<34} left out: it would need some {format_size(NANOGPT * size)} of memory")
            continue
        out = scratch / "theirs"
        command = [arguments.python, str(_HERE / script), str(text), str(out)]
        run = _median(command, environment, size, arguments.rounds if rival in FAST else 1, None)
        if "ModuleNotFoundError" in run.stderr:
            print(f"{rival:<34} left out: {run.stderr.strip().splitlines()[-1]}")
            continue
        line = table(rival, run)
        if not run.code:
            line += f"   memguard {run.wall / ours[2].wall:.1f} times as fast"
            if whole:
                same = filecmp.cmp(out, tokens, shallow=False)
                line += ", same tokens" if same else ", OTHER TOKENS"
                code |= not same
        print(line, flush=True)
        _remove(out)
    _remove(tokens.parent)
    return code


def _median(command: list[str], environment: Mapping[str, str], size: int, rounds: int, out: Path | None) -> Run:
    runs = []
    for _ in range(rounds):
        if out is not None:
            _remove(out)
        runs.append(measure(command, environment, size))
        if runs[-1].code:
            return runs[-1]
    middle = statistics.median_low([run.wall for run in runs])
    best = next(run for run in runs if run.wall == middle)
    return Run(size, best.wall, best.cpu, max(run.peak for run in runs), 0, best.stderr)


def _repeated(path: Path, to: Path, times: int, cold: bool) -> Path:
    data, small, large = path.read_bytes(), string.ascii_lowercase, string.ascii_uppercase
    with to.open("wb") as file:
        for number in range(times):
            k = number % 26 if cold else 0
            moved = bytes.maketrans((small + large).encode(), (small[k:] + small[:k] + large[k:] + large[:k]).encode())
            file.write(data.translate(moved) if k else data)
    return to


def _remove(path: Path) -> None:
    import shutil

    for found in [path, *path.parent.glob(f"{path.name}_0*")]:
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink(missing_ok=True)
