"""`memguard estimate --script S [FILE…]`: the plan is read out of S, and judged for the files that S would read.

A part of `memguard estimate`, not a command of its own.
"""

from __future__ import annotations

import argparse
import glob
import os
import shlex
import sys
from typing import TYPE_CHECKING

from memguard.cli.output import terminal_width, use_color, write_json, write_text
from memguard.errors import ConfigError, InputError

if TYPE_CHECKING:
    from memguard.estimate.plans.costs import Costs
    from memguard.estimate.script.amounts import TextShape
    from memguard.records.estimate import CorpusStats, Estimate
    from memguard.records.limits import Limits
    from memguard.records.script import ScriptEstimate
    from memguard.script.trace import Trace

__all__ = ["prepare", "report_on", "show"]

_LARGEST_SCRIPT = 4 << 20  # bytes; a prep script has some hundred lines


def prepare(arguments: argparse.Namespace) -> Trace:
    """Reads the script; fills in what it says itself: its input files, its encoding, the share that it slices off."""
    from memguard.script.read import read_script

    plan = read_script(_read_source(arguments.script), arguments.script)
    if not (arguments.files or arguments.size or arguments.corpus):
        arguments.files = _inputs(plan)
    if arguments.encoding == "gpt2":
        arguments.encoding = plan.encoding
    arguments.val_fraction = plan.slices or 0.0
    return plan


def _read_source(path: str) -> str:
    """The script's text, decoded as Python would (PEP 263)."""
    import io
    import tokenize

    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_SCRIPT + 1)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None
    if len(data) > _LARGEST_SCRIPT:
        raise InputError(f"{path}: too large for a script", "--script reads Python source; files follow it", path=path)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError, ValueError):
        raise InputError(f"{path}: not Python source: it is not text in the encoding it declares", path=path) from None


def _inputs(plan: Trace) -> list[str]:
    """The files that the script names itself, as far as they are here."""
    found = [path for path in plan.inputs if _is_here(path)]
    if found:
        return found
    if plan.inputs:
        names = ", ".join(plan.inputs)
        raise ConfigError(
            f"{plan.path} reads {names}, which is not here",
            f"memguard estimate --script {plan.path} FILE, or --size 45GB --like english",
        )
    raise ConfigError(
        f"{plan.path} does not say which file it reads",
        f"memguard estimate --script {plan.path} FILE: what you would give the script itself",
    )


def _is_here(path: str) -> bool:
    """Whether a file has this name, or fits this pattern."""
    if os.path.exists(path):
        return True
    try:
        return next(glob.iglob(path), None) is not None
    except (OSError, ValueError):  # a NUL in it
        return False


def report_on(
    plan: Trace, arguments: argparse.Namespace, result: Estimate, limits: Limits, costs: Costs
) -> ScriptEstimate:
    """`result`, for the same files, with the script in it."""
    import dataclasses

    from memguard.estimate.script.report import estimate_script
    from memguard.records.script import ScriptEstimate

    shape = _shape(plan, arguments, result.input)
    report = estimate_script(plan, result.input, shape, limits, costs)
    fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return ScriptEstimate(**fields, script=report)


def _shape(plan: Trace, arguments: argparse.Namespace, stats: CorpusStats) -> TextShape:
    """The text's longest line, where the files are here and plain; which share each of several inputs is."""
    from memguard.estimate.corpus.shape import read_shape
    from memguard.estimate.script.amounts import TextShape

    files = [path for path in stats.paths if os.path.isfile(path)]
    if not arguments.files or not files or stats.compressed or stats.kind == "parquet":
        return TextShape()
    sources: dict[str, list[str]] = {}
    names = plan.sources
    if len(names) == len(files) > 1:  # one name each, in the order in which they are opened
        sources = {name: [file] for name, file in zip(names, files, strict=True)}
    return read_shape(files, sources)


def show(result: Estimate, limits: Limits, *, json: bool, every: bool) -> int:
    """Prints the script with its memory, then what to do; 0 where it fits, else 1."""
    script = getattr(result, "script", None)
    assert script is not None
    fits = script.plan.verdict == "fits"
    if json:
        write_json(result)
        return 0 if fits else 1
    from memguard.report.estimate import render as render_plans
    from memguard.report.script import render

    width, color = terminal_width(sys.stdout), use_color(sys.stdout)
    write_text(render(script, limit=limits.effective, width=width, color=color))
    for note in result.notes:
        write_text(f"\nnote: {note}")
    if every:
        write_text("\n" + render_plans(result, width=width, color=color, every=True))
    elif not fits:
        write_text(f"\nDo this instead: {result.next_command}\nOr guard it: memguard run {shlex.quote(script.path)}")
    return 0 if fits else 1
