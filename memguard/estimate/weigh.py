"""One text and one machine, read once: what any version of a script's source would take of it."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.estimate import script
from memguard.estimate.job import Progress, Request, costs_of, read_inputs
from memguard.estimate.modules import ModuleFinder
from memguard.estimate.plans.costs import Costs
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script_job import read_trace, script_shape
from memguard.estimate.tuning import TUNING, Tuning
from memguard.records.estimate import CorpusStats, Range
from memguard.records.limits import Limits
from memguard.records.script import ScriptReport

__all__ = ["Weigher", "read_weigher"]


@dataclass(frozen=True, slots=True)
class Weigher:
    """`stream_rate` and `tiktoken_rate`: bytes of text a second, as measured here; None: not measured."""

    path: str
    arguments: tuple[str, ...] | None
    stats: CorpusStats
    shape: TextShape
    limits: Limits
    costs: Costs
    stream_rate: float | None
    tiktoken_rate: float | None
    notes: tuple[str, ...]
    finder: ModuleFinder

    def peak(self, source: str) -> tuple[Range, str]:
        """The peak of the script with this source, and the verdict. Raises InputError for what is not Python."""
        return script.script_peak(self._read(source), self.stats, self.shape, self.limits, self.costs)

    def report(self, source: str) -> ScriptReport:
        """The same with every line and what it makes."""
        return script.estimate_script(self._read(source), self.stats, self.shape, self.limits, self.costs)

    def _read(self, source: str) -> script.Trace:
        return read_trace(source, self.path, self.finder, self.arguments, self.shape.records)


def read_weigher(
    request: Request, limits: Limits, *, progress: Progress | None = None, tuning: Tuning = TUNING
) -> Weigher:
    """Reads the script of `request` and its text. Raises InputError, ConfigError as estimate_files does."""
    read = read_inputs(request, limits, progress=progress, tuning=tuning)
    assert read.plan is not None
    costs = costs_of(read.baseline)
    stats, shape, notes = script_shape(
        read.plan,
        read.found.stats,
        costs,
        from_files=bool(read.request.files),
        tuning=tuning,
        records=read.records,
    )
    return Weigher(
        path=read.plan.path,
        arguments=read.request.arguments,
        stats=stats,
        shape=shape,
        limits=limits,
        costs=costs,
        stream_rate=read.found.stream_rate,
        tiktoken_rate=read.baseline.rate,
        notes=(*read.found.notes, *notes),
        finder=ModuleFinder(read.plan.path),
    )
