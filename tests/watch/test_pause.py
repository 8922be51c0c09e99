"""What is typed at the pause, and the whole question on a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.errors import ConfigError
from memguard.units import GIB, MIB
from memguard.watch.pause import Answer, ask, parse_answer
from tests.terminals import Terminal

PROMPT = "r SIZE, d or a?"
ASK = f"""
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT, signal.SIGTERM, signal.SIGHUP}})
from memguard.watch.pause import ask
answer = ask("memguard: paused prepare.py", {8 * GIB})
"""
TELL = 'print("GOT", answer)\n'


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("r 12GiB\n", Answer("resume", 12 * GIB)),
        ("  R  12 GiB ", Answer("resume", 12 * GIB)),
        ("resume=9000M", Answer("resume", 9000 * MIB)),
        ("d\n", Answer("dump")),
        ("DUMP", Answer("dump")),
        ("a\r\n", Answer("abort")),
        ("abort", Answer("abort")),
        ("q", Answer("abort")),
    ],
)
def test_answers(typed: str, answer: Answer) -> None:
    assert parse_answer(typed, 8 * GIB) == answer


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "nothing typed"),
        ("\n", "nothing typed"),
        ("r", "resume with which limit?"),
        ("r lots", "not a size"),
        ("r 8GiB", "8.00 GiB is no more than now"),
        ("r 75%", "a percentage has no meaning here"),
        ("x", "not an answer: 'x'"),
        ("a please", "not an answer: 'a please'"),
        ("12GiB", "not an answer: '12GiB'"),
    ],
)
def test_what_is_no_answer(typed: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_answer(typed, 8 * GIB)
    assert said in raised.value.message and raised.value.hint


@given(st.text(max_size=20), st.integers(1, 2**50))
def test_whatever_is_typed(text: str, usable: int) -> None:
    try:
        answer = parse_answer(text, usable)
    except ConfigError:
        return
    assert answer.action in ("resume", "dump", "abort")
    assert (answer.limit is not None) == (answer.action == "resume") and (answer.limit or usable + 1) > usable


def test_the_example_that_is_shown_is_an_answer() -> None:
    for usable in (1 * MIB, 448 * MIB, 8 * GIB, 999 * GIB):
        with pytest.raises(ConfigError) as raised:
            parse_answer("r", usable)
        answer = parse_answer(raised.value.hint, usable)
        assert answer.limit == pytest.approx(1.5 * usable, rel=0.01)


def test_without_a_terminal_it_is_an_abort_that_says_so() -> None:
    answer = ask("paused", GIB, terminal="/nonexistent/tty")
    assert answer.action == "abort" and answer.note == "there is no terminal to ask on"
    assert ask("paused", GIB, terminal=os.devnull).action == "abort"
    code = f"from memguard.watch.pause import ask; print(ask('paused', {GIB}).note)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, start_new_session=True)
    assert result.stdout == "there is no terminal to ask on\n", result.stderr


def test_asked_until_there_is_an_answer() -> None:
    with Terminal([sys.executable, "-c", ASK + TELL]) as terminal:
        terminal.wait_for(PROMPT)
        assert "memguard: paused prepare.py" in terminal.output and "r 12.0GiB" in terminal.output
        terminal.type("what?\n")
        terminal.wait_for(PROMPT)
        terminal.type("r 4GiB\n")
        terminal.wait_for("no more than now")
        terminal.type("r 16GiB\n")
        assert terminal.end() == 0
    assert f"GOT {Answer('resume', 16 * GIB)}" in terminal.output


def test_asked_on_the_terminal_where_the_streams_lead_elsewhere() -> None:
    with Terminal([sys.executable, "-c", ASK + TELL], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type("d\n")
        assert terminal.end() == 0
        assert terminal.process.stdout is not None
        assert terminal.process.stdout.read().decode() == f"GOT {Answer('dump')}\n"
        terminal.process.stdout.close()


@pytest.mark.parametrize("end", ["Ctrl-C", "Ctrl-D", "SIGTERM"])
def test_an_end_of_any_kind_is_an_abort(end: str) -> None:
    with Terminal([sys.executable, "-c", ASK + TELL]) as terminal:
        terminal.wait_for(PROMPT)
        if end == "SIGTERM":
            terminal.process.send_signal(signal.SIGTERM)
        else:
            terminal.type({"Ctrl-C": "\x03", "Ctrl-D": "\x04"}[end])
        terminal.wait_for("GOT Answer(action='abort'")
        terminal.end()


def test_a_terminal_that_goes_away_is_an_abort(tmp_path: Path) -> None:
    code = ASK + f"print(answer, file=open({str(tmp_path / 'out')!r}, 'w'))"
    with Terminal([sys.executable, "-c", code]) as terminal:
        terminal.wait_for(PROMPT)
        terminal.hang_up()
        assert terminal.process.wait(20) == 0
    assert "abort" in (tmp_path / "out").read_text()


def test_in_the_background_it_is_an_abort_that_says_so() -> None:
    code = f"""
import os, signal, subprocess, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = subprocess.run([sys.executable, "-c", {ASK + TELL!r}], process_group=0)
"""
    with Terminal([sys.executable, "-c", code]) as terminal:
        terminal.wait_for("runs in the background of its terminal")
        terminal.end()


def test_it_waits_without_using_the_processor() -> None:
    with Terminal([sys.executable, "-c", ASK + TELL + "import time; print('CPU', time.process_time())"]) as terminal:
        terminal.wait_for(PROMPT)
        time.sleep(0.5)
        terminal.type("a\n")
        terminal.end()
    assert float(terminal.output.split("CPU ")[1].split()[0]) < 0.4
