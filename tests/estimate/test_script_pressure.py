"""A registered flush that nothing ever lets run: one script in, one line out."""

from __future__ import annotations

import textwrap

import pytest

from tests.estimate.script_texts import M, at_line, peak, read, weigh

NOTE = "{} is registered, but the script never calls memguard.checkpoint(): put it at the top of the loop at line {}"
LOOP = """
for line in open("in.txt"):
    ids.extend(encode(line))
"""
FLUSH = """
ids = []
def flush():
    write(ids)
    ids.clear()
"""


INSIDE = textwrap.indent(LOOP.strip("\n"), "    ")


def script(*parts: str) -> str:
    return "\n".join(part.strip("\n") for part in parts) + "\n"


# What registers, what is named, and the line of the loop in it.
REGISTERED = {
    "decorator": (
        script("import memguard\n@memguard.on_pressure", FLUSH.replace("ids = []\n", ""), LOOP),
        "flush()",
        6,
    ),
    "call": (script("import memguard", FLUSH, "memguard.on_pressure(flush)", LOOP), "flush()", 7),
    "alias of the module": (script("import memguard as mg", FLUSH, "mg.on_pressure(flush)", LOOP), "flush()", 7),
    "alias of the name": (script("from memguard import on_pressure as op", FLUSH, "op(flush)", LOOP), "flush()", 7),
    "star": (script("from memguard import *", FLUSH, "on_pressure(flush)", LOOP), "flush()", 7),
    "assigned": (script("import memguard", "op = memguard.on_pressure", FLUSH, "op(flush)", LOOP), "flush()", 8),
    "guard": (
        script("import memguard", FLUSH, 'with memguard.guard("8GiB", on_pressure=flush):', INSIDE),
        "flush()",
        7,
    ),
    "guard, imported": (
        script("from memguard import guard as g", FLUSH, "with g(on_pressure=flush):", INSIDE),
        "flush()",
        7,
    ),
    "lambda": (
        script("import memguard", FLUSH, "memguard.on_pressure(lambda: flush())", LOOP),
        "the lambda of line 6",
        7,
    ),
    "partial": (
        script("import memguard, functools", FLUSH, "memguard.on_pressure(functools.partial(flush, 1))", LOOP),
        "flush()",
        7,
    ),
    "inside a function": (
        script("import memguard", FLUSH, "def main():\n    memguard.on_pressure(flush)", INSIDE),
        "flush()",
        8,
    ),
}
METHOD = textwrap.dedent("""\
    import memguard
    class Writer:
        def __init__(self):
            self.ids = []
            memguard.on_pressure(self.flush)
        def add(self, ids):
            self.ids.extend(ids)
        def flush(self):
            for number in self.ids:
                write(number)
            self.ids = []
    writer = Writer()
    names = []
    for name in files:
        names.append(name)
    for line in lines:
        writer.add(encode(line))
    """)


@pytest.mark.parametrize(("source", "name", "line"), REGISTERED.values(), ids=REGISTERED.keys())
def test_every_way_to_register(source: str, name: str, line: int) -> None:
    assert read(source).notes == (NOTE.format(name, line),)
    assert source.splitlines()[line - 1].lstrip().startswith("for ")


def test_a_method_and_the_loop_that_calls_what_fills_its_buffer() -> None:
    assert read(METHOD).notes == (NOTE.format("self.flush()", 16),)


HEAD = "import memguard\n@memguard.on_pressure\ndef flush():\n    done.append(1)\n    write(ids)\n    ids.clear()\n"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("for a in b:\n    other.append(a)\nfor c in d:\n    ids += c\n", 9),  # the loop that grows what flush empties
        ("for f in fs:\n    for c in f:\n        ids.extend(c)\n", 8),
        ("while True:\n    ids = ids + more()\n", 7),
        ("while True:\n    ids = np.append(ids, more())\n", 7),
        ("for i in x:\n    ids[key(i)] = i\n", 7),
        ("for i in x:\n    ids[i].append(i)\n", 7),
        ("def add(x):\n    ids.extend(x)\nfor c in d:\n    add(c)\n", 9),
        (
            "for a in b:\n    n += 1\nfor c in d:\n    for e in c:\n        other.append(e)\n",
            10,
        ),  # else what grows anything
        ("for a in b:\n    print(a)\nfor c in d:\n    print(c)\n", 7),  # else the first
    ],
)
def test_which_loop(body: str, line: int) -> None:
    assert read(HEAD + body).notes == (NOTE.format("flush()", line),)


def test_no_loop_at_all() -> None:
    (note,) = read(HEAD).notes
    assert note == (
        "flush() is registered, but the script never calls memguard.checkpoint(): call it whenever the buffer has grown"
    )


@pytest.mark.parametrize(
    "source",
    [
        script("import memguard", FLUSH, "memguard.on_pressure(flush)", LOOP + "    memguard.checkpoint()"),
        script("import memguard as m", FLUSH, "m.on_pressure(flush)", "for x in m.checkpoints(xs): ids.append(x)"),
        script("from memguard import on_pressure, checkpoint as c", FLUSH, "on_pressure(flush)", LOOP + "    c()"),
        script("from memguard import *", FLUSH, "on_pressure(flush)", LOOP + "    checkpoint()"),
        script("import memguard", FLUSH, "memguard.on_pressure(flush)", "pool.run(each=memguard.checkpoint)"),
        script("import memguard", LOOP),
        script("from elsewhere import on_pressure", FLUSH, "on_pressure(flush)", LOOP),
        script("import memguard", 'with memguard.guard("8GiB", on_pressure=None):', "    pass"),
    ],
)
def test_no_note_where_it_runs_or_nothing_is_registered(source: str) -> None:
    assert read(source).notes == ()


def test_a_name_alone_is_no_call() -> None:
    source = script("import memguard", FLUSH, "memguard.on_pressure(flush)", LOOP + "    memguard.checkpoint")
    assert read(source).notes == (NOTE.format("flush()", 7),)


def test_many_callbacks_are_no_flood() -> None:
    source = "import memguard\n" + "".join(f"@memguard.on_pressure\ndef f{i}(): pass\n" for i in range(50)) + LOOP
    assert 1 <= len(read(source).notes) <= 5


PLAIN = """
import sys, tiktoken
enc = tiktoken.get_encoding("gpt2")
ids = []
for line in open(sys.argv[1]):
    ids.extend(enc.encode(line))
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    ids.extend", "    memguard.checkpoint()\n    ids.extend"),
        ("in open(sys.argv[1])", "in memguard.checkpoints(open(sys.argv[1]))"),
        ("ids = []", "ids = []\nmemguard.on_pressure(lambda: None)\nmemguard.headroom()"),
        (
            "for line",
            "@memguard.limited('8GiB')\ndef f(): pass\nwith memguard.guard('8GiB', on_pressure=f): pass\nfor line",
        ),
    ],
)
def test_they_cost_nothing_and_are_understood(old: str, new: str) -> None:
    report = weigh("import memguard\n" + PLAIN.replace(old, new))
    assert report.unrecognised == ()
    assert report.plan.peak.expected == weigh(PLAIN).plan.peak.expected


def test_a_shard_writer_keeps_nothing() -> None:
    source = PLAIN.replace("ids = []", 'w = memguard.ShardWriter("out")').replace("ids.extend", "w.write")
    report = weigh("import memguard\n" + source + "w.flush()\nw.close()\n")
    assert report.unrecognised == () and report.plan.name == "stream"
    head = "import memguard, tiktoken\nenc = tiktoken.get_encoding('gpt2')\n"
    loop = "    for line in open('a'):\n        w.write(enc.encode(line), end_document=True)\n"
    assert peak(f"{head}with memguard.ShardWriter('out') as w:\n{loop}") < 20 * M
    text = "import memguard\nw = memguard.ShardWriter('out')\nw.write(ord(c) for c in open('a').read())\n"
    assert at_line(weigh(text), 3) >= 100 * M  # what its argument reads still counts
