"""The text in figures: what its str, its tokens and its documents take, for CorpusStats. Reads files, writes nothing.

inputs.py     what the user names -> files of one kind, found and opened as for tokenize
read.py       files -> Corpus: decides what is read whole and what is sampled, and joins what the others find
scan.py       every byte: characters, width, newlines, malformed UTF-8
sample.py     tokens, counted or from a stratified sample
documents.py  lines, records and rows; packed files and stdin, read as streams
vocabulary.py the words and lines that differ from one another, for a script that counts or keeps each once
shape.py      the longest line and the words, for a script that goes line by line

The names below load on first use: numpy is imported while the child that measures Python's own memory starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.estimate.lazy import door

if TYPE_CHECKING:
    from memguard.estimate.corpus.read import Corpus, Depth, read_corpus
    from memguard.estimate.corpus.shape import read_shape
    from memguard.estimate.corpus.vocabulary import (
        count_words,
        with_distinct_between_spaces,
        with_distinct_lines,
        with_distinct_words,
    )

__all__ = [
    "Corpus",
    "Depth",
    "count_words",
    "read_corpus",
    "read_shape",
    "with_distinct_between_spaces",
    "with_distinct_lines",
    "with_distinct_words",
]

__getattr__ = door(
    __name__,
    {
        "Corpus": "read",
        "Depth": "read",
        "count_words": "vocabulary",
        "read_corpus": "read",
        "read_shape": "shape",
        "with_distinct_between_spaces": "vocabulary",
        "with_distinct_lines": "vocabulary",
        "with_distinct_words": "vocabulary",
    },
)
