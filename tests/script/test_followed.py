"""What is followed of classes, conditions and loops: nothing of it is listed, and no more is held than there is."""

from __future__ import annotations

import pytest

from tests.script.outcome import outcome

_BASE = """
class Base:
    def __init__(self, value): self.value = value
    @classmethod
    def load(cls, path): return cls(open(path).read())
class Small(Base):
    def __init__(self, value):
        super().__init__(value)
        self.lines = self.value.splitlines()
"""
_WORD_LOOP = """
def merged(word):
    made, i = [], 0
    while i < len(word):
        if word[i] == best[0]:
            made.append(best[0] + best[1])
            i += 2
        else:
            made.append(word[i])
            i += 1
    return made
best = other.best()
"""


@pytest.mark.parametrize(
    ("before", "expression", "then", "left"),
    [
        (_BASE, "Small(text).value", "", "text 1"),
        (_BASE, "Small.load('a.txt').lines", "", "strings 1"),
        ("", "0", "class Own(other.Base):\n    def __init__(self, v): super().__init__(v)\ny = Own(text)", "- ?"),
        ("how = 'char'\n", "0", "if how in {'wave', 'mel'}: y = text", "-"),
        ("how = 'char'\n", "0", "if how == 'wave' and text: y = text", "-"),
        ("how = 'char'\n", "0", "if how in ('wave', 'char'): y = text", "text 1"),
        (_WORD_LOOP, "merged([bytes([b]) for b in words[0].encode()])", "", "objects word"),
        ("", "[(a, a) for a in sorted(set([i * 5 for i in range(3)]))[1:]]", "", "objects 1"),
        ("", "{}", "for w in words:\n    y[tuple(w)] = 1", "objects distinct word + slots distinct word"),
    ],
)
def test_what_is_left(before: str, expression: str, then: str, left: str) -> None:
    assert outcome(expression, then, before) == left
