"""The forecast as the loop needs it: looks at the inputs' positions from time to time, and keeps what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from memguard.system.open_files import read_positions
from memguard.system.proc import Process
from memguard.watch.decide.forecast import Point, Track, forecast, observe, period, will_exceed
from memguard.watch.decide.policy import Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.records.run import Forecast

__all__ = ["ForecastTracker"]

_OF = 8  # processes
_FRESH = 10.0  # seconds for which a forecast is worth saying: after that its input is no longer read


class ForecastTracker:
    def __init__(self) -> None:
        self.forecast: Forecast | None = None
        self._track = Track()
        self._will_exceed = False
        self._looked = self._at = -1e9

    def update(self, sample: Sample, processes: tuple[Process, ...], inputs: Mapping[str, int]) -> Sample:
        """`sample`, with what the positions of `inputs` (path → size) foresee; 0.4 ms, at most every 0.05–0.25 s."""
        if inputs and sample.time - self._looked >= period(sample.time):
            self._looked = sample.time
            for path, position, size in read_positions(processes[:_OF], inputs):
                self._track = observe(self._track, Point(sample.time, path, position, size, sample.tree))
                self._at = sample.time
            usable = self._usable(sample)
            self.forecast = forecast(self._track, usable) or self.forecast
            self._will_exceed = will_exceed(
                self._track, usable
            )  # 0.25 ms, and near a limit there are hundreds of samples a second
        if self.forecast is None or sample.time - self._at > _FRESH:
            return sample
        return replace(sample, forecast=self.forecast.peak, will_exceed=self._will_exceed)

    def _usable(self, sample: Sample) -> int | None:
        tightest = sample.tightest
        return None if tightest is None else sample.tree + tightest.headroom
