"""Small objects, tables and arrays of a script: how many there are, and what they cost."""

from __future__ import annotations

import subprocess
import sys

import pytest

from memguard.estimate.script.objects import dict_table, objects_size, set_table
from memguard.script.values import Small
from tests.estimate.script_texts import M, at_line, weigh


@pytest.mark.parametrize("count", [10, 1000, 40_000, 60_000, 300_000, 1_000_000])
def test_tables_are_as_large_as_the_interpreter_says(count: int) -> None:
    header = sys.getsizeof(set())
    filled = set()
    for number in range(count):
        filled.add(number)
    assert set_table(count) == pytest.approx(sys.getsizeof(filled) - (header if count > 8 else 0), rel=0.02)
    assert dict_table(count) == pytest.approx(sys.getsizeof({i: i for i in range(count)}) - 64, rel=0.1)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (Small("str", 32), "x" * 32),
        (Small("bytes", 32), b"x" * 32),
        (Small("tuple", 2), (1, 2)),
        (Small("dict", 3), {"a": 1, "b": 2, "c": 3}),
        (Small("dict", 6), dict.fromkeys("abcdef")),
        (Small("float"), 1.5),
        (Small("hash"), 2**61 - 2),
        (Small("int"), 50_000),
    ],
)
def test_an_object_is_as_large_as_the_interpreter_says(part: Small, value: object) -> None:
    """Within the 16 bytes to which pymalloc rounds, and the garbage collector's header that getsizeof counts."""
    assert sys.getsizeof(value) - 17 <= objects_size([part]) <= sys.getsizeof(value) * 1.01 + 32


_GROW = """\
from memguard.system.proc import read_status
before = read_status("self").rss_anon
x = [(i, {"a": None, "b": None}) for i in range(300_000)]
print(read_status("self").rss_anon - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RssAnon is Linux's")
def test_a_list_of_containers_takes_what_the_prices_say() -> None:
    grown = int(subprocess.run([sys.executable, "-c", _GROW], stdout=subprocess.PIPE, check=True).stdout)
    each = 8 + objects_size([Small("tuple", 2), Small("int"), Small("dict", 2)])
    assert grown == pytest.approx(300_000 * each, rel=0.05)


HEAD = """\
import numpy as np, tiktoken, torch, random
enc = tiktoken.get_encoding('gpt2')
ids = enc.encode(open('a').read())
z = 0
"""
TOKENS = 25 * M  # of the text that is weighed


def _more(line: str) -> float:
    """What a line adds to the list of ids that is there already."""
    report = weigh(f"{HEAD}{line}\n")
    return at_line(report, 5) - at_line(report, 4)


@pytest.mark.parametrize(
    ("line", "each"),
    [
        ("order = list(range(len(ids)))", 8 + 32.1),
        ("order = [i for i in range(len(ids))]", 8 + 32.1),
        ("mask = [1] * len(ids)", 8),
        ("pairs = list(zip(ids, ids[1:]))", 8 + 64.3 + 8),  # and the slice
        ("order = np.arange(len(ids))", 8),
        ("order = torch.randperm(len(ids))", 8),
        ("flags = np.ones(2 * len(ids), dtype=np.uint8)", 2),
        ("x = [ids[i : i + 64] for i in range(0, len(ids) - 64, 16)]", 4 * (8 + 80 / 64)),
        ("x = [torch.tensor(ids[i : i + 64]) for i in range(0, len(ids) - 64, 16)]", 4 * (8 + 636 / 64)),
        ("a = np.tile(np.array(ids, dtype=np.uint16), 10)", 20),
    ],
)
def test_what_a_line_adds_for_each_token(line: str, each: float) -> None:
    assert _more(line) == pytest.approx(each * TOKENS, rel=0.03)


def test_windows_share_the_ints_of_the_list_that_they_are_cut_from() -> None:
    report = weigh(f"{HEAD}x = [ids[i : i + 64] for i in range(0, len(ids), 64)]\ndel ids\nz = 1\n")
    assert at_line(report, 7) == pytest.approx(at_line(report, 5) - 8 * TOKENS, rel=1e-5)


def test_labels_share_the_ints_of_the_ids() -> None:
    def rows(fields: str) -> int:
        loop = "rows = []\nfor line in open('b'):\n    ids = enc.encode(line)\n"
        return at_line(weigh(f"{HEAD}{loop}    rows.append({{{fields}}})\nz = 1\n"), 9)

    more = rows("'a': ids, 'mask': [1] * len(ids), 'labels': ids[:]") - rows("'a': ids")
    assert more == pytest.approx(2 * (8 * TOKENS + 72 * M), rel=0.01)


def test_an_unknown_call_may_keep_no_more_than_it_gets() -> None:
    all_of_it = weigh(HEAD + "y = unheard_of(ids)\n").plan.peak
    a_piece = weigh(HEAD + "y = unheard_of(ids[:1000])\n").plan.peak
    assert a_piece.high - a_piece.expected < 0.2 * (all_of_it.high - all_of_it.expected)


def test_a_dict_of_digests_has_a_table_and_a_str_for_each_line() -> None:
    loop = "seen = {}\nfor line in open('a'):\n    seen[hashlib.md5(line.encode()).hexdigest()] = 1\nz = 1\n"
    table = 4 * 2**21 + 24 * (2**22 // 3)  # places for a million entries, of which 2/3 can be used
    assert at_line(weigh(f"import numpy, tiktoken\nimport hashlib\n{loop}"), 6) == pytest.approx(
        96 * M + table, rel=0.02
    )
