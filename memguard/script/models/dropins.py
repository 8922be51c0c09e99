"""memguard's drop-in objects in a script: texts that stay in their file, ids in two bytes each, most of them on disk.

A text of open_text is `lazy`, a TokenBuffer and what get_encoding's encoder gives `packed`, a TextList `lazies`,
TokenBuffers `packs`. An array that is made of packed ids is a mapping of their file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memguard.script.interface import Call
from memguard.script.models.tiktoken import encoding_for_model, get_encoding
from memguard.script.operations.elements import one_of
from memguard.script.operations.encoding import as_long_as, decoded, texts_of, the_text
from memguard.script.operations.growth import append, clear, extend
from memguard.script.operations.inputs import open_file
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, Encoder, Generator, Number, Row, Sequence, Symbol

__all__: list[str] = []

_NONE = Constant(None)


# -- texts ------------------------------------------------------------------------------------------------------------


@function("memguard.open_text", frees="the path of a file")
def open_text(call: Call) -> Any:
    file = open_file(call.interpreter, call.arg(0, "file"), call.arg(1, "mode", None))
    return replace(file, format="lazy")


@function("memguard.read_text", frees="the path of a file")
def read_text(call: Call) -> Any:
    """The place of the text."""
    result = call.hold("lazy", open_file(call.interpreter, call.arg(0, "path")).extent)
    call.record("read")
    return result


@method("lazy", "strip lstrip rstrip")
def stripped(call: Call) -> Any:
    return call.owner


@method("lazy", "split splitlines")
def split(call: Call) -> Any:
    """One piece at a time."""
    result = as_long_as(call, "lazies", call.owner)
    result.origin = "split"
    call.state.temps.append(result)
    return result


@method("lazy", "encode read __str__")
def whole(call: Call) -> Any:
    result = call.hold("text" if call.name != "encode" else "bytes", call.owner.extent)
    call.record("copy")
    return result


method("lazy", "find rfind index rindex count startswith endswith close")(nothing("a number"))


@method("lazies", "append extend")
def kept_text(call: Call) -> Any:
    (append if call.name == "append" else extend)(call.interpreter, call.owner, call.arg(0), call.node)
    return _NONE


@method("lazies", "shuffle")
def shuffled(call: Call) -> Any:
    return _NONE


@method("lazies", "join")
def joined(call: Call) -> Any:
    result = call.hold("lazy")
    result.parts.update(call.owner.parts)
    return result


@function("memguard.TextList")
def text_list(call: Call) -> Any:
    return _filled(call, "lazies")


@function("memguard.parquet_texts", frees="the path of a file")
def parquet_texts(call: Call) -> Any:
    """One row group at a time."""
    file = open_file(call.interpreter, call.arg(0, "path"), None, "parquet")
    groups = call.hold("table", file.extent.window(0, "groups", 1), origin="batches")
    result = call.hold("lazies", file.extent, origin="parquet", refs=[groups])
    call.state.facts.parquet = True
    return result


@function("memguard.dataset_of")
def dataset_of(call: Call) -> Any:
    """An Arrow file, whose pages count once they are looked at."""
    columns = call.arg(0)
    data = [columns] if isinstance(columns, Buffer) else []
    data += [v for v in columns.items if isinstance(v, Buffer)] if isinstance(columns, Sequence) else []
    pages = call.state.make("pages", call.node, item=0)
    call.state.facts.dataset = True
    if not data:
        return UNKNOWN
    pages.parts[0] = data[0].extent
    return Row(data[0].extent, "dataset", refs=[pages])


# -- ids --------------------------------------------------------------------------------------------------------------


@function("memguard.get_encoding memguard.encoding_for_model", frees="a name")
def packed_encoding(call: Call) -> Any:
    for library in ("tiktoken", "numpy"):  # which it needs
        call.state.facts.imports.add(library)
        call.state.facts.imported.setdefault(library)
    (get_encoding if call.name.endswith("get_encoding") else encoding_for_model)(call)
    return Encoder("memguard")


@method("memguard", "encode encode_ordinary encode_with_unstable")
def encoded(call: Call) -> Any:
    value = the_text(call, call.arg(0, "text"))
    if isinstance(value, Buffer) and value.kind != "list":
        result = as_long_as(call, "packed", value)
        call.state.temps.append(result)
        call.record("encode", call.state.label_of(value), _engine(call, value))
        return result
    return UNKNOWN if call.reaches(value) else call.state.make("packed", call.node)


def _engine(call: Call, value: Buffer) -> Transient:
    """Words that the encoder has seen, and blocks of text and ids."""
    return Transient("known words, and a block of text with its ids", "engine", value.extent, call.state.copies)


@method("memguard", "encode_batch encode_ordinary_batch")
def encoded_batch(call: Call) -> Any:
    texts = texts_of(call, call.arg(0, "text"))
    if not isinstance(texts, Buffer):
        return UNKNOWN
    result = as_long_as(call, "packs", texts)
    call.state.temps.append(result)
    call.record("encode", call.state.label_of(texts), _engine(call, texts))
    return result


method("memguard", "decode decode_bytes")(decoded)
method("memguard", "*")(nothing("of a token, or of the vocabulary"))
attribute("memguard", "eot_token n_vocab max_token_value name special_tokens_set")(nothing("a number or a name"))


@function("memguard.TokenBuffer")
def token_buffer(call: Call) -> Any:
    return _filled(call, "packed")


@function("memguard.TokenBuffers")
def token_buffers(call: Call) -> Any:
    return _filled(call, "packs")


@function("memguard.look_up")
def look_up(call: Call) -> Any:
    value = call.arg(1, "text")
    if not isinstance(value, Buffer):
        return UNKNOWN
    result = as_long_as(call, "packed", value)
    call.state.temps.append(result)
    call.record("encode", call.state.label_of(value))
    return result


def _filled(call: Call, kind: str) -> Any:
    result = call.state.make(kind, call.node)
    value = call.arg(0)
    if isinstance(value, (Buffer, Generator)):
        call.state.temps.append(result)
        extend(call.interpreter, result, value, call.node)
    elif call.reaches():
        return UNKNOWN
    return result


@method("packed packs", "append extend")
def grown(call: Call) -> Any:
    (append if call.name == "append" else extend)(call.interpreter, call.owner, call.arg(0), call.node)
    return _NONE


@method("packed packs lazies", "clear")
def cleared(call: Call) -> Any:
    clear(call.interpreter, call.owner, call.node)
    return _NONE


@method("packed packs lazies", "copy")
def same(call: Call) -> Any:
    return call.owner


@method("packed", "astype to_numpy")
def as_array(call: Call) -> Any:
    """A mapping of the file."""
    return call.state.make("mapped", call.node, call.owner.extent, item=2)


@method("packs", "concatenated")
def concatenated(call: Call) -> Any:
    """A mapping of the file, of NumPy's dtype for lists."""
    return call.state.make("mapped", call.node, call.owner.extent, item=8)


@method("packed packs lazies", "pop")
def popped(call: Call) -> Any:
    return one_of(call.interpreter, call.owner, 0)


@method("packed packs lazies", "index count")
def counted(call: Call) -> Any:
    return Number(0.0, Symbol(f"count {call.state.site(call.node)}", None, "sum"))


method("packs lazies", "sort reverse")(nothing("in place", NOTHING))
