"""The numbers that a script's peak depends on, and what it makes where."""

from __future__ import annotations

import textwrap

import pytest

from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script.knobs import candidates, knobs_of
from memguard.estimate.script.report import estimate_script, script_peak
from memguard.records.estimate import Range
from memguard.records.script import Finding, Knob
from memguard.script.read import read_script
from memguard.script.trace import Trace
from memguard.units import MIB
from tests.estimate.script_texts import COSTS, ascii_text, limits_of

TEXT = ascii_text(100)
SHAPE = TextShape()


def found(source: str) -> list[tuple[str, str, int | None]]:
    return [(one.kind, one.name, one.value) for one in candidates(textwrap.dedent(source), "prepare.py")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("CHUNK_SIZE = 1 << 20", ("chunk", "CHUNK_SIZE", 1 << 20)),
        ("shard_size = int(1e8)", ("shard", "shard_size", 10**8)),
        ("self.block: int = 64 * 1024", ("chunk", "block", 65536)),
        ("def f(path, *, batch_size=1_000): pass", ("batch", "batch_size", 1000)),
        ("def f(path, chunk=10**6 - 1): pass", ("chunk", "chunk", 999_999)),
        ("data.map(f, num_proc=8)", ("workers", "num_proc", 8)),
        ("Pool(8)", ("workers", "Pool()", 8)),
        ("mp.Pool(os.cpu_count())", ("workers", "Pool()", None)),
        ("f.read(1 << 16)", ("chunk", "read()", 65536)),
        ("parser.add_argument('--chunk-size', default=4096)", ("chunk", "--chunk-size", 4096)),
        ("if len(ids) >= 1000: flush()", ("shard", "len(ids)", 1000)),
        ("for i in range(0, n, 100_000): pass", ("chunk", "the step of range()", 100_000)),
        ("TOTAL = 100_000", ("size", "TOTAL", 100_000)),
    ],
)
def test_where_a_knob_may_stand(source: str, expected: tuple[str, str, int | None]) -> None:
    assert found(source) == [expected]


@pytest.mark.parametrize(
    "source",
    [
        "x = 100_000",
        "CHUNK = 1",
        "VERSION = 3",
        "CHUNK = 10**400",
        "CHUNK = 1 << 10**9",
        "CHUNK = other",
        "workers = n",
        "CHUNK = 'a'",
        "CHUNK = True",
        "CHUNK = 5 // 0",
        "Pool()",
        "f.read()",
        "if x > 3: pass",
    ],
)
def test_where_none_stands(source: str) -> None:
    assert found(source) == []


def knobs(source: str, limit: int = 1 << 40) -> tuple[Knob, ...]:
    limits = limits_of(limit)
    read = []

    def weigh(changed: str) -> tuple[Trace, Range, str]:
        trace = read_script(changed, "prepare.py")
        read.append(trace)
        return (trace, *script_peak(trace, TEXT, SHAPE, limits, COSTS))

    trace, peak, verdict = weigh(textwrap.dedent(source))
    result = knobs_of(trace, peak, verdict, weigh)
    assert len(read) <= 60
    return result


CHUNKED = """
    import sys, tiktoken
    CHUNK = 1 << 24  # é
    LINE = 1 << 24
    enc = tiktoken.get_encoding("gpt2")
    with open(sys.argv[1]) as f, open("out", "wb") as out:
        while text := f.read(CHUNK):
            out.write(bytes(enc.encode_ordinary(text)))
"""


def test_a_number_that_the_peak_depends_on_is_a_knob_and_another_is_none() -> None:
    (knob,) = knobs(CHUNKED)
    assert (knob.kind, knob.name, knob.line, knob.source, knob.value) == ("chunk", "CHUNK", 3, "1 << 24", 1 << 24)
    assert knob.smaller < knob.value and knob.smaller_verdict == "fits"
    # Most of what the least chunk would save, by halving no further than that takes.
    least = knobs(CHUNKED.replace("CHUNK = 1 << 24", f"CHUNK = {knob.smaller}"))
    assert sum(one.costs for one in least) <= 0.25 * knob.costs + 4 * MIB


def test_the_largest_that_fits_is_named() -> None:
    limits = limits_of(160 * MIB)
    (knob,) = knobs(CHUNKED, 160 * MIB)
    assert knob.smaller_verdict == "fits" and knob.smaller_peak.high <= 160 * MIB
    twice = read_script(textwrap.dedent(CHUNKED).replace("CHUNK = 1 << 24", f"CHUNK = {2 * knob.smaller}"), "p.py")
    assert script_peak(twice, TEXT, SHAPE, limits, COSTS)[1] != "fits"


def test_the_dearest_comes_first() -> None:
    both = """
        import sys, tiktoken, numpy as np
        CHUNK = 1 << 22
        SHARD = 20_000_000
        enc = tiktoken.get_encoding("gpt2")
        ids = []
        with open(sys.argv[1]) as f, open("out", "wb") as out:
            while text := f.read(CHUNK):
                ids.extend(enc.encode_ordinary(text))
                if len(ids) >= SHARD:
                    out.write(np.array(ids, dtype=np.uint16).tobytes())
                    ids = []
    """
    first, second = knobs(both)
    assert (first.name, second.name) == ("SHARD", "CHUNK") and first.costs > 4 * second.costs


def test_workers_are_tried_down_to_one() -> None:
    pool = """
        import sys, tiktoken
        from multiprocessing import Pool
        enc = tiktoken.get_encoding("gpt2")
        def work(path):
            return len(enc.encode_ordinary(open(path).read()))
        if __name__ == "__main__":
            with Pool(8) as pool:
                for n in pool.imap(work, sys.argv[1:]):
                    print(n)
    """
    (knob,) = knobs(pool)
    assert (knob.kind, knob.name, knob.value) == ("workers", "Pool()", 8) and 1 <= knob.smaller < 8


def test_what_has_no_end_has_no_knobs() -> None:
    deep = "CHUNK = 1 << 20\nx = [0]\n" + "for a in x:\n    x = x + x\n" * 3000
    trace = read_script(deep, "prepare.py")
    assert trace.unfinished
    assert knobs_of(trace, Range(1, 2, 3), "tight", lambda source: pytest.fail("read once more")) == ()


def findings(source: str) -> dict[str, Finding]:
    trace = read_script(textwrap.dedent(source), "prepare.py")
    made = estimate_script(trace, TEXT, SHAPE, limits_of(1 << 40), COSTS).findings
    assert len({(one.line, one.col, one.kind) for one in made}) == len(made)
    return {one.kind: one for one in made}


def test_what_is_made_where() -> None:
    made = findings("""\
        import sys, tiktoken, numpy as np
        data = open(sys.argv[1]).read()
        ids = tiktoken.get_encoding("gpt2").encode_ordinary(
            data
        )
        np.array(ids, dtype=np.uint16).tofile("out")
    """)
    read = made["read"]
    assert (read.file, read.line, read.call, read.makes) == ("prepare.py", 2, "open(sys.argv[1]).read()", "text")
    assert (read.variable, read.bytes) == ("data", 100_000_000)
    encode = made["encode"]
    assert (encode.line, encode.end_line, encode.variable, encode.makes) == (3, 5, "ids", "list of ids")
    assert encode.call == 'tiktoken.get_encoding("gpt2").encode_ordinary( data )'
    assert encode.bytes == 25_000_000 * 8 + 18_750_000 * 32  # slots, and int objects of three quarters
    assert (made["array"].makes, made["array"].bytes) == ("16-bit array", 50_000_000)


def test_a_long_call_is_cut_off() -> None:
    made = findings(f"data = open('a.txt').read()\nids = enc({', '.join(['data'] * 200)})\n")
    assert all(len(one.call) <= 200 for one in made.values())
