"""spacy: Docs, which hold a record for each token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.encoding import as_long_as, texts_of, the_text
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import UNKNOWN, Buffer, Encoder, Generator

__all__: list[str] = []


@function("spacy.blank spacy.lang.*.English", frees="the name of a language")
def blank(call: Call) -> Any:
    """A tokenizer alone."""
    return Encoder("spacy")


@function("spacy.load")
def loaded(call: Call) -> Any:
    """A pipeline with models, which need memory of their own: its line is listed."""
    call.state.not_understood(call.node)
    return Encoder("spacy")


function("spacy.*")(nothing("a setting"))


@method("spacy", "__call__ make_doc tokenizer")
def called(call: Call) -> Any:
    text = the_text(call, call.arg(0, "text"))
    if not isinstance(text, Buffer):
        return UNKNOWN
    doc = as_long_as(call, "doc", text)
    call.state.temps.append(doc)
    growing = Transient("the Doc while it grows", "doc growing", text.extent, call.state.copies)
    call.record("encode", call.state.label_of(text), growing)
    return doc


@method("spacy", "pipe")
def piped(call: Call) -> Any:
    """One Doc for each text; as many as a batch has are there at a time."""
    texts = texts_of(call, call.arg(0, "texts"))

    def run(consume: Callable[[Any], None]) -> None:
        call.interpreter.iterate(texts, lambda text: consume(called(call.with_args(text))), call.node)

    return Generator(run, (texts,))


@attribute("doc", "text text_with_ws")
def text_of(call: Call) -> Any:
    """A str of its own."""
    return as_long_as(call, "text", call.owner)


@attribute("text", "text text_with_ws lower_ norm_ lemma_ orth_ tag_ pos_ dep_ ent_type_")
def text_of_token(call: Call) -> Any:
    """A str of its own."""
    return call.owner


method("spacy", "*")(nothing("a setting, or a part of the pipeline"))
attribute("spacy", "max_length vocab pipe_names lang meta")(nothing("a setting"))


@attribute("spacy", "tokenizer")
def same(call: Call) -> Any:
    return call.owner


method("doc", "similarity to_bytes to_json to_array to_disk")(lambda call: UNKNOWN)
method("doc", "has_annotation set_ents")(nothing("a bool"))
