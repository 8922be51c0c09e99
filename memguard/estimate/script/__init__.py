"""A script, as memguard/script reads it, in bytes: its plan's peak, every step and every line. Pure.

report.py   the plan -> ScriptReport
pricing.py  what is alive at a moment -> bytes
amounts.py  a part of the text in figures

The names below load on first use: an estimate without --script does not pay for the script reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.estimate.lazy import door

if TYPE_CHECKING:
    from memguard.estimate.script.report import ScriptPlan, estimate_script, heaviest_library, read_script

__all__ = ["ScriptPlan", "estimate_script", "heaviest_library", "read_script"]

__getattr__ = door(__name__, dict.fromkeys(__all__, "report"))
