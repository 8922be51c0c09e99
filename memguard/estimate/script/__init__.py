"""A script, as memguard/script reads it, in bytes: its plan's peak, every step and every line. Pure.

report.py   the Trace -> ScriptReport
findings.py what it makes, place by place
knobs.py    the numbers in it that its peak depends on
pricing.py  what is alive at a moment -> bytes
prices.py   what each kind of value costs
scale.py    a part of the input in figures of this text
amounts.py  those figures

The names below load on first use: an estimate without --script does not pay for the script reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.estimate.lazy import door

if TYPE_CHECKING:
    from memguard.estimate.script.knobs import knobs_of
    from memguard.estimate.script.report import estimate_script, heaviest_library, script_peak
    from memguard.estimate.script.training_prices import TRAINERS
    from memguard.script.read import read_script
    from memguard.script.trace import Trace

__all__ = ["TRAINERS", "Trace", "estimate_script", "heaviest_library", "knobs_of", "read_script", "script_peak"]

_PLACES = {
    "TRAINERS": "training_prices",
    "Trace": "memguard.script.trace",
    "estimate_script": "report",
    "heaviest_library": "report",
    "knobs_of": "knobs",
    "read_script": "memguard.script.read",
    "script_peak": "report",
}
__getattr__ = door(__name__, _PLACES)
