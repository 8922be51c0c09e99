"""The words at the end of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.records.run import Culprit, Decision, Holder, RunLimit
from memguard.report.run import _wrap, fitted, render, summary
from memguard.units import MIB
from tests.records.examples import run_record

STOPPED = run_record(
    command=("python", "prepare.py", "train.txt"),
    cwd="/home/ann",
    seconds=12.3,
    pid=42,
    exit_code=75,
    exit_signal=15,
    termination_reason="memory",
    peak=440 * MIB,
    limit=RunLimit(448 * MIB, "memory.max of /sys/fs/cgroup/x", "memory.max", 512 * MIB),
    decisions=(Decision(1.0, "abort", "r", 436 * MIB, 448 * MIB, "97.3% of what memory.max leaves"),),
    culprit=Culprit(
        file="/home/ann/prepare.py",
        line=22,
        function="main",
        source_text="ids = enc.encode_ordinary(text)",
        inside="core.py:73 in encode_ordinary",
    ),
    script="prepare.py",
    stack_path="/home/ann/.local/state/memguard/runs/1/stack.txt",
    inputs=("/home/ann/data/my train.txt", "/etc/x"),
    holders=(Holder(42, "python", ("python",), 420 * MIB),),
    tree=420 * MIB,
)


def test_a_stop_in_full() -> None:
    assert (
        render(STOPPED)
        == """\
memguard: stopped prepare.py before the kernel killed it
  used      436 MiB of 448 MiB that may be used
  limit     memory.max 512 MiB of /sys/fs/cgroup/x, less 64.0 MiB so that the kernel need not kill
  held by   python (pid 42): 420 MiB
  line      prepare.py:22 in main
                ids = enc.encode_ordinary(text)
            inside core.py:73 in encode_ordinary
  next      memguard estimate 'data/my train.txt'          which plan fits here
            memguard tokenize 'data/my train.txt' -o DIR   the same tokens, streamed
  record    .local/state/memguard/runs/1
"""
    )


def test_the_users_own_limit_and_the_machines() -> None:
    own = replace(STOPPED, limit=RunLimit(448 * MIB, "--limit", "--limit", None))
    assert "before it passed its limit" in render(own)
    assert "limit     --limit 448 MiB" in render(own)
    machine = replace(STOPPED, limit=RunLimit(448 * MIB, "MemAvailable of /proc/meminfo", "MemAvailable", None))
    assert "before the machine ran out of memory" in render(machine)
    assert "(--reserve)" in render(machine)


def test_others_under_the_same_limit_are_named() -> None:
    held = replace(STOPPED, holders=(Holder(42, "python", ("python",), 100 * MIB),), tree=100 * MIB)
    assert "336 MiB is used by others under the same limit" in render(held)


def test_several_processes() -> None:
    holders = (Holder(7, "python", ("python",), 300 * MIB), Holder(8, "python", ("python",), 120 * MIB))
    assert "python (pid 7): 300 MiB of the 420 MiB of all 2 processes" in render(replace(STOPPED, holders=holders))


def test_no_line_says_why() -> None:
    text = render(replace(STOPPED, culprit=None, stack_missing="tac (pid 9), which held most, is not Python"))
    assert "line      not known: tac (pid 9), which held most, is not Python" in text


def test_no_inputs_no_invented_names() -> None:
    assert "memguard estimate FILE " in render(replace(STOPPED, inputs=()))


def test_colour_only_when_asked() -> None:
    assert "\x1b" not in render(STOPPED)
    assert render(STOPPED, color=True).startswith("\x1b[1;31mmemguard: stopped")


def test_a_hang() -> None:
    reason = "pool worker 9 was ended by SIGKILL"
    hang = replace(STOPPED, termination_reason="hang", decisions=(Decision(1.0, "abort", "r", 1, 2, reason),))
    text = render(hang)
    assert text.startswith(f"memguard: stopped prepare.py, which would have waited for ever: {reason}\n")
    assert "used" not in text.splitlines()[1]


@pytest.mark.parametrize(
    ("kills", "words"), [(1, "its OOM killer ended 1"), (0, "somebody else sent SIGKILL"), (None, "somebody else")]
)
def test_killed_by_somebody_else(kills: int | None, words: str) -> None:
    reason = "memory" if kills else None
    killed = replace(STOPPED, exit_code=137, exit_signal=9, termination_reason=reason, kernel_kills=kills)
    text = render(killed)
    assert words in text and "memguard diagnose" in text and "stopped" not in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "memguard: stopped prepare.py at prepare.py:22: 436 MiB of 448 MiB that it may use"),
        (
            {"termination_reason": None, "exit_code": 3, "exit_signal": None},
            "memguard: prepare.py: exit code 3 after 12 s, peak 440 MiB of 448 MiB",
        ),
        (
            {"termination_reason": "user", "exit_code": 130, "exit_signal": 2, "limit": None},
            "memguard: prepare.py: ended by SIGINT after 12 s, peak 440 MiB",
        ),
        (
            {"termination_reason": None, "exit_code": 0, "exit_signal": None, "script_exit_code": 0, "peak": None},
            "memguard: prepare.py: exit code 0 after 12 s",
        ),
        (  # memguard watch: whoever started it knows its exit code
            {"termination_reason": None, "exit_code": 0, "exit_signal": None},
            "memguard: prepare.py has ended after 12 s, peak 440 MiB of 448 MiB",
        ),
        (  # and Ctrl-C there
            {"termination_reason": "user", "exit_code": 130, "exit_signal": None},
            "memguard: prepare.py goes on, watched for 12 s, peak 440 MiB of 448 MiB",
        ),
        (
            {"exit_code": None, "termination_reason": None},
            "memguard: prepare.py was still running when its journal ended; peak so far 440 MiB of 448 MiB "
            "that it may use",
        ),
    ],
)
def test_one_line(changes: dict[str, object], expected: str) -> None:
    assert summary(replace(STOPPED, **changes)) == expected  # type: ignore[arg-type]


GOOD = replace(STOPPED, termination_reason=None, exit_code=0, exit_signal=None, script_exit_code=0, decisions=())


@pytest.mark.parametrize("seconds", [0.0, 59.4, 3599, 86_399, 400 * 86_400.0])
@pytest.mark.parametrize("peak", [1, 1023 * MIB, 999 << 30])
def test_a_good_end_fits_80_columns(seconds: float, peak: int) -> None:
    line = summary(replace(GOOD, seconds=seconds, peak=peak, limit=RunLimit(peak, "--limit", "--limit")))
    assert len(line) <= 80


def test_a_narrow_terminal_breaks_it_between_phrases() -> None:
    assert fitted(GOOD, 80) == summary(GOOD)
    assert fitted(GOOD, 40) == "memguard: prepare.py: exit code 0\n  after 12 s, peak 440 MiB of 448 MiB"


def test_what_is_left_is_named() -> None:
    assert "left      process 9 (sleep 60)" in render(replace(STOPPED, left=("process 9 (sleep 60)",)))


@given(st.integers(40, 160))
def test_no_line_is_wider_than_the_terminal_but_for_what_is_to_be_copied(width: int) -> None:
    for line in render(STOPPED, width=width).splitlines()[1:]:
        assert len(line) <= width or len(line.split()[-1]) > width - 17 or "memguard " in line


@given(st.text(alphabet="ab ", max_size=80), st.integers(1, 40))
def test_wrapping_loses_no_word(text: str, width: int) -> None:
    assert " ".join(_wrap(text, width)).split() == text.split()
