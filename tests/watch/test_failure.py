"""The guard itself fails, wherever it may: the tree is let go, and the script ends as it would have by itself."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from memguard.errors import MemguardError
from memguard.records.run import RunRecord
from memguard.system.proc import Process
from memguard.units import MIB
from memguard.watch import run as module
from memguard.watch.agents.dead_workers import PoolWatch
from memguard.watch.agents.session import Session
from memguard.watch.decide import policy
from memguard.watch.decide.forecast_tracker import ForecastTracker
from memguard.watch.journal import Journal, runs_directory
from memguard.watch.kernel.cgroup_limit import CgroupLimit
from memguard.watch.kernel.cgroup_plan import DirectoryPlan
from memguard.watch.kernel.data_limit import DataLimit
from memguard.watch.kernel.sentinel import Sentinel
from memguard.watch.loop import Loop
from memguard.watch.measure.sampler import Sampler
from memguard.watch.notes import Notes
from memguard.watch.options import Options
from memguard.watch.process import actions, failure
from memguard.watch.process.launch import Command
from memguard.watch.run import run_guarded
from memguard.watch.shutdown import Shutdown
from memguard.watch.tree import GuardedTree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")

# Grows past its limit, and would sleep at the backstop's or be stopped; 240 MiB in all, exit code 7.
GROWS = "import time; rows = [bytearray(b'x') * (1 << 20) for _ in range(200)]; time.sleep(0.2); raise SystemExit(7)"
# 400 MiB of private memory that nobody touches: a fence of 96 MiB and its floor would refuse it.
RESERVES = "import mmap, time; time.sleep(1.5); mmap.mmap(-1, 400 << 20, flags=mmap.MAP_PRIVATE); raise SystemExit(7)"
LIMIT = Options(limit=96 * MIB)
ERRORS = (OSError(errno.EMFILE, "Too many open files"), MemoryError(), ValueError("a bug\nof two lines"))

WHILE_IT_RUNS = [
    (DirectoryPlan, "entered"),
    (Sentinel, "tell"),
    (GuardedTree, "__init__"),
    (Loop, "__init__"),
    (module._Run, "begin"),
    (Sampler, "tick"),
    (Sampler, "measure"),
    (Notes, "sample"),
    (Journal, "write"),
    (Session, "listen"),
    (Session, "ask_largest"),
    (GuardedTree, "follow"),
    (CgroupLimit, "follow"),
    (DataLimit, "move"),
    (ForecastTracker, "update"),
    (policy, "decide"),
    (PoolWatch, "hung"),
    (Notes, "decision"),
    (actions, "stop"),
    (GuardedTree, "strays"),
    (GuardedTree, "loosen"),
    (Notes, "look_at_inputs"),
    (Shutdown, "inspect"),
    (Shutdown, "danger"),
]
AFTER_THE_END = [
    (Loop, "blame"),
    (Notes, "overhead"),
    (Notes, "end"),
    (Sampler, "close"),
    (Journal, "record"),
    (module, "_kernel_kills"),
]


def python(code: str) -> Command:
    return Command(sys.executable, (sys.executable, "-c", code))


def fails(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: Exception, first: int = 1) -> None:
    """`owner.name` raises `error` from its call number `first` on."""
    original, calls = getattr(owner, name), itertools.count(1)

    def call(*arguments: Any, **named: Any) -> Any:
        if next(calls) >= first:
            raise error
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, call)


def assert_let_go(record: RunRecord, said: list[str], error: Exception, capfd: pytest.CaptureFixture[str]) -> None:
    assert (record.exit_code, record.script_exit_code, record.exit_signal) == (7, 7, None)
    assert record.termination_reason is None
    assert said == [record.guard_failure] and "\n" not in said[0]
    assert type(error).__name__ in said[0] and "goes on without a guard" in said[0]
    assert "Traceback" not in capfd.readouterr().err
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


@pytest.mark.parametrize(
    ("number", "owner", "name"),
    [pytest.param(n, *place, marks=[pytest.mark.slow] if n % 3 else []) for n, place in enumerate(WHILE_IT_RUNS)],
    ids=str,
)
def test_the_script_goes_on_by_itself(
    number: int, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    error, said = ERRORS[number % len(ERRORS)], []  # type: tuple[Exception, list[str]]
    fails(monkeypatch, owner, name, error)
    record = run_guarded(python(GROWS), LIMIT, said.append)
    assert_let_go(record, said, error, capfd)


@pytest.mark.slow
@pytest.mark.parametrize("backstop", ["auto", "none"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("owner", "name"), WHILE_IT_RUNS, ids=str)
@pytest.mark.parametrize("first", [1, 2, 5])
def test_whatever_fails_and_whenever(
    owner: Any,
    name: str,
    error: Exception,
    backstop: str,
    first: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """From its second or fifth call on it may not come to fail at all: then the guard does its work."""
    said: list[str] = []
    fails(monkeypatch, owner, name, error, first)
    record = run_guarded(python(GROWS), Options(limit=96 * MIB, backstop=backstop, fence="on"), said.append)
    if record.guard_failure is None:
        assert record.exit_code == 75 and said == []
        return
    assert said == [record.guard_failure]
    assert record.exit_code in (7, 75, 1)  # its own; or it was ended, or asked to raise, before
    assert "the guard failed" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("owner", "name"), AFTER_THE_END, ids=str)
def test_after_the_end_the_exit_code_stays(
    owner: Any, name: str, error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    fails(monkeypatch, owner, name, error, 2 if name == "_kernel_kills" else 1)
    record = run_guarded(python("raise SystemExit(7)"), LIMIT, said.append)
    if name == "blame":  # asked for only where the guard has ended it
        assert record.exit_code == 7 and said == []
        return
    assert (record.exit_code, record.termination_reason, said) == (7, None, [record.guard_failure])
    assert "had ended before" in said[0] and "\n" not in said[0]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["blame", "end"])
def test_a_stopped_script_stays_a_stopped_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    fails(monkeypatch, Loop if name == "blame" else Notes, name, ValueError("a bug"))
    record = run_guarded(python(GROWS), LIMIT, said.append)
    assert (record.exit_code, record.termination_reason) == (75, "memory")
    assert said == [record.guard_failure] and "ValueError: a bug" in said[0]


def test_what_tells_the_user_may_fail_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def notify(line: str) -> None:
        raise BrokenPipeError

    fails(monkeypatch, Sampler, "tick", MemoryError())
    assert run_guarded(python(GROWS), LIMIT, notify).exit_code == 7


@pytest.mark.parametrize("owner", [CgroupLimit, DataLimit])
def test_what_the_watcher_cannot_undo_its_sentinel_does(
    owner: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A tree that nobody lets go would sleep in its cgroup, or get a MemoryError at its fence."""
    fails(monkeypatch, owner, "close", OSError(errno.EMFILE, "Too many open files"))
    fails(monkeypatch, Sampler, "measure", MemoryError(), 3)
    said: list[str] = []
    code, options = (GROWS, LIMIT)
    if owner is DataLimit:
        code, options = RESERVES, Options(limit=96 * MIB, backstop="none", fence="on")
    record = run_guarded(python(code), options, said.append)
    assert (record.exit_code, len(said)) == (7, 1)
    assert "Traceback" not in capfd.readouterr().err


def test_what_was_stopped_half_way_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """stop() fails after it has sent SIGSTOP; and resume() cannot look whom it continues."""
    said: list[str] = []
    fails(monkeypatch, actions, "read_tree", OSError(errno.EMFILE, "Too many open files"))
    record = run_guarded(python(GROWS), LIMIT, said.append)
    assert (record.exit_code, len(said)) == (7, 1)
    stopped = os.fork()
    if stopped == 0:
        time.sleep(30)
        os._exit(0)
    process = Process(stopped, 1)
    os.kill(stopped, signal.SIGSTOP)
    os.waitpid(stopped, os.WUNTRACED)
    fails(monkeypatch, actions, "read_stat", MemoryError())
    actions.resume([process])
    assert os.WIFCONTINUED(os.waitpid(stopped, os.WCONTINUED)[1])
    os.kill(stopped, signal.SIGKILL)
    os.waitpid(stopped, 0)


@pytest.mark.parametrize(
    ("owner", "name"),
    [(module, "choose"), (module, "spawn"), (module.sentinels, "start"), (module, "Journal")],
    ids=str,
)
def test_before_the_start_it_is_memguards_own_failure(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(monkeypatch, owner, name, OSError(errno.EMFILE, "Too many open files"))
    with pytest.raises(MemguardError) as caught:
        run_guarded(python("print('never')"), LIMIT)
    assert caught.value.exit_code == 125
    assert "has not started the script" in caught.value.message and "ulimit -n" in caught.value.hint
    assert os.listdir(runs_directory()) == []
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENFILE, "Too many open files in system"), "ulimit -n"),
        (OSError(errno.ENOSPC, "No space left on device"), "MEMGUARD_STATE_DIR"),
        (MemoryError(), "leave memory to the guard"),
        (KeyError("x"), "please report this"),
    ],
)
def test_what_to_do_depends_on_what_failed(error: Exception, words: str) -> None:
    line = failure.explain(error, failure.UNGUARDED)
    assert words in line and type(error).__name__ in line and len(line.splitlines()) == 1


def test_a_script_may_take_away_all_that_the_guard_writes_to(tmp_path: Path) -> None:
    code = f"import os, shutil; shutil.rmtree(os.environ['MEMGUARD_RUN_DIR']); {GROWS}"
    said: list[str] = []
    record = run_guarded(python(code), LIMIT, said.append)
    assert (record.exit_code, record.termination_reason, said) == (75, "memory", [])


def test_a_closed_journal_is_no_reason_to_stop_guarding(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Notes.sample

    def sample(self: Notes, sample: policy.Sample) -> None:
        self._journal.close()
        monkeypatch.setattr(Notes, "sample", original)

    monkeypatch.setattr(Notes, "sample", sample)
    record = run_guarded(python(GROWS), LIMIT)
    assert (record.exit_code, record.termination_reason) == (75, "memory")
