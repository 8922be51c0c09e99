"""The whole guard on small real programs, under a limit of its own on their memory; no cgroup needed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memguard.errors import ConfigError
from memguard.records.codec import from_json
from memguard.records.run import RunRecord
from memguard.system.proc import read_process
from memguard.units import MIB
from memguard.watch.agents.outside_stack import find_pyspy, may_trace
from memguard.watch.journal import last_run, runs_directory
from memguard.watch.loop import Loop
from memguard.watch.measure.sampler import Sampler
from memguard.watch.options import Options
from memguard.watch.process.launch import Command
from memguard.watch.run import run_guarded
from memguard.watch.timing import Timing
from tests.waiting import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
ROOT = PROGRAMS.parents[1]
LIMIT = Options(limit=96 * MIB)


def python(*words: str) -> Command:
    script = next((word for word in words if word.endswith(".py")), None)
    return Command(sys.executable, (sys.executable, *words), script)


def program(name: str, *arguments: str) -> Command:
    return python(str(PROGRAMS / f"guard_{name}.py"), *arguments)


def culprit_lines(name: str) -> set[int]:
    lines = (PROGRAMS / f"guard_{name}.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if "# CULPRIT" in line}


def assert_stopped(record: RunRecord) -> None:
    assert record.exit_code == 75
    assert record.termination_reason == "memory"
    assert [decision.action for decision in record.decisions][-2:] == ["freeze", "abort"]
    assert record.limit is not None and record.limit.name == "--limit"
    assert not record.left
    assert record.pid is not None and read_process(record.pid) is None


@pytest.mark.parametrize("name", ["list", "bytearray", "ignores_sigterm", "threads", "pool"])
def test_it_is_stopped_and_the_line_is_named(name: str) -> None:
    record = run_guarded(program(name), LIMIT)
    assert_stopped(record)
    assert record.culprit is not None, record.stack_missing
    assert record.culprit.line in culprit_lines(name)
    assert record.culprit.file == str(PROGRAMS / f"guard_{name}.py")
    assert "# CULPRIT" in (record.culprit.source_text or "")
    assert record.peak is not None and record.peak <= 2 * 96 * MIB


def test_a_process_that_left_the_tree_is_stopped_too() -> None:
    record = run_guarded(program("double_fork"), Options(limit=700 * MIB))
    assert_stopped(record)
    assert record.processes == 2


def test_a_grandchild_of_a_shell() -> None:
    record = run_guarded(program("grandchild"), LIMIT)
    assert_stopped(record)
    assert record.processes == 3
    assert record.culprit is not None and record.culprit.file == str(PROGRAMS / "guard_list.py")
    assert record.culprit.line in culprit_lines("list")


@pytest.fixture
def nothing_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without py-spy, and a Python that cannot be asked by another."""
    place = "memguard.watch.agents.outside_stack.read_outside_stack"
    monkeypatch.setattr(place, lambda *arguments: "nothing is installed")


@pytest.mark.usefixtures("nothing_outside")
def test_without_the_agent_it_says_why_there_is_no_line() -> None:
    record = run_guarded(program("list"), Options(limit=96 * MIB, agent=False))
    assert_stopped(record)
    assert record.culprit is None and record.stack_missing == "--no-agent was given"


@pytest.mark.usefixtures("nothing_outside")
def test_an_isolated_python_is_guarded_from_outside() -> None:
    record = run_guarded(python("-I", str(PROGRAMS / "guard_list.py")), LIMIT)
    assert_stopped(record)
    assert record.culprit is None and "-I, which keeps the agent out" in (record.stack_missing or "")
    assert (record.stack_missing or "").endswith("; nothing is installed")


@pytest.mark.skipif(find_pyspy(os.environ) is None or not may_trace(), reason="no py-spy that may read here")
def test_an_isolated_pythons_line_is_read_from_outside() -> None:
    record = run_guarded(python("-I", str(PROGRAMS / "guard_list.py")), LIMIT)
    assert_stopped(record)
    assert record.culprit is not None and record.culprit.line in culprit_lines("list") and not record.stack_missing


def test_another_program_is_guarded_too() -> None:
    words = ("awk", 'BEGIN { while (1) a[n++] = "some text that takes room" n }')
    record = run_guarded(Command("awk", words), LIMIT)
    assert_stopped(record)
    assert "is not Python" in (record.stack_missing or "")


def test_a_script_may_clean_up(tmp_path: Path) -> None:
    record = run_guarded(program("cleans_up", str(tmp_path / "temporary")), LIMIT)
    assert_stopped(record)
    assert record.script_exit_code == 1 and record.exit_signal is None
    assert not (tmp_path / "temporary").exists()


@pytest.mark.slow
def test_memory_shared_after_fork_counts_once() -> None:
    """Five processes of 60 MiB, the same 60: 300 when summed. Not a false alarm, and the peak is the true one."""
    record = run_guarded(program("cow_pool", "60"), Options(limit=200 * MIB))
    assert record.exit_code == 0
    assert all(decision.action != "freeze" for decision in record.decisions)
    assert record.peak is not None and 60 * MIB < record.peak < 140 * MIB


def test_a_steady_job_is_left_alone() -> None:
    record = run_guarded(program("steady", "70", "0.5"), LIMIT)
    assert record.exit_code == 0 and record.termination_reason is None
    assert record.peak is not None and 70 * MIB < record.peak < 90 * MIB
    assert record.culprit is None and record.stack is None


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_pool_that_lost_a_worker_is_no_hang(method: str) -> None:
    notes: list[str] = []
    record = run_guarded(program("dead_worker", method), Options(timing=Timing(pool_idle=0.7)), notes.append)
    assert (record.exit_code, record.termination_reason) == (75, "hang")
    assert record.culprit is not None and "pool.map" in (record.culprit.source_text or "")
    assert len(notes) == 1 and "was ended by SIGKILL" in notes[0]
    assert record.decisions[-1].reason in notes[0]
    assert not record.left


def test_an_executor_that_notices_by_itself_is_left_alone() -> None:
    record = run_guarded(program("executor"), Options())
    assert (record.exit_code, record.termination_reason) == (1, None)


@pytest.mark.parametrize(("code", "expected"), [("exit 0", 0), ("exit 3", 3), ("exit 255", 255)])
def test_exit_codes_pass_through(code: str, expected: int) -> None:
    record = run_guarded(Command("sh", ("sh", "-c", code)), Options())
    assert (record.exit_code, record.exit_signal, record.termination_reason) == (expected, None, None)
    assert last_run() == record


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGPIPE])
def test_a_signal_is_128_more(number: signal.Signals) -> None:
    record = run_guarded(Command("sh", ("sh", "-c", f"kill -{number.value} $$")), Options())
    assert (record.exit_code, record.exit_signal, record.termination_reason) == (128 + number, number, None)
    assert record.kernel_kills == 0


def test_what_a_signal_ended_leaves_nobody_behind() -> None:
    record = run_guarded(Command("sh", ("sh", "-c", "sleep 60 & kill -9 $$")), Options())
    assert record.exit_code == 137 and not record.left


def test_a_daemon_outlives_a_normal_end_and_is_named() -> None:
    record = run_guarded(Command("sh", ("sh", "-c", "sleep 61.5 & exit 0")), Options())
    assert record.exit_code == 0
    (left,) = record.left
    assert left.endswith("(sleep 61.5)")
    os.kill(int(left.split()[1]), signal.SIGKILL)


def signalled(number: signal.Signals, code: str, directory: Path) -> RunRecord:
    """A guarded run of `code`, which says when it is ready, after `kill -NUMBER` of the watcher.

    In a process of its own: other threads of this one (pyarrow's, say) would take the signal first.
    """
    record = directory / "record.json"
    guarded = [sys.executable, "-m", "memguard", "run", "--record", str(record), "--", sys.executable, "-uc", code]
    with subprocess.Popen(guarded, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        process.wait(10)
    return from_json(RunRecord, record.read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_for_memguard_reaches_the_script(number: signal.Signals, tmp_path: Path) -> None:
    record = signalled(number, "import time; print('ready'); time.sleep(30)", tmp_path)
    assert (record.exit_code, record.exit_signal, record.termination_reason) == (128 + number, number, "user")
    assert record.seconds is not None and record.seconds < 30, "it would have slept so long"


def test_a_script_may_handle_the_signal(tmp_path: Path) -> None:
    handler = "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(9))"
    record = signalled(signal.SIGUSR1, f"import signal, sys\n{handler}\nprint('ready')\nsignal.pause()", tmp_path)
    assert (record.exit_code, record.termination_reason) == (9, None)


def test_the_callers_signal_mask_is_restored() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    run_guarded(Command("true", ("true",)), Options())
    with pytest.raises(ConfigError):
        run_guarded(Command("/nonexistent", ("/nonexistent",)), Options())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_a_command_that_cannot_start_is_no_run() -> None:
    with pytest.raises(ConfigError):
        run_guarded(Command("/nonexistent", ("/nonexistent",)), Options())
    assert os.listdir(runs_directory()) == []


def test_our_own_failure_leaves_the_script_running_and_not_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a freeze; test_failure.py has the other places."""

    def measure(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    notes: list[str] = []

    def freeze(self: Loop, decision: object) -> None:
        monkeypatch.setattr(Sampler, "measure", measure)
        original(self, decision)  # type: ignore[arg-type]

    original = Loop._freeze
    monkeypatch.setattr(Loop, "_freeze", freeze)
    record = run_guarded(program("steady", "100", "0.5"), LIMIT, notes.append)
    assert (record.exit_code, record.termination_reason) == (0, None)
    assert notes == [record.guard_failure]
    assert "ZeroDivisionError: a bug" in notes[0] and "goes on without a guard" in notes[0]


def test_the_journal_of_a_killed_watcher_can_be_read() -> None:
    command = [sys.executable, "-m", "memguard", "run", str(PROGRAMS / "guard_steady.py"), "50", "60"]
    root = str(PROGRAMS.parents[1])
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root}) as watcher:
        record = until(lambda: (run := last_run()) and (run.peak or 0) >= 50 * MIB and run)
        watcher.kill()
    assert record and record.pid is not None
    assert record.exit_code is None and record.script == command[4]
    os.kill(record.pid, signal.SIGKILL)


def test_inputs_are_remembered_after_they_are_closed(tmp_path: Path) -> None:
    text = tmp_path / "train.txt"
    text.write_bytes(b"x" * (8 * MIB))
    code = (
        "import sys, time\n"
        "with open(sys.argv[1]) as f:\n"
        "    data = []\n"
        "    while piece := f.read(1 << 20): data.append(piece * 4); time.sleep(0.05)\n"
        "while True: data.append(' ' * (1 << 20))\n"
    )
    record = run_guarded(python("-c", code, str(text)), LIMIT)
    assert_stopped(record)
    assert record.inputs == (str(text),)


def test_what_the_journal_says_is_what_happened() -> None:
    record = run_guarded(program("list"), LIMIT)
    lines = [json.loads(line) for line in Path(runs_directory(), record.id, "journal.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines][:1] == ["start"]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert record.overhead is not None and record.overhead.cpu_seconds > 0
    assert record.samples is not None and record.samples > 5
    assert record.max_lateness is not None


def test_it_works_beside_other_threads() -> None:
    """A caller may have threads: the child only execs."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.warns(DeprecationWarning) if sys.version_info >= (3, 12) else contextlib.nullcontext():
            assert run_guarded(Command("true", ("true",)), Options()).exit_code == 0
    finally:
        done.set()
        thread.join()
