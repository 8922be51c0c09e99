"""tiktoken: texts into token ids."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.operations.arrays import make_array
from memguard.script.operations.encoding import decoded, ids_of, lists_of, texts_of
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import UNKNOWN, Buffer, Encoder

__all__ = ["encoding_of_model"]

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

_ENTRIES = {"cl100k_base": 100_256.0, "o200k_base": 199_998.0, "o200k_harmony": 199_998.0}  # others have 50,257


def encoding_of_model(model: str) -> str | None:
    """The name of a model's encoding, as tiktoken.encoding_name_for_model finds it; None for no model of its."""
    if model in MODEL_ENCODINGS:
        return MODEL_ENCODINGS[model]
    return next((name for prefix, name in MODEL_PREFIXES.items() if model.startswith(prefix)), None)


@function("tiktoken.get_encoding", frees="a name")
def get_encoding(call: Call) -> Any:
    call.state.facts.encoding = call.text(0, "encoding_name") or call.state.facts.encoding
    return _loaded(call)


@function("tiktoken.encoding_for_model")
def encoding_for_model(call: Call) -> Any:
    """A model whose encoding is not known may make more tokens of the text: the line is listed."""
    model = call.text(0, "model_name")
    name = None if model is None else encoding_of_model(model)
    if name is None:
        call.state.not_understood(call.node)
    else:
        call.state.facts.encoding = name
    return _loaded(call)


def _loaded(call: Call) -> Encoder:
    """The first process' vocabulary is part of what Python weighs; each worker that loads one has its own."""
    state = call.state
    if not state.in_worker:
        state.facts.encodes_here = True
        return Encoder("tiktoken")
    entries = _ENTRIES.get(state.facts.encoding, 50_257.0)
    tables = state.make("vocabulary", call.node, Extent(), origin="tiktoken", capacity=entries)
    state.keep_in_workers("tables of tiktoken", tables)
    call.record(
        "load", "", Transient("the vocabulary while workers read it", "loading tiktoken", Extent(), state.copies)
    )
    return Encoder("tiktoken")


function("tiktoken.list_encoding_names tiktoken.encoding_name_for_model")(nothing("names"))


@function("tiktoken.Encoding tiktoken.core.Encoding", frees="ranks and a pattern")
def own_encoding(call: Call) -> Any:
    """A vocabulary of the script's own may make more tokens of the text: the line is listed."""
    call.state.not_understood(call.node)
    return Encoder("tiktoken")


# -- encoding ---------------------------------------------------------------------------------------------------------


@method("tiktoken", "encode encode_ordinary encode_with_unstable")
def encoded(call: Call) -> Any:
    return ids_of(call, call.arg(0, "text"), _inside(call.arg(0, "text"), call))


def _inside(value: Any, call: Call) -> list[Transient]:
    """tiktoken keeps the ids in a Vec of its own meanwhile, and a UTF-8 copy in a str that is not ASCII."""
    if not isinstance(value, Buffer):
        return []
    if value.kind in ("text", "opaque"):
        value.mark_encoded()
    return [Transient("ids inside tiktoken", "rust", value.extent, call.state.copies)]


@method("tiktoken", "encode_to_numpy")
def encoded_to_numpy(call: Call) -> Any:
    """An array of uint32 over the Vec's own memory: no list, and no int objects."""
    value = call.arg(0, "text")
    if not isinstance(value, Buffer):
        result = encoded(call)
        return make_array(call, result, 4) if isinstance(result, Buffer) else result
    if value.kind in ("text", "opaque"):
        value.mark_encoded()
    return make_array(call, value, 4, "encode")


@method("tiktoken", "encode_batch encode_ordinary_batch")
def encoded_batch(call: Call) -> Any:
    """A list of lists; the texts of the batch all get their UTF-8 copy."""
    texts = texts_of(call, call.arg(0, "text"))
    if not isinstance(texts, Buffer) or texts.kind == "list":
        return ids_of(call, texts)
    texts.mark_encoded()
    result = lists_of(call, texts)
    futures = Transient("the futures of tiktoken's threads", "futures", texts.extent, call.state.copies)
    call.record("encode", call.state.label_of(texts), futures)
    return result


method("tiktoken", "decode decode_bytes")(decoded)


@method("tiktoken", "decode_batch decode_bytes_batch decode_with_offsets")
def not_modelled(call: Call) -> Any:
    return UNKNOWN


method("tiktoken", "*")(nothing("of a token, or of the vocabulary"))
attribute("tiktoken", "eot_token n_vocab max_token_value name special_tokens_set")(nothing("a number or a name"))
