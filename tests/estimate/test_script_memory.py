"""What is alive at each line, by hand-made figures: every expectation is the arithmetic written out once more.

The text is 100 MB of ASCII: 25 M tokens, 18.75 M of them with an int object of their own (32 bytes).
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard.estimate.plans.catalogue import Options, read_all
from memguard.estimate.plans.quantities import text_of
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script.report import estimate_script
from tests.estimate.script_texts import BASELINE, COSTS, M, ascii_text, at_line, limits_of, peak, read, weigh

TOKENS = 25 * M
SLOTS, INTS = 8 * TOKENS, 32 * TOKENS * 3 // 4
IDS = SLOTS + INTS

HEAD = """\
import sys
import numpy as np
import tiktoken
enc = tiktoken.get_encoding("gpt2")
"""


def test_reading_holds_the_bytes_and_the_text() -> None:
    report = weigh("data = open('a.txt').read()\nprint(len(data))\nimport numpy, tiktoken\n")
    assert at_line(report, 1) == 200 * M
    assert at_line(report, 2) == 100 * M


def test_the_nanogpt_script_is_the_read_all_plan() -> None:
    """The script's own steps and the plan of that name agree to the byte."""
    report = weigh(
        HEAD
        + """\
data = open("a.txt").read()
n = len(data)
train_data = data[:int(n*0.9)]
val_data = data[int(n*0.9):]
train_ids = enc.encode_ordinary(train_data)
val_ids = enc.encode_ordinary(val_data)
train_ids = np.array(train_ids, dtype=np.uint16)
val_ids = np.array(val_ids, dtype=np.uint16)
"""
    )
    steps = {step.name: step.bytes for step in read_all(text_of(ascii_text(), "expected"), COSTS, Options())}
    memory = {line.line: line.bytes for line in report.lines}
    assert memory[5] == steps["read"]
    assert memory[8] == steps["slice"]
    assert memory[9] == pytest.approx(steps["encode train"], abs=2)
    assert memory[11] == pytest.approx(steps["np.array train"], abs=2)
    assert memory[12] == pytest.approx(steps["np.array val"], abs=2)


def test_a_chunked_list_ends_as_large_as_all_its_ids() -> None:
    report = weigh(
        HEAD
        + """\
ids = []
with open(sys.argv[1]) as f:
    while chunk := f.read(1_000_000):
        ids.extend(enc.encode_ordinary(chunk))
array = np.array(ids, dtype=np.uint16)
"""
    )
    assert at_line(report, 9) == pytest.approx(IDS + 2 * TOKENS, rel=0.01)


def test_del_frees() -> None:
    source = HEAD + "data = open('a.txt').read()\nids = enc.encode(data)\n{}array = np.array(ids, dtype=np.uint16)\n"
    kept, freed = weigh(source.format("")), weigh(source.format("del data\n"))
    assert at_line(kept, 7) - at_line(freed, 8) == 100 * M


def test_rebinding_frees_only_once_the_new_value_is_there() -> None:
    report = weigh(HEAD + "x = open('a.txt').read()\nx = enc.encode(x)\nx = np.array(x, dtype=np.uint16)\nprint(x)\n")
    assert at_line(report, 7) == IDS + 2 * TOKENS
    assert at_line(report, 8) == 2 * TOKENS


def test_the_end_of_a_function_frees_its_locals() -> None:
    report = weigh(
        HEAD
        + """\
def tokenize(path):
    text = open(path).read()
    return np.array(enc.encode(text), dtype=np.uint16)
array = tokenize("a.txt")
print(len(array))
"""
    )
    assert at_line(report, 7) > IDS
    assert at_line(report, 9) == 2 * TOKENS


def test_one_expression_frees_as_it_goes() -> None:
    """np.array(encode(read())): the text is gone once it is encoded."""
    report = weigh(HEAD + "a = np.array(\n    enc.encode(\n        open('a.txt').read()), dtype=np.uint16)\n")
    assert at_line(report, 5) == IDS + 2 * TOKENS


def test_a_shard_bounds_the_list() -> None:
    source = (
        HEAD
        + """\
SHARD = 2_000_000
ids = []
for line in open(sys.argv[1]):
    ids.extend(enc.encode(line))
    if len(ids) >= SHARD:
        np.array(ids, dtype=np.uint16).tofile("x.bin")
        {}
"""
    )
    for reset in ("ids = []", "ids.clear()", "del ids[:]", "ids[:] = []", "ids = ids[SHARD:]"):
        report = weigh(source.format(reset))
        assert report.plan.name == "sharded-list", reset
        assert report.plan.peak.expected - BASELINE < 2 * M * (8 + 24 + 2 + 16) + 2 * M, reset


def test_early_continue_is_a_threshold_too() -> None:
    source = (
        HEAD
        + """\
ids = []
for line in open(sys.argv[1]):
    ids += enc.encode(line)
    if len(ids) < 1_000_000:
        continue
    np.array(ids, dtype=np.uint16).tofile("x.bin")
    ids = []
"""
    )
    assert read(source).parameters["shard"] == "1000000 tokens"


def test_a_counter_is_a_threshold_too() -> None:
    source = (
        HEAD
        + """\
parts, count = [], 0
for line in open(sys.argv[1]):
    ids = enc.encode(line)
    parts.append(np.array(ids, dtype=np.uint16))
    count += len(ids)
    if count > 3_000_000:
        np.concatenate(parts).tofile("x.bin")
        parts, count = [], 0
"""
    )
    assert read(source).parameters["shard"] == "3000000 tokens"


def test_a_list_emptied_under_an_unknown_condition_keeps_everything() -> None:
    source = (
        HEAD
        + """\
ids = []
for line in open(sys.argv[1]):
    ids.extend(enc.encode(line))
    if line.startswith("==="):
        ids = []
"""
    )
    report = weigh(source)
    assert report.plan.name == "chunked-list"
    assert report.plan.peak.expected - BASELINE >= IDS
    assert [found.line for found in report.unrecognised] == [8]


def test_a_shard_of_unknown_size_keeps_everything() -> None:
    source = (
        HEAD
        + """\
ids = []
for line in open(sys.argv[1]):
    ids.extend(enc.encode(line))
    if len(ids) >= int(sys.argv[2]):
        ids = []
"""
    )
    report = weigh(source)
    assert report.plan.peak.expected - BASELINE >= IDS
    assert report.unrecognised


def test_flattening_a_list_of_lists_shares_the_ints() -> None:
    report = weigh(
        HEAD
        + """\
docs = [enc.encode(line) for line in open(sys.argv[1])]
flat = [t for ids in docs for t in ids]
"""
    )
    lines = 1 * M
    assert at_line(report, 6) == pytest.approx(2 * SLOTS + INTS + 72 * lines, rel=0.01)


LOOPS = """\
import json
docs = [json.loads(l)["text"] for l in open(sys.argv[1])]
"""


@pytest.mark.parametrize(
    "body",
    [
        "ids = [t for d in docs for t in enc.encode(d) + [0]]",
        "ids = []\nfor d in docs:\n    for t in enc.encode(d):\n        ids.append(t)",
        "ids = []\nfor d in docs:\n    ids.extend(list(enc.encode(d)))",
        "ids = []\nfor d in docs:\n    ids.extend(enc.encode(d)[:-1])",
        "ids = []\nfor d in docs:\n    ids += [0, *enc.encode(d)]",
        "ids = [eot]\nfor d in docs:\n    ids.extend(enc.encode(d))",
        "ids = [0]\nids = ids[:]\nfor d in docs:\n    ids.extend(enc.encode(d))",
        "ids = []\nfor l in range(0, 9**9, 9):\n    for e in enc.encode_batch(docs[l:l + 9]):\n        ids.extend(e)",
        "ids = []\nfor d in docs:\n    ids = ids + enc.encode(d)",
        "ids = sum((enc.encode(d) for d in docs), [])",
        "ids = list(map(enc.encode, docs))",
        "ids = {i: enc.encode(d) for i, d in enumerate(docs)}",
        "ids = {}\nfor i, d in enumerate(docs):\n    ids[i] = enc.encode(d)",
        "from collections import deque\nids = deque()\nfor d in docs:\n    ids.append(enc.encode(d))",
        "ids = tuple(enc.encode(d) for d in docs)",
        "ids = sorted(enc.encode(d) for d in docs)",
        "ids = []\n[ids.extend(enc.encode(d)) for d in docs]",
        "ids = [(0, enc.encode(d)) for d in docs]",
        "ids = []\nfor d in docs:\n    ids.append({'ids': enc.encode(d)})",
    ],
)
def test_every_way_to_keep_all_ids_keeps_all_ids(body: str) -> None:
    """Slots and int objects: nothing that gathers them may come out smaller."""
    report = weigh(HEAD + LOOPS + body + "\nprint(len(ids))\n")
    last = max(line.line for line in report.lines)
    texts = 164 * M + 8 * M
    assert at_line(report, last) >= 0.99 * (IDS + texts), report.plan


def test_adding_lists_shares_the_ints() -> None:
    report = weigh(HEAD + "a = enc.encode(open('a.txt').read())\nb = a + [50256]\nc = a[:]\n")
    assert at_line(report, 6) == pytest.approx(2 * SLOTS + INTS, rel=0.001)
    assert at_line(report, 7) == pytest.approx(3 * SLOTS + INTS, rel=0.001)


def test_lines_as_strs() -> None:
    report = weigh(HEAD + "lines = open('a.txt').readlines()\nprint(lines[0])\n")
    assert at_line(report, 6) == 100 * M + 64 * M + 8 * M  # characters, headers, slots


def test_np_append_copies() -> None:
    report = weigh(
        HEAD
        + """\
all = np.array([], dtype=np.uint16)
for line in open(sys.argv[1]):
    all = np.append(all, np.array(enc.encode(line), dtype=np.uint16))
"""
    )
    assert at_line(report, 7) == pytest.approx(2 * 2 * TOKENS, rel=0.01)


def test_a_memory_map_costs_nothing() -> None:
    report = weigh(
        HEAD
        + """\
out = np.memmap("x.bin", dtype=np.uint16, mode="w+", shape=(10**9,))
at = 0
for line in open(sys.argv[1]):
    ids = enc.encode(line)
    out[at:at + len(ids)] = ids
    at += len(ids)
"""
    )
    assert report.plan.name == "stream"
    assert at_line(report, 9) < 100_000


def test_an_empty_array_counts_as_far_as_it_is_filled() -> None:
    source = (
        HEAD
        + """\
out = np.empty({}, dtype=np.uint16)
at = 0
for line in open(sys.argv[1]):
    ids = enc.encode(line)
    out[at:at + len(ids)] = ids
    at += len(ids)
"""
    )
    assert at_line(weigh(source.format("10**9")), 9) == pytest.approx(2 * TOKENS, rel=0.01)
    assert at_line(weigh(source.format("10**6")), 9) == pytest.approx(2 * M, rel=0.05)


def test_workers_each_hold_a_file() -> None:
    source = (
        "from multiprocessing import Pool\n"
        + HEAD
        + """\
def work(path):
    np.array(enc.encode(open(path).read()), dtype=np.uint16).tofile(path + ".bin")
with Pool({}) as pool:
    pool.map(work, sys.argv[1:])
"""
    )
    from dataclasses import replace

    files = replace(ascii_text(), largest_files=(10 * M,) * 10)
    two, four = (weigh(source.format(n), files).plan.peak.expected for n in (2, 4))
    assert weigh(source.format(2), files).plan.name == "pool-files"
    assert four - two == pytest.approx(2 * (10 * M + IDS / 10), rel=0.5)
    assert four > two + 2 * IDS / 10


def test_one_huge_line_is_the_whole_file() -> None:
    source = HEAD + "for line in open(sys.argv[1]):\n    np.array(enc.encode(line), dtype=np.uint16).tofile('x')\n"
    plan, stats = read(source), ascii_text(lines=2)
    for longest, least in ((200, 0), (99 * M, IDS * 0.9)):
        report = estimate_script(plan, stats, TextShape(longest_line=longest), limits_of(1 << 50), COSTS)
        assert report.plan.peak.expected - BASELINE >= least


@settings(deadline=None, max_examples=40)
@given(st.floats(1, 5000), st.floats(1, 5000))
def test_more_text_never_needs_less(first: float, second: float) -> None:
    source = HEAD + "ids = []\nfor line in open(sys.argv[1]):\n    ids += enc.encode(line)\na = np.array(ids)\n"
    small, large = sorted((first, second))
    assert peak(source, ascii_text(small)) <= peak(source, ascii_text(large))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_larger_shard_never_needs_less(first: int, second: int) -> None:
    source = (
        HEAD
        + """\
ids = []
while chunk := f.read(100_000):
    ids += enc.encode(chunk)
    if len(ids) > {}:
        ids = []
"""
    ).replace("ids = []\nwhile", "ids = []\nf = open(sys.argv[1])\nwhile")
    small, large = sorted((first, second))
    assert peak(source.format(small)) <= peak(source.format(large))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_larger_chunk_never_needs_less(first: int, second: int) -> None:
    source = HEAD + "f = open(sys.argv[1])\nwhile chunk := f.read({}):\n    ids = enc.encode(chunk)\n"
    small, large = sorted((first, second))
    assert peak(source.format(small)) <= peak(source.format(large))
