"""What cannot be read is listed with its line, and never makes the estimate smaller: no false "fits"."""

from __future__ import annotations

import pytest

from memguard.errors import InputError
from memguard.script.read import read_script
from tests.estimate.script_texts import BASELINE, M, ascii_text, weigh

TOKENS = 25 * M
IDS = 8 * TOKENS + 32 * TOKENS * 3 // 4

# Each keeps all its tokens in a way that nobody can see from here.
HIDDEN = {
    "an unknown tokenizer": """
        import sys, other
        ids = []
        for line in open(sys.argv[1]):
            ids.extend(other.encode(line))
        """,
    "an unknown reader": """
        import sys, tiktoken, other
        enc = tiktoken.get_encoding("gpt2")
        ids = []
        for document in other.documents(sys.argv[1]):
            ids.extend(enc.encode(document))
        """,
    "an unknown loop": """
        import sys, tiktoken
        enc = tiktoken.get_encoding("gpt2")
        text = open(sys.argv[1]).read()
        ids = []
        for start, end in boundaries():
            ids.extend(enc.encode(text[start:end]))
        """,
    "an unknown chunk size": """
        import sys, tiktoken
        enc = tiktoken.get_encoding("gpt2")
        f = open(sys.argv[1])
        ids = []
        while chunk := f.read(int(sys.argv[2])):
            ids += enc.encode(chunk)
        """,
    "an unknown callback": """
        import sys, other
        ids = []
        def keep(tokens):
            ids.extend(tokens)
        other.stream(sys.argv[1], keep)
        """,
    "recursion": """
        import sys, tiktoken
        enc = tiktoken.get_encoding("gpt2")
        f = open(sys.argv[1])
        def more(ids):
            chunk = f.read(1000)
            if not chunk:
                return ids
            return more(ids + enc.encode(chunk))
        ids = more([])
        """,
}


@pytest.mark.parametrize("source", HIDDEN.values(), ids=HIDDEN.keys())
def test_what_keeps_everything_out_of_sight_never_fits(source: str) -> None:
    report = weigh(source, limit=BASELINE + IDS)
    assert report.unrecognised
    assert report.plan.verdict != "fits"
    assert report.plan.peak.high - BASELINE >= IDS


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nimport other\nother.prepare(sys.argv[1])\n",
        "import subprocess, sys\nsubprocess.run(['prepare', sys.argv[1]])\n",
        "from other import main\nmain()\n",
        "",
    ],
)
def test_a_script_that_does_it_elsewhere_is_no_known_plan_and_never_fits(source: str) -> None:
    report = weigh(source, limit=BASELINE + IDS)
    assert report.plan.name == "unknown"
    assert report.plan.verdict != "fits"


def test_the_line_and_its_source_are_told() -> None:
    report = weigh("import sys, other\nx = []\nfor l in open(sys.argv[1]):\n    x += other.encode(l)\n")
    assert [(found.line, found.source) for found in report.unrecognised] == [(4, "x += other.encode(l)")]


def test_what_is_harmless_is_not_listed() -> None:
    report = weigh(
        """
        import hashlib, json, logging, os, sys, time
        import numpy as np
        import tiktoken
        from tqdm import tqdm
        logging.basicConfig(level=logging.INFO)
        enc = tiktoken.get_encoding("gpt2")
        started, names = time.time(), []
        digest = hashlib.sha256()
        with open(sys.argv[1]) as f, open("out.bin", "wb") as out:
            for number, line in enumerate(tqdm(f, desc="lines")):
                if not line.strip():
                    continue
                try:
                    ids = np.array(enc.encode(line), dtype=np.uint16)
                except ValueError as error:
                    logging.warning("line %d: %s", number, error)
                    continue
                digest.update(ids.tobytes())
                out.write(ids.tobytes())
        json.dump({"seconds": time.time() - started, "host": os.uname().nodename}, open("meta.json", "w"))
        print(f"{digest.hexdigest()} {number:,}")
        """
    )
    assert report.plan.name == "stream"
    assert report.unrecognised == ()
    assert report.plan.peak.expected - BASELINE < 20 * M


def test_a_stream_fits_where_a_list_does_not() -> None:
    head = "import sys, tiktoken, numpy as np\nenc = tiktoken.get_encoding('gpt2')\n"
    stream = head + "for l in open(sys.argv[1]):\n    np.array(enc.encode(l), dtype=np.uint16).tofile('x')\n"
    keeping = head + "a = []\nfor l in open(sys.argv[1]):\n    a += enc.encode(l)\n"
    stats = ascii_text(1000)
    assert weigh(stream, stats, limit=200 * M).plan.verdict == "fits"
    assert weigh(keeping, stats, limit=200 * M).plan.verdict == "killed"


def test_both_ways_of_a_branch_count() -> None:
    for test in ("len(sys.argv) > 2", "os.environ.get('FAST')"):
        report = weigh(
            f"""
            import os, sys, tiktoken
            enc = tiktoken.get_encoding("gpt2")
            if {test}:
                pass
            else:
                ids = enc.encode(open(sys.argv[1]).read())
            """
        )
        assert report.plan.peak.expected - BASELINE > IDS


@pytest.mark.parametrize(
    "source",
    ["def f(:\n", "print 'old'\n", "x = 1\n  y = 2\n", "a\0b", "(" * 300],
    ids=["def", "2", "indent", "nul", "deep"],
)
def test_what_is_not_python_is_refused_in_one_line(source: str) -> None:
    with pytest.raises(InputError) as caught:
        read_script(source, "prepare.py")
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith("prepare.py")


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "def f(): return f()\nf()",
        "def g():\n    yield from g()\nfor x in g(): pass",
        "class A:\n    def __init__(self): A()\nA()",
        "x = [x for x in x]",
        "a = b = {}\na['x'] = b\nfor k in a: a[k] = a",
        "f = lambda *a, **k: f(*a, **k)\nf(1, x=2)",
        "import sys\ntext = open(sys.argv[1]).read()\nwhile text: text = text[1:]",
        "x = ()\nfor _ in range(3): x = (x, x)\n",
        "match 1:\n    case 1: pass\n",
        "async def f():\n    async for x in y: pass\n    async with z as w: pass\n    await f()\n",
        "try:\n    pass\nfinally:\n    del x\n",
        "print(*[i for i in range(10)], sep='')\nx, *y = 1, 2, 3\n",
        "for i in range(10):\n    for j in range(10):\n        for k in range(10):\n            x = [i, j, k]\n",
    ],
)
def test_odd_scripts_are_read_all_the_same(source: str) -> None:
    assert read_script(source, "odd.py").source == source
