"""Predicted against measured: records and estimates made by hand, and the file that keeps the estimates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from memguard.estimate.history import compare, read_history, remember
from memguard.estimate.tuning import Tuning
from memguard.watch.journal import open_run, write_record
from tests.estimate.test_model import COSTS, estimate, limits, stats
from tests.records.examples import run_record

RUN = run_record(id="one", cwd="/nowhere", started=2000.0, peak=400, inputs=("/data/a.txt",))


def line(time: float, expected: int, measure: str = "VmHWM") -> dict[str, object]:
    plans = {"chunked-list": [expected - 50, expected, expected + 50, measure]}
    return {"time": time, "paths": ["/data/a.txt"], "bytes": 1, "mapped": 20, "plans": plans}


def test_the_last_estimate_before_the_run_counts() -> None:
    found = compare(RUN, "chunked-list", [line(1000, 100), line(1500, 410), line(2500, 999)])
    assert found is not None
    # What is mapped is no part of the tree's own memory.
    assert (found.predicted.expected, found.measured, found.inside, found.finished) == (390, 400, True, True)
    tree = compare(RUN, "chunked-list", [line(1500, 410, "tree")])
    assert tree is not None and tree.predicted.expected == 410


def test_other_files_and_other_plans_are_no_match() -> None:
    assert compare(RUN, "read-all", [line(1500, 410)]) is None
    assert compare(replace(RUN, inputs=("/data/b.txt",)), "chunked-list", [line(1500, 410)]) is None
    assert compare(replace(RUN, started=1.0), "chunked-list", [line(1500, 410)]) is None


def test_a_stopped_run_says_only_that_it_was_at_least_so_much() -> None:
    stopped = replace(RUN, exit_code=75, termination_reason="memory", peak=100)
    found = compare(stopped, "chunked-list", [line(1500, 410)])
    assert found is not None and found.inside and not found.finished
    above = compare(replace(stopped, peak=1000), "chunked-list", [line(1500, 410)])
    assert above is not None and not above.inside


def test_runs_and_estimates_on_disk_are_joined(tmp_path: Path) -> None:
    script, text = tmp_path / "prepare.py", tmp_path / "a.txt"
    text.write_text("words")
    script.write_text(
        "import sys, tiktoken, numpy as np\n"
        "encode = tiktoken.get_encoding('gpt2').encode_ordinary\n"
        "ids = []\n"
        "with open(sys.argv[1]) as f:\n"
        "    while chunk := f.read(1_000_000):\n"
        "        ids.extend(encode(chunk))\n"
        "np.array(ids, dtype=np.uint16).tofile('train.bin')\n"
    )
    result = estimate(stats(10**8, path=str(text)), limits(1 << 34), COSTS)
    remember(result)
    directory, _ = open_run(4e9)
    peak = next(plan.peak.expected for plan in result.plans if plan.name == "chunked-list") - result.mapped
    record = replace(RUN, id=directory.id, started=4e9, script=str(script), peak=peak, inputs=(str(text),))
    write_record(record, directory.record)
    found = read_history()
    assert found.runs == 1
    assert [(one.plan, one.inside) for one in found.comparisons] == [("chunked-list", True)]


def test_the_file_is_the_owners_and_stays_small(state_directory: Path) -> None:
    result = estimate(stats(10**6, path="a.txt"), limits(1 << 30), COSTS)
    for _ in range(12):
        remember(result, Tuning(history_size=10_000, history_lines=3))
    path = state_directory / "estimates.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    lines = path.read_text().splitlines()
    assert len(lines) < 12
    assert all(json.loads(text)["plans"] for text in lines)


def test_a_line_cut_off_by_a_full_disk_is_passed_over(state_directory: Path) -> None:
    (state_directory / "estimates.jsonl").write_text('{"time": 1, "pa\n5\n{}\n')
    assert read_history().comparisons == ()
