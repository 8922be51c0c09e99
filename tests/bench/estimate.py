"""Predicted against measured: runs each plan's script for real, without any limit, and reads its peak.

    python -m tests.bench estimate                       texts made of pydoc_data.topics, 20 MB each
    python -m tests.bench estimate --size 80MB --text corpus.txt --text other.txt --real-only --plan chunked-list
    python -m tests.bench estimate --libraries           what importing pyarrow, pandas, datasets, torch adds

Every script is run once per text; each prediction is made twice, from a full count of the tokens and from the sample.
Ratios are predicted / measured: VmHWM for one process, anonymous memory of the whole tree for pools. Plans whose
library is missing are skipped with that reason; `--python` names an interpreter that has them. Needs about 90 times
--size of free memory (encode-batch on short lines), and minutes.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from memguard.estimate.baseline import Baseline, BaselineProbe
from memguard.estimate.corpus import Corpus, Depth, read_corpus
from memguard.estimate.costs import LIBRARIES, cached_int_max, read_costs
from memguard.estimate.model import Speeds, estimate
from memguard.estimate.plans import Options, plan_named
from memguard.inject import gpt2_files
from memguard.records.estimate import PlanEstimate
from memguard.records.limits import Limits
from memguard.units import MIB, format_size, parse_size
from tests.bench._peaks import single_peak, tree_peak

PROGRAMS = Path(__file__).parent.parent / "programs"
SHARD_TOKENS = 2_000_000  # so that a shard is smaller than the text
COUNTED, SAMPLED = Depth(count_limit=1 << 40), Depth(count_limit=0)
FILES = 8  # of pool-files


@dataclass(frozen=True, slots=True)
class Run:
    """One script: the plan it is, its input (text, documents, jsonl, parquet, files), its arguments behind gpt2."""

    plan: str
    program: str
    arguments: tuple[str, ...] = ()
    source: str = "text"
    label: str = ""
    val_fraction: float = 0.0
    options: tuple[tuple[str, int], ...] = ()


SINGLE = (
    Run("read-all", "plan_read_all.py", ("0.1",), val_fraction=0.1),
    Run("read-all", "plan_read_all.py", ("0",), label="no slices"),
    Run("chunked-list", "plan_chunked_list.py"),
    Run("sharded-list", "plan_sharded_list.py", (str(SHARD_TOKENS),)),
    Run("line-list", "plan_line_list.py"),
    Run("int64-list", "plan_int64_list.py"),
    Run("list-of-lists", "plan_list_of_lists.py"),
    Run("list-of-arrays", "plan_list_of_arrays.py"),
    Run("np-append", "plan_np_append.py"),
    Run("array-module", "plan_array_module.py"),
    Run("preallocated", "plan_preallocated.py"),
    Run("chunk-stream", "plan_chunk_stream.py"),
    Run("char-list", "plan_char_list.py", val_fraction=0.1),
    Run("encode-batch", "plan_encode_batch.py"),
    Run("torch-tensor", "plan_torch_tensor.py"),
    Run("tolist-shard", "plan_tolist_shard.py", (str(SHARD_TOKENS),)),
    Run("jsonl-list", "plan_jsonl_list.py", source="jsonl"),
    Run("parquet-list", "plan_parquet_list.py", ("pandas",), source="parquet", label="pandas"),
    Run("parquet-list", "plan_parquet_list.py", ("pyarrow",), source="parquet", label="pyarrow"),
    Run("iter-batches", "plan_iter_batches.py", ("1000",), source="parquet", options=(("batch_rows", 1000),)),
    Run("stream", ""),
)
POOLS = tuple(
    Run(plan, program, (str(workers), *more), source, f"{workers} workers", options=(("workers", workers),))
    for plan, program, source, more in (
        ("from-dict-map", "plan_from_dict_map.py", "documents", ()),
        ("datasets-map", "plan_datasets_map.py", "documents", ()),
        ("pool-files", "plan_pool_files.py", "files", ()),
        ("pool-shard", "plan_pool_shard.py", "documents", (str(SHARD_TOKENS),)),
    )
    for workers in (1, 2, 4)
)


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    plan: str
    pool: bool
    measured: int
    seconds: float
    counted: PlanEstimate
    sampled: PlanEstimate

    @property
    def inside(self) -> bool:
        return self.sampled.peak.low <= self.measured <= self.sampled.peak.high


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench estimate", description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="20MB", help="bytes per text (default: 20MB)")
    parser.add_argument("--text", action="append", default=[], help="a real text, cut to --size; may be repeated")
    parser.add_argument("--real-only", action="store_true", help="the --text files alone")
    parser.add_argument("--plan", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the scripts (default: this one)")
    parser.add_argument("--libraries", action="store_true", help="only measure what importing the libraries adds")
    options = parser.parse_args(arguments)
    if options.libraries:
        return _print_libraries(options.python)
    runs = [run for run in (*SINGLE, *POOLS) if not options.plan or run.plan in options.plan]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="memguard-bench-") as name:
        directory = Path(name)
        environment = _offline(directory)
        baselines, runs = _baselines(runs, options.python)
        for text, data in _texts(parse_size(options.size), options.text, not options.real_only):
            for row in _measure(text, data, runs, baselines, directory, environment, options.python):
                rows.append(row)
                print(_line(row), flush=True)
    print(_summary(rows))
    return 0


def _offline(directory: Path) -> dict[str, str]:
    """An environment in which plain tiktoken finds GPT-2's files without a network, and datasets asks for none."""
    cache = directory / "vocabulary"
    cache.mkdir()
    for url in gpt2_files.URLS:
        contents = gpt2_files.contents(url)
        assert contents is not None
        (cache / hashlib.sha1(url.encode()).hexdigest()).write_bytes(contents)
    datasets = {"HF_HOME": str(directory / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    return {**os.environ, **datasets, "TIKTOKEN_CACHE_DIR": str(cache)}


def _print_libraries(python: str) -> int:
    for library in LIBRARIES:
        found = _baseline(library, python).libraries.get(library)
        if found is None:
            print(f"{library:<10} not installed")
        else:
            print(f"{library:<10} rss + {found.rss / MIB:6.1f} MiB, anonymous + {found.anonymous / MIB:6.1f} MiB")
    return 0


def _baseline(library: str, python: str) -> Baseline:
    with BaselineProbe("gpt2", python, library) as probe:
        return probe.result()


def _baselines(runs: list[Run], python: str) -> tuple[dict[str, Baseline], list[Run]]:
    """The baseline with each library, and the runs that have theirs."""
    needed = {plan_named(run.plan).library for run in runs}
    found = {library: _baseline(library, python) for library in needed}
    missing = {library for library, baseline in found.items() if library and library not in baseline.libraries}
    for library in sorted(missing):
        names = sorted({run.plan for run in runs if plan_named(run.plan).library == library})
        print(f"skipped, {library} is not installed: {', '.join(names)}")
    return found, [run for run in runs if plan_named(run.plan).library not in missing]


def _texts(size: int, files: list[str], made: bool) -> Iterator[tuple[str, bytes]]:
    yield from itertools.chain(_made(size) if made else (), _real(size, files))


def _real(size: int, files: list[str]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        with open(file, "rb") as source:
            data = source.read(size)
        yield Path(file).name, data.decode("utf-8", "ignore").encode()


def _made(size: int) -> Iterator[tuple[str, bytes]]:
    from pydoc_data.topics import topics

    once = "\n".join(topics.values()).encode("ascii", "ignore")
    plain = (once * (size // len(once) + 1))[:size]
    half = size // 2
    yield "ASCII", plain
    yield "ASCII, emoji at the end", plain + "😀".encode()
    yield "ASCII, č at the end", plain + "č".encode()
    yield "ASCII, CRLF", plain.replace(b"\n", b"\r\n")[:size]
    # Lines of 4 to 30 characters: without any place to cut, one piece of megabytes would be another question.
    han = "".join(chr(0x4E00 + (i * 7919) % 20000) + "，。\n"[i % 3] * (i % 17 == 0) for i in range(20000)).encode()
    yield "English, then Han", plain[:half] + (han * (half // len(han) + 1))[:half].decode("utf-8", "ignore").encode()


def _measure(
    text: str,
    data: bytes,
    runs: list[Run],
    baselines: dict[str, Baseline],
    directory: Path,
    environment: dict[str, str],
    python: str,
) -> Iterator[Row]:
    sources: dict[str, Path] = {}
    for run in runs:
        if run.source not in sources:
            sources[run.source] = _write(run.source, data, directory)
        path = sources[run.source]
        counted, sampled = (_predict(run, path, depth, baselines) for depth in (COUNTED, SAMPLED))
        output = directory / "out"
        output.mkdir()
        if run.program:
            command = [python, str(PROGRAMS / run.program), str(path), str(output)]
            command += [] if run.program == "plan_char_list.py" else ["gpt2", *run.arguments]
        else:
            command = [sys.executable, "-m", "memguard", "tokenize", str(path), "-o", str(output), "--overwrite", "-q"]
        pool = plan_named(run.plan).pool
        measured, seconds = (tree_peak if pool else single_peak)(command, environment)
        shutil.rmtree(output)
        yield Row(text, f"{run.plan} {run.label}".strip(), pool, measured, seconds, counted, sampled)
    for path in sources.values():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write(source: str, data: bytes, directory: Path) -> Path:
    """The text as the scripts want it: whole, a document of some 4 KB a line, JSON lines, a Parquet column, files."""
    path = directory / {"jsonl": "lines.jsonl", "parquet": "rows.parquet"}.get(source, f"{source}.txt")
    lines = data.decode().splitlines(keepends=True)
    if source == "text":
        path.write_bytes(data)
    elif source == "documents":
        path.write_text("\n".join(_joined(lines, 4000)) + "\n", encoding="utf-8")
    elif source == "jsonl":
        path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    elif source == "parquet":
        program = "import sys, json, pyarrow, pyarrow.parquet as p; p.write_table(pyarrow.table("
        program += "{'text': json.load(sys.stdin)}), sys.argv[1])"
        subprocess.run([sys.executable, "-c", program, str(path)], input=json.dumps(lines), text=True, check=True)
    else:
        path = directory / "files"
        path.mkdir()
        for index in range(FILES):
            part = lines[len(lines) * index // FILES : len(lines) * (index + 1) // FILES]
            (path / f"{index}.txt").write_text("".join(part), encoding="utf-8", newline="")
    return path


def _joined(lines: list[str], chars: int) -> Iterator[str]:
    document: list[str] = []
    length = 0
    for line in lines:
        document.append(" ".join(line.split()))
        length += len(line)
        if length >= chars:
            yield " ".join(document)
            document, length = [], 0
    if document:
        yield " ".join(document)


@functools.lru_cache(maxsize=16)
def _corpus(path: str, changed: int, val_fraction: float, depth: Depth) -> Corpus:
    """Read once for all plans; `changed` tells one text from the next under the same name."""
    del changed
    return read_corpus([path], val_fraction=val_fraction, cached_int_max=cached_int_max(), depth=depth)


def _predict(run: Run, path: Path, depth: Depth, baselines: dict[str, Baseline]) -> PlanEstimate:
    corpus = _corpus(str(path), path.stat().st_mtime_ns, run.val_fraction, depth)
    baseline = baselines[plan_named(run.plan).library]
    costs = read_costs(baseline.rss, baseline.peak, anonymous=baseline.anonymous, libraries=baseline.libraries)
    options = replace(Options(shard_tokens=SHARD_TOKENS, cores=os.cpu_count() or 1), **dict(run.options))
    speeds = Speeds(corpus.stream_rate, corpus.tiktoken_rate, corpus.engine)
    everything = Limits(1 << 60, "", None, None, None)
    result = estimate(corpus.stats, everything, costs, speeds=speeds, options=options)
    return next(plan for plan in result.plans if plan.name == run.plan)


def _line(row: Row) -> str:
    counted, sampled = (plan.peak.expected / row.measured for plan in (row.counted, row.sampled))
    return (
        f"{row.text[:24]:<24}  {row.plan:<24}  measured {format_size(row.measured):>8}"
        f"  counted {counted:6.3f}  sampled {sampled:6.3f}  {'inside' if row.inside else 'OUTSIDE':<7}"
        f"  {row.seconds:5.1f} s"
    )


def _errors(rows: list[Row], how: str) -> str:
    values = sorted(abs(getattr(row, how).peak.expected / row.measured - 1) for row in rows)
    if not values:
        return "none"
    figures = (
        ("median", statistics.median(values)),
        ("p95", values[min(len(values) - 1, int(0.95 * len(values)))]),
        ("worst", values[-1]),
    )
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in figures) + f"  ({len(values)} runs)"


def _summary(rows: list[Row]) -> str:
    scripts = [row for row in rows if not row.plan.startswith("stream")]  # stream has a budget, not a formula
    large = [row for row in scripts if row.measured >= 200e6]
    lines = ["", "error of the expected peak, peaks of at least 200 MB:"]
    for title, pool in (("one process", False), ("several", True)):
        for how in ("counted", "sampled"):
            lines.append(f"  {title}, {how}: {_errors([row for row in large if row.pool is pool], how)}")
    lines.append(f"  smaller peaks, counted: {_errors([row for row in scripts if row not in large], 'counted')}")
    inside = sum(row.inside for row in rows)
    lines.append(f"measured peak inside [low, high] of the sampled estimate: {inside} of {len(rows)}")
    return "\n".join(lines)
