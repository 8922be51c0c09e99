"""pickle, marshal, joblib, dill: all the objects of a file at once, whatever they are."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import merged
from memguard.script.interface import Call
from memguard.script.liveness import reach
from memguard.script.operations.inputs import open_file
from memguard.script.registry import function, nothing, unknown
from memguard.script.values import UNKNOWN, Buffer, Constant, File

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
    found = reach([call.arg(0)])
    if found.generators or found.callbacks or not found.extents:
        return UNKNOWN
    result = call.hold("bytes")
    for index, extent in enumerate(merged(found.extents)):
        result.parts[(*call.state.site(call.node), index)] = extent
    call.record("copy")
    return result


function("pickle.dump marshal.dump dill.dump cloudpickle.dump joblib.dump torch.save")(
    nothing("written as it goes: pickle.dump of a list has no measurable copy")
)
function("pickle.Pickler pickle.HIGHEST_PROTOCOL")(nothing("written as it goes"))
