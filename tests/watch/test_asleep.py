"""A main thread that sleeps in a system call: no signal ends that call before the freeze."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memguard.system.proc import Process, read_process, read_stat
from memguard.units import MIB
from memguard.watch.agents import session as module
from memguard.watch.agents.session import Session
from memguard.watch.journal import Journal, open_run
from memguard.watch.options import Options
from memguard.watch.process import actions
from memguard.watch.process.launch import Command
from memguard.watch.run import run_guarded
from tests.waiting import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
ROOT = Path(__file__).resolve().parents[2]

# sleep(3) and poll(2) of the C library come back early after a signal, and say so.
SLEEPS = """
import ctypes, sys
block = bytearray({size})
for i in range(0, len(block), 4096): block[i] = 1
libc = ctypes.CDLL(None, use_errno=True)
left = libc.sleep(1)
interrupted = libc.poll(None, 0, 1000)
sys.exit(left * 10 + (interrupted != 0))
"""


SLOW = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(
    "share",
    [
        pytest.param(0.77, id="reclaim", marks=SLOW),
        pytest.param(0.83, id="flush"),
        pytest.param(0.88, id="dump", marks=SLOW),
        pytest.param(0.93, id="below freeze"),
    ],
)
def test_a_c_call_is_not_cut_short(share: float) -> None:
    size = int(share * 200 * MIB) - 4 * MIB  # what Python takes itself
    record = run_guarded(
        Command(sys.executable, (sys.executable, "-c", SLEEPS.format(size=size))), Options(limit=200 * MIB)
    )
    assert record.exit_code == 0
    assert record.decisions, "a stage was reached"


# A thread that grows while the main thread waits in C; and one in which the main thread is soon awake again.
WAITS = """
import ctypes, threading, time
def grow():
    for i in range(300): rows.append(bytearray(b"x" * 1_000_000)); time.sleep(0.005)
rows = []
threading.Thread(target=grow).start()
{wait}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wait", "answered"),
    [("ctypes.CDLL(None).sleep(30)", False), ("while True: sum(range(200_000)); time.sleep(0.001)", True)],
    ids=["for long", "now and then"],
)
def test_it_is_stopped_all_the_same(wait: str, answered: bool) -> None:
    """The abort may always signal; what came before it is told to those that were awake in time."""
    code = WAITS.format(wait=wait)
    record = run_guarded(Command(sys.executable, (sys.executable, "-c", code)), Options(limit=200 * MIB))
    assert (record.exit_code, record.termination_reason) == (75, "memory")
    assert record.decisions[0].action == "reclaim"
    assert any(answer.event == "reclaimed" for answer in record.answers) is answered
    # The thread grows on while the main thread wakes up for the look, which may be cut short for that: not the dump.
    assert record.culprit is not None
    assert record.culprit.variable == "rows" or not answered


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "30"]) as process:
        yield process
        process.kill()


def state(process: subprocess.Popen[bytes]) -> str:
    stat = read_stat(process.pid)
    return "" if stat is None else stat.state


def test_who_may_be_asked(sleeper: subprocess.Popen[bytes]) -> None:
    process = read_process(sleeper.pid)
    assert process is not None
    until(lambda: state(sleeper) == "S")
    assert not actions.may_ask(process)
    assert not actions.send(process, signal.SIGURG, asleep=False) and actions.send(process, signal.SIGURG)
    sleeper.send_signal(signal.SIGSTOP)
    until(lambda: state(sleeper) == "T")
    assert not actions.may_ask(process), "stopped in its sleep"
    me = read_process("self")
    assert me is not None and actions.may_ask(me)
    assert not actions.may_ask(Process(os.getpid(), 1)), "another process, with the same pid"


class Asked:
    """A session with two processes whose sleep a test decides on, and a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.asleep, self.asked = 0.0, set[int](), []  # type: float, set[int], list[tuple[int, tuple[str, ...]]]
        directory, _ = open_run(time.time())
        self.journal = Journal(directory)
        self.session = Session(self.journal, lambda: self.now)
        monkeypatch.setattr(module, "listens", lambda process, path: process.pid != 3)
        monkeypatch.setattr(module, "may_ask", lambda process: process.pid not in self.asleep)
        monkeypatch.setattr(module, "send_request", self.ask)
        monkeypatch.setattr(module, "ask_for_stack", self.ask_for_stack)

    def ask(self, directory: Any, process: Process, *do: str, asleep: bool = True, **order: Any) -> int:
        assert not asleep and order["within"] > 0
        self.asked.append((process.pid, do))
        return len(self.asked)

    def ask_for_stack(self, process: Process, path: str, *, asleep: bool = True) -> bool:
        if process.pid in self.asleep and not asleep:
            return False
        self.asked.append((process.pid, ()))
        return True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    asked = Asked(monkeypatch)
    yield asked
    asked.journal.close()


TREE = (Process(3, 0), Process(1, 0), Process(2, 0))  # the largest does not listen at all


def test_who_sleeps_is_asked_when_it_is_awake(asked: Asked) -> None:
    asked.asleep = {1}
    assert asked.session.ask_largest(TREE, ("inspect",), ("reclaim",), within=0.25) == 1
    assert asked.asked == [(2, ("reclaim",))], "the look is the largest one's, and waits for it"
    asked.now = 0.1
    asked.session.listen()
    assert len(asked.asked) == 1 or asked.asked[1:] == [(2, ())]  # a reminder
    asked.asleep = set()
    asked.session.listen()
    assert (1, ("inspect",)) in asked.asked
    assert not asked.session.all_answered


def test_after_its_time_it_is_given_up(asked: Asked) -> None:
    asked.asleep = {1, 2}
    assert asked.session.ask_largest(TREE, ("inspect",), ("reclaim",), within=0.25) == 0
    assert not asked.session.all_answered, "somebody is still to be asked"
    asked.now, asked.asleep = 0.3, set()
    asked.session.listen()
    assert asked.asked == [] and asked.session.all_answered


def test_the_stack_too(asked: Asked) -> None:
    asked.asleep = {1}
    asked.session.ask_for_stack(TREE, 0.25)
    assert asked.asked == [], "the first that listens, and no other"
    asked.asleep = set()
    asked.session.listen()
    assert asked.asked == [(1, ())]
