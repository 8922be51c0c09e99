"""tiktoken, transformers, tokenizers, sentencepiece: texts into token ids."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.operations.arrays import make_array
from memguard.script.operations.growth import append
from memguard.script.operations.ints import new_ints
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Encoder, Generator, Row, Sequence

__all__ = ["encode", "encoding_of_model"]

# tiktoken/model.py of tiktoken 0.14, which is not needed to read a script. tests/script/models compares the two.
MODEL_ENCODINGS = {
    **dict.fromkeys(("o1", "o3", "o4-mini", "gpt-5", "gpt-4.1", "gpt-4o"), "o200k_base"),
    **dict.fromkeys(("gpt-4", "gpt-3.5-turbo", "gpt-3.5", "gpt-35-turbo", "davinci-002", "babbage-002"), "cl100k_base"),
    **dict.fromkeys(
        ("text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large"),
        "cl100k_base",
    ),
    **dict.fromkeys(
        ("text-davinci-003", "text-davinci-002", "code-davinci-002", "code-davinci-001", "code-cushman-002"),
        "p50k_base",
    ),
    **dict.fromkeys(("code-cushman-001", "davinci-codex", "cushman-codex"), "p50k_base"),
    **dict.fromkeys(("text-davinci-edit-001", "code-davinci-edit-001"), "p50k_edit"),
    **dict.fromkeys(
        (
            "text-davinci-001",
            "text-curie-001",
            "text-babbage-001",
            "text-ada-001",
            "davinci",
            "curie",
            "babbage",
            "ada",
        ),
        "r50k_base",
    ),
    **{f"text-similarity-{name}-001": "r50k_base" for name in ("davinci", "curie", "babbage", "ada")},
    **{f"text-search-{name}-doc-001": "r50k_base" for name in ("davinci", "curie", "babbage", "ada")},
    **{f"code-search-{name}-code-001": "r50k_base" for name in ("babbage", "ada")},
    **dict.fromkeys(("gpt2", "gpt-2"), "gpt2"),
}
MODEL_PREFIXES = {
    **dict.fromkeys(
        ("o1-", "o3-", "o4-mini-", "gpt-5", "gpt-4.5-", "gpt-4.1-", "chatgpt-4o-", "gpt-4o-"), "o200k_base"
    ),
    **dict.fromkeys(("gpt-4-", "gpt-3.5-turbo-", "gpt-35-turbo-"), "cl100k_base"),
    "gpt-oss-": "o200k_harmony",
    "ft:gpt-4o": "o200k_base",
    **dict.fromkeys(("ft:gpt-4", "ft:gpt-3.5-turbo", "ft:davinci-002", "ft:babbage-002"), "cl100k_base"),
}


def encoding_of_model(model: str) -> str | None:
    """The name of a model's encoding, as tiktoken.encoding_name_for_model finds it; None for no model of its."""
    if model in MODEL_ENCODINGS:
        return MODEL_ENCODINGS[model]
    return next((name for prefix, name in MODEL_PREFIXES.items() if model.startswith(prefix)), None)


@function("tiktoken.get_encoding", frees="a name")
def get_encoding(call: Call) -> Any:
    call.state.facts.encoding = call.text(0, "encoding_name") or call.state.facts.encoding
    return Encoder("tiktoken")


@function("tiktoken.encoding_for_model")
def encoding_for_model(call: Call) -> Any:
    """A model whose encoding is not known may make more tokens of the text: the line is listed."""
    model = call.text(0, "model_name")
    name = None if model is None else encoding_of_model(model)
    if name is None:
        call.state.not_understood(call.node)
    else:
        call.state.facts.encoding = name
    return Encoder("tiktoken")


function("tiktoken.list_encoding_names tiktoken.encoding_name_for_model")(nothing("names"))


@function("transformers.* tokenizers.* sentencepiece.*")
def other_tokenizer(call: Call) -> Any:
    call.state.not_understood(call.node)  # what it needs while it encodes is not known
    return Encoder("other")


# -- encoding ---------------------------------------------------------------------------------------------------------


@method(Encoder, "encode encode_ordinary tokenize EncodeAsIds encode_as_ids encode_with_unstable")
def encoded(call: Call) -> Any:
    return encode(call, call.arg(0, "text"), tiktoken=call.owner.library == "tiktoken")


@method(Encoder, "encode_to_numpy")
def encoded_to_numpy(call: Call) -> Any:
    result = encoded(call)
    return make_array(call, result, 4) if isinstance(result, Buffer) else result


@method(Encoder, "__call__")
def called(call: Call) -> Any:
    ids = encode(call, call.arg(0, "text"), tiktoken=False)
    return Row(ids.extent, "json", {"input_ids": ids}) if isinstance(ids, Buffer) else NOTHING


@method(Encoder, "*batch*")
def encoded_batch(call: Call) -> Any:
    """A list of lists; the texts of the batch all get their UTF-8 copy."""
    state, value = call.state, call.arg(0, "text")
    if "decode" in call.name:
        return UNKNOWN
    if isinstance(value, (Generator, Sequence)):
        texts = call.hold("list")
        call.interpreter.iterate(value, lambda text: append(call.interpreter, texts, text, call.node), call.node)
        value = texts
    if not isinstance(value, Buffer) or value.kind == "list":
        return encode(call, value)
    value.mark_encoded()
    result = state.make("lists", call.node, value.extent)
    if len(value.parts) > 1:
        result.parts = dict(value.parts)
    result.pieces.update(value.pieces)
    result.source = value
    result.refs.append(new_ints(call.interpreter, result, call.node))
    state.temps.append(result)
    futures = Transient("the futures of tiktoken's threads", "futures", value.extent, state.copies)
    call.record("encode", state.label_of(value), futures)
    return result


def encode(call: Call, value: Any, *, tiktoken: bool = True) -> Any:
    """A list of ids. tiktoken keeps them in a Vec of its own meanwhile, and a UTF-8 copy in a str that is not ASCII."""
    state = call.state
    if isinstance(value, Row):
        value = state.make("text", call.node, value.extent)
    if not isinstance(value, Buffer):
        return _unknown_ids(call, value)
    result = state.make_ids(call.node, value.extent)
    if len(value.parts) > 1:
        result.parts.clear()
        result.parts.update(value.parts)
    result.source = value
    state.temps.append(result)
    inside = []
    if tiktoken:
        if value.kind in ("text", "opaque"):
            value.mark_encoded()
        inside = [Transient("ids inside tiktoken", "rust", value.extent, state.copies)]
    call.record("encode", state.label_of(value), *inside)
    return result


def _unknown_ids(call: Call, value: Any) -> Any:
    """Something unknown inside a loop over the input may be a piece of it."""
    if call.reaches(value):
        return UNKNOWN
    if not call.state.new_loops(()):
        return call.state.make("list", call.node)
    call.state.not_understood(call.node)
    return call.state.make_ids(call.node, Extent())


@method(Encoder, "from_* get_* load Load train* __init__")
def same_encoder(call: Call) -> Any:
    """AutoTokenizer.from_pretrained, SentencePieceProcessor.load; get_vocab is as small as a vocabulary."""
    return call.owner


@method(Encoder, "decode decode_bytes DecodeIds")
def decoded(call: Call) -> Any:
    """The text of some ids."""
    value = call.arg(0)
    if not isinstance(value, Buffer):
        return UNKNOWN
    result = call.hold("text")
    result.parts.update(value.parts)
    call.record("decode", call.state.label_of(value))
    return result


method(Encoder, "*")(nothing("of a token, or of the vocabulary"))
attribute(Encoder, "eot_token n_vocab eos_token_id vocab_size max_token_value *_token *_token_id name")(
    nothing("a number or a name")
)
