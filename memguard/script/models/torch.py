"""torch: tensors made of lists, and of arrays without a copy. What it shares with numpy is in numpy.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.arrays import item_size, make_array
from memguard.script.operations.elements import view
from memguard.script.registry import function, method, nothing
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Generator, Instance, Sequence

__all__: list[str] = []

_LOADER = "torch.utils.data.DataLoader"


@function("torch.tensor torch.as_tensor torch.LongTensor")
def tensor(call: Call) -> Any:
    return make_array(call, call.arg(0, "data"), item_size(call.kwargs.get("dtype"), 8))


@function("torch.IntTensor")
def int_tensor(call: Call) -> Any:
    return make_array(call, call.arg(0), 4)


@function("torch.ByteTensor torch.CharTensor torch.BoolTensor")
def byte_tensor(call: Call) -> Any:
    return make_array(call, call.arg(0), 1)


@function("torch.from_numpy")
def shared(call: Call) -> Any:
    """The same memory."""
    value = call.arg(0)
    if not isinstance(value, Buffer):
        return UNKNOWN
    found = view(value)
    found.library = "torch"
    return found


@function("torch.nn.utils.rnn.pad_sequence torch.flatten torch.squeeze torch.clone")
def copied(call: Call) -> Any:
    value = call.arg(0)
    return make_array(call, value, value.item if isinstance(value, Buffer) and value.kind == "array" else 8, "copy")


@function("torch.utils.data.TensorDataset torch.utils.data.ConcatDataset torch.utils.data.StackDataset")
def dataset(call: Call) -> Any:
    """It keeps what it gets."""
    return Sequence(list(call.args))


@function("torch.utils.data.DataLoader torch.utils.data.Subset torch.utils.data.random_split")
def loader(call: Call) -> Any:
    """It keeps its data set, and gives batches of some elements."""
    kept = Instance(_LOADER, {"dataset": call.arg(0, "dataset")})
    call.state.spaces.append(kept.attributes)
    return Sequence([kept, kept]) if call.name.endswith("random_split") else kept


@method(_LOADER, "__iter__")
def batches(call: Call) -> Any:
    """A few elements at a time."""

    def run(consume: Callable[[Any], None]) -> None:
        call.interpreter.iterate_twice(call.node, lambda loop: NOTHING, consume, consumes_input=False)

    return Generator(run, (call.owner,))


function("torch.utils.data.*Sampler torch.utils.data.Dataset torch.utils.data.get_worker_info")(nothing("an order"))


function("torch.manual_seed torch.set_num_threads torch.get_num_threads torch.device torch.no_grad torch.cuda.*")(
    nothing("a setting")
)
function("torch.set_default_dtype torch.backends.* torch.distributed.get_* torch.distributed.is_* torch.iinfo")(
    nothing("a setting or a number")
)
