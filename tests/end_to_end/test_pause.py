"""`memguard run --on-limit pause` as a person at a terminal meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.terminals import Terminal

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the guard is Linux's")

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "-m", "memguard", "run", "--python", sys.executable, "--on-limit", "pause"]
PROMPT = "r SIZE, d or a?"
# Holds 150 MiB in the end; says so.
GROW = "blocks = []\nwhile len(blocks) < 150:\n    blocks.append(bytearray(b'x' * (1 << 20)))\nprint('all of it')\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "MEMGUARD_STATE_DIR": str(tmp_path / "state"), "TERM": "xterm"}


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "grow.py").write_text(GROW)
    return [*RUN, "--limit", "80MiB", "--record", str(tmp_path / "r.json"), str(tmp_path / "grow.py")]


def recorded(tmp_path: Path) -> tuple[str | None, list[str]]:
    record = json.loads((tmp_path / "r.json").read_text())
    return record["termination_reason"], [decision["action"] for decision in record["decisions"]]


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1])


def script(tmp_path: Path) -> int:
    """The pid of the running script, from its journal."""
    (journal,) = (tmp_path / "state").glob("runs/*/journal.jsonl")
    return int(json.loads(journal.read_text().splitlines()[0])["set"]["pid"])


@pytest.mark.slow
def test_it_stands_still_and_goes_on_with_a_higher_limit(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    with Terminal(command, env=environment) as terminal:
        terminal.wait_for(PROMPT)
        pid = script(tmp_path)
        before = resident(pid)
        time.sleep(0.2)
        # Not to the page: the kernel counts on every processor by itself, and adds up later.
        assert abs(resident(pid) - before) <= 64
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        assert state in "TD"  # stopped, or asleep at the limit of a cgroup of the guard's
        terminal.type("r 120MiB\n")
        terminal.wait_for(PROMPT)
        assert resident(pid) > before
        terminal.type("r 1GiB\n")
        assert terminal.end(30) == 0, terminal.output
    assert "all of it" in terminal.output
    reason, actions = recorded(tmp_path)
    assert reason is None and actions.count("freeze") == 2 and actions.count("resume") == 2


def test_it_tells_where_it_is_and_ends_it(command: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    with Terminal(command, env=environment) as terminal:
        terminal.wait_for(PROMPT)
        assert "80.0 MiB" in terminal.output
        terminal.type("d\n")
        terminal.wait_for(PROMPT)
        assert "grow.py:3" in terminal.output or "grow.py:2" in terminal.output, terminal.output
        terminal.type("a\n")
        assert terminal.end(30) == 75, terminal.output
    assert "all of it" not in terminal.output
    assert recorded(tmp_path)[0] == "memory"


@pytest.mark.slow
def test_ctrl_c_ends_it(command: list[str], environment: dict[str, str]) -> None:
    with Terminal(command, env=environment) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type("\x03")
        assert terminal.end(30) == 75, terminal.output
    assert "all of it" not in terminal.output and "a signal came while it was paused" in terminal.output
    assert "memguard/watch" not in terminal.output, "no traceback of memguard's own"


def test_without_a_terminal_it_is_an_abort(command: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, start_new_session=True, timeout=60, check=False
    )
    assert result.returncode == 75 and "there is no terminal to ask on" in result.stderr, result.stderr
    assert recorded(tmp_path)[0] == "memory"
