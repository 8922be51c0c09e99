"""What is not understood never makes a figure smaller: the promise of docs/estimate-script.md, over every model."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memguard.script import registry
from memguard.script.extents import measure
from memguard.script.interface import Call
from memguard.script.read import read_script
from memguard.script.source import Places
from memguard.script.trace import Trace
from tests.estimate.script_texts import M, at_line, weigh
from tests.script.outcome import outcome

HEAD = """\
import tiktoken, numpy as np
enc = tiktoken.get_encoding('gpt2')
class Box:
    def __init__(self, v): self.v = v
"""
VALUES = {
    "text": "open('a').read()",
    "bytes": "open('a', 'rb').read()",
    "ids": "enc.encode(open('a').read())",
    "array": "np.array(enc.encode(open('a').read()))",
    "lines": "open('a').readlines()",
    "words": "open('a').read().split()",
    "lists": "[enc.encode(line) for line in open('a')]",
}
CONTAINERS = ("v", "[v]", "(v, 1)", "{'k': v}", "[[(v,)]]", "Box(v)", "[Box(v)]", "(x for x in [v])")
# Every function that a library has a model for and that does not say why it keeps nothing; and some that have none.
FUNCTIONS = [name for owner, name, model in registry.rows() if not owner and not model.reason and "*" not in name]
FUNCTIONS += ["other.f", "other.Class().method", "numpy.no_such_function", "torch.no_such_function"]
# Statements that put `z` into `y`.
KEEPERS = (
    *(f"y = []\ny.{name}(z)" for name in ("append", "extend", "insert", "appendleft")),
    *(f"y = set()\ny.{name}(z)" for name in ("add", "update")),
    "y = {}\ny['a'] = z",
    "y = {}\ny.setdefault('a', z)",
    "y = ['a']\ny += [z]",
    "y = [z] + [1]",
    "y = [x for x in [z, 1]]",
    "y = lambda: 0\ny = other.keep(z)",
    "import functools\ny = functools.partial(print, z)",
)


def held(trace: Trace) -> list[float]:
    """The share of the input that each Buffer holds at the end of a script; a view holds nothing itself."""
    last = next(moment for moment in reversed(trace.moments) if moment.step.kind == "line")
    alive = (held for held in last.alive if held.buffer.of is None and held.kind not in ("view", "mapped"))
    return [sum(map(measure, held.parts)) for held in alive]


def lost(source: str, listed_from: int) -> bool:
    """Whether the script ends with nothing of its input in memory, and without a line from there on being listed."""
    trace = read_script(source, "s.py")
    places = Places(source)
    lines = {places.position(unread.span[0])[0] for unread in trace.unrecognised}
    # the sum: a copy may be in two parts
    return sum(held(trace)) < 0.99 and not any(line >= listed_from for line in lines)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FUNCTIONS), st.sampled_from(sorted(VALUES)), st.sampled_from(CONTAINERS))
def test_nothing_is_lost_at_a_call(name: str, value: str, container: str) -> None:
    """A value goes into a call, in any container: its result holds it, or the line is listed."""
    called = name.removeprefix("builtins.")
    head = f"{HEAD}import {name.partition('.')[0]}\nv = {VALUES[value]}\nz = {container}\n"
    assert not lost(f"{head}y = {called}(z)\ndel v, z\n", head.count("\n") + 1)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KEEPERS), st.sampled_from(sorted(VALUES)), st.sampled_from(CONTAINERS))
def test_nothing_is_lost_where_it_is_kept(keeper: str, value: str, container: str) -> None:
    assume(not (container.startswith("{") and ("extend" in keeper or "update" in keeper)))  # of a dict, the keys
    assume(not ("y = set()" in keeper and value in ("text", "bytes", "words")))  # of few characters, of words once
    head = f"{HEAD}v = {VALUES[value]}\nz = {container}\n"
    assert not lost(f"{head}{keeper}\ndel v, z\n", head.count("\n") + 1)


@pytest.mark.parametrize(
    ("expression", "left"),
    [
        ("other.f([ids])", "opaque 1 ?"),
        ("other.f(a={'k': Box((text, 1))})", "opaque 1 ?"),
        ("other.f([text, ids])", "opaque 2 ?"),
        ('pd.DataFrame({"ids": ids})', "array:8 1"),
        ('pa.table({"ids": ids})', "array:8 1"),
        ("np.stack([array, array])", "array:2 2"),
        ('re.compile("a").findall(text)', "words 1"),
        ('np.load("a.npy")', "array:2 1"),
        ('np.fromfile("a", dtype=np.uint16).astype(np.int64)', "array:8 1"),
        ('mmap.mmap(open("a", "rb").fileno(), 0)[:]', "bytes 1"),
        ("os.read(descriptor, size)", "-"),  # a file that nobody has opened here
        ('os.read(os.open("a", os.O_RDONLY), size)', "bytes 1 ?"),
        ("requests.get(u).text", "text 1 ?"),
        ("dict(a=ids)", "ids 1 + ints 1"),
    ],
)
def test_calls_that_once_held_nothing(expression: str, left: str) -> None:
    assert outcome(expression) == left


def test_a_set_shares_its_strings_and_has_an_entry_for_each() -> None:
    report = weigh("words = set(open('a.txt').read().split())\nx = 1\nimport numpy, tiktoken\n")
    words, entries = 12 * 100 * M, 16 * 2**25  # 2 ** 25 places of 16 bytes, of which 3/5 may be taken
    slots = 8 * 100 * M / 6  # of the list of words, which is gone after line 1
    assert at_line(report, 2) == pytest.approx(words - slots + entries, rel=0.01)


def test_an_array_from_a_file_is_as_long_as_the_file() -> None:
    source = "import numpy as np, tiktoken\na = np.fromfile('a.bin', dtype=np.uint16)\nb = a.astype(np.int64)\n"
    report = weigh(source)
    assert at_line(report, 2) == 100 * M
    assert at_line(report, 3) == 100 * M + 400 * M


def test_every_way_to_read_two_files_holds_both() -> None:
    for source in (
        "texts = [open(p).read() for p in ('a', 'b')]",
        "texts = []\nfor p in ('a', 'b'):\n    texts.append(open(p).read())",
        "texts = list(map(lambda p: open(p).read(), ('a', 'b')))",
        "texts = ''.join([open('a').read(), open('b').read()])",
    ):
        assert sum(held(read_script(source + "\n", "s.py"))) == 2.0, source


def test_a_new_library_is_one_line_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line gives a call its model, and takes its line off the list."""
    call = "newlib.tokens(text)"
    assert outcome(call, before="import newlib\n") == "opaque 1 ?"
    table = registry._FUNCTIONS
    monkeypatch.setattr(table, "exact", dict(table.exact))

    @registry.function("newlib.tokens")
    def tokens(call: Call) -> object:
        return call.hold("array", call.arg(0).extent, item=4)

    assert outcome(call, before="import newlib\n") == "array:4 1"
    with pytest.raises(ValueError, match="has a model already"):
        registry.function("newlib.tokens")(tokens)
