"""numpy: arrays of their own, views of others, and files that are read or mapped. Methods of array.array too."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.numbers import number_of
from memguard.script.operations.arrays import (
    filled,
    item_size,
    library_of,
    make_array,
    of_objects,
    references,
    repeated_array,
    shaped,
)
from memguard.script.operations.elements import view
from memguard.script.operations.growth import clear
from memguard.script.operations.lengths import ARRAYS
from memguard.script.registry import function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import (
    NOTHING,
    UNKNOWN,
    Buffer,
    Constant,
    Sequence,
)

__all__ = ["concatenated", "item_size", "make_array"]

_VIEWS = " ".join(ARRAYS)
PACKED = ("packed", "packs")  # memguard's drop-in lists of ids


def _dtype(call: Call, place: int) -> Any:
    return call.arg(place, "dtype", None)


@function("numpy.array")
def array(call: Call) -> Any:
    value = call.arg(0, "object")
    if isinstance(value, Buffer) and value.kind in PACKED:
        return file_of_ids(call, value)
    default = value.item if isinstance(value, Buffer) and value.kind in ARRAYS else 8
    if isinstance(value, Buffer) and value.kind == "lists" and value.row is None and of_objects(call):
        return references(call, value)
    return make_array(call, value, item_size(_dtype(call, 1), default))


@function("numpy.asarray numpy.ascontiguousarray numpy.asanyarray")
def as_array(call: Call) -> Any:
    value = call.arg(0, "a")
    if isinstance(value, Buffer) and value.kind in ARRAYS:
        item = item_size(_dtype(call, 1), value.item)
        return value if item == value.item else make_array(call, value, item)
    return array(call)


@function("numpy.empty numpy.zeros numpy.ndarray torch.empty", frees="a shape")
def empty(call: Call) -> Any:
    """Pages count once they are written to."""
    return shaped(call, _shape(call, 1), _width(call, 1))


@function("numpy.ones torch.ones torch.zeros", frees="a shape")
def ones(call: Call) -> Any:
    """All pages are written to: torch.zeros clears what it gets."""
    return filled(call, shaped(call, _shape(call, 1), _width(call, 1)))


@function("numpy.full torch.full", frees="a shape, and a number")
def full(call: Call) -> Any:
    return filled(call, shaped(call, _shape(call, 2)[:1], _width(call, 2, 8)))


def _shape(call: Call, dtype: int) -> list[Any]:
    """numpy has one shape, and a dtype behind it; torch any number of lengths."""
    name = "size" if "size" in call.kwargs else "shape"
    if not call.args:
        return [call.arg(0, name)]
    return list(call.args) if call.name.startswith("torch.") else call.args[:1]


def _width(call: Call, dtype: int, default: int = 0) -> int:
    """float64 in numpy, float32 in torch where nothing is said."""
    torch = call.name.startswith("torch.")
    return item_size(_dtype(call, 1 << 30 if torch else dtype), default or (4 if torch else 8))


@function("numpy.empty_like numpy.zeros_like numpy.ones_like numpy.full_like torch.zeros_like torch.empty_like")
def like(call: Call) -> Any:
    value = call.arg(0)
    if not isinstance(value, Buffer):
        return UNKNOWN
    return make_array(call, value, item_size(_dtype(call, 1), value.item if value.kind in ARRAYS else 8))


@function("numpy.concatenate numpy.hstack numpy.stack numpy.vstack numpy.column_stack numpy.dstack torch.cat")
@function("torch.stack torch.hstack torch.vstack torch.concat torch.concatenate numpy.block numpy.row_stack")
def concatenated(call: Call) -> Any:
    value, state = call.arg(0), call.state
    if not isinstance(value, Sequence):
        return _joined(call, value)
    items = [item for item in value.items if isinstance(item, Buffer)]
    if len(items) < len(value.items) and call.reaches(*(item for item in value.items if item not in items)):
        return UNKNOWN
    result = call.hold("array", item=max((item.item for item in items), default=2))
    result.library = library_of(call)
    for index, item in enumerate(value.items):
        if isinstance(item, Buffer):
            shorter = len(item.created_in) < len(result.created_in)
            result.created_in = item.created_in if shorter else result.created_in
            extents = item.parts.values() if len(item.parts) > 1 and len(items) > 1 else [item.extent]
            for number, extent in enumerate(extents):
                site = (*state.site(call.node), index, number) if number else (*state.site(call.node), index)
                result.parts[site] = state.gathered(extent, result.created_in, call.node)
    call.record("concatenate")
    return result


def file_of_ids(call: Call, value: Buffer) -> Buffer:
    """np.array(ids) of memguard's packed ids: a mapping of their file, or of one that is made of it."""
    return call.state.make("mapped", call.node, value.extent, item=item_size(_dtype(call, 1), 8))


def _joined(call: Call, value: Any) -> Any:
    """A list of arrays, of lists or of numbers as one array. numpy makes arrays of all that are none, and stack and its
    kind views of these, before it joins them.
    """
    function_name = call.name.rpartition(".")[2]
    item = value.item if isinstance(value, Buffer) and value.kind not in ("ids", "lists", "objects") else 8
    item = item_size(_dtype(call, 1 << 30), item)
    if not isinstance(value, Buffer) or call.name.startswith("torch."):
        return make_array(call, value, item, "concatenate")
    state, mark = call.state, len(call.state.temps)
    if value.kind == "ids" and function_name != "concatenate":
        words = f"the arrays that {function_name} makes of each number"
        result = make_array(call, value, item, "array")
        call.record("concatenate", "", Transient(words, "stacked", value.extent, state.copies))
        return result
    if value.kind == "lists":
        made = call.hold("arrays", item=8, source=value, row=value.row)
        made.parts.update(value.parts)
        made.pieces.update(value.pieces)
    if value.kind in ("lists", "arrays") and function_name != "concatenate":
        views = call.hold("arrays", item=item, source=value, origin="views")
        views.parts.update(value.parts)
        views.pieces.update(value.pieces)
    result = make_array(call, value, item, "concatenate")
    del state.temps[mark:]
    state.temps.append(result)
    return result


@function("numpy.tile numpy.repeat torch.tile torch.repeat_interleave")
def tiled(call: Call) -> Any:
    """The array so many times over."""
    value, times = call.arg(0, "A"), number_of(call.arg(1, "reps"))
    if not isinstance(value, Buffer):
        return UNKNOWN
    item = value.item if value.kind in ARRAYS else 8
    if times is None:
        call.state.not_understood(call.node)
    return repeated_array(call, value, times or 1.0, item)


@function("numpy.append")
def appended(call: Call) -> Any:
    """np.append(all, more): a new array each time, the old one alive meanwhile."""
    if len(call.args) < 2 or not isinstance(call.args[0], Buffer):
        return UNKNOWN
    state, old, more = call.state, call.args[0], call.args[1]
    if not isinstance(more, Buffer) and call.reaches(more):
        return UNKNOWN
    result = state.make("array", call.node, item=old.item)
    result.created_in = old.created_in
    result.parts.update(old.parts)
    if isinstance(more, Buffer):
        result.parts[state.site(call.node)] = state.gathered(more.extent, old.created_in, call.node)
    state.temps.append(result)
    state.facts.container = "np.append"
    call.record("append")
    return result


@function("numpy.fromiter")
def from_iterable(call: Call) -> Any:
    return make_array(call, call.arg(0), item_size(_dtype(call, 1), 8))


# -- what is computed -------------------------------------------------------------------------------------------------


@function("numpy.frombuffer torch.frombuffer")
def from_buffer(call: Call) -> Any:
    value = call.arg(0, "buffer")
    if not isinstance(value, Buffer):
        return UNKNOWN
    result = view(value)
    result.item = item_size(_dtype(call, 1), 1 if value.kind == "bytes" else value.item)
    result.file_item = value.file_item or (result.item if value.kind == "bytes" else 0)
    return result


@function("numpy.unique torch.unique", frees="at most a vocabulary")
def unique(call: Call) -> Any:
    """A sorted copy meanwhile; of token ids, at most a vocabulary is left."""
    value = call.arg(0)
    if not isinstance(value, Buffer) or value.kind not in (*ARRAYS, "ids"):
        return UNKNOWN
    make_array(call, value, value.item if value.kind in ARRAYS else 8, "copy")
    if not {"return_inverse", "return_index"} & call.kwargs.keys():
        return NOTHING
    return Sequence([NOTHING, make_array(call, value, 8, "copy"), NOTHING])


function(
    "numpy.sum numpy.max numpy.min numpy.mean numpy.all numpy.any numpy.count_nonzero numpy.prod numpy.median "
    "numpy.std numpy.var numpy.percentile numpy.quantile numpy.argmax numpy.argmin numpy.array_equal numpy.bincount "
    "numpy.histogram numpy.searchsorted numpy.allclose numpy.ndim numpy.size numpy.shape"
)(nothing("a number, or as few as a vocabulary has", runs=True))


@function("numpy.split numpy.array_split numpy.hsplit numpy.vsplit")
def split(call: Call) -> Any:
    """Views."""
    value = call.arg(0)
    return view(value) if isinstance(value, Buffer) and value.kind in ARRAYS else UNKNOWN


@function("numpy.ceil numpy.floor numpy.log2 numpy.log numpy.exp numpy.sqrt")
def computed(call: Call) -> Any:
    """As large as an array that they get."""
    value = call.arg(0)
    return make_array(call, value, 8, "copy") if isinstance(value, Buffer) else UNKNOWN


for _names in ("uint", "int", "float", "bool", "dtype", "iinfo", "finfo"):
    function(f"numpy.{_names}*")(nothing("one number, or what is known of a type"))
function("numpy.random.seed numpy.errstate")(nothing("a generator of numbers"))
function("numpy.set_printoptions numpy.seterr numpy.printoptions numpy.testing.*")(nothing("a setting"))


@function("numpy.*")
def other(call: Call) -> Any:
    """What gives an array as large as the one that it gets."""
    kinds = ("array", "view", "mapped", "ids")
    value = next((value for value in call.args if isinstance(value, Buffer) and value.kind in kinds), None)
    if value is None:
        return UNKNOWN
    return make_array(call, value, 8 if value.kind == "ids" else value.item)


# -- methods ----------------------------------------------------------------------------------------------------------


@method(_VIEWS, "astype")
def astype(call: Call) -> Any:
    array = call.owner
    item = item_size(call.arg(0, "dtype", None), array.item)
    kept = call.arg(1 << 30, "copy", Constant(True))
    if item == array.item and isinstance(kept, Constant) and kept.value is False:
        return array
    result = make_array(call, array, item, "astype")
    if any(array is wide for wide in call.state.facts.wide_arrays):
        call.state.facts.narrowed = True
    return result


@method(_VIEWS, "to type long int short int32 int64 uint16 float half double byte")
def converted(call: Call) -> Any:
    """torch gives the same tensor where it is as wide already."""
    item = item_size(call.arg(0, "dtype", Constant(call.name)), call.owner.item)
    same = item == call.owner.item and call.owner.library == "torch"
    return call.owner if same else make_array(call, call.owner, item, "astype")


@method(_VIEWS, "tolist")
def to_list(call: Call) -> Any:
    result = call.state.make_ids(call.node, call.owner.extent)
    call.state.temps.append(result)
    call.record("tolist", call.state.label_of(call.owner))
    return result


@method(_VIEWS, "tobytes")
def to_bytes(call: Call) -> Any:
    return make_array(call, call.owner, call.owner.item, "tobytes")


@method(_VIEWS, "copy flatten sort clone cumsum cumprod clip take compress byteswap round conj diagonal")
def copied(call: Call) -> Any:
    return make_array(call, call.owner, call.owner.item, "copy")


@method(_VIEWS, "argsort argpartition searchsorted")
def order_of(call: Call) -> Any:
    return make_array(call, call.owner, 8, "copy")


@method(_VIEWS, "repeat tile")
def repeated(call: Call) -> Any:
    times = number_of(call.arg(0))
    if times is None:
        call.state.not_understood(call.node)
    return repeated_array(call, call.owner, times or 1.0, call.owner.item)


@method(_VIEWS, "reshape ravel view squeeze detach transpose swapaxes unsqueeze cast toreadonly release numpy cpu")
@method(_VIEWS, "contiguous flat unfold permute t pin_memory requires_grad_")
def viewed(call: Call) -> Any:
    return view(call.owner)


@method("array", "clear")
def cleared(call: Call) -> Any:
    clear(call.interpreter, call.owner, call.node)
    return Constant(None)


@method("array view", "tofile flush write")
def written(call: Call) -> Any:
    call.record("write", call.state.label_of(call.owner))
    return NOTHING


method("array view mapped", "sum max min mean all any std var prod argmax argmin item nonzero count index dot trace")(
    nothing("a number")
)
method("array view mapped", "fill put resize pop insert remove reverse setflags dump buffer_info itemsize")(
    nothing("in place, or a number")
)
method("mapped", "tofile")(nothing("from the file itself"))


@method("token", "*")
def of_token(call: Call) -> Any:
    return call.owner
