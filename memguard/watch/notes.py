"""What the watcher writes down of a run as it goes: limits, peaks, inputs, decisions, and how it ended."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from memguard.records.limits import Constraint
from memguard.system.limits import describe
from memguard.system.proc import Process, read_status
from memguard.watch.decide.policy import Sample
from memguard.watch.journal import Journal, prune, write_record
from memguard.watch.measure.inputs import InputFiles
from memguard.watch.measure.sampler import Sampler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from memguard.records.run import Forecast, RunRecord

__all__ = ["Notes"]

_PEAK_STEP = 1.05  # the journal gets a line at each new peak of this ratio
_INPUTS_PERIOD = 0.1  # seconds between looks at the open input files, while memory grows
_INPUTS_OF = 8  # processes
_INPUTS_KEPT = 20


class Notes:
    def __init__(self, journal: Journal, sampler: Sampler, clock: Callable[[], float]) -> None:
        self._fullest: Constraint | None = None  # the one that was, or would be, met first
        self._inputs = InputFiles(journal.directory.path)
        self._journal, self._sampler, self._now = journal, sampler, clock
        self._cpu_before = _cpu_seconds()
        self._stall = 0.0
        self._noted_peak = 0
        self._inputs_at = (-1e9, 0)

    def sample(self, sample: Sample) -> None:
        """Rarely more than a few comparisons, and only while something grows."""
        binding = sample.tightest
        if binding is not None and (self._fullest is None or binding.headroom < self._fullest.headroom):
            before, self._fullest = self._fullest, binding
            if before is None or (before.name, before.source) != (binding.name, binding.source):
                self._journal.write("limit", sample.time, set=self.limit())
        if self._sampler.peak > self._noted_peak * _PEAK_STEP:
            self._noted_peak = self._sampler.peak
            self._journal.write("peak", sample.time, set={"peak": sample.tree})
        looked, tree_then = self._inputs_at
        if sample.time - looked >= _INPUTS_PERIOD and abs(sample.tree - tree_then) > 1 << 20:
            self._inputs_at = (sample.time, sample.tree)
            self.look_at_inputs(self._sampler.processes[:_INPUTS_OF])

    @property
    def inputs(self) -> dict[str, int]:
        """path → size"""
        return self._inputs.sizes

    def met(self, constraint: Constraint | None) -> None:
        """The limit that has ended the run; None: a frozen tree was let go, and nothing is known again."""
        self._fullest = constraint

    def stall(self, percent: float) -> None:
        """PSI's full avg10 near the end of the machine's memory; the highest one is kept."""
        if percent > self._stall + 1:
            self._stall = percent
            self._journal.write("stall", self._now(), set={"stall": percent})

    def look_at_inputs(self, processes: tuple[Process, ...]) -> None:
        if self._inputs.look(processes):
            largest = sorted(self.inputs, key=lambda path: -self.inputs[path])[:_INPUTS_KEPT]
            self._journal.write("inputs", self._now(), set={"inputs": largest})

    def decision(self, action: str, rule: str, constraint: Constraint | None, reason: str) -> None:
        used, usable = (constraint.used, constraint.usable) if constraint else (self._sampler.peak, 0)
        now = self._now()
        made = {"time": round(now, 4), "action": action, "rule": rule, "used": used, "limit": usable, "reason": reason}
        self._journal.write("decision", now, decision=made)

    def forecast(self, forecast: Forecast) -> None:
        from memguard.records.codec import to_dict

        self._journal.write("forecast", self._now(), set={"forecast": to_dict(forecast)})

    def limit(self) -> dict[str, Any]:
        """The fields of the record that name the limit which was, or would be, met first."""
        limit = self._fullest
        if limit is None:
            return {}
        kernel = limit.limit if limit.kernel else None
        fields = {"value": limit.usable, "source": describe(limit), "name": limit.name, "kernel_limit": kernel}
        return {"limit": fields}

    def overhead(self) -> dict[str, Any]:
        """What the watching has cost so far, as the fields of records.run.Overhead."""
        status = read_status("self")
        return {"cpu_seconds": round(_cpu_seconds() - self._cpu_before, 3), "rss": status.vm_hwm if status else None}

    def end(self, **fields: Any) -> RunRecord:
        """Writes the last line and the record; `fields` are RunRecord's."""
        measured = {
            "seconds": round(self._now(), 3),
            "peak": self._sampler.peak or None,  # ended before it was measured
            "processes": self._sampler.most_processes,
            "samples": self._sampler.samples,
        }
        self._journal.write("end", self._now(), set={**measured, **self.limit(), **fields})
        record = self._journal.record()
        with contextlib.suppress(OSError):  # the journal says the same
            write_record(record, self._journal.directory.record)
        prune(os.path.dirname(self._journal.directory.path), time.time())
        return record


def _cpu_seconds() -> float:
    return time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)
