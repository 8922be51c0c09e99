"""Sources that a reader could choke on, and what becomes of each: run as a program, it reads the named ones.

python -m tests.estimate.hostile_sources NAME…     one JSON line for each: seconds of processor time, answer
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

READ = 'd = open("text.txt").read()\n'


def nested(line: str, depth: int, last: str) -> str:
    """`line`, `depth` times inside itself, {} being its depth."""
    return "".join(" " * i + line.replace("{}", str(i)) + "\n" for i in range(depth)) + " " * depth + last + "\n"


def _deep() -> Iterator[tuple[str, str]]:
    for depth in (150, 2500, 100_000):
        for name, before, after in (
            ("minus", "-", ""),
            ("not", "not ", ""),
            ("power", "2**", ""),
            ("lambda", "lambda: ", ""),
            ("if-else", "1 if d else ", ""),
            ("await", "await ", ""),
            ("attributes", "", ".b"),
            ("calls of calls", "", "()"),
            ("method calls", "", ".strip()"),
            ("subscripts", "", "[1:]"),
            ("sum", "", "+d"),
            ("implicit text", "'a' ", ""),
            ("comparisons", "", " < d"),
            ("and", "", " and d"),
        ):
            head = "async def f(d):\n  " if name == "await" else READ
            yield f"{depth} {name}", f"{head}x = {before * depth}d{after * depth}\n"
        yield f"{depth} elif", READ + "l = []\nif d: l.append(d)\n" + "elif d: l.append(d)\n" * depth
    for name, before, after in (
        ("parentheses", "(", ")"),
        ("lists", "[", "]"),
        ("dicts", "{1: ", "}"),
        ("calls", "f(", ")"),
        ("keywords", "f(a=", ")"),
        ("stars", "[*", "]"),
        ("walrus", "(a := ", ")"),
        ("sorted", "sorted(", ")"),
        ("maps", "map(str, ", ")"),
        ("unclosed", "[", ""),
        ("unclosed calls", "f(", ""),
    ):
        yield f"nested {name}", READ + f"x = {before * 150}d{after * 150}\nfor y in x: pass\n"
    yield "nested classes", READ + nested("class A:", 95, "x = d")
    yield "nested functions", READ + nested("def f():", 95, "return d")
    yield (
        "nested match",
        READ + "".join(" " * 2 * i + f"match d:\n{' ' * 2 * i} case 1:\n" for i in range(45)) + " " * 95 + "x = d\n",
    )
    yield "nested patterns", READ + "match d:\n case " + "[" * 100 + "]" * 100 + ": pass\n"


def _branching() -> Iterator[tuple[str, str]]:
    twice = "def f{0}(x):\n a = f{1}(x) if x else f{1}(x + 1)\n return a + f{1}(a)\n"
    yield (
        "calls that fan out",
        "def f0(x): return open('text.txt').read()\n"
        + "".join(twice.format(i, i - 1) for i in range(1, 20))
        + "f19(1)\n",
    )
    yield "mutual recursion", READ + "def f(x): return g(x) + g(x)\ndef g(x): return f(x) + f(x)\nf(d)\n"
    yield "lambda recursion", READ + "f = lambda x: f(f(f(x)))\nf(d)\n(lambda x: x(x))(lambda x: x(x))\n"
    instances = "class A:\n def __init__(self): self.a = A(); self.b = A()\n def __iter__(self): return self\n"
    yield "instances of instances", instances + "for a in A(): pass\n"
    yield (
        "diamonds",
        "class C0: pass\n" + "".join(f"class C{i}(C{i - 1}, C{i - 1}): pass\n" for i in range(1, 60)) + "C59().x\n",
    )
    yield (
        "generators of generators",
        "def g0():\n yield open('text.txt').read()\n"
        + "".join(f"def g{i}():\n yield from g{i - 1}()\n yield from g{i - 1}()\n" for i in range(1, 20))
        + "l = list(g19())\n",
    )
    yield "18 loops", READ + nested("for i{} in range(10**9):", 18, "d = d + d")
    yield "6 loops", READ + nested("for i{} in range(10**9):", 6, "d = d + d")
    yield "18 while", READ + nested("while d:", 18, "d = d + d")
    yield "18 loops over text", READ + "l = []\n" + nested("for c{} in d:", 18, "l.append(c0)")
    yield (
        "18 try",
        READ + nested("try:", 18, "d = d + d") + "".join(" " * i + "finally: d = d + d\n" for i in reversed(range(18))),
    )
    yield "90 if", READ + nested("if d:", 90, "d = d + d")
    yield (
        "40 comprehensions",
        "x = " + "[" * 40 + "1" + "".join(f" for i{k} in range(10**6)]" for k in range(40)) + "\n",
    )
    yield (
        "40 dict comprehensions",
        "x = " + "{1: " * 40 + "1" + "".join(f" for i{k} in range(10**6)}}" for k in range(40)) + "\n",
    )
    yield "100 for in one", READ + "x = [a " + "for a in d " * 100 + "]\n"
    yield "60 decorators", READ + "@a(b)(c)\n" * 60 + "def f(): return d\nf()\n"


_NUMBERS = """\
1 << 10**12
1 << (1 << 62)
10**10**10
2**-10**12
-(10**400)
1e999 - 1e999
1 // 0
1 % 0
0**-1
(-8)**0.5
1 << -5
1 >> -1
0
-3
1e-300
'a' * 10**12
b'a' * 10**12
[0] * 10**15
[0] * 10**15 * 10**15
f'{1:>1000000000000}'
'%1000000000000d' % 1
'a'.ljust(10**12)
'{:>1000000000}'.format(1)
bytearray(10**12)
range(10**30)
chr(10**9)
"""


def _numbers() -> Iterator[tuple[str, str]]:
    use = """\
l = [0] * q
for i in range(q):
    d = d + d
x = d[:q]
c = open("text.txt").read(q)
for i in range(0, len(d), q):
    l.append(d[i : i + q])
import itertools, multiprocessing, numpy, sys
n = numpy.zeros(q)
numpy.full((q,), 1)
with multiprocessing.Pool(q) as p:
    r = p.map(open, sys.argv[0:q])
for i, line in enumerate(itertools.islice(open("text.txt"), q)):
    l.append(line)
    if len(l) >= q:
        l.clear()
    if i % q == 0:
        l = []
(1, 2, 3)[q]
(1, 2, 3)[q:]
"""
    for number in (*_NUMBERS.splitlines(), "0x" + "f" * 100_000, "9" * 4_000):
        yield f"number {number[:24]}", READ + f"q = {number}\n" + use


def _growing() -> Iterator[tuple[str, str]]:
    yield "doubled text", READ + "d = d + d\n" * 300 + "l = [d]\n" + "l = l * 1000\n" * 300
    yield "doubled in place", READ + "d += d\n" * 3000
    yield "doubled list", READ + "l = list(d)\n" + "l += l\n" * 3000
    yield "extended by itself", READ + "l = list(d)\n" + "l.extend(l)\n" * 3000
    yield "doubled constant", READ + "s = 'a'\n" + "s = s + s\n" * 200 + "s = f'{s}{s}'\n" * 200
    yield "doubled path", "import os\ns = 'a'\n" + "s = os.path.join(s, s)\n" * 100 + "open(s)\n"
    yield "doubled tuple", "s = (1, 2)\n" + "s = (*s, *s)\n" * 100
    yield "nested tuple", "s = (1,)\n" + "s = (s, s)\n" * 3000
    yield (
        "in itself",
        "x = []\nx.append(x)\nx[0] = x\nfor a in x: x.append(a)\nx += x\nd = {}\nd['a'] = d\nfor k in d: d[k] = d\n",
    )
    yield "copies of copies", READ + "import numpy as np\na = np.array(d)\n" + "a = np.array(a)\n" * 5_000
    yield "slices of slices", READ + "w = d.split()\n" + "w = w[1:]\n" * 5_000


def _long() -> Iterator[tuple[str, str]]:
    yield "200,000 lines", "x = f(1)\n" * 200_000
    yield "30,000 lines", "x = 1\n" * 30_000
    yield "5,000 names", READ + "".join(f"x{i} = d + d\n" for i in range(5_000))
    yield "5,000 if", READ + "".join(f"if d: x{i} = d + 'a'\n" for i in range(5_000))
    yield "5,000 functions", READ + "".join(f"def f{i}(): return d\nf{i}()\n" for i in range(5_000))
    yield "5,000 loops", READ + "for a in d: pass\n" * 5_000
    yield "5,000 guards", "def f(d):\n" + " if d: return d\n" * 5000 + "f(open('text.txt').read())\n"
    yield "2,000 cases", READ + "match d:\n" + " case 1: x = d + d\n" * 2000
    yield "3,000 keys", "d = {}\n" + "".join(f"d['k{i}'] = open('text.txt').read()\n" for i in range(3_000))
    yield "30,000 arguments", READ + f"f({'d,' * 30_000})\n"
    yield "100,000 fields", READ + f"x = f'{'{d}' * 100_000}'\n"
    yield "100,000 dots", "import " + "a." * 100_000 + "a\n"
    yield "a long name", "a" * 4_000_000
    yield "blank lines", "\n" * 1_000_000


def _odd() -> Iterator[tuple[str, str | bytes]]:
    yield "empty", ""
    yield "NUL", "x = 1\0\n"
    yield "CR", READ.replace("\n", "\r") + "x = u(d)\r"
    yield "CRLF", READ.replace("\n", "\r\n") + "x = u(d)\r\n"
    yield "form feeds", f"\f{READ}\n\f\nx = u(d)  # \f \x1c \x85 \u2028 \x1b[31m\n"
    yield "tabs", f"if 1:\n\t{READ}\tx = u(d)\n"
    yield "tabs and spaces", "if 1:\n\tx = 1\n        y = 2\n"
    yield "a BOM", b"\xef\xbb\xbf" + READ.encode()
    yield "UTF-16", READ.encode("utf-16")
    yield "bytes", bytes(range(256)) * 1000
    for cookie in (
        "latin-1",
        "utf-7",
        "rot13",
        "zlib",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "no-such",
        "utf-16",
    ):
        yield f"cookie {cookie}", f"# -*- coding: {cookie} -*-\n{READ}x = '\\ud800\\x00'\n".encode()
    yield "a surrogate", b"# coding: unicode_escape\nx='\\ud800'\n"


SOURCES: dict[str, str | bytes] = {
    **dict(_deep()),
    **dict(_branching()),
    **dict(_numbers()),
    **dict(_growing()),
    **dict(_long()),
    **dict(_odd()),
}


def answer(source: str | bytes, path: Path) -> str:
    """The verdict of a script, or the error that it is refused with."""
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    found, lines = answer_to(str(path))
    assert lines < 600
    return found


def answer_to(path: str) -> tuple[str, int]:
    """The same for a file that is there; how many lines are printed about it."""
    from memguard.errors import InputError
    from memguard.estimate.script.amounts import TextShape
    from memguard.estimate.script.report import estimate_script
    from memguard.estimate.script_source import read_source
    from memguard.records.codec import to_json
    from memguard.report.script import render
    from memguard.script.read import read_script
    from tests.estimate.script_texts import COSTS, ascii_text, estimate_of, limits_of

    try:
        plan = read_script(read_source(path), path.rpartition("/")[2])
    except InputError as error:
        assert "\n" not in error.message
        return f"error: {error.message}", 1
    report = estimate_script(plan, ascii_text(0.3), TextShape(longest_line=16), limits_of(1 << 34), COSTS)
    text, size = render(estimate_of(report, 1 << 34), explain=True), len(to_json(report))
    assert size and not {"\f", "\x1b", "\x1c"} & set(text)
    return report.plan.verdict, text.count("\n")


def main(names: list[str], directory: Path) -> None:
    for name in names:
        start = time.process_time()
        found = answer(SOURCES[name], directory / "s.py")
        print(json.dumps([name, round(time.process_time() - start, 2), found]), flush=True)


if __name__ == "__main__":
    hard = 1 << 30  # bytes of memory of its own: a script's estimate must not need what the script would
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    main(sys.argv[2:], Path(sys.argv[1]))
