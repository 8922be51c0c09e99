"""What a rewrite reads out of a Trace: steps, what flows from one to the next, and where each stands."""

from __future__ import annotations

import pytest

from memguard.script.read import read_script
from memguard.script.source import Places, parse_script
from memguard.script.trace import Trace

CHUNKED = """\
import sys, numpy as np, tiktoken
enc = tiktoken.get_encoding("gpt2")
ids = []
with open(sys.argv[1]) as f:
    while chunk := f.read(1_000_000):
        ids.extend(enc.encode(chunk))
arr = np.array(ids, dtype=np.uint16)
arr.tofile("é.bin")
"""


def text_at(trace: Trace, span: tuple[int, int]) -> str:
    return trace.source.encode()[span[0] : span[1]].decode()


def flows_of(source: str) -> list[str]:
    """`encode → extend`, in the order in which they happen."""
    trace = read_script(source, "s.py")
    return [f"{trace.steps[f.from_step].kind} → {trace.steps[f.to_step].kind}" for f in trace.flows]


def test_the_list_that_flows_from_encode_to_the_file() -> None:
    assert flows_of(CHUNKED) == ["read → encode", "encode → extend", "extend → array", "array → write"]


@pytest.mark.parametrize(
    ("source", "flows"),
    [
        (
            "a = open('a').read()\nb = a[10:]\nc = b + a\n",
            ["read → slice", "slice → concatenate", "read → concatenate"],
        ),
        ("a = open('a').read()\nb = f'{a}!'\n", ["read → copy"]),
        ("a = open('a').readlines()\nb = ''.join(a)\n", ["readlines → join"]),
        ("import other\na = open('a').read()\nb = other.f([a])\n", ["read → unknown"]),
        ("a = [w for w in open('a').read().split()]\n", ["read → split", "split → append"]),
    ],
)
def test_flows(source: str, flows: list[str]) -> None:
    assert flows_of(source) == flows


def test_spans_are_bytes_of_the_source() -> None:
    trace = read_script(CHUNKED.replace("chunk", "stück"), "s.py")
    assert [(step.kind, text_at(trace, step.span)) for step in trace.steps] == [
        ("read", "f.read(1_000_000)"),
        ("encode", "enc.encode(stück)"),
        ("extend", "ids.extend(enc.encode(stück))"),
        ("array", "np.array(ids, dtype=np.uint16)"),
        ("write", 'arr.tofile("é.bin")'),
    ]
    uses = {v.name: [text_at(trace, use.span) for use in v.uses] for v in trace.variables}
    assert uses["stück"] == ["stück", "stück"] and uses["ids"] == ["ids"] * 3


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_places_and_positions_are_each_others_reverse(newline: str) -> None:
    source = newline.join(["é = 1", "", "def f(x):", "    return 'ö', x  # ü", "f(é)"])
    places = Places(source)
    for node in parse_script(source, "s.py").body:
        start, end, _ = places.span(node)
        assert places.position(start) == (node.lineno, node.col_offset)
        assert places.position(end) == (node.end_lineno, node.end_col_offset)
