"""scikit-learn: a list or an array taken apart into a part to train on and one to test on."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.operations.ints import ints_behind
from memguard.script.operations.lengths import ARRAYS
from memguard.script.registry import function
from memguard.script.values import UNKNOWN, Buffer, Sequence

__all__: list[str] = []

_TEST_SHARE = 0.25  # where nothing says otherwise (scikit-learn 1.7, model_selection/_split.py)
_SHARED = ("strings", "lists", "records", "words")  # lists of objects, which the parts share with the whole


@function("sklearn.model_selection.train_test_split")
def split_in_two(call: Call) -> Any:
    """Train and test part of each argument: a list's elements are shared, an array's copied."""
    if not call.args or not all(isinstance(value, Buffer) for value in call.args):
        return UNKNOWN
    given = call.number("test_size")
    share, kept = given, call.number("train_size")
    if share is None and kept is not None and 0 < kept < 1:
        share = 1.0 - kept
    if share is None and "test_size" in call.kwargs:
        share = 0.5  # of what nobody knows, neither part is small
    share = _TEST_SHARE if share is None else share
    count = share >= 1  # a number of elements
    parts: list[Any] = []
    for value in call.args:
        whole = value.extent
        train, test = (
            (whole, whole.window(0, "lines", share))
            if count
            else (
                whole.part(0.0, 1.0 - share),
                whole.part(1.0 - share, 1.0),
            )
        )
        parts += [_part(call, value, train), _part(call, value, test)]
    call.record("split")
    return Sequence(parts)


def _part(call: Call, value: Buffer, extent: Extent) -> Any:
    if value.kind in ARRAYS or value.kind == "view":
        found = call.hold("array", extent, item=value.item)
        found.source, found.library = value, value.library
        return found
    if value.kind in _SHARED:
        found = Buffer(value.kind, {0: extent}, tuple(call.state.loops), value.line, refs=[value], of=value)
        found.pieces, found.origin, found.source, found.steps = dict(value.pieces), value.origin, value, value.steps
        found.row, found.item = value.row, value.item
        return found
    found = call.hold(value.kind, extent)
    found.pieces.update(value.pieces)
    found.refs += ints_behind(value) if value.kind == "ids" else [value]
    return found
