"""What a look comes across may raise anything: it never reaches the script, and the script's own signals always do."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memguard.inject import _memguard_signals as signals
from memguard.watch.journal import RunDirectory
from tests.inject.jobs import Job

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """Two signals with handlers that raise."""
    come: list[int] = []

    def stop(number: int, frame: Any) -> None:
        come.append(number)
        raise SystemExit(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield come
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_waits_until_the_work_is_done(handled: list[int]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)]
    held = signals.hold()
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
        os.kill(os.getpid(), number)
    assert handled == []
    with pytest.raises(SystemExit):
        held.release(None)
    assert sorted(handled) == sorted([signal.SIGTERM, signal.SIGUSR1])  # each once, though the first has raised
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)] == before


def test_ctrl_c_is_not_lost(handled: list[int]) -> None:
    held = signals.hold()
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        held.release(None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_comes_where_nothing_was_sent(handled: list[int]) -> None:
    signals.hold().release(None)
    inner = signals.hold()
    outer = signals.hold()  # a second request, handled within the first
    os.kill(os.getpid(), signal.SIGTERM)
    outer.release(None)
    assert handled == []
    with pytest.raises(SystemExit):
        inner.release(None)


HOSTILE = """
import signal, sys

class Long(list):
    def __len__(self): raise SystemExit("len")
    def __getitem__(self, index): raise SystemExit("getitem")

class Attributes:
    def __init__(self): object.__setattr__(self, "kept", [0.5] * 300000)
    def __getattribute__(self, name): raise KeyboardInterrupt(name)

class Metaclass(type):
    @property
    def __module__(cls): raise SystemExit("module")

class Odd(dict, metaclass=Metaclass):
    @property
    def __class__(self): raise GeneratorExit("class")
    def __repr__(self): raise SystemExit("repr")

class Module:
    def __getattribute__(self, name): raise SystemExit(name)

class Key:
    def __repr__(self): raise SystemExit("repr")

sys.modules["odd"] = Module()
long, attributes = Long(range(300000)), Attributes()
odd = {Odd: Odd(a=[1.5] * 300000), ("key", Key()): [2.5] * 300000}
tokens = list(range(300, 600000))
handlers = [signal.getsignal(n) for n in range(1, 32)]
print("ready", flush=True)
sys.stdin.readline()
print(handlers == [signal.getsignal(n) for n in range(1, 32)])
sys.exit(3)
"""


def test_no_error_of_the_users_objects_reaches_the_script(
    directory: RunDirectory, jobs: list[Job], tmp_path: Path
) -> None:
    path = tmp_path / "prepare.py"
    path.write_text(HOSTILE)
    job = Job(sys.executable, path, directory)
    jobs.append(job)
    reclaimed, held, salvaged = job.ask("reclaim", "inspect", "salvage", salvage=str(tmp_path / "kept"))
    assert "errors" not in reclaimed
    assert held["containers"][0]["variable"] == "tokens"  # the others keep nobody from being named
    assert salvaged["count"] == 599700
    assert job.end() == (3, "ready\nTrue\n", "")
