"""Whatever stands in a script, it is answered: in time, in little memory, with one clear error where it is none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.errors import InputError
from memguard.estimate.script_source import read_source
from memguard.records.script import lines_of
from memguard.script import state as script_state
from memguard.script.read import read_script
from memguard.script.source import parse_script
from memguard.units import MIB
from tests.estimate.hostile_sources import READ, SOURCES
from tests.estimate.script_texts import BASELINE, M, peak, weigh

_SECONDS = 3.0  # of processor time: the promise is 2, on a machine that runs nothing else
# Those that ask for more than any machine has, and so never fit.
TOO_MUCH = ("18 loops", "6 loops", "calls that fan out", "doubled text", "number 1 << 10**12")


# They take up to two seconds each, and end as others of their kind do.
SLOW = (
    *(
        "100000 comparisons",
        "100000 and",
        "2500 sum",
        "doubled list",
        "doubled in place",
        "copies of copies",
        "18 while",
    ),
    *("5,000 functions", "5,000 if", "5,000 names", "5,000 loops", "3,000 keys", "2,000 cases", "30,000 arguments"),
    *("generators of generators", "40 dict comprehensions", "18 loops over text", "slices of slices"),
    *("100 for in one", "extended by itself", "30,000 lines", "nested tuple", "5,000 guards"),
)
QUICK = [name for name in SOURCES if name not in SLOW]


@pytest.mark.parametrize(
    "names",
    [QUICK[::2], pytest.param([*QUICK[1::2], *SLOW], marks=pytest.mark.slow)],
    ids=lambda names: names[0],
)
def test_every_source_is_answered(names: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.estimate.hostile_sources", str(tmp_path), *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    found = {name: (seconds, words) for name, seconds, words in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == set(names)
    for name, (seconds, words) in found.items():
        assert seconds < _SECONDS, name
        assert re.match(r"error: \S*s\.py", words) or words in ("fits", "tight", "killed"), name
        if name in TOO_MUCH:
            assert words in ("tight", "killed"), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["100000 minus", "number 1 << 10**12", *TOO_MUCH, "empty", "NUL", "bytes", "200,000 lines"]
)
def test_the_command_answers_too(name: str, tmp_path: Path) -> None:
    source = SOURCES[name]
    (tmp_path / "s.py").write_bytes(source.encode() if isinstance(source, str) else source)
    (tmp_path / "text.txt").write_text("one line of text\n" * 20_000)
    command = [sys.executable, "-m", "memguard", "estimate", "--script", "s.py", "text.txt"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=tmp_path)
    assert done.returncode in (0, 1, 3) and "Traceback" not in done.stderr, done.stderr


def test_what_is_not_looked_at_any_more_is_listed_and_makes_nothing_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_state, "_STEPS", 400)
    lines = [f"n{i} = {i}" for i in range(300)]
    report = weigh("\n".join([READ.strip(), *lines, "import other", "ids = other.encode(d)"]))
    unread = [found.line for found in report.unrecognised]
    assert unread == list(range(unread[0], 304)) and 2 < unread[0] < 300
    assert report.plan.verdict != "fits"
    whole = 100 * M + 8 * 25 * M + 32 * 25 * M * 3 // 4  # the text, and all of its ids
    assert report.plan.peak.expected - BASELINE >= whole


def test_a_script_that_was_not_read_to_its_end_is_never_said_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    source = READ + "x = 1\n" * 50
    assert weigh(source).plan.verdict == "fits"
    monkeypatch.setattr(script_state, "_STEPS", 200)
    assert weigh(source).plan.verdict == "tight"


def held(source: str) -> int:
    """Bytes that the script holds itself, at most."""
    return peak(source) - peak("x = 1\n")


def test_what_lies_too_deep_counts_as_all_the_ids() -> None:
    shallow, deep = (READ + f"x = {'-' * depth}len(d)\n" for depth in (100, 400))
    assert held(shallow) == held(READ) and weigh(shallow).unrecognised == ()
    assert [found.line for found in weigh(deep).unrecognised] == [2]
    assert held(deep) >= 100 * M + 8 * 25 * M + 32 * 25 * M * 3 // 4


@pytest.mark.parametrize(
    ("source", "copies"),
    [
        ("x = d + d + d + d\n", 4 + 3 + 1),  # the last sum, the one before it, and d
        ("d = d + d\nd = d + d\nd = d + d\n", 8 + 4),
        ("d += d\nd += d\n", 4 + 2),
    ],
)
def test_sums_of_sums_count_all_that_is_in_them(source: str, copies: int) -> None:
    assert held(READ + source) == copies * 100 * M


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ("x = [0] * 10**6 * 10", 80 * M),
        ("x = [0] * (1 << 20)", 8 << 20),
        ("x = [0] * (1 << 10**9)", (1 << 60) - 8 * MIB),
        ("x = [0] * 10**400", (1 << 60) - 8 * MIB),
        ("x = [0] * -(10**400)", 0),
    ],
)
def test_numbers_stay_what_they_are_up_to_an_exbibyte(source: str, size: int) -> None:
    assert held(source) == size


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = " + "-" * 100_000 + "1", "nested too deeply"),
        ("x = 1" + " + 1" * 60_000, "nested too deeply"),
        ("import " + "a." * 5_000 + "a", "5,000 names joined by dots"),
        ("x = 1\n" * 200_000, "too long for a script"),
        ("x = 9" + "9" * 5000, "line 1: not Python"),
        ("a\0b", "null bytes"),
    ],
)
def test_one_clear_error(source: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_script(source, "prepare.py")
    assert words in caught.value.message and caught.value.message.startswith("prepare.py") and caught.value.hint
    assert "\n" not in caught.value.message


def test_lines_are_counted_as_python_counts_them() -> None:
    assert lines_of("a\fb\r\nc\rd\n\x1c\u2028e\n") == ["a\fb", "c", "d", "\x1c\u2028e"]
    report = weigh(READ + "# \f \x85\nx = u(d)\n")
    assert [(found.line, found.source) for found in report.unrecognised] == [(3, "x = u(d)")]


def test_an_ordinary_recursion_limit_is_left_as_it_was() -> None:
    limit = sys.getrecursionlimit()
    read_script(READ + "x = " + "-" * 900 + "1", "s.py")
    assert sys.getrecursionlimit() == limit


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    for name, words in (
        (str(tmp_path / "pipe.py"), "no regular file"),
        ("/dev/zero", "no regular file"),
        (str(tmp_path), "is a directory"),
        (str(tmp_path / "none.py"), "no such file"),
        ("a\0b", "null"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            read_source(name)
        assert "\n" not in caught.value.message and caught.value.message.startswith(name)
