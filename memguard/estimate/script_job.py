"""`--script`: the script's file → its plan, the inputs that it names, and the plan's estimate beside the named ones.

What the source means is memguard/script's matter, what it weighs estimate/script's; files are read here.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import time

from memguard.errors import ConfigError, InputError
from memguard.estimate import corpus, script
from memguard.estimate.modules import ModuleFinder
from memguard.estimate.own_tokens import read_own_tokens, with_own_tokens
from memguard.estimate.plans.costs import Costs
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script_source import read_source
from memguard.estimate.tuning import Tuning
from memguard.records.estimate import CorpusStats, Estimate, Range
from memguard.records.limits import Limits
from memguard.records.script import ScriptEstimate
from memguard.tokens.input.source import Source

__all__ = ["as_script_reads", "inputs_of", "read_plan", "with_script"]

# Of processor time for reading it with other numbers in it: a usual script takes 10 to 40 ms each time.
_KNOB_SECONDS = 0.8

# Who takes records of a kind apart: a script that imports none of them reads such a file as text.
_PARSERS = {
    "csv": {"csv", "datasets", "duckdb", "pandas", "polars", "pyarrow"},
    "jsonl": {
        "datasets",
        "duckdb",
        "json",
        "jsonlines",
        "orjson",
        "pandas",
        "polars",
        "pyarrow",
        "simplejson",
        "ujson",
    },
}


def read_plan(path: str, arguments: tuple[str, ...] | None = None) -> script.Trace:
    """`arguments`: the script's own, None where they are not known.

    Raises InputError for what is no Python source, or cannot be read.
    """
    return script.read_script(read_source(path), path, ModuleFinder(path), os.cpu_count(), arguments)


def inputs_of(plan: script.Trace) -> tuple[str, ...]:
    """The files that the script names itself, as far as they are here. Raises ConfigError where there are none."""
    found = tuple(path for path in plan.inputs if _is_here(path))
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
        f"memguard estimate --script {plan.path} FILE: what you would give the script itself;"
        " or --size 45GB --like english",
    )


def _is_here(path: str) -> bool:
    """Whether a file has this name, or fits this pattern."""
    if os.path.exists(path):
        return True
    try:
        return next(glob.iglob(path), None) is not None
    except (OSError, ValueError):  # a NUL in it
        return False


def as_script_reads(plan: script.Trace, sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """CSV and JSON lines as text, where the script imports nothing that would take them apart."""
    return tuple(
        dataclasses.replace(source, kind="text")
        if source.kind in _PARSERS and not plan.imports & _PARSERS[source.kind]
        else source
        for source in sources
    )


def with_script(
    plan: script.Trace,
    result: Estimate,
    limits: Limits,
    costs: Costs,
    *,
    from_files: bool,
    tuning: Tuning,
    arguments: tuple[str, ...] | None = None,
) -> ScriptEstimate:
    """`result` with the script in it. `from_files`: its text is here, and can be looked at once more."""
    shape = _shape(plan, result.input, tuning) if from_files else TextShape()
    stats, notes = result.input, result.notes
    if plan.tokenizer or plan.has_kind("vocabulary"):
        files = [path for path in stats.paths if os.path.isfile(path)] if from_files and not stats.compressed else []
        own = read_own_tokens(plan.tokenizer, plan.path, files, stats.encoding, costs.cached_int_max)
        stats, shape = with_own_tokens(stats, own), dataclasses.replace(shape, entries=own.entries)
        if not own.known:
            name = plan.tokenizer or "the script's tokenizer"
            notes = (*notes, f"{name} is not here: tokens counted with {stats.encoding} stand in for its own")
    report = script.estimate_script(plan, stats, shape, limits, costs)

    end = time.process_time() + _KNOB_SECONDS
    finder = ModuleFinder(plan.path)

    def weigh(source: str) -> tuple[script.Trace, Range, str] | None:
        """The script with another number in its source; None once that has taken long enough."""
        if time.process_time() > end:
            return None
        try:
            changed = script.read_script(source, plan.path, finder, os.cpu_count(), arguments)
        except InputError:
            return None
        return (changed, *script.script_peak(changed, stats, shape, limits, costs))

    knobs = script.knobs_of(plan, report.plan.peak, report.plan.verdict, weigh)
    report = dataclasses.replace(report, knobs=knobs)
    fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    fields["notes"] = notes
    return ScriptEstimate(**fields, script=report)


def _shape(plan: script.Trace, stats: CorpusStats, tuning: Tuning) -> TextShape:
    """The text's longest line, where the files are here and plain; which share each of several inputs is."""
    files = [path for path in stats.paths if os.path.isfile(path)]
    if not files or stats.compressed or stats.kind == "parquet":
        return TextShape()
    sources: dict[str, list[str]] = {}
    names = plan.sources
    if len(names) == len(files) > 1:  # one name each, in the order in which they are opened
        sources = {name: [file] for name, file in zip(names, files, strict=True)}
    shape = corpus.read_shape(files, sources, scan_limit=tuning.line_scan_limit)
    if plan.has_window("distinct lines"):
        shape = corpus.with_distinct_lines(shape, files)
    if plan.has_window("distinct words"):
        shape = corpus.with_distinct_between_spaces(shape, files)
    trains = plan.needs("word counts") or plan.needs("training on lines")
    return corpus.with_distinct_words(shape, files) if trains else shape
