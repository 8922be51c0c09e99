"""Which processes may be watched: real ones, under the names and at the terminals that tell them apart."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.errors import ConfigError
from memguard.system.proc import read_children, read_cmdline
from memguard.watch.process.jobs import check_job, command_of, find_job
from tests.waiting import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
SLEEPS = "import time; time.sleep(60)"


@contextlib.contextmanager
def process(*command: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Waited for until it is that program: until exec, it is a copy of this one."""
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    try:
        until(lambda: read_cmdline(started.pid) not in ((), read_cmdline(os.getpid())))
        yield started
    finally:
        started.kill()
        started.communicate()


def refusal(pid: int) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        check_job(pid)
    assert caught.value.exit_code == 3 and caught.value.hint
    return caught.value.message, caught.value.hint


def test_a_job_is_one() -> None:
    with process(sys.executable, "-c", SLEEPS) as job:
        assert check_job(job.pid).pid == job.pid
    for command in (["sh", "-c", "sleep 60; true"], ["sh", "-ec", "sleep 60; true"]):
        with process(*command) as job:
            assert check_job(job.pid).pid == job.pid


def test_a_shell_with_a_script_is_a_job(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text("sleep 60\ntrue\n")
    with process("sh", str(script)) as job:
        assert check_job(job.pid).pid == job.pid
    with script.open() as file:  # sh < job.sh
        started = subprocess.Popen(["sh"], stdin=file)
        until(lambda: read_children(started.pid))
        assert check_job(started.pid).pid == started.pid
        for pid in (*read_children(started.pid), started.pid):
            os.kill(pid, 9)
        started.wait()


def test_the_first_process_and_the_kernels_threads() -> None:
    assert "is the first process" in refusal(1)[0]
    threads = [int(name) for name in os.listdir("/proc") if name.isdigit() and is_kernel_thread(int(name))]
    if not threads:
        pytest.skip("no thread of the kernel's is seen from here")
    assert "is a thread of the kernel's" in refusal(threads[0])[0]


def is_kernel_thread(pid: int) -> bool:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[6]) & 0x200000 != 0  # PF_KTHREAD
    except OSError:
        return False


@pytest.mark.parametrize("options", [[], ["-i"], ["-s"]])
def test_a_shell_that_somebody_types_into(options: list[str]) -> None:
    with process("sh", *options, stderr=subprocess.DEVNULL) as shell:
        assert shell.stdin is not None
        shell.stdin.write(f"{sys.executable} -c '{SLEEPS}'\n".encode())
        shell.stdin.flush()
        until(lambda: read_children(shell.pid))
        (job,) = read_children(shell.pid)
        until(lambda: SLEEPS in read_cmdline(job))
        message, hint = refusal(shell.pid)
        assert "is a shell that somebody types into" in message and f"memguard watch {job}" in hint
        os.kill(job, 9)


def test_a_login_shell() -> None:
    with process("-sh", executable=shutil.which("sh")) as shell:
        assert "somebody types into" in refusal(shell.pid)[0]


@pytest.mark.parametrize("name", ["systemd", "sshd", "tmux: server", "slurmstepd"])
def test_by_name(name: str, tmp_path: Path) -> None:
    program = tmp_path / name
    shutil.copy(shutil.which("sleep") or "", program)
    with process(str(program), "60") as session:
        message, _ = refusal(session.pid)
        assert "at the limit all of that would be ended" in message


def test_what_holds_somebodys_shell_under_whatever_name() -> None:
    pid, terminal = pty.fork()
    if pid == 0:  # a program that is in no list, with a shell on this terminal below it
        os.execv(sys.executable, [sys.executable, "-c", "import subprocess; subprocess.run(['sh', '-i'])"])
    try:
        until(lambda: any("sh" in read_cmdline(child)[:1] for child in read_children(pid)))
        assert "holds the shell" in refusal(pid)[0]
    finally:
        for one in (*read_children(pid), pid):
            os.kill(one, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_a_guard_and_what_started_this() -> None:
    with process(sys.executable, "-m", "memguard", "run", "--", "sleep", "60") as guard:
        until(lambda: any(read_cmdline(child)[:1] == ("sleep",) for child in read_children(guard.pid)))
        message, hint = refusal(guard.pid)
        assert "is a guard itself" in message and "(sleep 60)" in hint
        guard.terminate()
        guard.wait()
    assert refusal(os.getpid())[0].endswith("is memguard itself, or what started it")


def test_a_command_line_is_shown_as_one_short_line() -> None:
    with process(sys.executable, "-c", SLEEPS, "\x1b[2Jé\n" + "x" * 200) as job:
        assert command_of(job.pid).isprintable() and len(command_of(job.pid)) == 60


def word_of(tmp_path: Path) -> str:
    return f"memguard_job_{os.getpid()}_{tmp_path.name}"


def script(tmp_path: Path, text: str = SLEEPS) -> str:
    path = tmp_path / f"{word_of(tmp_path)}.py"
    path.write_text(text)
    return str(path)


def test_what_runs_under_a_name_comes_before_what_only_mentions_it(tmp_path: Path) -> None:
    path = script(tmp_path)
    with process(sys.executable, path) as job, process(sys.executable, "-c", SLEEPS, path):
        assert find_job(word_of(tmp_path)) == (job.pid, ())


def test_who_only_reads_it_is_nobody(tmp_path: Path) -> None:
    with process("tail", "-f", script(tmp_path)), pytest.raises(ConfigError) as caught:
        find_job(word_of(tmp_path))
    assert caught.value.exit_code == 3


def test_a_mention_is_enough_where_nothing_runs_under_the_name(tmp_path: Path) -> None:
    with process(sys.executable, "-c", SLEEPS, word_of(tmp_path)) as job:
        assert find_job(word_of(tmp_path)) == (job.pid, ())


def test_the_job_not_its_workers(tmp_path: Path) -> None:
    forks = "import os, time\nfor _ in range(3): os.fork() or time.sleep(60)\ntime.sleep(60)\n"
    with process(sys.executable, script(tmp_path, forks)) as job:
        until(lambda: len(read_children(job.pid)) >= 1)
        assert find_job(word_of(tmp_path)) == (job.pid, ())
        for child in read_children(job.pid):
            os.kill(child, 9)


def test_the_newest_of_several_and_which_it_is_not(tmp_path: Path) -> None:
    path = script(tmp_path)
    with process(sys.executable, path) as first:
        time.sleep(0.02)  # start times are counted in hundredths of a second
        with process(sys.executable, path) as second:
            time.sleep(0.02)
            with process(sys.executable, path) as last:
                assert find_job(word_of(tmp_path)) == (last.pid, (second.pid, first.pid))
