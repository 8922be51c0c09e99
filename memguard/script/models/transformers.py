"""transformers: its tokenizers, fast ones (which are tokenizers' inside) unless use_fast=False says otherwise."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.models.tokenizers import encoding_of, encodings_of
from memguard.script.numbers import number_of
from memguard.script.operations.encoding import decoded, ids_of, lists_of, load, texts_of, the_text
from memguard.script.operations.inputs import path_text
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, Encoder, Number, Row, Sequence

__all__: list[str] = []

_NAMES = ("pretrained_model_name_or_path", "tokenizer_file", "name_or_path")
# Models whose tokenizers have a model_max_length of 512; GPT-2's is 1,024. Where not known, the larger.
_SHORT = ("bert", "electra", "t5", "mpnet", "xlm-r", "minilm")
_MASKS = ("attention_mask", "token_type_ids")


@function("transformers.AutoTokenizer.from_pretrained transformers.*Tokenizer*.from_pretrained")
@function(
    "transformers.PreTrainedTokenizerFast transformers.*TokenizerFast transformers.*Tokenizer",
    frees="the paths of its files",
)
@function("transformers.models.*.*Tokenizer* transformers.*Tokenizer*.from_file")
def loaded(call: Call) -> Any:
    """A tokenizer that Python code of transformers would make (use_fast=False) is not known: its line is listed."""
    name = path_text(call.arg(0)) or next((path_text(call.kwargs[n]) for n in _NAMES if n in call.kwargs), "")
    wrapped = call.kwargs.get("tokenizer_object")
    if not isinstance(wrapped, Encoder):
        load(call, name, "transformers")
    if getattr(call.kwargs.get("use_fast"), "value", None) is False:
        call.state.not_understood(call.node)
    if call.name.startswith("transformers.Auto"):  # which asks torch for its classes
        call.state.facts.imports.add("torch")
    known = f"{call.name} {name}".lower()
    pairs = "bert" in known or "pretrainedtokenizerfast" in known
    masks = 2 if pairs and "roberta" not in known and "distilbert" not in known else 1
    short = any(name in known for name in _SHORT) and "gpt2" not in known
    return Encoder("transformers", masks, 512.0 if short else 1024.0)


@function("transformers.*")
def other(call: Call) -> Any:
    """Models and trainers: what they need is not known."""
    call.state.not_understood(call.node)
    return UNKNOWN if call.reaches() else NOTHING


function("transformers.set_seed transformers.logging.* transformers.utils.* transformers.AutoConfig*")(
    nothing("a setting")
)


# -- encoding ---------------------------------------------------------------------------------------------------------


@method("transformers", "__call__ encode_plus batch_encode_plus prepare_for_model")
def called(call: Call) -> Any:
    """A BatchEncoding: lists, or padded arrays, and the Encodings that they were made from."""
    value = the_text(call, call.arg(0, "text", call.kwargs.get("batch_text_or_text_pairs", UNKNOWN)))
    inside = encoding_of(call, value)
    if inside is not None:
        return _one(call, value, inside)
    texts = texts_of(call, value)
    inside = encodings_of(call, texts)
    if inside is None:
        ids = ids_of(call, value)
        return Row(ids.extent, "json", {"input_ids": ids}) if isinstance(ids, Buffer) else ids
    return _many(call, texts, inside)


def _one(call: Call, text: Buffer, inside: Buffer) -> Row:
    text, limit = _cut(call, text)
    if _tensors(call):
        fields: dict[str, Any] = {"input_ids": _array(call, text, limit)}
        fields.update((name, _array(call, text, limit)) for name in _masks(call))
    else:
        fields = {"input_ids": ids_of(call, text)}
        fields.update((name, call.hold("ids", text.extent, origin="mask")) for name in _masks(call))
    call.record("list")
    return Row(text.extent, "json", fields, [inside])


def _cut(call: Call, text: Buffer) -> tuple[Buffer, float | None]:
    """As much of `text` as truncation leaves."""
    limit = _limit(call)
    if limit is None:
        return text, None
    return call.state.make("text", call.node, text.extent.window(0, "tokens", limit)), limit


def _limit(call: Call) -> float | None:
    """Tokens that a text may have at most; None where all are kept, if only as overflowing ones."""
    if _off(call.kwargs.get("truncation", Constant(False))) or not _off(call.kwargs.get("return_overflowing_tokens")):
        return None
    return number_of(call.kwargs.get("max_length"))


def _off(value: Any) -> bool:
    return value is None or (isinstance(value, Constant) and value.value in (None, False, "do_not_truncate"))


def _tensors(call: Call) -> bool:
    kind = call.kwargs.get("return_tensors")
    if getattr(kind, "value", None) == "pt":
        call.state.facts.imports.add("torch")
        call.state.facts.brings("torch")
    return not _off(kind)


def _masks(call: Call) -> tuple[str, ...]:
    names = _MASKS[: call.owner.masks]
    return tuple(name for name in names if getattr(call.kwargs.get(f"return_{name}"), "value", None) is not False)


def _many(call: Call, texts: Buffer, inside: Buffer) -> Row:
    limit = _limit(call)
    padded = call.kwargs.get("padding")
    origin = "" if _off(padded) else "padded"
    row = None
    if origin and getattr(padded, "value", None) == "max_length":
        row = limit = limit or number_of(call.kwargs.get("max_length")) or call.owner.longest
    inside.capacity, inside.row = limit, row
    if origin:
        inside.origin += " padded"
    fields: dict[str, Any] = {}
    for name in ("input_ids", *_masks(call)):
        own = name == "input_ids"
        fields[name] = lists_of(call, texts, ints=own, capacity=limit, origin=origin, row=row)
    call.record("list")
    if _tensors(call):  # made of the lists, which go then
        arrays = {name: _array(call, texts, limit, origin) for name in fields}
        call.record("array")
        return Row(texts.extent, "json", arrays, [inside])
    return Row(texts.extent, "json", fields, [inside])


def _array(call: Call, texts: Buffer, limit: float | None, origin: str = "") -> Buffer:
    result = call.hold("array", item=8, origin=origin)
    result.parts.update(texts.parts)
    result.pieces.update(texts.pieces)
    result.capacity, result.source = limit, texts
    return result


@method("transformers", "encode")
def encoded(call: Call) -> Any:
    """The ids alone: the Encoding and the masks go at the end of the call."""
    value = call.arg(0, "text")
    row = called(call)
    if not isinstance(row, Row) or not row.refs:
        return row.fields["input_ids"] if isinstance(row, Row) else ids_of(call, value)
    return row.fields["input_ids"]


@method("transformers", "tokenize")
def tokenized(call: Call) -> Any:
    """The tokens as strings."""
    value = call.arg(0, "text")
    inside = encoding_of(call, value)
    if inside is None:
        return UNKNOWN
    result = call.hold("pieces")
    result.parts.update(inside.parts)
    result.source = inside
    call.record("list")
    return result


@method("transformers", "convert_tokens_to_ids")
def converted(call: Call) -> Any:
    value = call.arg(0, "tokens")
    if isinstance(value, Buffer) and value.kind == "pieces":
        return ids_of(call, value)
    return UNKNOWN if call.reaches(value) else NOTHING


@method("transformers", "batch_decode convert_ids_to_tokens apply_chat_template pad train_new_from_iterator")
def not_modelled(call: Call) -> Any:
    """Of what the script itself spells out, little is made; of anything unknown, a piece of the input."""
    if call.reaches(*call.args, *call.kwargs.values()):
        return UNKNOWN
    return Constant("") if _spelled_out(call.arg(0)) else call.state.make("text", call.node, Extent())


def _spelled_out(value: Any) -> bool:
    """Whether it is made of literals alone: a list of two messages to try a template with."""
    if isinstance(value, Sequence):
        return all(map(_spelled_out, (*value.items, *(value.keys or ()))))
    return isinstance(value, (Constant, Number))


method("transformers", "decode")(decoded)
method("transformers", "*")(nothing("of a token, or of the vocabulary"))
attribute("transformers", "*_token *_token_id *_token_ids vocab_size name_or_path model_max_length is_fast *_side")(
    nothing("a number or a name")
)


@attribute("Row", "input_ids attention_mask token_type_ids")
def field_named(call: Call) -> Any:
    """batch.input_ids"""
    return call.owner.fields.get(call.name, UNKNOWN)
