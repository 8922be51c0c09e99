"""What a condition leaves out, or a name that is known in part: neither makes a figure smaller."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from memguard.estimate.plans.costs import Loaded
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script.report import estimate_script
from memguard.estimate.script_job import inputs_of, read_plan
from tests.estimate.script_texts import COSTS, M, ascii_text, at_line, limits_of, peak, read, weigh

ENCODED = 'import os, tiktoken\nenc = tiktoken.get_encoding("gpt2")\n'


@pytest.mark.parametrize(
    "before",
    [
        'if os.path.exists("a.bin"):\n        return',
        'if os.path.exists("a.bin"):\n        print(1)\n        return None',
        'if os.path.isfile("a.bin"):\n        raise SystemExit',
        'if not os.path.exists("a"):\n        raise SystemExit',
    ],
)
def test_what_comes_after_a_file_that_may_be_there(before: str) -> None:
    body = 'ids = enc.encode(open("a").read())\n    print(ids)'
    alone = peak(f"{ENCODED}def run():\n    {body}\nrun()\n")
    assert peak(f"{ENCODED}def run():\n    {before}\n    {body}\nrun()\n") == pytest.approx(alone, rel=0.01)


@pytest.mark.parametrize(
    "test",
    [
        'not os.path.exists("a.bin")',
        'force or not os.path.exists("a.bin")',
        "flag",
        "flag or flag",
    ],
)
def test_what_makes_a_file_that_may_be_there(test: str) -> None:
    head = f"{ENCODED}import sys\nforce = len(sys.argv) > 2\nflag = False\nif force:\n    flag = True\n"
    made = 'ids = enc.encode(open("a").read())\n    print(ids)\n'
    alone = peak(f"{head}if force:\n    {made}")
    assert peak(f"{head}if {test}:\n    {made}") == pytest.approx(alone, rel=0.01)


def test_the_input_that_is_fetched_is_there() -> None:
    fetched = 'import os, requests\nif not os.path.exists("a"):\n    open("a", "w").write(requests.get("b").text)\n'
    read = 'text = open("a").read()\n'
    assert peak(fetched + read) == pytest.approx(peak(read), rel=0.01)


def test_a_parameter_settles_a_branch_inside_a_loop() -> None:
    source = """\
def run(how):
    kept = []
    for line in open("a"):
        if how == "all":
            kept.append(line)
    print(kept)
run({!r})
"""
    assert peak(source.format("all")) - peak(source.format("none")) > 50 * M


def test_texts_of_several_files_are_added_as_they_are() -> None:
    source = 'def both():\n    return open("a").read() + open("b").read()\nt = ""\nt += both()\nprint(t)\n'
    report = weigh(source)
    assert at_line(report, 5) - at_line(report, 3) > 150 * M  # of 100 MB each


def test_files_whose_names_are_known_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.json").write_text('{"a": ["b", "c"]}')
    Path("texts").mkdir()
    texts = [f"texts/x_{name}.txt" for name in "bc"]
    for text in (*texts, "texts/other.txt"):
        Path(text).write_text("a text of some length\n" * 9)
    script = tmp_path / "s.py"
    script.write_text("""\
import os
from elsewhere import names_of
kept = open("names.json").read()
for name in names_of():
    kept += open(os.path.join("texts", f"x_{name}.txt")).read()
""")
    plan = read_plan(str(script))
    assert "texts/x_*.txt" in plan.sources
    assert inputs_of(plan) == tuple(texts)


@pytest.mark.parametrize("so_far", [60 * M, 900 * M])
def test_libraries_that_were_not_loaded_in_time(so_far: int) -> None:
    """What they had taken so far makes nothing smaller than where nothing could be measured."""
    trace = read('import datasets\ntext = open("a").read()\n')

    def expected(script: Loaded | None) -> int:
        costs = replace(COSTS, script=script)
        return estimate_script(trace, ascii_text(), TextShape(), limits_of(1 << 50), costs).plan.peak.expected

    usual, found = expected(None), expected(Loaded(so_far, so_far, so_far, whole=False))
    assert found == usual if so_far < 100 * M else found > usual


def test_workers_copy_what_the_collector_writes_into() -> None:
    """Of libraries beside those that the usual worker has: nothing at the least, and never of none."""
    source = "from multiprocessing import Pool\nimport json\ndef f(p):\n    return len(json.load(open(p)))\n"
    trace = read(source + 'with Pool(2) as pool:\n    print(sum(pool.map(f, ["a", "b"])))\n')

    def found(anonymous: int) -> tuple[int, int, int]:
        loaded = Loaded(2 * anonymous, 2 * anonymous, anonymous)
        costs = replace(COSTS, script=loaded)
        peak = estimate_script(trace, ascii_text(), TextShape(), limits_of(1 << 50), costs).plan.peak
        return peak.low, peak.expected, peak.high

    usual, more = found(40 * M), found(140 * M)
    low, expected, high = (b - a for a, b in zip(usual, more, strict=True))
    assert low <= 100 * M < expected < high
    assert expected == pytest.approx(160 * M, rel=0.01)
