"""The plan of a prep script, read out of its source: AST only, nothing of it is run. Pure.

    read_script       source → ScriptPlan: the moments of its run, each with all that is alive
    estimate_script   ScriptPlan × text × limits → ScriptReport: bytes for every step and every line

script_statements.py and script_expressions.py follow the script, script_state.py keeps its memory, script_calls.py,
script_methods.py, script_tables.py and script_libraries.py know what calls give, script_price.py weighs it.
What is not understood is listed with its line. It never makes the estimate smaller: an unknown result counts as a list
of all token ids it could hold, a loop that gathers something unknown as one that keeps everything.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from memguard.estimate.baseline import FALLBACK_ANONYMOUS
from memguard.estimate.model import judge
from memguard.estimate.plans import pools as plans_pools
from memguard.estimate.plans.costs import LIBRARIES, Costs
from memguard.estimate.plans.quantities import Text, text_of
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script.pricing import Pricing, Weighed
from memguard.records.estimate import CorpusStats, Range
from memguard.records.limits import Limits
from memguard.records.script import (
    LineMemory,
    ScriptPlanEstimate,
    ScriptReport,
    ScriptStep,
    Unrecognised,
    Use,
    Variable,
    lines_of,
)
from memguard.script.interpreter.statements import Reader
from memguard.script.plan_name import name_plan, parameters
from memguard.script.pressure import pressure_notes
from memguard.script.scopes import uses_of_names
from memguard.script.source import deep_recursion, parse_script, quiet_collector, too_deep
from memguard.script.state import Moment
from memguard.script.values import Extent
from memguard.units import MIB

__all__ = ["ScriptPlan", "estimate_script", "heaviest_library", "import_memory", "read_script"]

# What a script saves that does not import them: resident, anonymous; a bare Python (CPython 3.11, numpy 2.4, x86-64).
_WITHOUT = {"tiktoken": (28 * MIB, 22 * MIB), "numpy": (12 * MIB, 6 * MIB)}
_BARE = 8 * MIB

# What the allocator may keep and the formulas may miss: a share of the peak, and bytes below and above it.
_SLACK_SHARE = 0.02
_SLACK_LOW = 12 * MIB
_SLACK_HIGH = 28 * MIB
# Trees of processes: how much of a fork is copied depends on what the workers touch.
_SLACK_SHARE_PROCESSES = 0.08
# Dataset.map of a table in memory goes through pickles of unknown number; a row group's buffers differ by file.
_SLACK_SHARES = {"from-dict-map": 0.15, "iter-batches": 0.15}


@dataclass(frozen=True, slots=True)
class ScriptPlan:
    """A script as read, before any text is known. `name` is one of the named plans, or unknown."""

    path: str
    source: str
    name: str
    parameters: dict[str, str]
    moments: tuple[Moment, ...]
    unrecognised: tuple[Unrecognised, ...]
    inputs: tuple[str, ...]  # paths that it names itself
    sources: tuple[str, ...]  # every input, those from the command line by the script's name of them
    encoding: str
    imports: frozenset[str]
    uses: dict[tuple[str, str], tuple[Use, ...]]
    notes: tuple[str, ...] = ()  # what its author should know, beside its memory
    unfinished: bool = False  # a part of it was not looked at: it takes more steps than a reader has

    @property
    def slices(self) -> float | None:
        """The share of the text that is sliced off, where that is done before encoding."""
        value = self.parameters.get("val_fraction")
        return float(value) if value else None

    @property
    def processes(self) -> bool:
        """True when it starts workers."""
        return "workers" in self.parameters or any(moment.workers for moment in self.moments)


def heaviest_library(plan: ScriptPlan) -> str:
    """Of those whose import weighs much, the one that brings the others along; "" for none."""
    return max((name for name in plan.imports if name in LIBRARIES), key=lambda n: LIBRARIES[n].rss, default="")


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


def read_script(source: str, path: str) -> ScriptPlan:
    """Raises InputError for what is not Python, or too large for a script."""
    with quiet_collector():
        tree = parse_script(source, path)
        with deep_recursion():
            try:
                return _read(tree, source, path)
            except RecursionError:
                raise too_deep(path) from None


def _read(tree: ast.Module, source: str, path: str) -> ScriptPlan:
    reader = Reader(path)
    reader.module(tree)
    state = reader.state
    found = {key: str(value) for key, value in parameters(state).items()}
    return ScriptPlan(
        path=path,
        source=source,
        name=name_plan(state),
        parameters=found,
        moments=tuple(state.moments),
        unrecognised=_unrecognised(state.unrecognised.values(), source),
        inputs=tuple(state.inputs),
        sources=tuple(state.sources),
        encoding=str(state.facts.get("encoding", "gpt2")),
        imports=frozenset(state.facts.get("imports", ())),
        uses=uses_of_names(tree),
        unfinished=state.ended is not None,
        notes=pressure_notes(tree) if "on_pressure" in source else (),
    )


def _unrecognised(nodes: Iterable[ast.AST], source: str) -> tuple[Unrecognised, ...]:
    lines = lines_of(source)
    found = sorted({getattr(node, "lineno", 1) for node in nodes})
    return tuple(Unrecognised(line, lines[line - 1].strip()) for line in found if line <= len(lines))


def estimate_script(
    plan: ScriptPlan, stats: CorpusStats, shape: TextShape, limits: Limits, costs: Costs
) -> ScriptReport:
    """Every step and line of `plan` in bytes for the text of `stats`, and whether that fits."""
    weighed = {bound: _weigh(plan, text_of(stats, bound), shape, costs, bound) for bound in ("low", "expected", "high")}
    middle = weighed["expected"]
    top = max(middle, key=lambda w: w.bytes)
    peak = _peak(plan, weighed, stats, shape, costs, top)
    return ScriptReport(
        path=plan.path,
        plan=ScriptPlanEstimate(
            name=plan.name,
            peak=peak,
            peak_step=_step_name(top),
            peak_line=getattr(top.moment.node, "lineno", None),
            steps=_steps(middle),
            parameters=plan.parameters,
            verdict=_verdict(plan, peak, limits),
        ),
        unrecognised=plan.unrecognised,
        inputs=plan.inputs,
        encoding=plan.encoding,
        lines=_lines(middle),
        variables=_variables(plan, middle, Pricing(text_of(stats, "expected"), shape, costs)),
        source=plan.source,
        notes=plan.notes,
    )


def _verdict(plan: ScriptPlan, peak: Range, limits: Limits) -> str:
    """Nobody can say of a script that it fits whose end was not read."""
    verdict = judge(peak, limits)
    return "tight" if plan.unfinished and verdict == "fits" else verdict


def _baseline(plan: ScriptPlan, costs: Costs) -> int:
    """Python with the script's own libraries; of a tree of processes, the anonymous part."""
    library = heaviest_library(plan)
    baseline = costs.anonymous(library) if plan.processes else costs.rss(library)
    if library or plan.unrecognised:
        return baseline
    for name, (rss, anonymous) in _WITHOUT.items():
        if name not in plan.imports:
            baseline -= anonymous if plan.processes else rss
    return max(_BARE, baseline)


def _weigh(plan: ScriptPlan, text: Text, shape: TextShape, costs: Costs, bound: str) -> tuple[Weighed, ...]:
    baseline = _baseline(plan, costs)
    worker = plans_pools.FILE_WORKER if plan.name == "pool-files" else plans_pools.WORKER
    pricing = Pricing(text, shape, costs, baseline, worker, bound=bound)
    start = Moment(ast.Pass(), "import", "", ())
    loads = "tiktoken" in plan.imports and not plan.processes
    peak = max(costs.baseline_peak, baseline) if loads else baseline
    loading = Weighed(start, peak, (("Python, its libraries, the vocabulary while it is read", peak),))
    return (loading, *(pricing.weigh(moment) for moment in plan.moments))


def _peak(
    plan: ScriptPlan,
    weighed: dict[str, tuple[Weighed, ...]],
    stats: CorpusStats,
    shape: TextShape,
    costs: Costs,
    top: Weighed,
) -> Range:
    share = _SLACK_SHARE_PROCESSES if plan.processes else _SLACK_SHARE
    share = _SLACK_SHARES.get(plan.name, share)
    low, high = (max(w.bytes for w in weighed[bound]) for bound in ("low", "high"))
    low -= round(share * low) + _SLACK_LOW
    high += round(share * high) + _SLACK_HIGH
    if plan.unrecognised or plan.name == "unknown":
        # Whatever the unread lines do: as if they kept the text and a list of all its ids beside all the rest.
        pricing = Pricing(text_of(stats, "high"), shape, costs)
        everything = pricing.piece(Extent())
        high += round(everything.text + everything.utf8)
        high += round(costs.list_slot * everything.tokens + costs.boxed_int * everything.heap_ints)
        low = min(low, costs.baseline)
    return Range(max(0, min(low, top.bytes)), top.bytes, max(high, top.bytes))


def _step_name(weighed: Weighed) -> str:
    line = getattr(weighed.moment.node, "lineno", None)
    return f"{weighed.moment.kind} (line {line})" if line else weighed.moment.kind


def _steps(weighed: Iterable[Weighed]) -> tuple[ScriptStep, ...]:
    """One for each place and kind, at its worst moment, in the order of the run."""
    worst: dict[tuple[int, int, str], Weighed] = {}
    for found in weighed:
        node = found.moment.node
        if found.moment.kind == "line":
            continue
        key = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0), found.moment.kind)
        if key not in worst or found.bytes > worst[key].bytes:
            worst[key] = found
    return tuple(_step(found) for found in worst.values())


def _step(found: Weighed) -> ScriptStep:
    node = found.moment.node
    line: int | None = getattr(node, "lineno", None)
    return ScriptStep(
        name=_step_name(found),
        kind=found.moment.kind,
        line=line,
        col=int(getattr(node, "col_offset", 0)),
        end_line=getattr(node, "end_lineno", None) or line,
        end_col=int(getattr(node, "end_col_offset", None) or 0),
        variable=found.moment.variable,
        bytes=found.bytes,
        formula=found.formula,
    )


def _lines(weighed: Iterable[Weighed]) -> tuple[LineMemory, ...]:
    most: dict[int, int] = {}
    for found in weighed:
        line = getattr(found.moment.node, "lineno", None)
        if line is not None:
            most[line] = max(most.get(line, 0), found.bytes)
    return tuple(LineMemory(line, most[line]) for line in sorted(most))


def _variables(plan: ScriptPlan, weighed: Iterable[Weighed], pricing: Pricing) -> tuple[Variable, ...]:
    """Names that hold something of the input's size, with every use of them."""
    kinds: dict[str, set[str]] = {}
    most: dict[str, int] = {}
    for found in weighed:
        sizes: dict[str, int] = {}
        for held in found.moment.alive:
            if held.label and held.parts and held.kind not in ("ints", "char", "token", "list"):
                kinds.setdefault(held.label, set()).add(held.kind)
            if held.label:
                sizes[held.label] = sizes.get(held.label, 0) + pricing.held(held)
        for label, size in sizes.items():
            most[label] = max(most.get(label, 0), size)
    result = []
    for (scope, name), uses in plan.uses.items():
        labels = [name] if not name.startswith("self.") else [k for k in kinds if k.endswith(name[4:])]
        for label in labels[:1]:
            if label in kinds:
                result.append(Variable(name, scope, tuple(sorted(kinds[label])), most.get(label, 0), uses))
    return tuple(result)
