"""Peak memory, disk and time of every known preparation plan for FILEs on this machine, before anything is started.

Several files count as one text, as for a script that reads them all. The peak is that of the whole process, Python
and its libraries included; the verdict compares it with what this machine, cgroup or --limit allows a new job now.

exit codes: 0 done, 1 with --check: the plan does not surely fit, 2 usage, 3 a file cannot be read
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from memguard.cli.output import terminal_width, use_color, write_json, write_text
from memguard.errors import ConfigError
from memguard.units import MIB, format_size, parse_size

if TYPE_CHECKING:
    from memguard.records.estimate import Estimate
    from memguard.records.limits import Limits

__all__ = ["add_arguments", "main"]

# The names of estimate/plans.py, here too so that --help does not import numpy; a test holds them together.
PLANS = ("read-all", "chunked-list", "sharded-list", "stream")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="UTF-8 text")
    parser.add_argument("--encoding", default="gpt2", metavar="NAME", help="tiktoken's name of it (default: gpt2)")
    parser.add_argument(
        "--val-fraction",
        type=float,
        default=0.1,
        metavar="F",
        help="read-all slices off this share of the text for val.bin; 0: no slices (default: 0.1)",
    )
    parser.add_argument(
        "--limit", metavar="SIZE", help="what the job may use, such as 8GiB or 50%% (default: what is free here)"
    )
    parser.add_argument("--reserve", metavar="SIZE", help="leave this much of the machine's memory to others")
    parser.add_argument("--check", choices=PLANS, metavar="PLAN", help=f"exit 1 unless PLAN fits: {', '.join(PLANS)}")
    parser.add_argument("--json", action="store_true", help="print the estimate as JSON")


def main(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.val_fraction < 1:
        raise ConfigError(
            f"--val-fraction must be at least 0 and below 1: {arguments.val_fraction}", "0.1 is a tenth of the text"
        )
    # First of all: what this process takes from here on is not what the job will find taken.
    limits = _read_limits(arguments.limit, arguments.reserve)
    result = _estimate(arguments.files, arguments.encoding, arguments.val_fraction, limits)
    if arguments.json:
        write_json(result)
    else:
        from memguard.report.estimate import render

        write_text(render(result, width=terminal_width(sys.stdout), color=use_color(sys.stdout)))
    return _exit_code(result, arguments.check)


def _read_limits(limit: str | None, reserve: str | None) -> Limits:
    from memguard.system.limits import read_limits
    from memguard.system.proc import read_meminfo

    meminfo = read_meminfo()
    total = meminfo.total if meminfo else None
    return read_limits(
        limit=None if limit is None else parse_size(limit, total=total),
        reserve=None if reserve is None else 0 if reserve.strip() == "0" else parse_size(reserve, total=total),
    )


def _estimate(files: list[str], encoding: str, val_fraction: float, limits: Limits) -> Estimate:
    from memguard.estimate.baseline import BaselineProbe
    from memguard.estimate.corpus import COUNT_LIMIT, check_files, read_corpus
    from memguard.estimate.costs import cached_int_max, read_costs
    from memguard.estimate.model import Speeds, estimate
    from memguard.tokens.encode import load_vocabulary

    check_files(files)
    load_vocabulary(encoding)  # before the child asks for it: an unknown one is told at once
    with BaselineProbe(encoding) as probe, _progress(sum(map(os.path.getsize, files))) as report:
        corpus = read_corpus(
            files,
            encoding,
            val_fraction=val_fraction,
            cached_int_max=cached_int_max(),
            # Counting peaks at some 180 MiB, sampling at 100: the estimate itself must not be what is killed.
            count_limit=COUNT_LIMIT if limits.effective >= 256 * MIB or _is_flag(limits) else 0,
            progress=report,
        )
        baseline = probe.result()
    costs = read_costs(baseline.rss, baseline.peak, measured=baseline.measured)
    speeds = Speeds(stream=corpus.stream_rate, tiktoken=corpus.tiktoken_rate, engine=corpus.engine)
    notes = list(corpus.notes)
    if not baseline.measured:
        notes.append("Python's own memory could not be measured here: 54 MiB assumed")
    result = estimate(corpus.stats, limits, costs, speeds=speeds, notes=notes)
    return _with_disk_note(result)


def _is_flag(limits: Limits) -> bool:
    """True where --limit binds: it is for the job to come, not for this process."""
    return limits.binding is not None and limits.binding.name == "--limit"


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


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[str, int], None] | None]:
    """A bar per stage on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    console = Console(file=sys.stderr, no_color=not use_color(sys.stderr), width=terminal_width(sys.stderr))
    columns = (TextColumn("{task.description:<16}"), BarColumn(bar_width=None), TransferSpeedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True, expand=True) as bar:

        def update(stage: str, done: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.advance(tasks[stage], done)

        yield update
