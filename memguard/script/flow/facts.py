"""The frozen result of following a script's values: things, and every use of each. Places are byte spans."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.script.source import Span

__all__ = ["Thing", "Use", "Uses"]


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that the script makes at one place."""

    number: int
    kind: str  # list, text, texts, file, encoder, array, frame, dataset
    made: str  # how: display, comprehension, list(), encode, slice, +, read, read_text, open, …
    span: Span
    line: int
    elements: frozenset[str]  # kinds of what is in it, as far as a container is concerned
    of: frozenset[int]  # numbers of what it was made from: the text of a slice, the tokenizer and the text of ids
    inside: frozenset[int] = frozenset()  # numbers of what is in it


@dataclass(frozen=True, slots=True)
class Use:
    """What is done to one thing at one place.

    `role`: .append() (a method called), .append/0 (its argument), numpy.array/0, iterate, [index], [slice], +, in,
    truth, f-string, …; `in ` in front: it is inside what is used so; unseen: it is given to code that is not known.
    """

    thing: int
    role: str
    span: Span  # of the expression around: the call, the operation
    line: int
    others: frozenset[str]  # kinds of what else the same expression may be
    inside: Span  # of the expression that is the thing


@dataclass(frozen=True, slots=True)
class Uses:
    things: tuple[Thing, ...]
    uses: tuple[Use, ...]
    regions: tuple[Span, ...] = ()  # loops, functions and comprehensions
    closed: str = ""  # why nothing of this script can be said: exec, globals(), from x import *
    closed_line: int = 0

    def of(self, number: int) -> tuple[Use, ...]:
        return tuple(use for use in self.uses if use.thing == number)
