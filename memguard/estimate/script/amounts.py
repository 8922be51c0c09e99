"""What a part of the text is in figures, and what CorpusStats does not say of the whole. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

__all__ = ["FieldShape", "Piece", "RecordShape", "TextShape"]


@dataclass(frozen=True, slots=True)
class FieldShape:
    """What stands under one name, in an average record. Sizes are bytes."""

    kind: str  # as memguard.script.values.Field has it
    count: float  # members: 1 for a text, how many a list of texts or dicts has
    bytes: float  # UTF-8 of its texts
    strs: float  # the same as str objects, without slots
    numbers: float = 0.0  # of a list of numbers: how many
    objects: float = 0.0  # all of it as Python objects, without the keys of dicts


@dataclass(frozen=True, slots=True)
class RecordShape:
    """What one record holds beside the text that is measured, on average: for each document of that. Sizes are bytes.

    `objects` and `keys`: a record as json.loads makes it, and the keys of its dicts, which every line has of its own.
    """

    fields: Mapping[str, FieldShape]  # by path: title, meta.url, messages.content
    reference: float  # UTF-8 of the text that is measured
    line: float  # as the file has it
    line_strs: float  # the same as a str
    data: float  # UTF-8 of all texts, and 8 bytes for each number
    objects: float
    keys: float
    small: float = 0.0  # of `objects`, those of up to 512 bytes that are no texts
    text: float = 0.0  # the line as a part of one str of the whole file; 0: not known
    ascii: bool = True  # the file, which may escape what is not
    names: float = 1.0  # how many it has
    longest: int = 0  # bytes of the longest one that was seen, where a line is none; 0: the longest line


@dataclass(frozen=True, slots=True)
class TextShape:
    """What CorpusStats does not say: the longest line, the words, and which share each of the script's inputs is."""

    longest_line: int = 0  # bytes; 0: not known, an average one is taken
    words: int = 0
    distinct_words: int = 0  # 0: not known, as if all differed
    distinct_word_length: float = 1.0  # bytes of those that differ, as str objects, over those of all
    distinct_lines: float = 1.0  # the share of the lines that differ from those before them
    distinct_line_bytes: float = 1.0  # and of their bytes
    word_strings: int = 0  # bytes of all words as str objects, with their slots
    line_bytes: tuple[float, ...] = ()  # the lines in parts of equal numbers, the shortest first: the mean of each
    sources: tuple[tuple[str, float], ...] = ()  # the script's names of its inputs → share of all bytes
    entries: int = 0  # of the vocabulary of the script's own tokenizer; 0: it is not here
    distinct: int = 0  # words and punctuation marks, each with its space, that differ; 0: not counted
    distinct_bytes: int = 0
    distinct_between_spaces: int = 0
    records: RecordShape | None = None  # None: a record is its text
    distinct_wide: int = 0  # of distinct_bytes, those of characters beyond ASCII
    distinct_bare: int = 0  # the same words in small letters, without spaces, each Chinese character alone
    distinct_bare_chars: int = 0
    distinct_spaced_bytes: int = 0  # of what differs between two spaces, line ends included
    distinct_chars: int = 0  # of the words between spaces, each with a mark for its space
    distinct_pairs: int = 0  # of characters that stand side by side in a word
    text_lines: int = 0  # inside the texts of records; 0: not counted, or a record is a line
    distinct_growth: float = 0.6  # of how many there are with the size of the text: its exponent (Heaps' law)


@dataclass(frozen=True, slots=True)
class Piece:
    chars: float = 0.0
    text: float = 0.0  # width × chars
    raw: float = 0.0
    utf8: float = 0.0  # of str that are not ASCII
    tokens: float = 0.0
    heap_ints: float = 0.0
    share: float = 0.0  # of all the documents
    strs: float = 0.0  # a str object for each document
    copies: float = 0.0  # tiktoken's in those
    objects: float = 0.0  # each record as Python objects, without keys; 0: not known

    def times(self, factor: float) -> Piece:
        return Piece(*(getattr(self, name) * factor for name in _AMOUNTS))

    def plus(self, other: Piece) -> Piece:
        return Piece(*(getattr(self, name) + getattr(other, name) for name in _AMOUNTS))

    def resized(self, factor: float) -> Piece:
        """As many documents, each `factor` times as long."""
        return replace(self.times(factor), share=self.share)


_AMOUNTS = tuple(field.name for field in fields(Piece))
