"""memguard's own names in a script: a checkpoint costs nothing, a ShardWriter keeps what it gets on the disk."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.registry import function, gives, nothing

__all__: list[str] = []


@function("memguard.checkpoints memguard.pressure.checkpoints")
def checkpoints(call: Call) -> Any:
    """What it gets, one at a time."""
    return call.arg(0, "iterable")


@function("memguard.on_pressure")
def on_pressure(call: Call) -> Any:
    """A decorator: the function itself."""
    return call.arg(0)


function("memguard.checkpoint memguard.headroom")(nothing("a bool or a number"))
function("memguard.guard memguard.limited memguard.ShardWriter memguard.on_pressure.*")(
    gives("what it writes is on the disk")
)
function("memguard.guard*.* memguard.limited*.* memguard.ShardWriter*.*")(
    nothing("what it writes is on the disk", runs=True)
)
