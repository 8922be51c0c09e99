"""The script's own source with its memory beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from memguard.records.codec import from_json, to_json
from memguard.records.estimate import Range
from memguard.records.script import Knob, LineMemory, ScriptPlanEstimate, ScriptReport, ScriptStep, Unrecognised
from memguard.report import script
from memguard.units import MIB
from tests.estimate.script_texts import estimate_of

SOURCE = """\
import numpy as np
data = open("train.txt").read()
ids = encode(data)
array = np.array(ids, dtype=np.uint16)
"""


def step(line: int, size: int) -> ScriptStep:
    return ScriptStep(
        f"read (line {line})",
        "read",
        line,
        0,
        line,
        9,
        "data",
        size,
        "Python 50 MiB + data (text) 1 GiB + ids (list of ids) 2 GiB + x 1 B",
    )


def report(
    source: str = SOURCE, unread: tuple[Unrecognised, ...] = (), name: str = "read-all", verdict: str = "killed"
) -> ScriptReport:
    return ScriptReport(
        path="prepare.py",
        plan=ScriptPlanEstimate(
            name=name,
            peak=Range(900 * MIB, 1000 * MIB, 1100 * MIB),
            peak_step="read (line 3)",
            peak_line=3,
            steps=(step(2, 200 * MIB), step(3, 1000 * MIB)),
            parameters={"dtype": "16 bits"},
            verdict=verdict,
        ),
        unrecognised=unread,
        inputs=("train.txt",),
        encoding="gpt2",
        lines=(LineMemory(2, 200 * MIB), LineMemory(3, 1000 * MIB), LineMemory(4, 800 * MIB)),
        variables=(),
        source=source,
    )


def render(report: ScriptReport, limit: int = 512 * MIB, **options: Any) -> str:
    options.setdefault("explain", True)
    return script.render(estimate_of(report, limit), **options)


def words(report: ScriptReport, **options: Any) -> str:
    return " ".join(render(report, **options).split())


def test_every_line_with_its_memory() -> None:
    rows = render(report()).splitlines()
    assert any(row.split()[:2] == ["200", "MiB"] and row.endswith('data = open("train.txt").read()') for row in rows)
    peak = next(row for row in rows if "encode(data)" in row)
    assert peak.split()[:2] == ["0.98", "GiB"]
    assert "▶ 3" in peak
    assert not any("▶" in row for row in rows if row is not peak)
    assert next(row for row in rows if "import numpy" in row).split()[0] == "1"  # holds nothing: its number comes first


def test_the_bar_is_as_long_as_the_memory() -> None:
    rows = render(report()).splitlines()
    bars = [row.count("█") for row in rows if "█" in row]
    assert bars == [2, 10, 8]


@pytest.mark.parametrize("verdict", ["fits", "tight", "killed"])
def test_the_first_line_is_the_answer(verdict: str) -> None:
    text = render(report(verdict=verdict), explain=False)
    assert text.startswith(f"prepare.py would need 0.98 GiB of 512 MiB: {verdict}. Streaming needs 179 MiB.\n")


def test_the_second_says_what_it_is_and_where_it_peaks() -> None:
    assert (
        "It is read-all (dtype 16 bits); it peaks at 900 MiB to 1.07 GiB at line 3,"
        " most of it data (text) 1 GiB and ids (list of ids) 2 GiB." in words(report(), explain=False)
    )


def test_the_sum_is_for_those_who_ask() -> None:
    assert "Alive at line 3: Python 50 MiB + data (text) 1 GiB" in words(report())
    assert "Alive at" not in render(report(), explain=False)


def test_what_to_type_next() -> None:
    probe, guard = "memguard estimate train.txt --probe prepare.py", "memguard run prepare.py train.txt"
    text = render(report(), probe=probe, guard=guard)
    assert text.endswith(f"Do this instead: memguard tokenize train.txt -o tokens\nOr guard it: {guard}\n")
    assert "--probe" not in text
    fixed = render(report(), guard=guard, fix="memguard fix prepare.py train.txt")
    assert f"Or change its lines: memguard fix prepare.py train.txt\nOr guard it: {guard}\n" in fixed
    assert "fix" not in render(report(verdict="fits"), guard=guard, fix="memguard fix prepare.py")
    fits = render(report(verdict="fits"), probe=probe, guard=guard)
    assert fits.endswith(f"Run it under the guard: {guard}\n") and "instead" not in fits
    unread = report(unread=(Unrecognised(3, "ids = encode(data)"),))
    assert f"Measure it: {probe}\n" in render(unread, probe=probe)
    assert f"Measure it: {probe}\n" in render(report(name="unknown"), probe=probe)
    assert "Measure it" not in render(unread)


@pytest.mark.parametrize(
    ("name", "source", "shown"),
    [
        ("CHUNK", "1 << 24", "CHUNK = 1 << 24 (line 2)"),
        ("self.size", "9", "self.size = 9 (line 2)"),
        ("--batch", "64", "--batch = 64 (line 2)"),
        ("len(ids)", "10**8", "10**8 in len(ids) (line 2)"),
    ],
)
def test_the_dearest_knob_is_one_line(name: str, source: str, shown: str) -> None:
    peak = Range(60 * MIB, 71 * MIB, 90 * MIB)
    knobs = tuple(
        Knob("chunk", called, "prepare.py", 2, source, 1 << 24, 112 * MIB, 1 << 20, peak, "fits")
        for called in (name, "OTHER")
    )
    text = words(replace(report(), knobs=knobs), explain=False)
    assert f"{shown} costs 112 MiB of it: with 1_048_576 it peaks at 71.0 MiB (fits)." in text
    assert "OTHER" not in text and "OTHER" in words(replace(report(), knobs=knobs))


def test_what_was_not_read_is_shown_twice() -> None:
    text = render(report(unread=(Unrecognised(3, "ids = encode(data)"),)))
    assert "line    3  ids = encode(data)" in text
    text = render(report(unread=(Unrecognised(2, "data = open()"),)))
    assert any("? 2" in row for row in text.splitlines())


def test_no_plan_is_said() -> None:
    assert "Nothing in it reads text" in render(report(name="unknown"))


def test_a_long_script_is_folded() -> None:
    source = SOURCE + "# a comment\n" * 100
    text = render(report(source))
    assert "⋯" in text
    assert text.count("# a comment") == 2
    assert "98 lines" in text


@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_wider_than_asked(width: int, explain: bool) -> None:
    unread = (Unrecognised(1, "y = " + "long " * 60),)
    text = render(report('x = "' + "long " * 60 + '"\n' + SOURCE, unread), width=width, explain=explain)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("lines", [4, 25, 60, 3000])
def test_it_fits_a_terminal_and_shows_the_peak(lines: int) -> None:
    source = SOURCE.replace("ids = encode", "\n" * (lines - 4) + "ids = encode")
    peak = lines - 1
    plan = replace(report().plan, peak_line=peak, steps=(step(2, 200 * MIB), step(peak, 1000 * MIB)))
    memory = (*tuple(LineMemory(line, 200 * MIB) for line in range(2, peak)), LineMemory(peak, 1000 * MIB))
    unread = tuple(Unrecognised(line, "x = f(y)") for line in range(2, min(lines, 9)))
    found = replace(report(source, unread), plan=plan, lines=memory)
    text = render(found, width=80, explain=False, probe="memguard estimate t.txt --probe prepare.py", guard="memguard")
    assert text.count("\n") <= 23
    assert "▶" in text and "encode(data)" in text and "Do this instead" in text
    shown = [row for row in text.splitlines() if "MiB" in row[:8] or "GiB" in row[:8]]
    assert len(shown) >= min(lines - 2, 3)


def test_a_narrow_terminal_keeps_figures_and_source() -> None:
    rows = render(report(), width=40).splitlines()
    assert any(row.startswith(" 200 MiB    2  data = open(") for row in rows)
    assert any(row.startswith("0.98 GiB  ▶ 3  ids = encode(data)") for row in rows)


def test_source_is_taken_literally() -> None:
    text = render(report("x = a[bold]  # [red]:smile:\n" + SOURCE))
    assert "x = a[bold]  # [red]:smile:" in text


def test_a_note_is_printed_in_full() -> None:
    note = "flush() is registered, but the script never calls memguard.checkpoint(): put it at the top of the loop"
    assert f"note: {note}" in words(replace(report(), notes=(note,)), width=60)


def test_many_lines_that_were_not_read_are_no_flood() -> None:
    source = SOURCE + "x = 1\n" * 5000
    text = render(report(source, tuple(Unrecognised(line, "x = 1") for line in range(5, 5000))), width=80)
    assert "and 4,975 more lines" in text and text.count("\n") < 150


def test_what_a_terminal_would_obey_is_only_shown() -> None:
    text = render(report("x = 1 # \x1b]0;title\x07 \f \x9b31m\n" + SOURCE, (Unrecognised(1, "x \x1b[31m"),)))
    assert not {"\x1b", "\x07", "\f", "\x9b"} & set(text) and "^[]0;title^G" in text


def test_colour_only_when_asked() -> None:
    assert "\x1b[" not in render(report(), limit=MIB)
    assert "\x1b[" in render(report(), limit=MIB, color=True)


def test_the_record_survives_json() -> None:
    assert from_json(ScriptReport, to_json(report())) == report()
