"""The plans' own scripts, run for real in a child without any limit: predicted peak against measured VmHWM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.estimate.baseline import BaselineProbe
from memguard.estimate.model import estimate
from memguard.estimate.plans.costs import cached_int_max, read_costs
from memguard.records.estimate import PlanEstimate
from memguard.records.limits import Limits
from tests.estimate.corpora import read_files

PROGRAMS = Path(__file__).parent.parent / "programs"

# A bare Python in between: the peak that the kernel reports for a child begins with its parent's at the fork.
LAUNCHER = """\
import resource, subprocess, sys
subprocess.check_call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def measure(program: str, path: Path, vocabulary: str) -> int:
    command = [
        sys.executable,
        "-S",
        "-c",
        LAUNCHER,
        sys.executable,
        str(PROGRAMS / program),
        str(path),
        str(path.parent),
    ]
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": vocabulary}
    return int(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)


def predict(path: Path, plan: str) -> PlanEstimate:
    with BaselineProbe("gpt2") as probe:
        stats = read_files([str(path)], cached_int_max=cached_int_max()).stats
        baseline = probe.result()
    costs = read_costs(baseline.rss, baseline.peak, anonymous=baseline.anonymous)
    result = estimate(stats, Limits(1 << 50, "", None, None, None), costs)
    return next(found for found in result.plans if found.name == plan)


def check(program: str, plan: str, path: Path, vocabulary: str, tolerance: float) -> None:
    measured, predicted = measure(program, path, vocabulary), predict(path, plan)
    assert predicted.peak.expected == pytest.approx(measured, rel=tolerance)
    assert predicted.peak.low <= measured <= predicted.peak.high


def test_the_peak_of_the_naive_script_is_foretold(tmp_path: Path, english: str, vocabulary: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text(english * (8_000_000 // len(english)) + "😀", encoding="utf-8")
    check("plan_read_all.py", "read-all", path, vocabulary, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("tail", ["", "č", "😀"], ids=["ascii", "c-caron", "emoji"])
@pytest.mark.parametrize(
    ("program", "plan"),
    [
        ("plan_read_all.py", "read-all"),
        ("plan_chunked_list.py", "chunked-list"),
        ("plan_int64_list.py", "int64-list"),
        ("plan_line_list.py", "line-list"),
        ("plan_list_of_lists.py", "list-of-lists"),
        ("plan_char_list.py", "char-list"),
    ],
)
def test_larger_texts_are_foretold(
    tmp_path: Path, english: str, vocabulary: str, program: str, plan: str, tail: str
) -> None:
    path = tmp_path / "text.txt"
    path.write_text(english * (30_000_000 // len(english)) + tail, encoding="utf-8")
    check(program, plan, path, vocabulary, 0.04)
