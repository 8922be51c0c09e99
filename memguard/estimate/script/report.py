"""A script's memory for a text that is known: Trace × text × limits → ScriptReport, bytes for every step and line.

memguard.script reads the script (read.py says how), prices.py and pricing.py weigh its moments; this file puts the
figures together: the baseline of the script's libraries, the band around the peak, the verdict. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from memguard.estimate.baseline import FALLBACK_ANONYMOUS
from memguard.estimate.model import judge
from memguard.estimate.plans import pools as plans_pools
from memguard.estimate.plans.costs import LIBRARIES, Costs
from memguard.estimate.plans.quantities import Text, text_of
from memguard.estimate.script.amounts import Piece, TextShape
from memguard.estimate.script.findings import findings_of
from memguard.estimate.script.pricing import MOST, Pricing, Weighed
from memguard.estimate.script.training_prices import TRAINERS
from memguard.records.estimate import CorpusStats, Range
from memguard.records.limits import Limits
from memguard.records.script import (
    LineMemory,
    ScriptModule,
    ScriptPlanEstimate,
    ScriptReport,
    ScriptStep,
    Unrecognised,
    Use,
    Variable,
    lines_of,
)
from memguard.script.extents import Extent
from memguard.script.source import Places
from memguard.script.trace import Moment, Span, Step, Trace
from memguard.script.values import KINDS
from memguard.units import MIB

__all__ = ["estimate_script", "heaviest_library", "import_memory", "script_peak"]

# What a script saves that does not import them: resident, anonymous; a bare Python (CPython 3.11, numpy 2.4, x86-64).
_WITHOUT = {"tiktoken": (28 * MIB, 22 * MIB), "numpy": (12 * MIB, 6 * MIB)}
_BARE = 8 * MIB
# What the first process saves that imports tiktoken, and leaves it to its workers to load GPT-2's vocabulary.
_VOCABULARY = 21 * MIB
# What importing a library adds beside numpy: resident, anonymous. `python -m tests.bench tokenizers --libraries`;
# transformers 5.24 without torch, which it loads for its Auto classes alone; spacy's torch is counted apart.
_ADDED = {
    "tokenizers": (7 * MIB, 3 * MIB),
    "transformers": (36 * MIB, 27 * MIB),
    "sentencepiece": (8 * MIB, 4 * MIB),
    "nltk": (185 * MIB, 116 * MIB),
    "spacy": (75 * MIB, 43 * MIB),
}
_BRING_NUMPY = frozenset(("transformers", "nltk", "spacy"))

# What the allocator may keep and the formulas may miss: a share of the peak, and bytes below and above it.
_SLACK_SHARE = 0.02
_SLACK_LOW = 12 * MIB
_SLACK_HIGH = 28 * MIB
# What a forked worker copies of the libraries that its parent has imported, as a share of what they take beside numpy
# and tiktoken: Python's collector writes into the head of each object once the worker has made many of its own. After
# gc.collect(): 41 of the 144 MiB of torch 2.13, 37 of the 89 MiB of datasets 5.2 with transformers 5.24 (CPython 3.11,
# Private_Dirty of /proc/PID/smaps_rollup). Without: 1 to 2 MiB.
_COLLECTED = {"low": 0.0, "expected": 0.3, "high": 0.55}

# Trees of processes: how much of a fork is copied depends on what the workers touch.
_SLACK_SHARE_PROCESSES = 0.08
# Dataset.map of a table in memory goes through pickles of unknown number; a row group's buffers differ by file.
_SLACK_SHARES = {"from-dict-map": 0.15, "iter-batches": 0.15, "duckdb-batches": 0.15}
# What malloc keeps of a tokenizer's pieces differs by the order in which they are freed; what a trainer counts, and how
# many tokens spacy makes of a text, by that text.
_SLACK_TOKENIZERS, _SLACK_TRAINERS, _SLACK_DOCS = 0.10, 0.14, 0.20


def heaviest_library(trace: Trace) -> str:
    """Of those whose import weighs much, the one that brings the others along; "" for none."""
    return max((name for name in trace.imports if name in LIBRARIES), key=lambda n: LIBRARIES[n].rss, default="")


def import_memory(imports: Collection[str]) -> tuple[list[str], int]:
    """The libraries among `imports` that weigh something, and the anonymous memory of a Python that has them loaded."""
    heavy = [name for name in LIBRARIES if name in imports]
    names = [name for name in _WITHOUT if name in imports] + heavy
    # datasets brings pandas, and that pyarrow; all of them bring numpy.
    tables = max((LIBRARIES[name].anonymous for name in heavy if name != "torch"), default=0)
    added = tables + (LIBRARIES["torch"].anonymous if "torch" in heavy else 0)
    brought = {*names, *(["numpy"] if heavy else [])}
    saved = sum(anonymous for name, (_, anonymous) in _WITHOUT.items() if name not in brought)
    return names, FALLBACK_ANONYMOUS + added - saved


def estimate_script(trace: Trace, stats: CorpusStats, shape: TextShape, limits: Limits, costs: Costs) -> ScriptReport:
    """Every step and line of `trace` in bytes for the text of `stats`, and whether that fits."""
    weighed = {
        bound: _weigh(trace, text_of(stats, bound), shape, costs, bound) for bound in ("low", "expected", "high")
    }
    places = Places(trace.source, ((module.path, module.source) for module in trace.modules))
    middle = weighed["expected"]
    top = max(middle, key=lambda w: w.bytes)
    peak = _peak(trace, weighed, stats, shape, costs, top)
    pricing = Pricing(text_of(stats, "expected"), shape, costs)
    return ScriptReport(
        path=trace.path,
        plan=ScriptPlanEstimate(
            name=trace.name,
            peak=peak,
            peak_step=_step_name(top.moment.step, places),
            peak_line=_line(top.moment.step.span, places),
            steps=_steps(middle, places),
            parameters=trace.parameters,
            verdict=_verdict(trace, peak, limits),
            peak_file=top.moment.step.span.file or None,
        ),
        unrecognised=_unrecognised(trace, places),
        inputs=trace.inputs,
        encoding=trace.encoding,
        lines=_lines(middle, places),
        variables=_variables(trace, middle, pricing, places),
        source=trace.source,
        notes=trace.notes,
        modules=tuple(ScriptModule(module.name, module.path, module.source) for module in trace.modules),
        missing=trace.missing,
        findings=findings_of(trace, pricing, places),
    )


def script_peak(trace: Trace, stats: CorpusStats, shape: TextShape, limits: Limits, costs: Costs) -> tuple[Range, str]:
    """The peak and the verdict alone: of a script with another number in it."""
    weighed = {
        bound: _weigh(trace, text_of(stats, bound), shape, costs, bound) for bound in ("low", "expected", "high")
    }
    top = max(weighed["expected"], key=lambda w: w.bytes)
    peak = _peak(trace, weighed, stats, shape, costs, top)
    return peak, _verdict(trace, peak, limits)


def _verdict(trace: Trace, peak: Range, limits: Limits) -> str:
    """Nobody can say of a script that it fits whose end was not read."""
    verdict = judge(peak, limits)
    return "tight" if trace.unfinished and verdict == "fits" else verdict


def _baseline(trace: Trace, costs: Costs) -> int:
    """Python with the script's own libraries; of a tree of processes, the anonymous part. Measured, where that could
    be done; what that Python lacks, and what it cannot be asked about, counts as it was measured elsewhere.
    """
    if costs.script is None:
        return _measured_elsewhere(trace, costs)
    loaded = costs.script.anonymous if trace.processes else costs.script.rss
    lacks = [LIBRARIES[name] for name in costs.script.missing if name in LIBRARIES]
    loaded += max((lib.anonymous if trace.processes else lib.rss for lib in lacks), default=0)
    if not costs.script.whole:
        return max(loaded, _measured_elsewhere(trace, costs))
    usual = costs.anonymous() if trace.processes else costs.rss()
    return max(loaded, usual) if trace.missing or costs.script.missing else loaded


def _measured_elsewhere(trace: Trace, costs: Costs) -> int:
    """The same by the tables of what each library adds."""
    library, which = heaviest_library(trace), int(trace.processes)
    baseline = costs.anonymous(library) if trace.processes else costs.rss(library)
    added = [figures[which] for name, figures in _ADDED.items() if name in trace.imports]
    if "transformers" in trace.imports and "tokenizers" in trace.imports:
        added.remove(_ADDED["tokenizers"][which])  # which it brings
    if trace.unrecognised or (library and not added):
        return baseline + sum(added)
    brought = {"numpy"} if library or _BRING_NUMPY & trace.imports else set()
    saved = sum(figures[which] for name, figures in _WITHOUT.items() if name not in trace.imports | brought)
    return max(_BARE, baseline - saved + sum(added))


def _weigh(trace: Trace, text: Text, shape: TextShape, costs: Costs, bound: str) -> tuple[Weighed, ...]:
    baseline = _baseline(trace, costs)
    if trace.processes and not trace.encodes_here and "tiktoken" in trace.imports:
        baseline = max(_BARE, baseline - _VOCABULARY)
    worker = plans_pools.FILE_WORKER if trace.name == "pool-files" else plans_pools.WORKER
    if trace.spawned:
        worker = baseline
    elif trace.processes:
        worker += round(_COLLECTED[bound] * max(0, baseline - costs.anonymous()))
    pricing = Pricing(text, shape, costs, baseline, worker, bound=bound, tree=trace.processes)
    start = Moment(Step("import", Span(0, 0), ""), ())
    loads = "tiktoken" in trace.imports and not trace.processes
    most = costs.baseline_peak if costs.script is None else costs.script.peak
    peak = max(most, baseline) if loads or (costs.script is not None and not trace.processes) else baseline
    loading = Weighed(start, peak, (("Python, its libraries, the vocabulary while it is read", peak),))
    return (loading, *(pricing.weigh(moment) for moment in trace.moments))


def _peak(
    trace: Trace,
    weighed: dict[str, tuple[Weighed, ...]],
    stats: CorpusStats,
    shape: TextShape,
    costs: Costs,
    top: Weighed,
) -> Range:
    share = _SLACK_SHARE_PROCESSES if trace.processes else _SLACK_SHARE
    share = max(_SLACK_SHARES.get(trace.name, share), _tokenizer_slack(trace))
    low, high = (max(w.bytes for w in weighed[bound]) for bound in ("low", "high"))
    low -= round(share * low) + _SLACK_LOW
    high += round(share * high) + _SLACK_HIGH
    if trace.unrecognised or (trace.name == "unknown" and not any(map(trace.needs, TRAINERS))):
        # Whatever the unread lines do: as if they kept the text that they can get at, and a list of all its ids, beside
        # all the rest.
        everything = _reached(trace, Pricing(text_of(stats, "high"), shape, costs))
        high += round(everything.text + everything.utf8)
        high += round(costs.list_slot * everything.tokens + costs.heap_int * everything.heap_ints)
        low = min(low, costs.baseline)
    return Range(max(0, min(low, top.bytes)), top.bytes, max(high, top.bytes))


def _reached(trace: Trace, pricing: Pricing) -> Piece:
    """The part of the text that lines which are not understood can get at: all of it where one of them may."""
    whole = pricing.piece(Extent())
    if not trace.unrecognised:
        return whole
    largest: dict[tuple[str | None, float, float], Piece] = {}
    for extent in {extent for unread in trace.unrecognised for extent in unread.reached}:
        piece, key = pricing.piece(replace(extent, times=1.0)), (extent.source, extent.low, extent.high)
        if key not in largest or piece.share > largest[key].share:
            largest[key] = piece
    total = Piece()
    for piece in largest.values():
        total = total.plus(piece)
    return total if total.share < whole.share else whole


def _tokenizer_slack(trace: Trace) -> float:
    if any(map(trace.needs, TRAINERS)):
        return _SLACK_TRAINERS
    if trace.has_kind("doc") or trace.has_kind("docs"):
        return _SLACK_DOCS
    return _SLACK_TOKENIZERS if trace.has_kind("heap") else 0.0


def _line(span: Span, places: Places) -> int | None:
    """None before the first line, while libraries are loaded."""
    return places.position(span.start, span.file)[0] if span.end else None


def _step_name(step: Step, places: Places) -> str:
    line = _line(step.span, places)
    file = f"{step.span.file.rpartition('/')[2]} " if step.span.file else ""
    return f"{step.kind} ({file}line {line})" if line else step.kind


def _steps(weighed: Iterable[Weighed], places: Places) -> tuple[ScriptStep, ...]:
    """One for each place and kind, at its worst moment, in the order of the run."""
    worst: dict[tuple[str, int, str], Weighed] = {}
    for found in weighed:
        step = found.moment.step
        if step.kind == "line":
            continue
        key = (step.span.file, step.span.start if step.span.end else -1, step.kind)
        if key not in worst or found.bytes > worst[key].bytes:
            worst[key] = found
    return tuple(_step(found, places) for found in worst.values())


def _step(found: Weighed, places: Places) -> ScriptStep:
    step = found.moment.step
    line, col, end_line, end_col = (None, 0, None, 0) if not step.span.end else _place(step.span, places)
    return ScriptStep(
        name=_step_name(step, places),
        kind=step.kind,
        line=line,
        col=col,
        end_line=end_line,
        end_col=end_col,
        variable=step.variable,
        bytes=found.bytes,
        formula=found.formula,
        file=step.span.file or None,
    )


def _place(span: Span, places: Places) -> tuple[int, int, int, int]:
    return (*places.position(span.start, span.file), *places.position(span.end, span.file))


def _unrecognised(trace: Trace, places: Places) -> tuple[Unrecognised, ...]:
    lines = {"": lines_of(trace.source), **{module.path: lines_of(module.source) for module in trace.modules}}
    spans = [unread.span for unread in trace.unrecognised]
    found = sorted({(span.file, places.position(span.start, span.file)[0]) for span in spans})
    return tuple(
        Unrecognised(line, lines[file][line - 1].strip(), file or None)
        for file, line in found
        if line <= len(lines[file])
    )


def _lines(weighed: Iterable[Weighed], places: Places) -> tuple[LineMemory, ...]:
    most: dict[tuple[str, int], int] = {}
    for found in weighed:
        span = found.moment.step.span
        line = _line(span, places)
        if line is not None:
            most[span.file, line] = max(most.get((span.file, line), 0), found.bytes)
    return tuple(LineMemory(line, most[file, line], file or None) for file, line in sorted(most))


def _variables(trace: Trace, weighed: Iterable[Weighed], pricing: Pricing, places: Places) -> tuple[Variable, ...]:
    """Names that hold something of the input's size, with every use of them."""
    kinds: dict[str, set[str]] = {}
    most: dict[str, int] = {}
    for found in weighed:
        sizes: dict[str, int] = {}
        for held in found.moment.alive:
            if held.label and held.parts and not KINDS[held.kind].small and held.kind != "ints":
                kinds.setdefault(held.label, set()).add(held.kind)
            if held.label:
                sizes[held.label] = sizes.get(held.label, 0) + pricing.held(held)
        for label, size in sizes.items():
            most[label] = max(most.get(label, 0), min(MOST, size))
    result = []
    for variable in trace.variables:
        name = variable.name
        labels = [name] if not name.startswith("self.") else [k for k in kinds if k.endswith(name[4:])]
        for label in labels[:1]:
            if label in kinds:
                uses = tuple(Use(*_place(use.span, places), use.context) for use in variable.uses)
                found_kinds = tuple(sorted(kinds[label]))
                file = variable.uses[0].span.file or None
                result.append(Variable(name, variable.scope, found_kinds, most.get(label, 0), uses, file))
    return tuple(result)
