"""Random programs that pass a few lists, texts and arrays through names, containers, functions, loops and exceptions.

They are about who holds what, not about preparing text: what is followed wrongly becomes a wrong rewrite here.
"""

from __future__ import annotations

import random

__all__ = ["make_tangle"]

_NAMES = ("a", "b", "c", "d")


class _Tangle:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.functions = 0
        self.budget = 26
        self.loops = 0

    def pick(self, *choices: str) -> str:
        return self.rng.choice(choices)

    def name(self) -> str:
        return self.rng.choice(_NAMES)

    def value(self, depth: int = 0) -> str:
        """An expression."""
        n = self.name()
        if depth > 2:
            return n
        v = self.value(depth + 1) if self.rng.random() < 0.4 else n
        return self.pick(
            n,
            n,
            n,
            "[]",
            "[]",
            "list()",
            "[1, 2]",
            "enc.encode_ordinary('the cat sat')",
            f"enc.encode_ordinary({self.pick('text', 'text[3:]', 'text.strip()')})",
            f"[t for t in {v}]",
            f"[t + 1 for t in {v} if t]",
            f"list({v})",
            f"{v}[1:]",
            f"{v}[:2]",
            f"{v} + {n}",
            f"[5] + {v}",
            f"({v} or {n})",
            f"({v} if len({n}) > 2 else {n})",
            "None",
            f"np.array({v})",
            f"store.get('{n}', {v})",
            f"store['{n}']",
            "hold.value",
            f"first({v}, {n})",
            f"make({v})",
            f"sorted({v})",
            f"pair({v}, {n})[{self.pick('0', '1', '-1')}]",
            f"next(gen({v}))",
            f"(lambda: {n})()",
            f"{v}.copy()",
            f"[{v}, {n}][{self.pick('0', '1')}]",
            f"max([{v}, {n}], key=len)",
        )

    def simple(self) -> str:
        n, v = self.name(), self.value()
        return self.pick(
            f"{n} = {v}",
            f"{n} = {v}",
            f"{n} = {v}",
            f"{n}.append({self.pick('1', '7', 'enc.eot_token', f'len({self.name()})')})",
            f"{n}.append({self.pick('3', '9')})",
            f"{n}.extend({v})",
            f"{n} += {v}",
            f"store['{self.name()}'] = {v}",
            f"hold.value = {v}",
            f"{n}, {self.name()} = {self.name()}, {v}",
            f"{n}, {self.name()} = pair({v}, {n})",
            f"bag.append({v})",
            f"{n} = bag[-1] if bag else {v}",
            f"print(len({n}))",
            f"print({n}[:3])",
            f"print({n} == {v})",
            f"show({n})",
            f"set_global({v})",
            f"{n}.clear()",
            f"del {n}[:1]",
            f"{n}[0] = 4" if self.rng.random() < 0.3 else f"{n}.append(2)",
            f"{n}.sort()" if self.rng.random() < 0.3 else f"{n} = {n}",
            f"({n} := {v})",
            f"hold.add({v})",
            f"funcs.append(lambda x={n}: x)",
            f"{n} = funcs[-1]() if funcs else {n}",
            f"print(isinstance({n}, list))" if self.rng.random() < 0.2 else "pass",
        )

    def block(self, indent: int, depth: int = 0) -> list[str]:
        pad = "    " * indent
        lines: list[str] = []
        for _ in range(self.rng.randrange(1, 5)):
            if self.budget <= 0:
                break
            self.budget -= 1
            kind = self.rng.random()
            if depth > 2 or kind < 0.6:
                lines.append(pad + self.simple())
            elif kind < 0.7:
                lines.append(
                    f"{pad}if {self.pick(f'len({self.name()}) > 1', self.name(), f'{self.name()} is None', 'flag')}:"
                )
                lines += self.block(indent + 1, depth + 1)
                if self.rng.random() < 0.5:
                    lines.append(f"{pad}else:")
                    lines += self.block(indent + 1, depth + 1)
            elif kind < 0.8:
                self.loops += 1
                i = f"i{self.loops}"
                lines.append(
                    f"{pad}for {i} in "
                    + self.pick("range(2)", "range(3)", f"list({self.name()})[:3]", f"{self.name()}[:2]")
                    + ":"
                )
                lines += self.block(indent + 1, depth + 1)
                if self.rng.random() < 0.4:
                    lines.append(f"{pad}    if {self.pick('flag', f'len({self.name()}) > 3')}:")
                    lines.append(f"{pad}        {self.simple()}")
                    lines.append(f"{pad}        {self.pick('break', 'continue')}")
                if self.rng.random() < 0.3:
                    lines.append(f"{pad}else:")
                    lines.append(f"{pad}    {self.simple()}")
            elif kind < 0.9:
                lines.append(f"{pad}try:")
                lines += self.block(indent + 1, depth + 1)
                lines.append(
                    f"{pad}except {self.pick('Exception', '(TypeError, IndexError)', 'TypeError', 'AttributeError')}:"
                )
                lines += self.block(indent + 1, depth + 1)
                if self.rng.random() < 0.3:
                    lines.append(f"{pad}finally:")
                    lines.append(f"{pad}    {self.simple()}")
            else:
                self.functions += 1
                f = f"f{self.functions}"
                lines.append(f"{pad}def {f}(x, y=None):")
                lines.append(f"{pad}    {self.pick('x.append(5)', 'y = x', 'x = x + [1]', 'pass', 'store[1] = x')}")
                lines.append(f"{pad}    return {self.pick('x', 'y', '[x, y][0]', 'list(x)', self.name(), 'y or x')}")
                lines.append(f"{pad}{self.name()} = {f}({self.value()}{self.pick('', f', {self.name()}')})")
        return lines or [pad + "pass"]


def make_tangle(rng: random.Random) -> str:
    tangle = _Tangle(rng)
    head = """\
import numpy as np
import tiktoken
enc = tiktoken.get_encoding("gpt2")
text = open("input.txt", encoding="utf-8").read()
store, bag, funcs = {}, [], []
flag = len(text) % 2
a, b, c, d = [], [1], enc.encode_ordinary(text[:20]), []
class Hold:
    def __init__(self):
        self.value = []
    def add(self, more):
        self.value = self.value + more
hold = Hold()
def first(x, y):
    return x
def make(x):
    found = []
    for t in x:
        found.append(t)
    return found
def pair(x, y):
    return x, y
def gen(x):
    yield x
    yield a
def show(x):
    print(len(x), x[-1:] == x[len(x) - 1:])
def set_global(x):
    global d
    d = x
"""
    if rng.random() < 0.4:
        body = ["def main(a, b):", *tangle.block(1), "    return a, b", "a, b = main(a, c)"]
        body += tangle.block(0)
    else:
        body = tangle.block(0) + tangle.block(0) + tangle.block(0)
    tail = [
        "for name, value in (('a', a), ('b', b), ('c', c), ('d', d), ('h', hold.value)):",
        "    print(name, None if value is None else [int(t) for t in value][:8])",
        "print(len(bag), [len(x) for x in bag if x is not None])",
    ]
    return head + "\n".join([*body, *tail]) + "\n"
