"""memguard watch PID, as a user types it, beside jobs that were started without it."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.system.proc import read_children
from memguard.watch.agents.outside_stack import find_pyspy, may_trace
from tests.people import ROOT, normal_user

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")

WATCH = [sys.executable, "-m", "memguard", "watch"]
# Waits for a line, then holds 300 MiB in the end.
GROW = "import sys; input(); x = []\nwhile len(x) < 300: x.append(bytearray(b'x' * (1 << 20)))\nprint('done')"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "MEMGUARD_STATE_DIR": str(tmp_path / "state")}


@contextlib.contextmanager
def job(code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code, *words]
    process = subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def watching(environment: dict[str, str], tmp_path: Path, *words: object) -> subprocess.Popen[str]:
    """Started, and waited for until it writes its journal."""
    watcher = subprocess.Popen(
        [*WATCH, *map(str, words)],
        text=True,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and watcher.poll() is None:
        if any('"limit"' in path.read_text() for path in (tmp_path / "state").glob("runs/*/journal.jsonl")):
            return watcher
        time.sleep(0.02)
    raise AssertionError(watcher.communicate(timeout=5))


def test_a_job_that_ends_by_itself(environment: dict[str, str], tmp_path: Path) -> None:
    with job("input()") as process:
        watcher = watching(environment, tmp_path, process.pid)
        process.communicate("\n", timeout=20)
        out, err = watcher.communicate(timeout=20)
    assert (watcher.returncode, out) == (0, "")
    first, last = err.splitlines()
    assert first.startswith("memguard: watching process ")
    assert re.fullmatch(r"memguard: python[\d.]* has ended after .*, peak .* MiB of .*", last), err


def test_whom_it_watches_is_said_first(environment: dict[str, str], tmp_path: Path) -> None:
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); input(); p.kill(); p.wait()"
    with job(code) as process:
        deadline = time.monotonic() + 10
        while not read_children(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        watcher = watching(environment, tmp_path, process.pid, "--limit", "300M")
        assert watcher.stderr is not None
        first = watcher.stderr.readline()
        assert f"watching process {process.pid} ({sys.executable}" in first
        user = pwd.getpwuid(os.geteuid()).pw_name
        assert f" of {user}, with the one it has started" in first and "300 MiB by --limit" in first
        process.communicate("\n", timeout=20)
        watcher.communicate(timeout=20)


def test_without_a_limit_the_first_line_names_what_holds(environment: dict[str, str], tmp_path: Path) -> None:
    with job("input()") as process:
        watcher = watching(environment, tmp_path, process.pid)
        process.communicate("\n", timeout=20)
        _, err = watcher.communicate(timeout=20)
    assert ", alone; it may use " in err and " more, by " in err


@pytest.mark.slow
@pytest.mark.skipif(
    find_pyspy(os.environ) is None or not may_trace(), reason="py-spy is not installed, or may not read"
)
def test_the_line_of_a_job_is_named_from_outside(environment: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "prep.py"
    script.write_text(
        "import time\ninput()\nrows = []\nwhile True:\n    rows.append(b'x' * (1 << 20)); time.sleep(0.01)\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], text=True, stdin=subprocess.PIPE)
    watcher = watching(environment, tmp_path, process.pid, "--limit", "96M", "--record", "r.json")
    process.communicate("\n", timeout=20)
    _, err = watcher.communicate(timeout=20)
    assert watcher.returncode == 75 and "prep.py:5" in err and "rows.append" in err, err
    record = json.loads((tmp_path / "r.json").read_text())
    assert (record["culprit"]["file"], record["culprit"]["line"]) == (str(script), 5) and not record["stack_missing"]


def test_a_job_that_passes_its_limit(environment: dict[str, str], tmp_path: Path) -> None:
    with job(GROW) as process:
        watcher = watching(environment, tmp_path, process.pid, "--limit", "96M", "--record", "r.json")
        out, _ = process.communicate("\n", timeout=20)
        _, err = watcher.communicate(timeout=20)
    assert watcher.returncode == 75, err
    assert process.returncode == -signal.SIGTERM and out == ""
    assert "memguard: stopped" in err and "Traceback" not in err
    if find_pyspy(os.environ) is None and not hasattr(sys, "remote_exec"):
        assert "memguard-prep[pyspy]" in err
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["termination_reason"] == "memory" and record["pid"] == process.pid
    assert record["limit"]["name"] == "--limit" and not record["left"]


def test_settings_hold_here_too_but_for_what_needs_the_agent(environment: dict[str, str], tmp_path: Path) -> None:
    settings = '[tool.memguard]\nlimit = "96M"\nflush-at = "50%"\nfence = "on"\nsalvage = "saved"\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    with job(GROW) as process:
        watcher = watching(environment, tmp_path, process.pid, "-q")
        process.communicate("\n", timeout=20)
        _, err = watcher.communicate(timeout=20)
    assert watcher.returncode == 75 and len(err.splitlines()) == 1, err
    assert not (tmp_path / "saved").exists()


def test_the_job_goes_on_after_ctrl_c(environment: dict[str, str], tmp_path: Path) -> None:
    with job("input(); print('went on')") as process:
        watcher = watching(environment, tmp_path, process.pid)
        watcher.send_signal(signal.SIGINT)
        watcher.communicate(timeout=20)
        assert watcher.returncode == 128 + signal.SIGINT
        out, _ = process.communicate("\n", timeout=20)
    assert out == "went on\n" and process.returncode == 0


def test_by_a_word_of_its_command_line(environment: dict[str, str], tmp_path: Path) -> None:
    word = f"memguard-test-{os.getpid()}"
    with job("input()", word) as older, job("input()", word) as newer:
        watcher = watching(environment, tmp_path, "--name", word, "--record", "r.json")
        newer.communicate("\n", timeout=20)
        _, err = watcher.communicate(timeout=20)
        assert older.poll() is None
    assert f"; the newest of 2, not {older.pid}" in err
    assert json.loads((tmp_path / "r.json").read_text())["pid"] == newer.pid


def said(environment: dict[str, str], *words: str) -> tuple[int, str]:
    result = subprocess.run([*WATCH, *words], env=environment, capture_output=True, text=True, timeout=20)
    assert "Traceback" not in result.stderr and not result.stdout
    return result.returncode, result.stderr


@pytest.mark.slow
def test_what_cannot_be_watched(environment: dict[str, str], tmp_path: Path) -> None:
    with job("pass") as ended:
        ended.wait(20)
    for words, code, part in (
        ([str(ended.pid)], 3, f"no process {ended.pid}"),
        (["prepare.py"], 2, "not a process number: 'prepare.py'"),
        (["0"], 2, "not a process number: '0'"),
        (["99999999999999999999"], 2, "not a process number"),
        ([], 2, "which process?"),
        (["--name", f"no-such-word-{os.getpid()}"], 3, "none of your processes"),
        ([str(os.getpid())], 3, "is memguard itself, or what started it"),
        (["1"], 3, "is the first process"),
        (["1", "--limit", "lots"], 2, "--limit: not a size"),
        (["1", "--record", str(tmp_path)], 2, "is a directory"),
    ):
        returned, text = said(environment, *words)
        assert returned == code and part in text and len(text.splitlines()) == 2, text


def test_another_users_process() -> None:
    person = normal_user()
    with job("input()") as process:
        command = ["su", "-m", "-s", "/bin/sh", person.user or "", "-c"]
        command += [f"cd /; exec {' '.join(person.memguard('watch', str(process.pid)))}"]
        result = subprocess.run(command, env=person.env, capture_output=True, text=True, timeout=30)
    shutil.rmtree(person.home)
    assert result.returncode == 3, result.stderr
    assert f"process {process.pid} belongs to somebody else" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patch", "code", "words"),
    [
        ("def fails(*_): raise MemoryError\nforeign.Loop.consider = fails", 125, "the guard failed (MemoryError)"),
        ("def fails(*_): raise ValueError('a bug')\nforeign.Loop.shutdown = fails", 125, "ValueError: a bug"),
        (
            "stop = foreign.GuardedTree.stop\n"
            "def dies(tree): stop(tree); os.kill(os.getpid(), signal.SIGKILL)\n"
            "foreign.GuardedTree.stop = dies",
            -signal.SIGKILL,
            "the guard itself (process",
        ),
    ],
    ids=["fails", "fails while it is frozen", "is killed while it is frozen"],
)
def test_a_watcher_that_fails_leaves_the_job_running(
    patch: str, code: int, words: str, environment: dict[str, str], tmp_path: Path
) -> None:
    main = f"import os, signal, sys\nimport memguard.watch.foreign as foreign\n{patch}\n"
    main += "from memguard.cli.main import main\nsys.exit(main(['watch', sys.argv[1], '--limit', '96M']))"
    with job(GROW) as process:
        command = [sys.executable, "-c", main, str(process.pid)]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as watcher:
            time.sleep(0.3)
            out, _ = process.communicate("\n", timeout=20)
            assert watcher.wait(20) == code
            assert watcher.stderr is not None
            said = watcher.stderr.read()
    assert (process.returncode, out) == (0, "done\n")
    assert words in said and "without a guard" in said and "Traceback" not in said and len(said.splitlines()) == 2


def test_how_a_name_is_understood_stands_in_the_help(environment: dict[str, str]) -> None:
    result = subprocess.run([*WATCH, "--help"], env=environment, capture_output=True, text=True, timeout=20)
    for part in ("--name WORD looks at your own processes", "the newest", "workers", "are refused"):
        assert part in result.stdout
