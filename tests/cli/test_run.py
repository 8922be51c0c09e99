"""`memguard run` as its users meet it: its forms, its errors, the terminal, and what it passes through."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.units import MIB
from tests.boxes import MemoryBox
from tests.terminals import Terminal as Screen

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "programs"
RUN = [sys.executable, "-m", "memguard", "run"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with one script in it, and an environment of one's own."""
    (tmp_path / "show.py").write_text("import sys\nprint(__name__, sys.argv, sys.path[0])\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    ("arguments", "argv"),
    [
        (["show.py"], ["show.py"]),
        (["show.py", "--help"], ["show.py", "--help"]),
        (["show.py", "--limit", "1", "--", "-m", "x", "-q"], ["show.py", "--limit", "1", "--", "-m", "x", "-q"]),
        (["--limit", "2GiB", "-q", "show.py", "-q"], ["show.py", "-q"]),
        (["--limit=50%", "--reserve", "1%", "show.py", ""], ["show.py", ""]),
        (["--", sys.executable, "show.py", "--", "a"], ["show.py", "--", "a"]),
    ],
)
def test_what_follows_the_script_is_the_scripts(arguments: list[str], argv: list[str], here: Path) -> None:
    result = run("-q", *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"__main__ {argv} {here}\n", "")


def test_a_good_end_is_one_line_in_a_log_file_too() -> None:
    line = r"memguard: show\.py: exit code 0 after [\d.]+ m?s(, peak [\d.]+ [KM]iB of 512 MiB)?\n"
    assert re.fullmatch(line, run("--limit", "512M", "show.py").stderr)
    bad = run("--", "sh", "-c", "exit 3").stderr
    assert bad.startswith("memguard: sh: exit code 3 after ") and len(bad.splitlines()) == 1


@pytest.mark.parametrize("width", [80, 40])
def test_a_good_end_on_a_terminal(width: int, here: Path) -> None:
    (here / "wait.py").write_text("import time\ntime.sleep(0.4)\n")  # long enough to be measured
    with Screen([*RUN, "--limit", "512M", "wait.py"], columns=width) as terminal:
        assert terminal.end() == 0
    lines = terminal.screen.lines
    assert len(lines) == (1 if width == 80 else 2) and all(len(line) <= width for line in lines)
    words = " ".join(" ".join(lines).split())
    assert re.fullmatch(r"memguard: wait\.py: exit code 0 after [\d.]+ m?s, peak [\d.]+ MiB of 512 MiB", words)


def test_a_closed_stderr_is_no_error() -> None:
    command = ["sh", "-c", 'exec "$@" 2>&-', "-", *RUN, "show.py"]
    assert subprocess.run(command, timeout=60, stdout=subprocess.DEVNULL).returncode == 0


def test_an_option_behind_the_script_is_noted_once() -> None:
    result = run("show.py", "a", "--limit", "1G")
    assert result.returncode == 0 and "'--limit', '1G'" in result.stdout
    note = (
        "memguard: --limit 1G after show.py goes to the script; for memguard write: memguard run --limit 1G show.py …"
    )
    assert result.stderr.splitlines()[0] == note and result.stderr.count("memguard: ") == 2


def test_a_limit_below_what_python_needs_is_refused_and_the_named_one_works(here: Path) -> None:
    (here / "big.py").write_text("import numpy as np\nimport time\n")
    (here / "bare.py").write_text("import time\ntime.sleep(0.4)\n")
    for limit in ("1", "3M", "100k"):
        result = run("--limit", limit, "big.py")
        assert result.returncode == 2
        message, hint = result.stderr.splitlines()
        assert re.fullmatch(r"memguard run: --limit .* K?M?i?B: Python alone needs .* MiB here", message), message
        assert re.fullmatch(r"  the least is \d+M; with numpy, which big\.py imports, \d+M", hint), hint
    least, with_numpy = re.findall(r"\d+M", hint)
    assert run("--limit", least, "bare.py").returncode == 0
    assert run("--limit", with_numpy, "big.py").returncode == 0


def test_a_limit_above_the_machine_is_noted() -> None:
    note = run("--limit", "4000T", "show.py").stderr.splitlines()[0]
    assert note.startswith("memguard: --limit 4000 TiB is more than ") and note.endswith("limit decides")
    assert "memguard: --limit" not in run("--limit", "64M", "show.py").stderr


def test_a_module(here: Path) -> None:
    (here / "package").mkdir()
    (here / "package" / "__main__.py").write_text("import sys; print(sys.argv[1:])")
    assert run("-m", "package", "--help", "--", "-q").stdout == "['--help', '--', '-q']\n"
    assert run("--quiet", "-m", "package").stdout == "[]\n"


def test_a_program_on_stdin() -> None:
    assert run("-", "a", input="import sys; print(sys.argv)").stdout == "['-', 'a']\n"


def test_help() -> None:
    result = run("--help")
    assert result.returncode == 0
    for word in ("--limit", "--reserve", "--record", "--python", "--no-agent", "--quiet", "-m", "exit code", "75"):
        assert word in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "what shall run?"),
        (["--"], 2, "what shall run?"),
        (["-m"], 2, "-m needs a module"),
        (["nope.py"], 127, "no such script: nope.py"),
        (["python", "show.py"], 127, "memguard run -- python show.py"),
        (["."], 126, "without a __main__.py"),
        (["--", "no-such-program"], 127, "no such program: no-such-program"),
        (["--", "./show.py"], 126, "cannot be executed: Permission denied"),
        (["--limit", "many", "show.py"], 2, "--limit: not a size: 'many'"),
        (["--limit", "0", "show.py"], 2, "--limit: a size must be at least one byte"),
        (["--reserve", "200%", "show.py"], 2, "--reserve: a percentage"),
        (["--record", "missing/r.json", "show.py"], 2, "no such directory"),
        (["--record", ".", "show.py"], 2, "is a directory"),
        (["--python", "python-none", "show.py"], 127, "--python python-none: no such program"),
        (["--python", "python3", "--", "true"], 2, "--python has no meaning"),
        (["--bogus", "show.py"], 2, "unrecognized arguments: --bogus"),
    ],
)
def test_errors_are_one_clear_line(arguments: list[str], code: int, words: str) -> None:
    result = run(*arguments)
    assert result.returncode == code
    assert words in result.stderr and "Traceback" not in result.stderr
    assert result.stdout == "" and len(result.stderr.splitlines()) <= 2
    assert not Path(os.environ["MEMGUARD_STATE_DIR"], "runs").exists() or not os.listdir(
        Path(os.environ["MEMGUARD_STATE_DIR"], "runs")
    )


SAME = """
import multiprocessing, os, sys, traceback

def work(number):
    return number, os.getcwd(), sys.argv, __name__

if __name__ == "__main__":
    print(__file__, sys.argv, sys.flags, sys.executable, sys.orig_argv[1:], sys.stdin.read())
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.map(work, range(2)))
    print("words on stderr", file=sys.stderr)
    {}["missing"]
"""


def test_a_script_says_the_same_as_without_us(here: Path) -> None:
    (here / "same.py").write_text(SAME)
    plain = subprocess.run(
        [sys.executable, "same.py", "a b", "--c"], input="typed", capture_output=True, text=True, timeout=60
    )
    guarded = run("same.py", "a b", "--c", input="typed")
    assert plain.returncode == 1 and "KeyError: 'missing'" in plain.stderr
    words, last = guarded.stderr[: len(plain.stderr)], guarded.stderr[len(plain.stderr) :]
    assert (guarded.returncode, guarded.stdout, words) == (plain.returncode, plain.stdout, plain.stderr)
    assert last.startswith("memguard: same.py: exit code 1 after ") and last.count("\n") == 1


def test_bytes_and_a_closed_pipe_pass_through() -> None:
    """`head` goes away, and the writer dies of SIGPIPE as it would without us."""
    for prefix in ([], [*RUN, "--"]):
        command = [*prefix, "sh", "-c", "yes"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.read(4) == b"y\ny\n"
            process.stdout.close()
            assert process.wait(20) in (-signal.SIGPIPE, 128 + signal.SIGPIPE)


def test_a_stop_is_explained_and_recorded(here: Path) -> None:
    result = run("--limit", "96M", "--record", "r.json", str(PROGRAMS / "guard_list.py"))
    assert (result.returncode, result.stdout) == (75, "")
    traceback, report = result.stderr.split("memguard: stopped", 1)
    assert "\nmemguard.MemoryLimitExceeded: " in traceback and "ids (list, " in traceback  # the script's own last words
    lines = report.splitlines()
    assert lines[0] == " guard_list.py before it passed its limit"
    assert any("guard_list.py:3" in line for line in lines)
    assert "ids.extend(" in result.stderr and "--limit 96.0 MiB" in result.stderr
    assert len(lines) <= 16 and "\x1b" not in result.stderr
    record = json.loads((here / "r.json").read_text())
    assert record["schema"] == "memguard.run/1"
    assert (record["termination_reason"], record["exit_code"], record["culprit"]["line"]) == ("memory", 75, 3)
    assert record["limit"]["value"] == 96 * MIB and record["decisions"][-1]["used"] <= 96 * MIB * 1.03
    assert os.listdir(here) == ["show.py", "r.json"] or sorted(os.listdir(here)) == ["r.json", "show.py"]


def test_quiet_is_one_line() -> None:
    result = run("-q", "--limit", "96M", str(PROGRAMS / "guard_list.py"))
    assert result.returncode == 75
    words = [line for line in result.stderr.splitlines() if line.startswith("memguard: ")]
    assert len(words) == 1 and "guard_list.py:3" in words[0]


def test_a_kill_by_somebody_else_is_not_ours() -> None:
    result = run("--", "sh", "-c", "kill -9 $$")
    assert result.returncode == 137
    assert "ended by SIGKILL" in result.stderr and "memguard diagnose" in result.stderr


def test_inside_another_memguard() -> None:
    result = run("--", *RUN, "--limit", "96M", str(PROGRAMS / "guard_list.py"))
    assert result.returncode == 75
    assert result.stderr.count("memguard: stopped") == 1


class Terminal:
    """A process that owns a terminal of its own, as a shell's foreground job does."""

    def __init__(self, command: list[str]) -> None:
        self.master, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=_own_terminal
        )
        os.close(slave)

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def read_until(self, words: bytes, seconds: float = 15.0) -> bytes:
        os.set_blocking(self.master, False)
        text, deadline = b"", time.monotonic() + seconds
        while words not in text:
            assert time.monotonic() < deadline, text
            with contextlib.suppress(BlockingIOError, OSError):
                text += os.read(self.master, 4096)
            time.sleep(0.01)
        return text


def _own_terminal() -> None:
    import fcntl

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(here: Path) -> Iterator[Terminal]:
    (here / "talk.py").write_text(
        "import signal, sys, time\n"
        "count = 0\n"
        "def interrupted(*_):\n"
        "    global count\n"
        "    count += 1\n"
        "    print('interrupt', count, flush=True)\n"
        "signal.signal(signal.SIGINT, interrupted)\n"
        "print('name?', sys.stdin.isatty(), flush=True)\n"
        "print('hello', input(), flush=True)\n"
        "while count < 2: time.sleep(0.02)\n"
        "time.sleep(0.2)\n"
        "print('end', count, flush=True)\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "time.sleep(30)\n"
    )
    terminal = Terminal([*RUN, "talk.py"])
    yield terminal
    terminal.process.kill()
    terminal.process.wait()
    os.close(terminal.master)


def test_a_terminal_is_the_scripts_own_and_each_ctrl_c_comes_once(terminal: Terminal) -> None:
    terminal.read_until(b"name? True")
    terminal.type(b"Ann\n")
    terminal.read_until(b"hello Ann")
    terminal.type(b"\x03")
    terminal.read_until(b"interrupt 1")
    terminal.type(b"\x03")
    terminal.read_until(b"end 2")
    time.sleep(0.1)
    terminal.type(b"\x03")
    text = terminal.read_until(b"ended by SIGINT")
    assert b"memguard: talk.py" in text
    assert terminal.process.wait(10) == 130


@pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="needs a shell with job control")
def test_ctrl_z_stops_the_job_and_fg_goes_on(here: Path) -> None:
    (here / "talk.py").write_text("print('name?', flush=True)\nprint('hello', input(), flush=True)\n")
    terminal = Terminal(["/bin/bash", "--norc", "--noprofile", "-i"])
    try:
        terminal.type(f"{' '.join(RUN)} talk.py\n".encode())
        terminal.read_until(b"name?")
        terminal.type(b"\x1a")
        terminal.read_until(b"Stopped")
        terminal.type(b"fg\n")
        terminal.read_until(b"talk.py")
        terminal.type(b"Ann\n")
        terminal.read_until(b"hello Ann")
        terminal.type(b"echo code $?; exit\n")
        terminal.read_until(b"code 0")
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)


@pytest.mark.cgroup
def test_inside_a_limit_of_the_kernels(here: Path) -> None:
    with MemoryBox(256 * MIB) as box:
        result = box.run([*RUN, "--record", "r.json", str(PROGRAMS / "guard_list.py")])
        assert result.returncode == 75, result.stderr
        assert "256 MiB" in result.stderr and "so that the kernel need not kill" in result.stderr
        assert box.processes() == []
    assert box.oom_kills == 0 and box.peak < 256 * MIB
    record = json.loads((here / "r.json").read_text())
    assert record["limit"]["kernel_limit"] == 256 * MIB
    assert record["cgroup"].startswith(f"{box.directory}/memguard-")  # the backstop, inside


@pytest.mark.cgroup
def test_when_the_kernel_was_faster_it_says_so(here: Path) -> None:
    """The honest answer is 137, and whose kill it was. (With a backstop it would sleep until the watcher is back.)"""
    unheld = ["--backstop", "none", "--fence", "off"]
    script = f"kill -STOP $PPID; exec {sys.executable} {PROGRAMS}/guard_list.py"  # the watcher sleeps through it
    with MemoryBox(96 * MIB) as box:
        process = box.start([*RUN, *unheld, "--record", "r.json", "--", "sh", "-c", script], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 20  # two of them are the watcher and its sentinel
        while len(box.processes()) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        while len(box.processes()) > 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 137, err
    assert "the kernel killed sh: out of memory, and faster than the guard" in err
    assert "its OOM killer ended 1 of this cgroup's processes" in err
    record = json.loads((here / "r.json").read_text())
    assert (record["termination_reason"], record["exit_signal"], record["kernel_kills"]) == ("memory", 9, 1)
