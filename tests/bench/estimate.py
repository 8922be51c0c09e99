"""Predicted against measured: runs each plan's script for real, without any limit, and reads its peak (VmHWM).

    python -m tests.bench estimate                       texts made of pydoc_data.topics, 20 MB each
    python -m tests.bench estimate --size 100MB --text corpus.txt --text other.txt

Every script is run once per text; each prediction is made twice, from a full count of the tokens and from the sample.
Ratios are predicted / measured. Needs about 20 times --size of free memory, and minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from memguard.estimate.baseline import BaselineProbe
from memguard.estimate.corpus import read_corpus
from memguard.estimate.costs import cached_int_max, read_costs
from memguard.estimate.model import Speeds, estimate
from memguard.estimate.plans import Options
from memguard.inject import gpt2_files
from memguard.records.estimate import PlanEstimate
from memguard.records.limits import Limits
from memguard.units import format_size, parse_size

PROGRAMS = Path(__file__).parent.parent / "programs"
SHARD_TOKENS = 2_000_000  # so that a shard is smaller than the text

# A bare Python starts the script: the peak that the kernel reports for a child begins with its parent's at the fork.
LAUNCHER = """\
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

# plan, its val_fraction, the script and its arguments behind INPUT OUTPUT
RUNS = (
    ("read-all", 0.1, "plan_read_all.py", ("gpt2", "0.1")),
    ("read-all", 0.0, "plan_read_all.py", ("gpt2", "0")),
    ("chunked-list", 0.1, "plan_chunked_list.py", ("gpt2",)),
    ("sharded-list", 0.1, "plan_sharded_list.py", ("gpt2", str(SHARD_TOKENS))),
    ("stream", 0.1, "", ()),
)


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    plan: str
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
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory(prefix="memguard-bench-") as directory:
        environment = _offline_vocabulary(Path(directory))
        for name, path in _texts(Path(directory), parse_size(options.size), options.text, not options.real_only):
            for row in _measure(name, path, Path(directory), environment):
                rows.append(row)
                print(_line(row), flush=True)
            path.unlink()
    print(_summary(rows))
    return 0


def _offline_vocabulary(directory: Path) -> dict[str, str]:
    """An environment in which plain tiktoken finds GPT-2's files without a network."""
    cache = directory / "vocabulary"
    cache.mkdir()
    for url in gpt2_files.URLS:
        contents = gpt2_files.contents(url)
        assert contents is not None
        (cache / hashlib.sha1(url.encode()).hexdigest()).write_bytes(contents)
    return {**os.environ, "TIKTOKEN_CACHE_DIR": str(cache)}


def _texts(directory: Path, size: int, files: list[str], made: bool) -> Iterator[tuple[str, Path]]:
    """The texts, one at a time on the disk."""
    for name, data in itertools.chain(_made(size) if made else (), _real(size, files)):
        path = directory / "text.txt"
        path.write_bytes(data)
        yield name, path


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
    yield "ASCII, é early, 中 late", plain[:half] + "é".encode() + plain[half:] + "中".encode()
    yield "ASCII, CRLF", plain.replace(b"\n", b"\r\n")[:size]
    # Lines of 4 to 30 characters: without any place to cut, one piece of megabytes would be another question.
    han = "".join(chr(0x4E00 + (i * 7919) % 20000) + "，。\n"[i % 3] * (i % 17 == 0) for i in range(20000)).encode()
    yield "English, then Han", plain[:half] + (han * (half // len(han) + 1))[:half].decode("utf-8", "ignore").encode()


def _measure(name: str, path: Path, directory: Path, environment: dict[str, str]) -> Iterator[Row]:
    with BaselineProbe("gpt2") as probe:
        baseline = probe.result()
    costs = read_costs(baseline.rss, baseline.peak)
    limits = Limits(1 << 60, "", None, None, None)
    options = Options(shard_tokens=SHARD_TOKENS)
    predictions = {}
    for fraction in (0.1, 0.0):
        for limit in (1 << 40, 0):
            corpus = read_corpus([str(path)], val_fraction=fraction, cached_int_max=cached_int_max(), count_limit=limit)
            speeds = Speeds(corpus.stream_rate, corpus.tiktoken_rate, corpus.engine)
            result = estimate(corpus.stats, limits, costs, speeds=speeds, options=options)
            for plan in result.plans:
                predictions[fraction, limit > 0, plan.name] = plan
    for plan_name, fraction, program, extra in RUNS:
        output = directory / "out"
        output.mkdir(exist_ok=True)
        if program:
            command = [sys.executable, str(PROGRAMS / program), str(path), str(output), *extra]
        else:
            command = [sys.executable, "-m", "memguard", "tokenize", str(path), "-o", str(output), "--overwrite", "-q"]
        measured, seconds = _run(command, environment)
        for file in output.iterdir():
            file.unlink()
        label = plan_name if fraction else f"{plan_name}, no slices"
        counted, sampled = (predictions[fraction, exact, plan_name] for exact in (True, False))
        yield Row(name, label, measured, seconds, counted, sampled)


def _run(command: list[str], environment: dict[str, str]) -> tuple[int, float]:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command], env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    code, peak = done.stdout.split()
    if code != "0":
        raise RuntimeError(f"exit code {code}: {command}")
    return int(peak) * 1024, time.perf_counter() - started


def _line(row: Row) -> str:
    counted, sampled = (plan.peak.expected / row.measured for plan in (row.counted, row.sampled))
    seconds = (row.sampled.seconds or 0.0) / row.seconds
    return (
        f"{row.text[:24]:<24}  {row.plan:<20}  measured {format_size(row.measured):>8}"
        f"  counted {counted:6.3f}  sampled {sampled:6.3f}  {'inside' if row.inside else 'OUTSIDE':<7}"
        f"  {row.seconds:5.1f} s  time {seconds:5.2f}"
    )


def _summary(rows: list[Row]) -> str:
    scripts = [row for row in rows if row.plan != "stream"]
    errors = {
        "counted": sorted(abs(row.counted.peak.expected / row.measured - 1) for row in scripts),
        "sampled": sorted(abs(row.sampled.peak.expected / row.measured - 1) for row in scripts),
    }
    lines = ["", "the scripts (stream has a budget, not a formula):"]
    for how, values in errors.items():
        worst, p95 = values[-1], values[int(0.95 * (len(values) - 1))]
        figures = [
            f"{name} {100 * value:.1f} %"
            for name, value in (("median", statistics.median(values)), ("p95", p95), ("worst", worst))
        ]
        lines.append(f"  {how}: error {', '.join(figures)}")
    inside = sum(row.inside for row in rows)
    lines.append(f"measured peak inside [low, high] of the sampled estimate: {inside} of {len(rows)}")
    ratios = [(row.sampled.seconds or 0.0) / row.seconds for row in scripts]
    lines.append(f"time, predicted / measured: median {statistics.median(ratios):.2f}")
    return "\n".join(lines)
