"""What small Python objects, tables of sets and dicts, arrays and tensors take in memory, against the prices.

usage: python -m tests.bench objects [--python PATH] [NAME …]

Each row runs in a child of its own at two sizes: resident bytes for each element once it is made, and at the peak. The
price is estimate/script/objects.py's, or that of estimate/plans/documents.py. `--python` is the Python that has numpy,
torch and tiktoken, where this one has not. Rows whose library is missing are left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from memguard.estimate.plans.documents import SMALL_ARRAY, SMALL_LIST
from memguard.estimate.script.objects import (
    NUMPY_OBJECT,
    STACKED,
    TORCH_OBJECT,
    dict_table,
    objects_size,
    set_table,
)
from memguard.script.values import Small

SIZES = (100_000, 300_000, 1_000_000)
_SLOT = 8

_PROGRAM = """\
import sys
{imports}
def memory(key):
    for line in open("/proc/self/status"):
        if line.startswith(key):
            return int(line.split()[1]) * 1024
n = {count}
{before}
start = memory("VmRSS")
{statement}
print((memory("VmRSS") - start) / n, (memory("VmHWM") - start) / n)
"""


@dataclass(frozen=True)
class Row:
    name: str
    statement: str
    price: Callable[[int], float]  # bytes for each of n
    before: str = ""
    imports: str = ""
    part: int = 1  # of the sizes: heavy ones take fewer
    peak: bool = False  # the price is that of the peak


def _each(*parts: Small) -> Callable[[int], float]:
    return lambda n: _SLOT + objects_size(parts)


_TORCH = "import torch\ntorch.set_num_threads(1)\ntorch.tensor([1] * 8)"
_NUMPY = "import numpy as np"
_INT = Small("int")

ROWS = (
    Row("list of ints", "x = list(range(n))", _each(_INT)),
    Row("list of indexes", "x = [i for i in range(n)]", _each(_INT)),
    Row("list of floats", "x = [i * 1.5 for i in range(n)]", _each(Small("float"))),
    Row("list of tuples of ints", "x = [(i, i + 1) for i in range(n)]", _each(Small("tuple", 2), _INT, _INT)),
    Row("list(zip(a, a))", "x = list(zip(a, a))", _each(Small("tuple", 2)), "a = list(range(n))"),
    Row("list of dicts of 1", "x = [{'a': None} for i in range(n)]", _each(Small("dict", 1))),
    Row("list of dicts of 3", "x = [dict(a=None, b=None, c=None) for i in range(n)]", _each(Small("dict", 3))),
    Row("list of dicts of 6", "x = [dict.fromkeys('abcdef') for i in range(n)]", _each(Small("dict", 6))),
    Row("list of lists of 20", "x = [[0] * 20 for i in range(n)]", lambda n: _SLOT + SMALL_LIST + 20 * _SLOT),
    Row("list of empty lists", "x = [[] for i in range(n)]", _each(Small("list"))),
    Row(
        "instances",
        "x = [C(None, None) for i in range(n)]",
        _each(Small("instance", 2)),
        "class C:\n    def __init__(self, a, b): self.a = a; self.b = b",
    ),
    Row(
        "instances with slots",
        "x = [C(None, None) for i in range(n)]",
        _each(Small("slots", 2)),
        "class C:\n    __slots__ = ('a', 'b')\n    def __init__(self, a, b): self.a = a; self.b = b",
    ),
    Row("set of ints", "x = set(a)", lambda n: set_table(n) / n, "a = list(range(n))"),
    Row("dict of ints", "x = {i: i for i in a}", lambda n: dict_table(n) / n, "a = list(range(n))"),
    Row("dict of str", "x = {s: s for s in a}", lambda n: dict_table(n, 16) / n, "a = [str(i) for i in range(n)]"),
    Row(
        "set of hexdigests",
        "x = {hashlib.md5(b'%d' % i).hexdigest() for i in range(n)}",
        lambda n: set_table(n) / n + objects_size([Small("str", 32)]),
        imports="import hashlib",
    ),
    Row(
        "set of digests",
        "x = {hashlib.sha256(b'%d' % i).digest() for i in range(n)}",
        lambda n: set_table(n) / n + objects_size([Small("bytes", 32)]),
        imports="import hashlib",
    ),
    Row(
        "set of hashes",
        "x = {hash(str(i)) for i in range(n)}",
        lambda n: set_table(n) / n + objects_size([Small("hash")]),
    ),
    Row(
        "random.sample of twice as many",
        "x = random.sample(range(2 * n), n)",
        lambda n: _SLOT + 2 * objects_size([_INT]),
        imports="import random",
    ),
    Row(
        "numpy arrays of 32",
        "x = [np.array([7] * 32) for i in range(n)]",
        lambda n: _SLOT + SMALL_ARRAY + 256,
        imports=_NUMPY,
        part=3,
    ),
    Row(
        "numpy views",
        "x = [a[i % 9 : i % 9 + 32] for i in range(n)]",
        lambda n: _SLOT + NUMPY_OBJECT,
        "a = np.zeros(100)",
        _NUMPY,
        part=3,
    ),
    Row(
        "torch tensors of 32",
        "x = [torch.tensor([7] * 32) for i in range(n)]",
        lambda n: _SLOT + TORCH_OBJECT + 256,
        imports=_TORCH,
        part=5,
    ),
    Row(
        "torch views",
        "x = [a[i % 9 : i % 9 + 32] for i in range(n)]",
        lambda n: _SLOT + TORCH_OBJECT,
        "a = torch.zeros(100)",
        _TORCH,
        part=5,
    ),
    *(
        Row(
            f"np.{name} of ints",
            f"x = np.{name}(a)",
            lambda n: STACKED + 8.0,
            "a = [1000 + i for i in range(n)]",
            _NUMPY,
            part=3,
            peak=True,
        )
        for name in ("stack", "vstack", "hstack")
    ),
    Row(
        "pickle's memo of lists",
        "pickle.dump(a, open('/dev/null', 'wb'))",
        _each(Small("memo")),
        "a = [[7] for i in range(n)]",
        "import pickle",
        peak=True,
    ),
    Row(
        "torch.save of tensors",
        "torch.save(a, file)",
        _each(Small("storage")),
        "a = [torch.tensor([7] * 8) for i in range(n)]\nfile = tempfile.TemporaryFile()",
        "import tempfile\n" + _TORCH,
        part=20,
        peak=True,
    ),
)


def measured(python: str, row: Row, count: int) -> tuple[float, float] | None:
    """(bytes for each element that stay, at the peak); None where a library is missing."""
    program = _PROGRAM.format(imports=row.imports, count=count, before=row.before, statement=row.statement)
    done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            return None
        raise RuntimeError(done.stderr)
    held, peak = map(float, done.stdout.split())
    return held, peak


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench objects")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    for row in ROWS:
        if options.names and not any(name in row.name for name in options.names):
            continue
        for size in SIZES:
            found = measured(options.python, row, size // row.part)
            if found is None:
                print(f"{row.name:32} its library is not here")
                break
            price, value = row.price(size // row.part), found[1] if row.peak else found[0]
            print(f"{row.name:32} {size // row.part:9,} {value:8.1f} price {price:8.1f} ratio {price / value:5.2f}")
    return 0
