"""The script's own source with its memory beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memguard.records.codec import from_json, to_json
from memguard.records.estimate import Range
from memguard.records.script import LineMemory, ScriptPlanEstimate, ScriptReport, ScriptStep, Unrecognised
from memguard.report.script import render
from memguard.units import MIB

SOURCE = """\
import numpy as np
data = open("train.txt").read()
ids = encode(data)
array = np.array(ids, dtype=np.uint16)
"""


def step(line: int, size: int) -> ScriptStep:
    return ScriptStep(f"read (line {line})", "read", line, 0, line, 9, "data", size, "data (text) 1 GiB")


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


def test_every_line_with_its_memory() -> None:
    rows = render(report(), limit=512 * MIB).splitlines()
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


def test_the_verdict_is_a_sentence() -> None:
    assert "It does not fit" in render(report(), limit=512 * MIB)
    assert "It fits." in render(report(verdict="fits"), limit=4096 * MIB)
    assert "depends" in render(report(verdict="tight"), limit=1050 * MIB)


def test_what_was_not_read_is_shown_twice() -> None:
    text = render(report(unread=(Unrecognised(3, "ids = encode(data)"),)))
    assert "line    3  ids = encode(data)" in text
    text = render(report(unread=(Unrecognised(2, "data = open()"),)))
    assert any("? 2" in row for row in text.splitlines())


def test_no_plan_is_said() -> None:
    assert "nothing in it reads text" in render(report(name="unknown"))


def test_a_long_script_is_folded() -> None:
    source = SOURCE + "# a comment\n" * 100
    text = render(report(source))
    assert "⋯" in text
    assert text.count("# a comment") == 2
    assert "98 lines" in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_asked(width: int) -> None:
    text = render(report('x = "' + "long " * 60 + '"\n' + SOURCE), limit=512 * MIB, width=width)
    assert max(map(len, text.splitlines())) <= width


def test_source_is_taken_literally() -> None:
    text = render(report("x = a[bold]  # [red]:smile:\n" + SOURCE))
    assert "x = a[bold]  # [red]:smile:" in text


def test_a_note_is_printed_in_full() -> None:
    note = "flush() is registered, but the script never calls memguard.checkpoint(): put it at the top of the loop"
    text = render(replace(report(), notes=(note,)), width=60)
    assert f"note: {note}" in " ".join(text.split())


def test_many_lines_that_were_not_read_are_no_flood() -> None:
    source = SOURCE + "x = 1\n" * 5000
    text = render(report(source, tuple(Unrecognised(line, "x = 1") for line in range(5, 5000))), width=80)
    assert "and 4,975 more lines" in text and text.count("\n") < 150


def test_what_a_terminal_would_obey_is_only_shown() -> None:
    text = render(report("x = 1 # \x1b]0;title\x07 \f \x9b31m\n" + SOURCE, (Unrecognised(1, "x \x1b[31m"),)))
    assert not {"\x1b", "\x07", "\f", "\x9b"} & set(text) and "␛]0;title␇" in text


def test_colour_only_when_asked() -> None:
    assert "\x1b[" not in render(report(), limit=MIB)
    assert "\x1b[" in render(report(), limit=MIB, color=True)


def test_the_record_survives_json() -> None:
    assert from_json(ScriptReport, to_json(report())) == report()
