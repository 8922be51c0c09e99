"""nltk: lists of words and of sentences."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.registry import function, nothing
from memguard.script.trace import Transient
from memguard.script.values import UNKNOWN, Buffer

__all__: list[str] = []


@function("nltk.word_tokenize nltk.tokenize.word_tokenize nltk.wordpunct_tokenize nltk.tokenize.wordpunct_tokenize")
def words(call: Call) -> Any:
    """A str for each word, and for each punctuation mark."""
    text = call.arg(0, "text")
    if not isinstance(text, Buffer) or text.kind != "text":
        return UNKNOWN
    result = call.hold("words", text.extent)
    result.source = text
    copies = Transient("the text with spaces put in", "padded text", text.extent, call.state.copies)
    call.record("split", "", copies)
    return result


@function("nltk.sent_tokenize nltk.tokenize.sent_tokenize")
def sentences(call: Call) -> Any:
    text = call.arg(0, "text")
    if not isinstance(text, Buffer) or text.kind != "text":
        return UNKNOWN
    result = call.hold("strings", text.extent)
    result.source = text
    call.record("split")
    return result


function("nltk.download nltk.data.* nltk.corpus.stopwords.words")(
    nothing("files in a directory, or some hundred words")
)
