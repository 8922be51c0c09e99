"""Predicted against measured: runs each plan's script for real, without any limit, and reads its peak.

    python -m tests.bench estimate                       texts made of pydoc_data.topics, 20 MB each
    python -m tests.bench estimate --size 80MB --text corpus.txt --text other.txt --real-only --plan chunked-list
    python -m tests.bench estimate --keep rows.jsonl --seconds 240     a part of it; go on later with the same command
    python -m tests.bench estimate --libraries           what importing pyarrow, pandas, datasets, torch adds

Every script is run once per text; each prediction is made twice, from a full count of the tokens and from the sample.
Ratios are predicted / measured: VmHWM for one process, anonymous memory of the whole tree for pools. Plans whose
library is missing are skipped with that reason; `--python` names an interpreter that has them. Needs about 90 times
--size of free memory (encode-batch on short lines), and minutes. What `--keep` holds is not measured again, but
predicted again: so a change of the model is judged in a minute.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from memguard.estimate.baseline import Baseline, BaselineProbe, timed_pieces
from memguard.estimate.corpus.inputs import find_inputs
from memguard.estimate.corpus.read import Corpus, Depth, read_corpus
from memguard.estimate.corpus.vocabulary import count_words
from memguard.estimate.model import Speeds, estimate
from memguard.estimate.plans.catalogue import Options, plan_named
from memguard.estimate.plans.costs import LIBRARIES, cached_int_max, read_costs
from memguard.inject import gpt2_files
from memguard.records.estimate import PlanEstimate, WordStats
from memguard.records.limits import Limits
from memguard.units import MIB, parse_size
from tests.bench._estimate_rows import Measurement, Row, TokenRow, append, line, read_measurements, summary
from tests.bench._estimate_runs import POOLS, SHARD_TOKENS, SINGLE, Run, texts, write_source
from tests.bench._peaks import single_peak, tree_peak
from tests.gpt2_cache import GPT2_URLS, fill_cache

PROGRAMS = Path(__file__).parent.parent / "programs"
COUNTED, SAMPLED = Depth(count_limit=1 << 40), Depth(count_limit=0)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements share. `deadline`: on time.monotonic(), after which no script is started."""

    directory: Path
    environment: dict[str, str]
    python: str
    baselines: dict[str, Baseline]
    kept: dict[tuple[str, int, str, int], Measurement]
    keep: Path | None
    repeat: int
    deadline: float


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.libraries:
        return _print_libraries(options.python)
    runs = [run for run in (*SINGLE, *POOLS) if not options.plan or run.plan in options.plan]
    size, rows, tokens = parse_size(options.size), [], []
    with tempfile.TemporaryDirectory(prefix="memguard-bench-") as name:
        directory = Path(name)
        baselines, runs = _baselines(runs, options.python)
        if any(run.program == "plan_hf_map.py" for run in runs) and not _write_tokenizer(directory, options.python):
            print("skipped, tokenizers is not installed: hf-map, hf-group-texts")
            runs = [run for run in runs if run.program != "plan_hf_map.py"]
        runs = _with_modules(runs, options.python)
        bench = Bench(
            directory,
            _offline(directory),
            options.python,
            baselines,
            read_measurements(options.keep),
            options.keep,
            options.repeat,
            time.monotonic() + options.seconds,
        )
        for text, data in texts(size, options.text, not options.real_only):
            for row in _rows(text, size, data, runs, bench):
                rows.append(row)
                print(line(row), flush=True)
            if options.draws:
                tokens.append(_draws(text, data(), options.draws, directory))
    print(summary(rows, tokens))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench estimate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="20MB", help="bytes per text (default: 20MB)")
    parser.add_argument("--text", action="append", default=[], help="a real text, cut to --size; may be repeated")
    parser.add_argument("--real-only", action="store_true", help="the --text files alone")
    parser.add_argument("--plan", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each script (default: 1)")
    parser.add_argument("--draws", type=int, default=20, help="samples of each text for the error of its tokens")
    parser.add_argument("--keep", type=Path, help="a file for what is measured; what it holds is not measured again")
    parser.add_argument("--seconds", type=float, default=1e9, help="start no script after this long")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the scripts (default: this one)")
    parser.add_argument("--libraries", action="store_true", help="only measure what importing the libraries adds")
    return parser


def _offline(directory: Path) -> dict[str, str]:
    """An environment in which plain tiktoken finds GPT-2's files without a network, and datasets asks for none."""
    cache = directory / "vocabulary"
    cache.mkdir()
    fill_cache(cache)
    datasets = {"HF_HOME": str(directory / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    return {**os.environ, **datasets, "TIKTOKEN_CACHE_DIR": str(cache)}


def _write_tokenizer(directory: Path, python: str) -> bool:
    """tokenizer.json of GPT-2's vocabulary, written by the tokenizers of that Python; False where it has none."""
    names = []
    for url in GPT2_URLS:
        if url.endswith(("encoder.json", "vocab.bpe")):
            names.append(directory / url.rpartition("/")[2])
            names[-1].write_bytes(gpt2_files.contents(url) or b"")
    program = "import sys; from tokenizers import ByteLevelBPETokenizer as T; import transformers\n"
    program += "T.from_file(*sys.argv[1:3]).save(sys.argv[3])"
    words = [str(name) for name in sorted(names)] + [str(directory / "tokenizer.json")]
    return subprocess.run([python, "-c", program, *words], stderr=subprocess.DEVNULL).returncode == 0


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


def _with_modules(runs: list[Run], python: str) -> list[Run]:
    """The runs whose scripts find what they import."""
    needed = sorted({run.needs for run in runs if run.needs})
    program = "import sys, importlib.util as u; print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
    done = subprocess.run([python, "-c", program, *needed], capture_output=True, text=True, check=True)
    missing = done.stdout.split()
    for name in missing:
        print(f"skipped, {name} is not installed: {', '.join(run.plan for run in runs if run.needs == name)}")
    return [run for run in runs if run.needs not in missing]


def _rows(text: str, size: int, data: Callable[[], bytes], runs: list[Run], bench: Bench) -> Iterator[Row]:
    sources: dict[str, Path] = {}
    for run in runs:
        for repeat in range(bench.repeat):
            measurement = bench.kept.get((text, size, run.name, repeat))
            if measurement is None and time.monotonic() > bench.deadline:
                continue
            if run.source not in sources:
                sources[run.source] = write_source(run.source, data(), bench.directory)
            path = sources[run.source]
            if measurement is None:
                peak, seconds = _run(run, path, bench)
                measurement = Measurement(text, size, run.name, repeat, peak, seconds)
                if bench.keep is not None:
                    append(bench.keep, measurement)
            counted, sampled = (_predict(run, path, depth, bench.baselines) for depth in (COUNTED, SAMPLED))
            yield Row(measurement, plan_named(run.plan).pool, counted, sampled)
    for path in sources.values():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _run(run: Run, path: Path, bench: Bench) -> tuple[int, float]:
    output = bench.directory / "out"
    output.mkdir()
    if run.program:
        command = [bench.python, str(PROGRAMS / run.program), str(path), str(output)]
        name = str(bench.directory / "tokenizer.json") if run.program == "plan_hf_map.py" else "gpt2"
        named = run.program != "plan_char_list.py" and not run.needs
        command += [*([name] if named else []), *run.arguments]
    else:
        command = [sys.executable, "-m", "memguard", "tokenize", str(path), "-o", str(output), "--overwrite", "-q"]
    try:
        return (tree_peak if plan_named(run.plan).pool else single_peak)(command, bench.environment)
    finally:
        shutil.rmtree(output)


@functools.lru_cache(maxsize=32)
def _corpus(path: str, changed: int, val_fraction: float, depth: Depth) -> Corpus:
    """Read once for all plans; `changed` tells one text from the next under the same name."""
    del changed
    return read_corpus(find_inputs([path]), val_fraction=val_fraction, cached_int_max=cached_int_max(), depth=depth)


@functools.lru_cache(maxsize=32)
def _tiktoken_rate(path: str, changed: int) -> float | None:
    del changed
    with BaselineProbe("gpt2", pieces=timed_pieces(find_inputs([path]))) as probe:
        return probe.result().rate


@functools.lru_cache(maxsize=32)
def _words(path: str, changed: int) -> WordStats:
    del changed
    return count_words([path])


def _predict(run: Run, path: Path, depth: Depth, baselines: dict[str, Baseline]) -> PlanEstimate:
    corpus = _corpus(str(path), path.stat().st_mtime_ns, run.val_fraction, depth)
    plan = plan_named(run.plan)
    stats, baseline = corpus.stats, baselines[plan.library]
    if plan.trains:
        stats = replace(stats, words=_words(str(path), path.stat().st_mtime_ns))
    rate = _tiktoken_rate(str(path), path.stat().st_mtime_ns)
    costs = read_costs(baseline.rss, baseline.peak, anonymous=baseline.anonymous, libraries=baseline.libraries)
    options = replace(Options(shard_tokens=SHARD_TOKENS, cores=os.cpu_count() or 1), **dict(run.options))
    speeds = Speeds(corpus.stream_rate, rate, corpus.engine)
    everything = Limits(1 << 60, "", None, None, None)
    result = estimate(stats, everything, costs, speeds=speeds, options=options)
    return next(plan for plan in result.plans if plan.name == run.plan)


def _draws(text: str, data: bytes, draws: int, directory: Path) -> TokenRow:
    """The text's tokens counted, and from `draws` samples with different seeds."""
    path = write_source("text", data, directory)
    truth = _corpus(str(path), path.stat().st_mtime_ns, 0.0, COUNTED).stats.tokens.expected
    ratios, held = [], 0
    for seed in range(draws):
        stats = _corpus(str(path), path.stat().st_mtime_ns, 0.0, replace(SAMPLED, seed=seed)).stats
        ratios.append(stats.tokens.expected / truth)
        held += stats.tokens.low <= truth <= stats.tokens.high
    path.unlink()
    return TokenRow(text, tuple(ratios), held)
