"""What a part of the text is in figures, and what CorpusStats does not say of the whole. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Piece", "TextShape"]


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
    distinct_growth: float = 0.6  # of how many there are with the size of the text: its exponent (Heaps' law)


@dataclass(frozen=True, slots=True)
class Piece:
    chars: float = 0.0
    text: float = 0.0  # width × chars
    raw: float = 0.0
    utf8: float = 0.0  # of str that are not ASCII
    tokens: float = 0.0
    heap_ints: float = 0.0
    share: float = 0.0  # of all the text

    def times(self, factor: float) -> Piece:
        return Piece(
            self.chars * factor,
            self.text * factor,
            self.raw * factor,
            self.utf8 * factor,
            self.tokens * factor,
            self.heap_ints * factor,
            self.share * factor,
        )

    def plus(self, other: Piece) -> Piece:
        return Piece(
            self.chars + other.chars,
            self.text + other.text,
            self.raw + other.raw,
            self.utf8 + other.utf8,
            self.tokens + other.tokens,
            self.heap_ints + other.heap_ints,
            self.share + other.share,
        )
