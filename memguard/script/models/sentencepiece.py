"""sentencepiece: C++ inside; a list of Python ints or strs outside."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.operations.encoding import all_seen, decoded, ids_of, lists_of, load, texts_of
from memguard.script.operations.inputs import open_file, path_text
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, Encoder, Module, Path, Sequence

__all__: list[str] = []

_THREADS = 16.0  # num_threads, where nobody says how many


@function("sentencepiece.SentencePieceProcessor", frees="the path of a model")
def processor(call: Call) -> Any:
    name = path_text(call.arg(0, "model_file"))
    if name or call.args or call.kwargs:
        load(call, name, "sentencepiece")
    return Encoder("sentencepiece")


@method("sentencepiece", "load Load LoadFromFile load_from_serialized_proto LoadFromSerializedProto Init")
def loaded(call: Call) -> Any:
    load(call, path_text(call.arg(0, "model_file")), "sentencepiece")
    return Constant(True)


@method("sentencepiece", "encode Encode tokenize Tokenize __call__")
def encoded(call: Call) -> Any:
    """out_type=int or str, of one text or of a list of them."""
    kind = call.kwargs.get("out_type", call.arg(1))
    if isinstance(kind, Constant) and kind.value not in (None, "int", "str"):
        return UNKNOWN  # protocol buffers
    as_str = isinstance(kind, Module) and kind.name == "builtins.str"
    return _of_texts(call, "pieces" if as_str else "ids")


@method("sentencepiece", "encode_as_ids EncodeAsIds")
def encoded_as_ids(call: Call) -> Any:
    return _of_texts(call, "ids")


@method("sentencepiece", "encode_as_pieces EncodeAsPieces")
def encoded_as_pieces(call: Call) -> Any:
    return _of_texts(call, "pieces")


def _of_texts(call: Call, kind: str) -> Any:
    value = texts_of(call, call.arg(0, "input"))
    several = isinstance(value, Buffer) and value.kind in ("strings", "words", "records")
    if not isinstance(value, Buffer):
        return ids_of(call, value)
    if several:
        if kind != "ids":
            return UNKNOWN
        result = lists_of(call, value)
        call.record("encode", call.state.label_of(value))
        return result
    inside = Transient("the text's pieces inside sentencepiece", "sentencepiece", value.extent, call.state.copies)
    call.record("encode", call.state.label_of(value), inside)
    if kind == "ids":
        return ids_of(call, value)
    result = call.hold(kind, value.extent, origin="sentencepiece")
    call.record("encode", call.state.label_of(value))
    return result


@method("sentencepiece", "*Proto* sample_encode* SampleEncode* nbest* NBest*")
def not_modelled(call: Call) -> Any:
    return UNKNOWN


method("sentencepiece", "decode Decode decode_ids DecodeIds decode_pieces DecodePieces detokenize")(decoded)
method("sentencepiece", "*")(nothing("of a token, or of the vocabulary"))
attribute("sentencepiece", "vocab_size")(nothing("a number"))


@function("sentencepiece.SentencePieceTrainer.train sentencepiece.SentencePieceTrainer.Train")
@function("sentencepiece.SentencePieceTrainer.TrainFromString")
def trained(call: Call) -> Any:
    """All lines are in memory, as far as input_sentence_size lets them in."""
    options = _options(call)
    extents: list[Extent] = []
    given = call.kwargs.get("input", call.kwargs.get("sentence_iterator", options.get("input", UNKNOWN)))
    others = [value for value in call.args if not isinstance(value, (Path, Constant))]
    if others and call.reaches(*others):
        return UNKNOWN
    for value in _files(given):
        if isinstance(value, (Path, Constant)):
            extents.append(open_file(call.interpreter, value).extent)
        elif isinstance(value, Buffer):
            extents.append(Extent() if value.kind == "objects" else value.extent)
        elif (seen := all_seen(call, value)) is not None:
            extents.append(seen)
        elif call.reaches(value):
            return UNKNOWN
    limit = _number(call.kwargs.get("input_sentence_size", options.get("input_sentence_size")))
    model = call.kwargs.get("model_type", options.get("model_type"))
    in_lines = isinstance(model, Constant) and model.value in ("bpe", "word", "char")
    threads = _number(call.kwargs.get("num_threads", options.get("num_threads"))) or _THREADS
    for extent in extents:
        kept = extent.window(0, "lines of text", limit) if limit else extent
        if in_lines:
            inside = Transient("the lines inside the trainer", "training on lines", kept, call.state.copies, threads)
        else:  # unigram, the default
            inside = Transient("the trainer's suffix array", "training on suffixes", kept, call.state.copies, threads)
        call.record("train", "", inside)
    return NOTHING


def _files(given: Any) -> list[Any]:
    """One file, a list of them, or their names with commas between."""
    if isinstance(given, Constant) and isinstance(given.value, str):
        return [Constant(name) for name in given.value.split(",")[:64]]
    return given.items if isinstance(given, Sequence) else [given]


def _options(call: Call) -> dict[str, Any]:
    """SentencePieceTrainer.Train("--input=a.txt --vocab_size=8000")"""
    text = call.text(0, "arg")
    if text is None and isinstance(call.arg(0), Path):
        text = path_text(call.arg(0))  # f"--input={name} --vocab_size=8000"
        if not text.lstrip().startswith("--"):
            return {"input": call.arg(0)}
    pairs = (word.lstrip("-").partition("=") for word in (text or "").split())
    return {name: Constant(value) for name, _, value in pairs}


def _number(value: Any) -> float | None:
    if isinstance(value, Constant) and isinstance(value.value, str) and value.value.isdigit():
        return float(value.value) or None
    known = getattr(value, "known", None)
    return known if isinstance(known, float) and known > 0 else None


function("sentencepiece.*")(nothing("a setting"))
