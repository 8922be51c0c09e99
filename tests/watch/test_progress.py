"""The forecast in words, and the live line: what a person sees on the screen, whatever the script does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.records.run import Forecast
from memguard.system.proc import Process
from memguard.units import GIB
from memguard.watch.progress import _BACK, _BELOW, _ERASE, Progress, line
from tests.terminals import Screen, Terminal

FORECAST = Forecast("/data/train_fineweb.txt", 12 * GIB, 100 * GIB, round(25.8 * GIB), 240.0, round(3.1 * GIB), 0.85)

# A watcher beside a script of its own: the script's steps and the bar's take turns through a pipe.
BESIDE = """
import os, sys, subprocess, time
from memguard.system.proc import read_process, read_stat
from memguard.watch.progress import Progress
script = subprocess.Popen([sys.executable, "-u", "-c", SCRIPT], stdin=subprocess.PIPE)
process = read_stat(script.pid).process
while read_stat(script.pid).state != "S": time.sleep(0.01)
time.sleep(0.05)
progress = Progress(2)
for step in range(STEPS):
    progress.show(f"step {step}", [process])
    time.sleep(0.02)
    script.stdin.write(b"go\\n"); script.stdin.flush()
    time.sleep(0.06)
progress.show("after", [process])
LAST
progress.clear()
script.stdin.close(); script.wait()
print("ACTIVE", progress.active)
"""


def beside(script: str, steps: int = 2, last: str = "") -> str:
    code = BESIDE.replace("SCRIPT", repr(script)).replace("STEPS", str(steps)).replace("LAST", last)
    with Terminal([sys.executable, "-c", code]) as terminal:
        assert terminal.end() == 0, terminal.output
        return terminal.output


def screen(output: str) -> list[str]:
    found = Screen()
    found.feed(output)
    return found.lines


def test_the_words() -> None:
    assert line(FORECAST) == (
        "at 12 % of train_fineweb.txt, 3.10 GiB; at this slope 25.8 GiB at the end; "
        "the limit is reached at 85 % in about 4 min"
    )


@pytest.mark.parametrize(
    ("eta", "words"),
    [(3.0, "in a few seconds"), (42.4, "in about 42 s"), (250.0, "in about 4 min"), (7300.0, "in about 2 h")],
)
def test_a_guess_has_few_digits(eta: float, words: str) -> None:
    reached = Forecast("a.txt", 1, 2, 3, eta, 1, 0.5)
    assert line(reached).endswith(f"the limit is reached at 50 % {words}")


def test_a_run_that_fits() -> None:
    fits = Forecast("a.txt", GIB, 2 * GIB, GIB, None, GIB // 2, None, 90.0)
    assert (
        line(fits) == "at 50 % of a.txt, 512 MiB; at this slope 1.00 GiB at the end; the end is reached in about 2 min"
    )
    assert line(Forecast("a.txt", 2 * GIB, 2 * GIB, GIB, None, GIB)) == "at 100 % of a.txt, 1.00 GiB"
    assert line(Forecast("a%b.txt", 1, 2, GIB, None)).startswith("at 50 % of a%b.txt; ")


words = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=30)


@given(st.lists(words, max_size=6), st.lists(words, min_size=1, max_size=3))
def test_the_screen_is_as_without_the_bar(before: list[str], bars: list[str]) -> None:
    """Lines from before, the bar drawn some times, one more line of the script's, the bar taken away."""
    plain, with_bar = Screen(), Screen()
    for text in before:
        plain.feed(f"{text}\r\n")
        with_bar.feed(f"{text}\r\n")
    for bar in bars:
        with_bar.feed(_BELOW + bar + _BACK)
    for part in ("and now", " it prints", "\r\n"):
        plain.feed(part)
        with_bar.feed(part)
    with_bar.feed(_ERASE)
    plain.feed("more\r\n")
    with_bar.feed("more\r\n")
    assert with_bar.lines == plain.lines


def test_a_silent_script_gets_a_bar_and_it_goes_away() -> None:
    output = beside("import sys\nfor _ in sys.stdin: pass", steps=3)
    assert all(f"memguard: step {step}" in output for step in range(3))
    assert screen(output) == ["ACTIVE True"]


def test_a_script_that_prints_loses_the_bar_at_once_and_for_good() -> None:
    output = beside("import sys\nfor _ in sys.stdin: print('hello')", steps=3)
    assert "memguard: step 0" in output and "step 1" not in output and "after" not in output
    assert screen(output) == ["hello", "hello", "hello", "ACTIVE False"]


def test_what_was_printed_before_the_first_look_counts() -> None:
    output = beside("import sys\nprint('reading the vocabulary ' * 4, end='')\nfor _ in sys.stdin: pass")
    assert "memguard:" not in output and output.endswith("ACTIVE False\r\n")


def test_a_child_that_prints_and_ends_counts() -> None:
    output = beside("import os, sys\nfor _ in sys.stdin: os.system('echo from a child')", steps=2)
    assert "step 1" not in output and screen(output) == ["from a child", "from a child", "ACTIVE False"]


def test_a_script_that_writes_a_file_keeps_the_bar(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    script = f"import sys\nf = open({str(path)!r}, 'wb', buffering=0)\nfor _ in sys.stdin: f.write(b'x' * 100_000)"
    output = beside(script, steps=3)
    assert "memguard: step 2" in output and screen(output) == ["ACTIVE True"]
    assert path.stat().st_size == 300_000


def test_it_is_cut_to_one_row() -> None:
    output = beside("import sys\nfor _ in sys.stdin: pass", last='progress.show("é\\x1b\\n" * 500, [process])')
    bar = output.split("\r\n")[-2].split("\x1b[K")[-1].split("\x1b")[0]
    assert len(bar) == 99 and "\x1b\n" not in bar and screen(output) == ["ACTIVE True"]


def test_no_terminal_no_bar(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+b") as file:
        progress = Progress(file.fileno())
        progress.show("anything", [Process(os.getpid(), 0)])
        progress.clear()
        assert not progress.active and file.tell() == 0
    reading, writing = os.pipe()
    assert not Progress(writing).active
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {}])
def test_a_terminal_that_knows_no_cursor_gets_none(environment: dict[str, str]) -> None:
    code = "from memguard.watch.progress import Progress; print(Progress(2).active)"
    kept = {name: value for name, value in os.environ.items() if name != "TERM"}
    with Terminal([sys.executable, "-c", code], env={**kept, **environment}) as terminal:
        terminal.end()
    assert terminal.output == "False\r\n"
