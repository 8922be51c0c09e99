"""The terminal that a run was started in is closed (ssh -t, xterm -e, tmux kill-session): SIGHUP."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memguard.system.proc import read_stat
from tests.terminals import Terminal

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "-m", "memguard", "run"]
SLEEPS = "import os, time; print('pid', os.getpid(), 'ready', flush=True); time.sleep(30)"
# Two processes: the worker is in the terminal's foreground group, too.
WORKS = "import os, time; os.fork(); " + SLEEPS
HANDLES = """
import os, signal, sys, time
def hung_up(*_):
    count.append(1)
    time.sleep(0.3)
    open('count', 'w').write(str(len(count)))
    sys.exit(9)
count = []
signal.signal(signal.SIGHUP, hung_up)
print('pid', os.getpid(), 'ready', flush=True)
time.sleep(30)
"""
# Goes on after the hang-up, and then grows: somebody has to stop it.
IGNORES = """
import os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print('pid', os.getpid(), 'ready', flush=True)
while not os.path.exists('closed'): time.sleep(0.02)
rows = []
for i in range(300):
    rows.append(bytearray(b"x" * 1_000_000)); time.sleep(0.003)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def until(condition: Callable[[], Any], within: float = 15.0) -> Any:
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def pids(terminal: Terminal, count: int = 1) -> list[int]:
    """As the programs print them."""
    until(lambda: terminal._read(0.05) and terminal.output.count("ready") >= count)
    return [int(number) for number in re.findall(r"pid (\d+) ready", terminal.output)]


def gone(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is None or not stat.alive


def test_closing_it_ends_the_run() -> None:
    command = [*RUN, "--record", "r.json", "--", sys.executable, "-c", SLEEPS]
    with Terminal(command) as terminal:
        (pid,) = pids(terminal)
        terminal.hang_up()
        assert terminal.process.wait(10) == 128 + signal.SIGHUP
    assert gone(pid)
    record = json.loads(Path("r.json").read_text())
    assert (record["exit_signal"], record["termination_reason"], record["left"]) == (signal.SIGHUP, "user", [])


@pytest.mark.parametrize("shell", ['"$@"; true', '"$@" & wait', 'setsid -w "$@"'], ids=str)
def test_a_shell_before_it_or_a_worker_below_it(shell: str) -> None:
    """A shell that is the session's leader passes its end on to the foreground group, or its jobs; setsid has none."""
    command = ["sh", "-c", shell, "sh", *RUN, "--", sys.executable, "-c", WORKS]
    with Terminal(command) as terminal:
        found = pids(terminal, 2)
        terminal.hang_up()
        terminal.process.wait(10)
        if shell.startswith("setsid"):  # its session has no terminal: neither python nor memguard hears of it
            time.sleep(0.3)
            assert not any(map(gone, found))
            for pid in found:
                os.kill(pid, signal.SIGKILL)
        until(lambda: all(map(gone, found)))


def test_a_stopped_script_ends_too() -> None:
    with Terminal([*RUN, "--", sys.executable, "-c", SLEEPS]) as terminal:
        (pid,) = pids(terminal)
        os.kill(pid, signal.SIGSTOP)
        terminal.hang_up()
        assert terminal.process.wait(10) == 128 + signal.SIGHUP
    assert gone(pid)


def test_a_handler_is_called_once() -> None:
    with Terminal([*RUN, "--", sys.executable, "-c", HANDLES]) as terminal:
        pids(terminal)
        terminal.hang_up()
        assert terminal.process.wait(10) == 9
    assert Path("count").read_text() == "1"


@pytest.mark.parametrize("prefix", [[], ["nohup"]], ids=["by itself", "nohup"])
def test_who_ignores_it_goes_on_with_its_guard(prefix: list[str]) -> None:
    code = IGNORES.replace("signal.signal", "# ") if prefix else IGNORES
    command = [*prefix, *RUN, "--limit", "150M", "--record", "r.json", "--", sys.executable, "-c", code]
    script = '"$@"' if prefix else 'exec "$@"'
    output = {"stdout": open("out", "wb"), "stderr": open("err", "wb")} if prefix else {}  # noqa: SIM115
    with Terminal(["sh", "-c", script, "sh", *command], **output) as terminal:
        if prefix:
            until(lambda: b"ready" in Path("out").read_bytes())
        else:
            pids(terminal)
        terminal.hang_up()
        time.sleep(0.3)
        assert not Path("r.json").exists(), "it goes on"
        Path("closed").touch()
        until(Path("r.json").exists)
        terminal.process.wait(10)
    for file in output.values():
        file.close()
    record = json.loads(Path("r.json").read_text())
    assert (record["exit_code"], record["termination_reason"]) == (75, "memory")
    assert record["guard_failure"] is None and record["culprit"]["variable"] == "rows"
