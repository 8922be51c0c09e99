"""One estimate, from what is asked to the record: what `memguard estimate` prints and `memguard.estimate()` returns.

    Request            what is asked: files or a text that is not here, and what the plans leave open
    read_job_limits    what a job may use: here, under --limit, or on another machine
    estimate_files     Request × Limits → Estimate
    estimate           all of it in one call: the public name

What is typed wins; what is not, the script says, and then the default.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from memguard.errors import ConfigError
from memguard.estimate import corpus, model, script_job
from memguard.estimate.baseline import Baseline, BaselineProbe, timed_pieces
from memguard.estimate.corpus.columns import WHOLE, named_column
from memguard.estimate.corpus.inputs import find_inputs, is_plain
from memguard.estimate.corpus.records import read_record_shape
from memguard.estimate.plans.catalogue import PLANS, plan_named
from memguard.estimate.plans.costs import Costs, cached_int_max, read_costs
from memguard.estimate.plans.quantities import AUTO_WORKERS, Options
from memguard.estimate.scheduler import ask_for
from memguard.estimate.tuning import TUNING, Tuning
from memguard.estimate.whatif import LIKENESSES, PUBLIC_CORPORA, another_machine, like, public_corpus, scaled
from memguard.records.estimate import CorpusStats, Estimate
from memguard.records.limits import Limits
from memguard.system.limits import default_reserve, read_limits
from memguard.system.proc import read_meminfo
from memguard.tokens.engine.encode import load_vocabulary
from memguard.tokens.input.source import KINDS, Source, kind_of
from memguard.units import MIB, format_size, parse_size

if TYPE_CHECKING:
    from memguard.estimate.script import Trace
    from memguard.estimate.script.amounts import RecordShape

__all__ = [
    "Inputs",
    "Progress",
    "Request",
    "costs_of",
    "estimate",
    "estimate_files",
    "read_inputs",
    "read_job_limits",
]

Size = int | str  # bytes, or as the flags take it: "512M", "8GiB", "75%"
Progress = Callable[[str, int, int | None], None]  # stage, bytes done since the last call, bytes in all where known

_WHOLE_OBJECTS = {"json", "jsonlines", "orjson", "simplejson", "ujson"}  # give all of a record
_ENCODING, _VAL_FRACTION, _TEXT_FIELD = "gpt2", 0.1, "text"
# Counting peaks at some 250 MiB, sampling at 100: the estimate itself must not be what is killed.
_ROOM_TO_COUNT = 384 * MIB
_MOST_WORKERS = 4096


@dataclass(frozen=True, slots=True)
class Request:
    """What `memguard estimate` is asked, with its flags' names. Raises ConfigError for what makes no sense.

    One of `files`, `size` with `like`, or `corpus`; with `script` none of them, where it names its files itself.
    """

    files: tuple[str, ...] = ()  # paths, directories, patterns, URLs; "-" is stdin
    script: str | None = None  # path of the script whose own plan is estimated too
    arguments: tuple[str, ...] | None = None  # of the script; None: not known, any of its options may be the input
    size: Size | None = None  # of a text that is not here,
    like: str | None = None  # which is english, multilingual, code, or like this file
    corpus: str | None = None  # a public corpus by its name
    encoding: str | None = None  # None: the script's, or gpt2
    input_format: str | None = None  # text | jsonl | csv | parquet; None: what each file's name says
    text_field: str | None = None  # of JSONL records; the column of CSV and Parquet. None: the script's, or text
    val_fraction: float | None = None  # None: what the script slices off, or 0.1
    exact: bool = False  # read and count everything, however large
    sample: bool = False  # count no tokens, however small
    workers: int | str = "auto"  # of plans with a pool; auto: as many as fit
    chunk_chars: int = 1_000_000
    shard_tokens: int = 100_000_000
    batch_rows: int = 65_536
    check: str | None = None  # the plan that is asked about: its library is measured
    all: bool = False  # every plan is asked about: the words that differ are counted, too

    def __post_init__(self) -> None:
        if self.val_fraction is not None and not 0 <= self.val_fraction < 1:
            raise ConfigError(
                f"--val-fraction must be at least 0 and below 1: {self.val_fraction}", "0.1 is a tenth of the text"
            )
        for name in ("chunk_chars", "shard_tokens", "batch_rows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least 1: {getattr(self, name)}")
        self._check_input()
        _check_name("--input-format", self.input_format, KINDS)
        _check_name("--corpus", self.corpus, PUBLIC_CORPORA)
        _check_name("--check", self.check, [plan.name for plan in PLANS])
        _workers(self.workers)

    def _check_input(self) -> None:
        if self.arguments is not None and not self.script:
            raise ConfigError(
                "--args are the arguments of a --script", "memguard estimate --script prepare.py --args …"
            )
        sources = [bool(self.files), bool(self.size or self.like), bool(self.corpus)]
        if sum(sources) > 1:
            raise ConfigError("name either files, or --size with --like, or --corpus")
        if not any(sources) and not self.script:
            hint = "memguard estimate FILE, or --size 45GB --like english, or --corpus openwebtext"
            raise ConfigError("what shall be estimated?", hint)
        if self.like and not self.size:
            raise ConfigError("--like needs --size", f"memguard estimate --size 45GB --like {self.like}")
        if self.size and not self.like:
            raise ConfigError(
                "--size needs --like: bytes a token differ by a factor of two between texts",
                f"--like {', --like '.join(LIKENESSES)}, or --like FILE with a part of the text",
            )

    @property
    def sample_files(self) -> tuple[str, ...]:
        """What is read: the files, or the FILE of `--like FILE`."""
        return (self.like,) if self.like and self.like not in LIKENESSES else self.files

    def completed(self, plan: Trace | None) -> Request:
        """What is not typed, as `plan` says it, or as the default."""
        files = self.files
        if plan is not None and not (files or self.size or self.corpus):
            files = script_job.inputs_of(plan)
        sliced = _VAL_FRACTION if plan is None else plan.slices or 0.0
        return replace(
            self,
            files=files,
            encoding=self.encoding or (_ENCODING if plan is None else plan.encoding),
            val_fraction=sliced if self.val_fraction is None else self.val_fraction,
        )


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an estimate is made of, once it is read."""

    request: Request  # completed
    plan: Trace | None
    records: RecordShape | None
    sources: tuple[Source, ...]
    found: corpus.Corpus
    baseline: Baseline


def _check_name(flag: str, name: str | None, known: Sequence[str] | dict[str, Any]) -> None:
    if name is not None and name not in known:
        raise ConfigError(f"{flag}: no such name: {name!r}", f"one of {', '.join(known)}")


def _workers(asked: int | str) -> int:
    """AUTO_WORKERS for "auto"."""
    if asked == "auto":
        return AUTO_WORKERS
    try:
        workers = int(asked)
    except ValueError:
        workers = 0
    if not 1 <= workers <= _MOST_WORKERS:
        cores = os.cpu_count() or 1
        raise ConfigError(f"--workers must be a number, or auto: {asked}", f"this machine has {cores}")
    return workers


def read_job_limits(ram: Size | None = None, limit: Size | None = None, reserve: Size | None = None) -> Limits:
    """What a new job may use here, or on a machine with `ram` bytes and nothing else running. Raises ConfigError.

    Call it before anything large is imported: what this process takes from here on is not what the job will find taken.
    """
    meminfo = read_meminfo()
    total = meminfo.total if meminfo else None
    if ram is not None:
        total = parse_size(str(ram))
    most = None if limit is None else parse_size(str(limit), total=total)
    kept = None if reserve is None else 0 if str(reserve).strip() == "0" else parse_size(str(reserve), total=total)
    if ram is None:
        return read_limits(limit=most, reserve=kept)
    assert total is not None
    return another_machine(total, limit=most, reserve=default_reserve(total) if kept is None else kept)


def estimate(
    *files: str | os.PathLike[str],
    limit: Size | None = None,
    ram: Size | None = None,
    reserve: Size | None = None,
    **request: Any,
) -> Estimate:
    """Peak memory, disk and time of every known preparation plan for `files`, as one text: `memguard.estimate()`.

    The other keywords are Request's fields, named as the flags of `memguard estimate`: script, encoding, text_field,
    size and like, corpus … Sizes are bytes, or words such as "8GiB". Returns the record that `--json` prints, a
    ScriptEstimate where `script` is given. Nothing is run, and nothing is kept for --history.
    Raises ConfigError for what makes no sense, InputError for a file that cannot be read.
    """
    limits = read_job_limits(ram=ram, limit=limit, reserve=reserve)
    paths = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in request.items()}
    return estimate_files(Request(tuple(os.fspath(file) for file in files), **paths), limits)


def estimate_files(
    request: Request, limits: Limits, *, progress: Progress | None = None, tuning: Tuning = TUNING
) -> Estimate:
    """Reads the text, measures Python's own memory beside it, and judges every plan against `limits`.

    A ScriptEstimate where a script is asked about. Raises InputError, ConfigError.
    """
    return _judged(read_inputs(request, limits, progress=progress, tuning=tuning), limits, tuning)


def read_inputs(
    request: Request, limits: Limits, *, progress: Progress | None = None, tuning: Tuning = TUNING
) -> Inputs:
    """The script, the text, and Python's own memory beside it. Raises InputError, ConfigError."""
    plan = script_job.read_plan(request.script, request.arguments) if request.script else None
    request = request.completed(plan)
    notes: tuple[str, ...] = ()
    if plan is not None and request.files:
        found_files, notes = script_job.with_neighbours(plan, request.files)
        request = replace(request, files=found_files)
    sources = find_inputs(request.sample_files, request.input_format) if request.sample_files else ()
    any_record = request.text_field is None and plan is not None
    records = None
    if plan is not None and request.input_format is None:
        sources = script_job.as_script_reads(plan, sources)
    if any_record and plan is not None:
        column = named_column(sources, plan.columns)
        if column not in (None, *plan.columns) and sources[0].kind == "jsonl" and plan.imports & _WHOLE_OBJECTS:
            column = WHOLE  # every field of a dict is held, whichever is used
        request = replace(request, text_field=column)
        if column == WHOLE:
            notes = (
                *notes,
                "the script names no column of text that is there: each record's JSON is its text",
            )
        elif column is not None and column not in plan.columns:
            notes = (
                *notes,
                f"the script names no column that is there: {column} has most text, and counts alone",
            )
        records = read_record_shape(sources, _TEXT_FIELD if column is None else column)
        if records is not None and request.script:
            plan = script_job.read_plan(request.script, request.arguments, records)
    encoding = request.encoding or _ENCODING
    load_vocabulary(encoding)  # before the child asks for it: an unknown one is told at once
    library = plan_named(request.check).library if request.check else ""
    modules = () if plan is None else plan.imported
    program = tuning.baseline_program
    pieces = timed_pieces(sources)
    with BaselineProbe(encoding, library=library, pieces=pieces, program=program, modules=modules) as probe:
        found = _corpus(request, sources, limits, progress, tuning, any_record)
        found = replace(found, notes=(*found.notes, *notes))
        baseline = probe.result()
    return Inputs(request, plan, records, sources, found, baseline)


def _corpus(
    request: Request,
    sources: tuple[Source, ...],
    limits: Limits,
    progress: Progress | None,
    tuning: Tuning,
    any_record: bool,
) -> corpus.Corpus:
    """The files, or a text that is not here: a size and a likeness, or a public corpus.

    `any_record`: a record without the field of the text is taken whole.
    """
    encoding, fraction = request.encoding or _ENCODING, request.val_fraction or 0.0
    if request.corpus:
        stats = public_corpus(request.corpus, encoding=encoding, val_fraction=fraction)
        note = f"figures of {request.corpus}: {PUBLIC_CORPORA[request.corpus].sources}"
        return corpus.Corpus(stats, None, "gigatoken", (note,))
    size = None if request.size is None else parse_size(str(request.size))
    if size is not None and request.like in LIKENESSES:
        stats = like(request.like, size, encoding=encoding, val_fraction=fraction)
        note = f"{request.like} texts differ: --like FILE with a part of the real one is closer"
        return corpus.Corpus(stats, None, "gigatoken", (note,))
    roomy = limits.effective >= _ROOM_TO_COUNT or _is_flag(limits)
    count_limit = tuning.count_limit if roomy and not request.sample else 0
    # Of packed files and stdin nobody knows how much text they hold.
    total = sum(source.size or 0 for source in sources) if all(map(is_plain, sources)) else None
    found = corpus.read_corpus(
        sources,
        encoding,
        val_fraction=fraction,
        cached_int_max=cached_int_max(),
        depth=corpus.Depth(
            count_limit, tuning.scan_limit, tuning.packed_limit, tuning.document_limit, exact=request.exact
        ),
        text_field=_TEXT_FIELD if request.text_field is None else request.text_field,
        any_record=any_record,
        progress=None if progress is None else lambda stage, done: progress(stage, done, total),
    )
    found = replace(found, stats=_with_words(request, found.stats))
    if size is None:
        return found
    stats = replace(scaled(found.stats, size), paths=(f"a text like {request.like}",))
    return replace(found, stats=stats)


def _with_words(request: Request, stats: CorpusStats) -> CorpusStats:
    """The words that differ counted, where a plan is asked about that needs them: that takes a second or two."""
    trains = request.all or (request.check is not None and plan_named(request.check).trains)
    plain = not stats.compressed and all(map(os.path.isfile, stats.paths))
    return replace(stats, words=corpus.count_words(stats.paths, stats.kind, stats.bytes)) if trains and plain else stats


def _is_flag(limits: Limits) -> bool:
    """True where --limit binds: it is for the job to come, not for this process."""
    return limits.binding is not None and limits.binding.name in ("--limit", "--ram")


def costs_of(baseline: Baseline) -> Costs:
    return read_costs(
        baseline.rss,
        baseline.peak,
        anonymous=baseline.anonymous,
        libraries=baseline.libraries,
        script=baseline.script,
    )


def _judged(read: Inputs, limits: Limits, tuning: Tuning) -> Estimate:
    request, plan, sources, found, baseline = read.request, read.plan, read.sources, read.found, read.baseline
    costs = costs_of(baseline)
    notes = list(found.notes)
    if not baseline.measured:
        notes.append("Python's own memory could not be measured here: 54 MiB assumed")
    elsewhere = any(constraint.name == "--ram" for constraint in limits.constraints)
    result = model.estimate(
        found.stats,
        limits,
        costs,
        speeds=model.Speeds(stream=found.stream_rate, tiktoken=baseline.rate, engine=found.engine),
        options=_options(request, limits, found.engine),
        notes=notes,
        machine=f"a machine with {format_size(limits.total or 0)}" if elsewhere else "",
        words=request.files or ["FILE"],
        text_field=request.text_field or _TEXT_FIELD,
        input_format=_format_to_name(request, sources),
    )
    if plan is not None:
        result = script_job.with_script(
            plan,
            result,
            limits,
            costs,
            from_files=bool(request.files),
            tuning=tuning,
            arguments=request.arguments,
            records=read.records,
        )
    result = replace(result, scheduler=ask_for(result, request.check))
    if plan is not None:
        return result
    return result if elsewhere or not request.files else _with_disk_note(result)


def _options(request: Request, limits: Limits, engine: str) -> Options:
    return Options(
        chunk_chars=request.chunk_chars,
        shard_tokens=request.shard_tokens,
        batch_rows=request.batch_rows,
        workers=_workers(request.workers),
        cores=os.cpu_count() or 1,
        stream_memory=model.stream_memory(limits.effective, engine),
    )


def _format_to_name(request: Request, sources: tuple[Source, ...]) -> str:
    """What `memguard tokenize` has to be told of the files' format, where it was taken for another than it looks."""
    if request.input_format:
        return request.input_format
    kinds = {source.kind for source in sources}
    return "text" if kinds == {"text"} and any(kind_of(source.path) not in (None, "text") for source in sources) else ""


def _with_disk_note(result: Estimate) -> Estimate:
    """Says so when the recommended plan's output does not fit on the disk of the current directory."""
    plan = next(plan for plan in result.plans if plan.name == result.recommended)
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(".").free
        if free < plan.disk:
            note = f"the output needs {format_size(plan.disk)} of disk, but only {format_size(free)} is free here"
            return replace(result, notes=(*result.notes, note))
    return result
