"""tokenizers: texts into Encodings, which hold ids, tokens, offsets and masks; and the training of a vocabulary."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.operations.encoding import (
    all_seen,
    as_long_as,
    decoded,
    ids_of,
    keep_in_heap,
    load,
    texts_of,
    the_text,
    without_heap,
)
from memguard.script.operations.inputs import open_file, path_text
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, Encoder, Path, Sequence

__all__ = ["encoding_of", "encodings_of"]


_FILES = {"vocab", "merges", "path", "vocab_file", "merges_file", "identifier", "json", "buffer"}

# -- tokenizers -------------------------------------------------------------------------------------------------------


@function(
    "tokenizers.Tokenizer.from_* tokenizers.*Tokenizer.from_file tokenizers.implementations.*.from_file",
    frees="the path of a file",
)
@function(
    "tokenizers.*BPETokenizer tokenizers.*WordPieceTokenizer tokenizers.implementations.*Tokenizer",
    frees="the paths of its files",
)
def loaded(call: Call) -> Any:
    """Tokenizer.from_file("tok.json"), ByteLevelBPETokenizer("vocab.json", "merges.txt"), or an empty one to train."""
    call.state.facts.cut_in_words = True
    part_of_model(call)
    if call.args or _FILES & call.kwargs.keys():
        load(call, path_text(call.arg(0)), "tokenizers")
    return Encoder("tokenizers")


@function("tokenizers.Tokenizer", frees="a model without a text")
def made(call: Call) -> Any:
    return Encoder("tokenizers")


@function("tokenizers.*Unigram* tokenizers.*WordPiece tokenizers.*WordPieceTrainer", frees="numbers and names")
@function("tokenizers.*WordLevel tokenizers.*WordLevelTrainer", frees="numbers and names")
def part_of_model(call: Call) -> Any:
    """models.Unigram(), trainers.WordPieceTrainer(vocab_size=30000): what is trained then."""
    names = [name for name in ("Unigram", "WordPiece", "WordLevel") if name in call.name]
    call.state.facts.trains = names[0] if names else call.state.facts.trains
    return NOTHING


@function("tokenizers.*UnigramTokenizer", frees="a vocabulary")
def unigram(call: Call) -> Any:
    """SentencePieceUnigramTokenizer()"""
    return loaded(call)


function("tokenizers.*")(nothing("a part of a tokenizer"))


# -- encoding ---------------------------------------------------------------------------------------------------------


@method("tokenizers", "encode")
def encoded(call: Call) -> Any:
    found = encoding_of(call, call.arg(0, "sequence"))
    return ids_of(call, call.arg(0, "sequence")) if found is None else found


def encoding_of(call: Call, value: Any) -> Buffer | None:
    """The Encoding of one text; None for what is no text. Nothing else is at hand meanwhile that it could share."""
    value = the_text(call, value)
    if not isinstance(value, Buffer) or value.kind not in ("text", "bytes", "opaque"):
        return None
    before = without_heap(call)
    result = as_long_as(call, "encoding", value)
    inside = Transient("pieces of the text inside tokenizers", "pieces", value.extent, call.state.copies)
    call.record("encode", call.state.label_of(value), inside)
    call.state.temps.append(result)
    keep_in_heap(call, before, result, "text")
    return result


@method("tokenizers", "encode_batch encode_batch_fast")
def encoded_batch(call: Call) -> Any:
    return encodings_of(call, texts_of(call, call.arg(0, "input"))) or UNKNOWN


def encodings_of(call: Call, texts: Any) -> Buffer | None:
    """An Encoding for each of several texts; None for what is not known as several texts."""
    if not isinstance(texts, Buffer) or texts.kind not in ("strings", "words", "records", "lists"):
        return None
    before = without_heap(call)
    origin = "fast" if call.name == "encode_batch_fast" else "batch"
    result = as_long_as(call, "encodings", texts, origin=origin)
    call.state.temps.append(result)
    copies = Transient("copies of the texts inside tokenizers", "batch", texts.extent, call.state.copies)
    call.record("encode", call.state.label_of(texts), copies)
    keep_in_heap(call, before, result, origin)
    return result


@attribute("encoding", "ids")
def ids_in(call: Call) -> Any:
    """Each time a new list, and new int objects."""
    return _list_of_it(call, call.state.make_ids(call.node, call.owner.extent))


@attribute("encoding", "attention_mask type_ids special_tokens_mask word_ids words sequence_ids")
def masks_in(call: Call) -> Any:
    """Lists of 0, 1 and the like: their slots alone."""
    return _list_of_it(call, call.state.make("ids", call.node, call.owner.extent, origin="mask"))


@attribute("encoding", "tokens")
def tokens_in(call: Call) -> Any:
    return _list_of_it(call, call.state.make("pieces", call.node, call.owner.extent))


@attribute("encoding", "offsets")
def offsets_in(call: Call) -> Any:
    """A tuple of two ints for each token."""
    return _list_of_it(call, call.state.make("slots", call.node, call.owner.extent, item=136))


@attribute("encoding", "overflowing")
def rest_of(call: Call) -> Any:
    """What was cut off, as Encodings: parts of what this one holds."""
    result = as_long_as(call, "encodings", call.owner)
    result.of = call.owner
    return result


attribute("encoding", "n_sequences")(nothing("a number"))


def _list_of_it(call: Call, result: Buffer) -> Buffer:
    if len(call.owner.parts) > 1:
        result.parts.clear()
        result.parts.update(call.owner.parts)
    result.source = call.owner
    call.state.temps.append(result)
    call.record("list")
    return result


method("encoding", "char_to_* token_to_* word_to_* set_sequence_id pad truncate merge")(nothing("of a token"))


method("tokenizers", "decode")(decoded)


@method("tokenizers", "decode_batch post_process")
def not_modelled(call: Call) -> Any:
    return UNKNOWN


method("tokenizers", "*")(nothing("of a token, or of the vocabulary"))
attribute("tokenizers", "padding truncation")(nothing("a setting"))


# -- training ---------------------------------------------------------------------------------------------------------


@method("tokenizers", "train")
def trained(call: Call) -> Any:
    """Files are read line by line. What grows is the count of each word that differs from the others."""
    files = call.arg(0, "files")
    for value in files.items if isinstance(files, Sequence) else [files]:
        if isinstance(value, (Path, Constant)):
            _count_words(call, [open_file(call.interpreter, value).extent])
        elif isinstance(value, Buffer) and value.kind == "objects" and value.names is not None:
            _count_words(call, [Extent()])  # paths of all files
        elif call.reaches(value):
            return UNKNOWN
    return NOTHING


@method("tokenizers", "train_from_iterator")
def trained_on_texts(call: Call) -> Any:
    """Batches of texts from Python, counted in the same way."""
    value = call.arg(0, "iterator")
    held = isinstance(value, Buffer) and value.kind in ("strings", "records")
    seen = value.extent if held else all_seen(call, value)
    if seen is None:
        return UNKNOWN if call.reaches(value) else NOTHING
    _count_words(call, [seen])
    return NOTHING


def _count_words(call: Call, extents: list[Extent]) -> None:
    for extent in extents:
        call.record("train", "", _inside_trainer(call, extent, call.state.copies))


def _inside_trainer(call: Call, extent: Extent, copies: float) -> Transient:
    facts = call.state.facts
    if facts.trains == "Unigram":
        words = "what the trainer's pieces are chosen from"
        if facts.cut_in_words:
            return Transient(words, "seeds", extent, copies)
        return Transient(words, "line seeds", extent, copies)
    if facts.trains == "WordLevel" and facts.cut_in_words:
        return Transient("words and their counts", "words alone", extent, copies)
    if not facts.cut_in_words:
        return Transient("lines and their counts inside the trainer", "line counts", extent, copies)
    words = "words and their counts inside the trainer"
    if facts.trains == "WordPiece":
        return Transient(words, "bare word counts", extent, copies)
    return Transient(words, "word counts", extent, copies)
