"""Peak memory, disk and time of every known preparation plan for FILEs on this machine, before anything is started.

Several files count as one text, as for a script that reads them all. The peak is that of the whole process, Python
and its libraries included; the verdict compares it with what this machine, cgroup or --limit allows a new job now.

  memguard estimate train.txt                      text, JSONL, Parquet, packed or not, directories, globs, - for stdin
  memguard estimate --size 45GB --like english     before the file is there: english, multilingual, code, or a FILE
  memguard estimate --corpus openwebtext           a public corpus by its name
  memguard estimate train.txt --ram 64GiB          on another machine
  memguard estimate train.txt --probe prepare.py   measure a script on three small slices of the file

exit codes: 0 done, 1 the answer is no (--check: the plan does not surely fit; --probe: the script does not),
2 usage, 3 a file cannot be read
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING

from memguard.cli.output import note, terminal_width, use_color, write_json, write_text
from memguard.errors import ConfigError
from memguard.units import format_size, parse_size

if TYPE_CHECKING:
    from memguard.estimate.plans.catalogue import Options
    from memguard.records.estimate import Estimate
    from memguard.records.limits import Limits
    from memguard.script.trace import Trace

__all__ = ["add_arguments", "main"]

# The names of estimate/plans/catalogue.py and estimate/whatif.py, here too so that --help does not import numpy; tests
# hold them together.
PLANS = (
    "read-all",
    "chunked-list",
    "sharded-list",
    "line-list",
    "int64-list",
    "list-of-lists",
    "list-of-arrays",
    "np-append",
    "array-module",
    "preallocated",
    "chunk-stream",
    "char-list",
    "encode-batch",
    "torch-tensor",
    "tolist-shard",
    "jsonl-list",
    "parquet-list",
    "iter-batches",
    "from-dict-map",
    "datasets-map",
    "pool-files",
    "pool-shard",
    "stream",
)
LIKENESSES = ("english", "multilingual", "code")
CORPORA = ("fineweb-edu-10BT", "fineweb-edu-100BT", "openwebtext", "tinystories")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="text, JSONL, Parquet, a directory, a glob, -")
    parser.add_argument(
        "--script", metavar="SCRIPT", help="read the plan out of SCRIPT (nothing is run); FILEs are what it would get"
    )
    parser.add_argument("--encoding", default="gpt2", metavar="NAME", help="tiktoken's name of it (default: gpt2)")
    parser.add_argument("--text-field", default="text", metavar="NAME", help="of JSONL records, or the Parquet column")
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--exact", action="store_true", help="read and count everything, however large")
    depth.add_argument("--sample", action="store_true", help="count no tokens: sample (default: above 128 MiB)")

    what_if = parser.add_argument_group("what if")
    what_if.add_argument("--size", metavar="SIZE", help="of a text that is not here, such as 45GB; with --like")
    what_if.add_argument("--like", metavar="KIND|FILE", help=f"{', '.join(LIKENESSES)}, or a part of the text")
    what_if.add_argument("--corpus", choices=CORPORA, metavar="NAME", help=f"one of {', '.join(CORPORA)}")
    what_if.add_argument("--ram", metavar="SIZE", help="on a machine with this much memory, and nothing else running")
    what_if.add_argument(
        "--limit", metavar="SIZE", help="what the job may use, such as 8GiB or 50%% (default: what is free here)"
    )
    what_if.add_argument("--reserve", metavar="SIZE", help="leave this much of the machine's memory to others")

    plans = parser.add_argument_group("plans")
    plans.add_argument("--all", action="store_true", help="show every plan, not only the usual ones")
    plans.add_argument("--check", choices=PLANS, metavar="PLAN", help=f"exit 1 unless PLAN fits: {', '.join(PLANS)}")
    plans.add_argument(
        "--val-fraction",
        type=float,
        default=0.1,
        metavar="F",
        help="read-all slices off this share of the text for val.bin; 0: no slices (default: 0.1)",
    )
    plans.add_argument(
        "--workers", default="auto", metavar="N", help="of plans with a pool; auto: as many as fit (default)"
    )
    plans.add_argument("--chunk-chars", type=int, default=1_000_000, metavar="N", help="default: %(default)s")
    plans.add_argument("--shard-tokens", type=int, default=100_000_000, metavar="N", help="default: %(default)s")
    plans.add_argument("--batch-rows", type=int, default=65_536, metavar="N", help="of iter-batches (%(default)s)")

    measured = parser.add_argument_group("measured")
    measured.add_argument(
        "--probe",
        metavar="SCRIPT",
        help="run SCRIPT with FILE as its argument on three growing slices, under the guard, and extrapolate",
    )
    measured.add_argument(
        "--probe-args",
        metavar="ARGS",
        help="SCRIPT's arguments, {} in the place of the file (default: the file's path alone)",
    )
    measured.add_argument("--history", action="store_true", help="guarded runs so far: predicted against measured")
    parser.add_argument("--json", action="store_true", help="print the estimate as JSON")


def main(arguments: argparse.Namespace) -> int:
    script = None
    if arguments.script and not arguments.history:
        from memguard.cli.estimate_script import prepare, show

        script = prepare(arguments)
    _check_arguments(arguments)
    # First of all: what this process takes from here on is not what the job will find taken.
    limits, machine = _read_limits(arguments)
    if arguments.history:
        return _show_history(arguments)
    if arguments.probe:
        return _probe(arguments, limits)
    result = _estimate(arguments, limits, machine, script)
    if script is not None:
        return show(result, limits, json=arguments.json, every=arguments.all)
    if not arguments.size and not arguments.corpus and arguments.files and not machine:
        _remember(result)
    if arguments.json:
        write_json(result)
    else:
        from memguard.report.estimate import render

        width, color = terminal_width(sys.stdout), use_color(sys.stdout)
        every = arguments.all or bool(arguments.check)
        write_text(render(result, width=width, color=color, every=every))
    return _exit_code(result, arguments.check)


def _check_arguments(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.val_fraction < 1:
        raise ConfigError(
            f"--val-fraction must be at least 0 and below 1: {arguments.val_fraction}", "0.1 is a tenth of the text"
        )
    for name in ("chunk_chars", "shard_tokens", "batch_rows"):
        if getattr(arguments, name) < 1:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least 1: {getattr(arguments, name)}")
    if arguments.history:
        return
    sources = [bool(arguments.files), bool(arguments.size or arguments.like), bool(arguments.corpus)]
    if sum(sources) > 1:
        raise ConfigError("name either files, or --size with --like, or --corpus")
    if not any(sources):
        hint = "memguard estimate FILE, or --size 45GB --like english, or --corpus openwebtext"
        raise ConfigError("what shall be estimated?", hint)
    if arguments.like and not arguments.size:
        raise ConfigError("--like needs --size", f"memguard estimate --size 45GB --like {arguments.like}")
    if arguments.size and not arguments.like:
        raise ConfigError(
            "--size needs --like: bytes a token differ by a factor of two between texts",
            f"--like {', --like '.join(LIKENESSES)}, or --like FILE with a part of the text",
        )


def _read_limits(arguments: argparse.Namespace) -> tuple[Limits, str]:
    """What a new job may use, and whose machine that is: empty for this one."""
    from memguard.system.limits import default_reserve, read_limits
    from memguard.system.proc import read_meminfo

    meminfo = read_meminfo()
    total = meminfo.total if meminfo else None
    if arguments.ram is not None:
        total = parse_size(arguments.ram)
    limit = None if arguments.limit is None else parse_size(arguments.limit, total=total)
    text = arguments.reserve
    reserve = None if text is None else 0 if text.strip() == "0" else parse_size(text, total=total)
    if arguments.ram is not None:
        from memguard.estimate.whatif import another_machine

        assert total is not None
        kept = default_reserve(total) if reserve is None else reserve
        return another_machine(total, limit=limit, reserve=kept), f"a machine with {format_size(total)}"
    return read_limits(limit=limit, reserve=reserve), ""


def _options(arguments: argparse.Namespace, limits: Limits, engine: str) -> Options:
    from memguard.estimate.model import stream_memory
    from memguard.estimate.plans.catalogue import Options
    from memguard.estimate.plans.quantities import AUTO_WORKERS

    cores = os.cpu_count() or 1
    workers = AUTO_WORKERS
    if arguments.workers != "auto":
        try:
            workers = int(arguments.workers)
        except ValueError:
            workers = 0
        if not 1 <= workers <= 4096:
            raise ConfigError(f"--workers must be a number, or auto: {arguments.workers}", f"this machine has {cores}")
    return Options(
        chunk_chars=arguments.chunk_chars,
        shard_tokens=arguments.shard_tokens,
        batch_rows=arguments.batch_rows,
        workers=workers,
        cores=cores,
        stream_memory=stream_memory(limits.effective, engine),
    )


def _estimate(arguments: argparse.Namespace, limits: Limits, machine: str, script: Trace | None = None) -> Estimate:
    from memguard.estimate.baseline import BaselineProbe, timed_pieces
    from memguard.tokens.engine.encode import load_vocabulary

    _options(arguments, limits, "gigatoken")  # nonsense is told before any work
    if arguments.files:
        from memguard.estimate.corpus.inputs import find_inputs

        # Twice is cheap, and a missing file is told at once; stdin is not touched by it.
        find_inputs(arguments.files)
    load_vocabulary(arguments.encoding)  # before the child asks for it: an unknown one is told at once
    library = _library(arguments, script)
    pieces = timed_pieces(arguments.files or _like_file(arguments))
    with BaselineProbe(arguments.encoding, library=library, pieces=pieces) as probe:
        # The child is what takes longest: numpy is imported while it starts.
        from memguard.cli.estimate_input import read_input
        from memguard.estimate.model import Speeds, estimate
        from memguard.estimate.plans.costs import read_costs

        corpus = read_input(arguments, limits)
        baseline = probe.result()
    costs = read_costs(
        baseline.rss,
        baseline.peak,
        anonymous=baseline.anonymous,
        libraries=baseline.libraries,
        measured=baseline.measured,
    )
    speeds = Speeds(stream=corpus.stream_rate, tiktoken=baseline.rate, engine=corpus.engine)
    notes = list(corpus.notes)
    if not baseline.measured:
        notes.append("Python's own memory could not be measured here: 54 MiB assumed")
    options = _options(arguments, limits, corpus.engine)
    result = estimate(
        corpus.stats,
        limits,
        costs,
        speeds=speeds,
        options=options,
        notes=notes,
        machine=machine,
        words=arguments.files or ["FILE"],
        text_field=arguments.text_field,
    )
    if script is not None:
        from memguard.cli.estimate_script import report_on

        return report_on(script, arguments, result, limits, costs)
    return result if machine or not arguments.files else _with_disk_note(result)


def _like_file(arguments: argparse.Namespace) -> list[str]:
    """The FILE of `--like FILE`."""
    from memguard.estimate.whatif import LIKENESSES

    return [arguments.like] if arguments.like and arguments.like not in LIKENESSES else []


def _library(arguments: argparse.Namespace, script: Trace | None) -> str:
    """The one whose weight decides the plan that is asked about; the others keep the figures measured elsewhere."""
    if script is not None:
        from memguard.estimate.script.report import heaviest_library

        return heaviest_library(script)
    if not arguments.check:
        return ""
    from memguard.estimate.plans.catalogue import plan_named

    return plan_named(arguments.check).library


def _with_disk_note(result: Estimate) -> Estimate:
    """Says so when the recommended plan's output does not fit on the disk of the current directory."""
    import dataclasses
    import shutil

    plan = next(plan for plan in result.plans if plan.name == result.recommended)
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(".").free
        if free < plan.disk:
            note = f"the output needs {format_size(plan.disk)} of disk, but only {format_size(free)} is free here"
            return dataclasses.replace(result, notes=(*result.notes, note))
    return result


def _exit_code(result: Estimate, check: str | None) -> int:
    if check is None:
        return 0
    verdict = next(plan.verdict for plan in result.plans if plan.name == check)
    return 0 if verdict == "fits" else 1


def _remember(result: Estimate) -> None:
    """Keeps the figures for --history; where that cannot be written, nothing is lost but the comparison."""
    from memguard.estimate.history import remember

    with contextlib.suppress(OSError):
        remember(result)


def _show_history(arguments: argparse.Namespace) -> int:
    from memguard.estimate.history import read_history

    history = read_history()
    if arguments.json:
        write_json(history)
    else:
        from memguard.report.estimate_history import render

        write_text(render(history, width=terminal_width(sys.stdout), color=use_color(sys.stdout)))
    return 0


def _probe(arguments: argparse.Namespace, limits: Limits) -> int:
    from memguard.estimate.probe.run import probe

    if len(arguments.files) != 1:
        raise ConfigError("--probe needs one FILE, which SCRIPT reads", "memguard estimate train.txt --probe SCRIPT")

    def notify(line: str) -> None:
        note(f"memguard: {line}")

    result = probe(arguments.probe, arguments.files[0], limits, template=arguments.probe_args, notify=notify)
    if arguments.json:
        write_json(result)
    else:
        from memguard.report.estimate_probe import render

        write_text(render(result, limits, width=terminal_width(sys.stdout), color=use_color(sys.stdout)))
    return 0 if result.verdict == "fits" else 1
