"""pickle, marshal, joblib, dill: all the objects of a file at once, whatever they are."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import merged
from memguard.script.interface import Call
from memguard.script.liveness import buffers_in, reach
from memguard.script.operations.digits import digits
from memguard.script.operations.inputs import open_file
from memguard.script.registry import function, nothing, unknown
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, File, Small

__all__: list[str] = []


@function("pickle.load pickle.loads marshal.load marshal.loads dill.load dill.loads cloudpickle.load cloudpickle.loads")
@function("joblib.load torch.load")
def load(call: Call) -> Any:
    """What is in the file stands nowhere in the script: as if all of it were token ids."""
    source = call.arg(0)
    if not isinstance(source, (File, Buffer)):
        source = open_file(call.interpreter, source, Constant("rb"))
    return unknown(call.with_args(source))


@function("pickle.dumps marshal.dumps dill.dumps cloudpickle.dumps")
def dumps(call: Call) -> Any:
    """3 bytes for an id below 65536, 5 for a larger one; a text as it is in UTF-8: about the bytes of the input."""
    value = call.arg(0)
    if isinstance(value, Buffer) and value.kind == "ids":
        result = digits(call, value, 3.0)
        call.record("copy")
        return result
    found = reach([call.arg(0)])
    if found.generators or found.callbacks or not found.extents:
        return UNKNOWN
    result = call.hold("bytes")
    for index, extent in enumerate(merged(found.extents)):
        result.parts[(*call.state.site(call.node), index)] = extent
    call.record("copy")
    return result


@function("pickle.dump dill.dump cloudpickle.dump joblib.dump torch.save", frees="written as it goes")
def dump(call: Call) -> Any:
    """Of a list of numbers there is no copy; the memo has an entry for each str, list, dict and array until the end,
    and torch.save a record for each tensor.
    """
    mark = len(call.state.temps)
    for value in buffers_in([call.arg(0)]):
        if isinstance(value, Buffer) and value.kind in ("strings", "words", "lists", "arrays"):
            kind = "storage" if call.name == "torch.save" and value.kind == "arrays" else "memo"
            memo = call.hold("objects", made_of=(Small(kind),), source=value)
            memo.parts.update(value.parts)
            memo.pieces.update(value.pieces)
    if len(call.state.temps) > mark:
        call.record("dump")
        del call.state.temps[mark:]
    return NOTHING


function("marshal.dump")(nothing("written as it goes"))
function("pickle.Pickler pickle.HIGHEST_PROTOCOL")(nothing("written as it goes"))
