"""What the tokenizers of all libraries have in common: lists of ids of a text, lists of lists of a batch of texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.operations.growth import append
from memguard.script.operations.ints import new_ints
from memguard.script.trace import Transient
from memguard.script.values import UNKNOWN, Buffer, Constant, Generator, Number, Path, Row, Sequence

__all__ = [
    "all_seen",
    "as_long_as",
    "decoded",
    "ids_of",
    "keep_in_heap",
    "lists_of",
    "load",
    "texts_of",
    "the_text",
    "without_heap",
]

# Where the memory that malloc keeps lives while a script is read: no name of a script has a space in it.
_HEAP = "malloc's heap"


def the_text(call: Call, value: Any) -> Any:
    """A document as the text that it is."""
    return call.state.make("text", call.node, value.extent) if isinstance(value, Row) else value


def texts_of(call: Call, value: Any) -> Any:
    """A batch of texts as one Buffer, where it is made of several values."""
    if isinstance(value, (Generator, Sequence)) or (isinstance(value, Row) and value.column):
        texts = call.hold("list")
        call.interpreter.iterate(value, lambda text: append(call.interpreter, texts, text, call.node), call.node)
        return texts
    return value


def all_seen(call: Call, value: Any) -> Extent | None:
    """All of what an iterable gives to a call that goes over it to its end; None where that is not known."""
    texts: list[Any] = []
    call.interpreter.iterate(value, texts.append, call.node)
    seen = next((text.extent for text in reversed(texts) if isinstance(text, (Buffer, Row))), None)
    return None if seen is None else seen.over_all_iterations({window.loop for window in seen.windows})


def as_long_as(call: Call, kind: str, value: Buffer, **fields: Any) -> Buffer:
    """A Buffer of `kind` for all that `value` is, bounded as that is. It is not at hand yet."""
    result = call.state.make(kind, call.node, value.extent, **fields)
    if len(value.parts) > 1:
        result.parts.clear()
        result.parts.update(value.parts)
    result.pieces.update(value.pieces)
    result.source = value
    return result


def ids_of(call: Call, value: Any, inside: Iterable[Transient] = ()) -> Any:
    """A list of ids, with its int objects. `inside`: what the call needs while it makes that list."""
    state = call.state
    value = the_text(call, value)
    if not isinstance(value, Buffer):
        return _unknown_ids(call, value)
    result = state.make_ids(call.node, value.extent)
    if len(value.parts) > 1:
        result.parts.clear()
        result.parts.update(value.parts)
    result.source = value
    state.temps.append(result)
    call.record("encode", state.label_of(value), *inside)
    return result


def lists_of(call: Call, texts: Buffer, *, ints: bool = True, **fields: Any) -> Buffer:
    """A list of lists of ids, one for each of `texts`; masks have no int objects of their own."""
    result = as_long_as(call, "lists", texts, **fields)
    if ints:
        result.refs.append(new_ints(call.interpreter, result, call.node))
    call.state.temps.append(result)
    return result


def _unknown_ids(call: Call, value: Any) -> Any:
    """Something unknown inside a loop over the input may be a piece of it."""
    if call.reaches(value):
        return UNKNOWN
    if not call.state.new_loops(()) or isinstance(value, (Constant, Path, Number)):
        return call.state.make("list", call.node)
    call.state.not_understood(call.node)
    return call.state.make_ids(call.node, Extent())


def decoded(call: Call) -> Any:
    """The text of some ids."""
    value = call.arg(0)
    if not isinstance(value, Buffer):
        return UNKNOWN
    result = call.hold("text")
    result.parts.update(value.parts)
    call.record("decode", call.state.label_of(value))
    return result


def without_heap(call: Call) -> Any:
    """Takes what malloc keeps out of what is alive, while a call uses that memory again; it is put back later."""
    return call.state.frames[0].env.pop(_HEAP, None)


def keep_in_heap(call: Call, before: Any, made: Buffer, origin: str) -> None:
    """From now on malloc keeps what the call that made `made` has freed, or will free. The next such call uses it
    again, so the largest counts; `before` is what was there. `origin`: text, or batch.
    """
    heap = call.state.make("heap", call.node, origin=origin, source=made)
    if isinstance(before, Buffer) and before.origin == origin:
        heap.parts.update(before.parts)
    elif isinstance(before, Buffer):
        heap.refs.append(before)
    for index, extent in enumerate(made.parts.values()):
        heap.parts[(*call.state.site(call.node), index)] = extent
    call.state.frames[0].env[_HEAP] = heap


def load(call: Call, name: str, origin: str) -> None:
    """A tokenizer's own weight, which lives to the end. `name`: its file or model, as the script has it."""
    call.state.facts.tokenizer = name or call.state.facts.tokenizer
    copies = call.state.copies if call.state.in_worker else 1.0
    tables = call.state.make("vocabulary", call.node, Extent(), origin=origin)
    call.record("load", "", Transient("the tokenizer while it is read", "loading a tokenizer", Extent(), copies))
    if call.state.in_worker:
        call.state.keep_in_workers(f"tables of {origin}", tables)
    else:
        call.state.frames[0].env[f"{origin}'s tables"] = tables
