"""Peak memory, disk and time of every known preparation plan for FILEs on this
machine, before anything is started.

Several files count as one text, as for a script that reads them all. The peak
is that of the whole process, Python and its libraries included; the verdict
compares it with what this machine, cgroup or --limit allows a new job now.
--explain adds the sum behind every figure.

  memguard estimate train.txt     text, JSONL, Parquet, packed, directories, -
  memguard estimate prepare.py train.txt
                                  read the plan out of a script; it is not run
  memguard estimate train.txt --probe prepare.py
                                  measure a script on three small slices
  memguard estimate --size 45GB --like english
                                  before the file is there; also multilingual,
                                  code, or a FILE that is a part of it
  memguard estimate --corpus openwebtext          a public corpus by its name
  memguard estimate train.txt --ram 64GiB         on another machine

exit codes: 0 done, 1 the answer is no (the plan of --check, the script, or the
script of --probe does not surely fit), 2 usage, 3 a file cannot be read
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from typing import TYPE_CHECKING, cast

from memguard.cli.estimate_bar import progress_bar
from memguard.cli.output import note, terminal_width, use_color, write_json, write_text
from memguard.errors import ConfigError
from memguard.units import format_size

if TYPE_CHECKING:
    from memguard.estimate.job import Request
    from memguard.records.estimate import Estimate, Scheduler
    from memguard.records.limits import Limits
    from memguard.records.script import ScriptEstimate

__all__ = ["add_arguments", "main"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from memguard.tokens.input.source import KINDS

    parser.add_argument("files", nargs="*", metavar="FILE", help="text, JSONL, CSV, Parquet, a directory, a glob, -")
    parser.add_argument(
        "--script", metavar="SCRIPT", help="read the plan out of SCRIPT (nothing is run); FILEs are what it would get"
    )
    parser.add_argument("--args", metavar="ARGS", help="SCRIPT's own arguments, in one word: '--input a.txt --val 0.1'")
    parser.add_argument("--encoding", metavar="NAME", help="tiktoken's name of it (default: the script's, or gpt2)")
    parser.add_argument(
        "--input-format",
        choices=KINDS,
        metavar="KIND",
        help=f"{', '.join(KINDS)} (default: what each file's name says)",
    )
    parser.add_argument(
        "--text-field",
        "--column",
        metavar="NAME",
        help="the text in JSON lines, CSV and Parquet (default: the one that the script names, or text)",
    )
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--exact", action="store_true", help="read and count everything, however large")
    depth.add_argument("--sample", action="store_true", help="count no tokens: sample (default: above 128 MiB)")

    _what_if_arguments(parser.add_argument_group("what if"))
    _plan_arguments(parser.add_argument_group("plans"))
    _measured_arguments(parser.add_argument_group("measured"))
    _shown_arguments(parser.add_argument_group("shown"))


def _shown_arguments(shown: argparse._ArgumentGroup) -> None:
    shown.add_argument("--explain", action="store_true", help="the sum behind every figure, too")
    shown.add_argument(
        "--scheduler",
        choices=("slurm", "ray", "kubernetes"),
        metavar="NAME",
        help="print only what to ask slurm, ray or kubernetes for: of the script, of --check's PLAN, else of streaming",
    )
    shown.add_argument("--json", action="store_true", help="print the estimate as JSON")


def _what_if_arguments(what_if: argparse._ArgumentGroup) -> None:
    from memguard.estimate.whatif import LIKENESSES, PUBLIC_CORPORA

    what_if.add_argument("--size", metavar="SIZE", help="of a text that is not here, such as 45GB; with --like")
    what_if.add_argument("--like", metavar="KIND|FILE", help=f"{', '.join(LIKENESSES)}, or a part of the text")
    what_if.add_argument(
        "--corpus", choices=tuple(PUBLIC_CORPORA), metavar="NAME", help=f"one of {', '.join(PUBLIC_CORPORA)}"
    )
    what_if.add_argument("--ram", metavar="SIZE", help="on a machine with this much memory, and nothing else running")
    what_if.add_argument(
        "--limit", metavar="SIZE", help="what the job may use, such as 8GiB or 50%% (default: what is free here)"
    )
    what_if.add_argument("--reserve", metavar="SIZE", help="leave this much of the machine's memory to others")


def _plan_arguments(plans: argparse._ArgumentGroup) -> None:
    from memguard.estimate.plans.catalogue import PLANS

    plans.add_argument("--all", action="store_true", help="show every plan, not only the usual ones")
    names = [plan.name for plan in PLANS]
    plans.add_argument("--check", choices=names, metavar="PLAN", help=f"exit 1 unless PLAN fits: {', '.join(names)}")
    plans.add_argument(
        "--val-fraction",
        type=float,
        metavar="F",
        help="read-all slices off this share of the text for val.bin; 0: no slices (default: the script's, or 0.1)",
    )
    plans.add_argument(
        "--workers", default="auto", metavar="N", help="of plans with a pool; auto: as many as fit (default)"
    )
    plans.add_argument("--chunk-chars", type=int, default=1_000_000, metavar="N", help="default: %(default)s")
    plans.add_argument("--shard-tokens", type=int, default=100_000_000, metavar="N", help="default: %(default)s")
    plans.add_argument("--batch-rows", type=int, default=65_536, metavar="N", help="of iter-batches (%(default)s)")


def _measured_arguments(measured: argparse._ArgumentGroup) -> None:
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


def main(arguments: argparse.Namespace) -> int:
    from memguard.estimate.job import estimate_files, read_job_limits

    limits = read_job_limits(ram=arguments.ram, limit=arguments.limit, reserve=arguments.reserve)
    if arguments.history:
        return _show_history(arguments)
    _take_script(arguments)
    request = _request(arguments)
    if arguments.probe:
        return _probe(arguments, limits)
    with progress_bar() as progress:
        result = estimate_files(request, limits, progress=progress)
    if arguments.scheduler and result.scheduler and not arguments.json:
        return _show_scheduler(result.scheduler, arguments.scheduler)
    if request.script:
        return _show_script(cast("ScriptEstimate", result), arguments)
    if request.files and not result.machine:
        _remember(result)
    if arguments.json:
        write_json(result)
    else:
        from memguard.report.estimate import render

        width, color = terminal_width(sys.stdout), use_color(sys.stdout)
        every, check = arguments.all, arguments.check
        write_text(render(result, width=width, color=color, every=every, explain=arguments.explain, check=check))
    return _exit_code(result, arguments.check)


def _take_script(arguments: argparse.Namespace) -> None:
    """A first FILE that is a Python script is meant as one: `memguard estimate prepare.py train.txt`.

    As a text it is taken where --input-format says so, where more scripts follow, and where it is what --probe runs on.
    """
    files = arguments.files
    if not files or arguments.script or arguments.input_format or arguments.probe:
        return
    if files[0].endswith(".py") and os.path.isfile(files[0]) and not any(f.endswith(".py") for f in files[1:]):
        arguments.script, arguments.files = files[0], files[1:]
        note(f"memguard: {files[0]} is a script: read as --script; as a text: --input-format text")


def _request(arguments: argparse.Namespace) -> Request:
    from memguard.estimate.job import Request

    return Request(
        files=tuple(arguments.files),
        script=arguments.script,
        arguments=_words(arguments.args),
        size=arguments.size,
        like=arguments.like,
        corpus=arguments.corpus,
        encoding=arguments.encoding,
        input_format=arguments.input_format,
        text_field=arguments.text_field,
        val_fraction=arguments.val_fraction,
        exact=arguments.exact,
        sample=arguments.sample,
        workers=arguments.workers,
        chunk_chars=arguments.chunk_chars,
        shard_tokens=arguments.shard_tokens,
        batch_rows=arguments.batch_rows,
        check=arguments.check,
        all=arguments.all,
    )


def _words(typed: str | None) -> tuple[str, ...] | None:
    """The words of --args. Raises ConfigError for a quotation mark that nothing closes."""
    try:
        return None if typed is None else tuple(shlex.split(typed))
    except ValueError as error:
        raise ConfigError(f"--args: {error}", "quote as a shell does: --args '--input \"my text.txt\"'") from None


def _show_scheduler(asked: Scheduler, name: str) -> int:
    """Only what to ask for, so that it can stand in a command: sbatch $(memguard estimate … --scheduler slurm)."""
    write_text({"slurm": asked.slurm, "ray": asked.ray, "kubernetes": asked.kubernetes}[name])
    of = f"{asked.plan} takes {format_size(asked.peak)} at most"
    note(f"memguard: {of}; with the guard and the margin below a kernel's limit {format_size(asked.memory)}")
    return 0


def _show_script(result: ScriptEstimate, arguments: argparse.Namespace) -> int:
    """Prints the script with its memory, then what to do; 0 where it fits, else 1."""
    script = result.script
    assert script is not None
    fits = script.plan.verdict == "fits"
    if arguments.json:
        write_json(result)
        return 0 if fits else 1
    from memguard.report.estimate import render as render_plans
    from memguard.report.script import render

    width, color = terminal_width(sys.stdout), use_color(sys.stdout)
    probe, guard = (
        _probe_command(result, script.path),
        shlex.join(["memguard", "run", script.path, *(_words(arguments.args) or arguments.files)]),
    )
    fix = shlex.join(["memguard", "fix", script.path, *arguments.files])
    write_text(render(result, width=width, color=color, explain=arguments.explain, probe=probe, guard=guard, fix=fix))
    if arguments.all:
        write_text("\n" + render_plans(result, width=width, color=color, every=True, explain=arguments.explain))
    return 0 if fits else 1


def _probe_command(result: Estimate, script: str) -> str:
    """What measures the script instead; "" where its one input is not here."""
    paths = result.input.paths
    if len(paths) != 1 or not os.path.isfile(paths[0]):
        return ""
    return shlex.join(["memguard", "estimate", paths[0], "--probe", script])


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
    if arguments.scheduler and not arguments.json:
        from memguard.estimate.scheduler import ask

        return _show_scheduler(ask(arguments.probe, result.peak.high), arguments.scheduler)
    if arguments.json:
        write_json(result)
    else:
        from memguard.report.estimate_probe import render

        write_text(render(result, limits, width=terminal_width(sys.stdout), color=use_color(sys.stdout)))
    return 0 if result.verdict == "fits" else 1
