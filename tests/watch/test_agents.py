"""Who listens, and the reason in words of who does not: each against a real process that does it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.inject import _memguard_agent
from memguard.system.proc import read_process
from memguard.watch.agents import listening as agents
from tests.waiting import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
INJECT = Path(_memguard_agent.__file__).parent
READY = "\nprint('ready', flush=True)\nwhile True: pass\n"


def silent(command: list[str], run: Path, **variables: str) -> Iterator[tuple[bool, str]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MEMGUARD"))}
    env |= {"PYTHONPATH": str(INJECT), "MEMGUARD_RUN_DIR": str(run), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            found = read_process(process.pid)
            assert found is not None
            stack = str(run / "stack.txt")
            yield agents.listens(found, stack), agents.why_silent(found, stack)
        finally:
            process.kill()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "stack.txt").touch()
    (tmp_path / "events.jsonl").touch()
    return tmp_path


PYTHONS = {
    "a handler of the script's own": "import signal; signal.signal(signal.SIGURG, lambda *_: None)",
    "it ignores SIGURG": "import signal; signal.signal(signal.SIGURG, signal.SIG_IGN)",
    "taken off the handler of SIGURG": "import faulthandler, signal; faulthandler.unregister(23); "
    "signal.signal(23, signal.SIG_DFL)",
    "it blocks SIGURG": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])",
    "descriptor 240, to which the stack is written, is now /dev/": "import os; os.dup2(os.open('/dev/zero', 2), 240)",
    "it has closed the descriptor": "import os; os.closerange(3, 1000)",
    "with an environment without memguard's MEMGUARD_RUN_DIR": "import os, sys\n"
    "if 'again' not in sys.argv: os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:], 'again'], {})",
}


@pytest.mark.parametrize("reason", PYTHONS)
def test_the_reason(reason: str, run: Path) -> None:
    for listening, why in silent([sys.executable, "-c", PYTHONS[reason] + READY], run):
        assert reason in why
        # Where nothing else has its number a signal does no harm; a handler is a handler; blocked is later.
        assert listening is reason.startswith(("it has closed", "a handler of the script's own", "it blocks"))


@pytest.mark.parametrize("flag", ["-I", "-E", "-S", "-BI", "-Wignore -S", "-X dev -sE"])
def test_a_python_that_is_told_to_look_at_nothing(flag: str, run: Path) -> None:
    for listening, why in silent([sys.executable, *flag.split(), "-c", READY], run):
        assert f"-{flag[-1]}, which keeps the agent out" in why and not listening


def test_another_program_and_one_that_has_ended(run: Path) -> None:
    for listening, why in silent(["sh", "-c", "echo ready; while :; do :; done"], run):
        assert "is not Python" in why and not listening
    gone = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    found = read_process(gone.pid)
    gone.kill()
    gone.wait()
    assert found is not None and "had ended" in agents.why_silent(found, str(run / "stack.txt"))


def test_one_that_is_stopped_has_not_come_to_it(run: Path) -> None:
    import signal

    code = "import os, signal\nprint('ready', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)"
    env = {**os.environ, "PYTHONPATH": str(INJECT), "MEMGUARD_RUN_DIR": str(run)}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) as process:
        found = read_process(process.pid)
        assert found is not None and process.stdout is not None and process.stdout.readline() == b"ready\n"
        until(lambda: "State:\tT" in Path(f"/proc/{process.pid}/status").read_text())
        process.send_signal(signal.SIGURG)
        assert "did not come to run" in agents.why_silent(found, str(run / "stack.txt"))
        process.kill()


def test_the_numbers_are_the_agents() -> None:
    assert agents._DESCRIPTORS.start == _memguard_agent._STACK_DESCRIPTOR
