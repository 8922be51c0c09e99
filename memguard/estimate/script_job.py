"""`--script`: the script's file → its plan, the inputs that it names, and the plan's estimate beside the named ones.

What the source means is memguard/script's matter, what it weighs estimate/script's; files are read here.
"""

from __future__ import annotations

import dataclasses
import glob
import itertools
import os
import time

from memguard.errors import ConfigError, InputError
from memguard.estimate import corpus, script
from memguard.estimate.corpus.records import holds_records
from memguard.estimate.modules import ModuleFinder
from memguard.estimate.own_tokens import read_own_tokens, with_own_tokens
from memguard.estimate.plans.costs import Costs
from memguard.estimate.script.amounts import RecordShape, TextShape
from memguard.estimate.script_source import read_source
from memguard.estimate.tuning import Tuning
from memguard.records.estimate import CorpusStats, Estimate, Range
from memguard.records.limits import Limits
from memguard.records.script import ScriptEstimate
from memguard.script.extents import Extent
from memguard.script.values import Field
from memguard.tokens.input.source import Source

__all__ = [
    "as_script_reads",
    "inputs_of",
    "read_plan",
    "read_trace",
    "script_shape",
    "with_neighbours",
    "with_script",
]

# Of processor time for reading it with other numbers in it: a usual script takes 10 to 40 ms each time.
_KNOB_SECONDS = 0.8
_MOST_FILES = 10_000  # below a directory that the script names

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


def read_plan(path: str, arguments: tuple[str, ...] | None = None, records: RecordShape | None = None) -> script.Trace:
    """`arguments`: the script's own, None where they are not known. `records`: what stands in those of its input.

    Raises InputError for what is no Python source, or cannot be read.
    """
    return read_trace(read_source(path), path, ModuleFinder(path), arguments, records)


def read_trace(
    source: str,
    path: str,
    finder: ModuleFinder,
    arguments: tuple[str, ...] | None,
    records: RecordShape | None,
) -> script.Trace:
    """`source` as it stands, or as somebody has changed it."""
    whole = max(1.0, records.data) if records is not None else 1.0
    fields = records.fields if records is not None else {}
    known = {name: Field(field.kind, field.bytes / whole) for name, field in fields.items()}
    return script.read_script(source, path, finder, os.cpu_count(), arguments, known)


def inputs_of(plan: script.Trace) -> tuple[str, ...]:
    """The files that the script names itself, as far as they are here. Raises ConfigError where there are none."""
    found = tuple(path for path in plan.inputs if _is_here(path))
    guessed = sorted({path for name in plan.sources if glob.has_magic(name) for path in _named_by(name)})
    if guessed:
        return _most_of_one_kind((*(file for path in found for file in _files_in(path)), *guessed))
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


def _most_of_one_kind(files: tuple[str, ...]) -> tuple[str, ...]:
    """Of files that a script reads, those with the suffix that most of their bytes are in."""
    groups: dict[str, dict[str, int]] = {}
    for path in files:
        groups.setdefault(os.path.splitext(path)[1], {})[path] = os.path.getsize(path)
    most = max(groups, key=lambda suffix: sum(groups[suffix].values()))
    return tuple(groups[most])


def with_neighbours(plan: script.Trace, files: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`files`, and those beside them that the script reads as well: all of a directory, or of a pattern, that it names
    itself. With a note that says so, where there are any.
    """
    if not all(map(os.path.isfile, files)):
        return files, ()
    given, suffixes = set(map(os.path.realpath, files)), {os.path.splitext(path)[1] for path in files}
    for name in plan.inputs:
        names = _named_by(name) if glob.has_magic(name) or os.path.isdir(name) else []
        beside = [path for path in names if os.path.splitext(path)[1] in suffixes]
        if len(beside) > len(given) and given <= set(map(os.path.realpath, beside)):
            return tuple(beside), (f"the script reads all of {name}: its {len(beside)} files count, not those alone",)
    return files, ()


def _named_by(name: str) -> list[str]:
    """The files of a directory or a pattern, in order."""
    try:
        found = [entry.path for entry in os.scandir(name)] if os.path.isdir(name) else glob.glob(name, recursive=True)
    except (OSError, ValueError):
        return []
    return sorted(path for path in found if os.path.isfile(path))


def _is_here(path: str) -> bool:
    """Whether a file has this name, or fits this pattern."""
    if os.path.exists(path):
        return os.path.isfile(path) or os.path.isdir(path)  # /dev/null holds no text
    try:
        return next(glob.iglob(path), None) is not None
    except (OSError, ValueError):  # a NUL in it
        return False


def as_script_reads(plan: script.Trace, sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """CSV and JSON lines as text, where the script imports nothing that would take them apart; files of JSON records
    whose names do not say so as records, where it imports what does.
    """
    return tuple(
        dataclasses.replace(source, kind="text")
        if source.kind in _PARSERS and not plan.imports & _PARSERS[source.kind]
        else source
        for source in _named_by_content(plan, sources)
    )


def _named_by_content(plan: script.Trace, sources: tuple[Source, ...]) -> tuple[Source, ...]:
    texts = [source for source in sources if source.kind == "text"]
    if len(texts) < len(sources) or not plan.imports & _PARSERS["jsonl"] or not all(map(holds_records, texts)):
        return sources
    return tuple(dataclasses.replace(source, kind="jsonl") for source in sources)


def with_script(
    plan: script.Trace,
    result: Estimate,
    limits: Limits,
    costs: Costs,
    *,
    from_files: bool,
    tuning: Tuning,
    arguments: tuple[str, ...] | None = None,
    records: RecordShape | None = None,
) -> ScriptEstimate:
    """`result` with the script in it. `from_files`: its text is here, and can be looked at once more."""
    stats, shape, notes = script_shape(plan, result.input, costs, from_files=from_files, tuning=tuning, records=records)
    notes = (*result.notes, *notes)
    report = script.estimate_script(plan, stats, shape, limits, costs)

    end = time.process_time() + _KNOB_SECONDS
    finder = ModuleFinder(plan.path)

    def weigh(source: str) -> tuple[script.Trace, Range, str] | None:
        """The script with another number in its source; None once that has taken long enough."""
        if time.process_time() > end:
            return None
        try:
            changed = read_trace(source, plan.path, finder, arguments, records)
        except InputError:
            return None
        return (changed, *script.script_peak(changed, stats, shape, limits, costs))

    knobs = script.knobs_of(plan, report.plan.peak, report.plan.verdict, weigh)
    report = dataclasses.replace(report, knobs=knobs)
    fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    fields["notes"] = notes
    return ScriptEstimate(**fields, script=report)


def script_shape(
    plan: script.Trace,
    stats: CorpusStats,
    costs: Costs,
    *,
    from_files: bool,
    tuning: Tuning,
    records: RecordShape | None = None,
) -> tuple[CorpusStats, TextShape, tuple[str, ...]]:
    """The text as the script's own tokenizer sees it, its shape, and notes. `from_files`: the text is here."""
    shape = _shape(plan, stats, tuning) if from_files else TextShape()
    shape = dataclasses.replace(shape, records=records)
    if records is not None and records.longest:  # a JSON list has no lines
        shape = dataclasses.replace(shape, longest_line=records.longest)
    if not (plan.tokenizer or plan.has_kind("vocabulary")):
        return stats, shape, ()
    files = [path for path in stats.paths if os.path.isfile(path)] if from_files and not stats.compressed else []
    own = read_own_tokens(plan.tokenizer, plan.path, files, stats.encoding, costs.cached_int_max)
    stats, shape = with_own_tokens(stats, own), dataclasses.replace(shape, entries=own.entries)
    name = plan.tokenizer or "the script's tokenizer"
    note = f"{name} is not here: tokens counted with {stats.encoding} stand in for its own"
    return stats, shape, () if own.known else (note,)


def _shape(plan: script.Trace, stats: CorpusStats, tuning: Tuning) -> TextShape:
    """The text's longest line, where the files are here and plain; which share each of several inputs is."""
    files = [path for path in stats.paths if os.path.isfile(path)]
    if not files:
        return TextShape()
    beside, trains = _shares_here(plan, files), any(map(plan.needs, script.TRAINERS))
    if stats.compressed or stats.kind == "parquet":
        shape = TextShape(sources=beside)
        counts = trains and not stats.compressed
        return corpus.with_distinct_words(shape, files, stats.kind, stats.bytes) if counts else shape
    sources: dict[str, list[str]] = {}
    names = tuple(name for name in plan.sources if not glob.has_magic(name))
    if len(names) == len(files) > 1:  # one name each, in the order in which they are opened
        sources = {name: [file] for name, file in zip(names, files, strict=True)}
    shape = corpus.read_shape(files, sources, scan_limit=tuning.line_scan_limit)
    if plan.has_window("distinct lines"):
        shape = corpus.with_distinct_lines(shape, files)
    if plan.has_window("distinct words"):
        shape = corpus.with_distinct_between_spaces(shape, files)
    if beside:
        shape = dataclasses.replace(shape, sources=beside)
    return corpus.with_distinct_words(shape, files, stats.kind) if trains else shape


def _shares_here(plan: script.Trace, files: list[str]) -> tuple[tuple[str, float], ...]:
    """Files and directories that the script names itself and that are here: what they hold, as a share of `files`.

    None of them counts like that where the script reads nothing else: then what it is given stands for them.
    """
    given = {os.path.realpath(file): os.path.getsize(file) for file in files}
    total = max(1, sum(given.values()))
    shares, reads_given = [], False
    patterns = [name for name in plan.sources if glob.has_magic(name) and not os.path.exists(name)]
    names = [name for name in plan.sources if os.path.exists(name)]
    if any(map(_named_by, patterns)):
        names += patterns
    if len(names) < 2 and len(names) == len(plan.sources) and all(part.source for part in _parts(plan)):
        return ()
    for name in names:
        inside = {os.path.realpath(path): os.path.getsize(path) for path in _files_in(name)}
        mine = sum(size for path, size in given.items() if path in inside)
        shares.append((name, (mine or sum(inside.values())) / total))
        reads_given = reads_given or bool(mine)
    others = len(names) < len(plan.sources) or not all(part.source for part in _parts(plan))
    return tuple(shares) if reads_given or others else ()


def _parts(plan: script.Trace) -> set[Extent]:
    return {part for moment in plan.moments for held in moment.alive for part in held.parts}


def _files_in(path: str) -> list[str]:
    """The file, those below the directory, or those that the pattern names."""
    if os.path.isfile(path):
        return [path]
    if not os.path.isdir(path):
        return _named_by(path)
    found = (os.path.join(directory, name) for directory, _, names in os.walk(path) for name in names)
    return [name for name in itertools.islice(found, _MOST_FILES) if os.path.isfile(name)]
