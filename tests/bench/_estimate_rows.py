"""Rows of `python -m tests.bench estimate`: what was measured, kept in a file; what is predicted; the summary."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from memguard.records.estimate import PlanEstimate
from memguard.units import format_size

__all__ = ["Measurement", "Row", "TokenRow", "append", "line", "read_measurements", "summary"]

LARGE = 200e6  # bytes: the errors of smaller peaks are told apart, Python itself is most of them


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of a script: its peak in bytes, and its wall time."""

    text: str
    size: int  # bytes asked for
    run: str
    repeat: int
    peak: int
    seconds: float

    @property
    def key(self) -> tuple[str, int, str, int]:
        return self.text, self.size, self.run, self.repeat


@dataclass(frozen=True, slots=True)
class Row:
    measurement: Measurement
    pool: bool
    counted: PlanEstimate
    sampled: PlanEstimate

    def ratio(self, how: str) -> float:
        plan: PlanEstimate = getattr(self, how)
        return plan.peak.expected / self.measurement.peak

    def inside(self, how: str) -> bool:
        plan: PlanEstimate = getattr(self, how)
        return plan.peak.low <= self.measurement.peak <= plan.peak.high


@dataclass(frozen=True, slots=True)
class TokenRow:
    """Tokens from the sample over tokens counted, one for every draw; `held`: the band had the count in it."""

    text: str
    ratios: tuple[float, ...]
    held: int


def read_measurements(path: Path | None) -> dict[tuple[str, int, str, int], Measurement]:
    if path is None or not path.exists():
        return {}
    found = (Measurement(**json.loads(text)) for text in path.read_text(encoding="utf-8").splitlines())
    return {measurement.key: measurement for measurement in found}


def append(path: Path, measurement: Measurement) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(measurement), ensure_ascii=False) + "\n")


def line(row: Row) -> str:
    measurement = row.measurement
    inside = "inside" if row.inside("counted") and row.inside("sampled") else "OUTSIDE"
    seconds = f"{row.counted.seconds / measurement.seconds:5.2f}" if row.counted.seconds else "    -"
    return (
        f"{measurement.text[:24]:<24}  {measurement.size / 1e6:3.0f} MB  {measurement.run:<24}"
        f"  measured {format_size(measurement.peak):>8}  counted {row.ratio('counted'):6.3f}"
        f"  sampled {row.ratio('sampled'):6.3f}  {inside:<7}  {measurement.seconds:5.1f} s  time {seconds}"
    )


def summary(rows: Sequence[Row], tokens: Sequence[TokenRow]) -> str:
    scripts = [row for row in rows if not row.measurement.run.startswith("stream")]  # a budget, not a formula
    large = [row for row in scripts if row.measurement.peak >= LARGE]
    small = [row for row in scripts if row.measurement.peak < LARGE]
    lines = ["", "peaks of at least 200 MB: error of the expected peak, and how many were inside [low, high]"]
    for title, group in (
        ("single process", [r for r in large if not r.pool]),
        ("several", [r for r in large if r.pool]),
    ):
        lines += [f"  {title + ', ' + how:<24}{_errors(group, how)}" for how in ("counted", "sampled")]
    lines.append("smaller peaks")
    lines += [f"  {how:<24}{_errors(small, how)}" for how in ("counted", "sampled")]
    lines += _by_plan(rows) + _spread(rows) + _seconds(scripts) + _tokens(tokens)
    return "\n".join(lines)


def _errors(rows: Sequence[Row], how: str) -> str:
    if not rows:
        return "no runs"
    errors = [abs(row.ratio(how) - 1) for row in rows]
    inside = sum(row.inside(how) for row in rows)
    return (
        f"p50 {statistics.median(errors):5.1%}  p95 {_percentile(errors, 0.95):5.1%}  max {max(errors):5.1%}"
        f"  inside {inside} of {len(rows)} ({inside / len(rows):.1%})"
    )


def _percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def _grouped(rows: Sequence[Row], key: Callable[[Row], object]) -> dict[object, list[Row]]:
    groups: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _by_plan(rows: Sequence[Row]) -> list[str]:
    lines = ["predicted / measured, lowest and highest"]
    for name, group in _grouped(rows, lambda row: row.measurement.run).items():
        peaks = [row.measurement.peak for row in group]
        figures = "  ".join(
            f"{how} {min(r.ratio(how) for r in group):.3f}–{max(r.ratio(how) for r in group):.3f}"
            f" inside {sum(r.inside(how) for r in group)}/{len(group)}"
            for how in ("counted", "sampled")
        )
        lines.append(f"  {name!s:<24}  {format_size(min(peaks)):>8} to {format_size(max(peaks)):>8}  {figures}")
    return lines


def _spread(rows: Sequence[Row]) -> list[str]:
    """Of runs that were repeated: the highest peak over the lowest. No prediction can be closer than half of that."""
    groups = _grouped(rows, lambda row: (row.measurement.text, row.measurement.size, row.measurement.run))
    spreads = defaultdict(list)
    for (_, _, run), group in groups.items():  # type: ignore[misc]
        if len(group) > 1:
            peaks = [row.measurement.peak for row in group]
            spreads[run].append(max(peaks) / min(peaks))
    if not spreads:
        return []
    return ["the same run repeated: highest peak / lowest"] + [
        f"  {run:<24}  median {statistics.median(values):.3f}  most {max(values):.3f}  ({len(values)} texts)"
        for run, values in spreads.items()
    ]


def _seconds(rows: Sequence[Row]) -> list[str]:
    timed = [row for row in rows if row.counted.seconds is not None]
    if not timed:
        return []
    ratios = [_time(row) for row in timed]
    figures = "  ".join(
        f"{name} {statistics.median(map(_time, group)):.2f}"
        for name, group in _grouped(timed, lambda row: row.measurement.run).items()
    )
    return [
        f"time, predicted / measured: p5 {_percentile(ratios, 0.05):.2f}  median {statistics.median(ratios):.2f}"
        f"  p95 {_percentile(ratios, 0.95):.2f}  ({len(ratios)} runs)",
        f"  medians: {figures}",
    ]


def _time(row: Row) -> float:
    return (row.counted.seconds or 0.0) / row.measurement.seconds


def _tokens(rows: Sequence[TokenRow]) -> list[str]:
    if not rows:
        return []
    errors = [abs(ratio - 1) for row in rows for ratio in row.ratios]
    held = sum(row.held for row in rows)
    lines = [
        f"tokens from the sample: error p50 {statistics.median(errors):.2%}  p95 {_percentile(errors, 0.95):.2%}"
        f"  max {max(errors):.2%}, inside the band {held} of {len(errors)}"
    ]
    for row in rows:
        worst = max(abs(ratio - 1) for ratio in row.ratios)
        lines.append(f"  {row.text:<24}  worst of {len(row.ratios)} draws {worst:.2%}, inside {row.held}")
    return lines
