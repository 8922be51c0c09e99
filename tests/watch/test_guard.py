"""The in-process guard, in real processes: each test is a script of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import memguard
from memguard.errors import ConfigError
from memguard.watch.journal import last_run

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

GROW = """
    def grow(tokens, size=1 << 30):
        '''At most `size` bytes, in steps that a guard can follow.'''
        for start in range(300, size // 40, 1000):
            tokens.extend(range(start, start + 1000))
            if start % 20000 == 300:
                time.sleep(0.001)
"""


def run(text: str, tmp_path: Path, **environment: str) -> tuple[int, str, str]:
    script = tmp_path / "prepare.py"
    head = "import gc, json, os, signal, sys, threading, time\nimport memguard\n"
    script.write_text(head + textwrap.dedent(GROW) + textwrap.dedent(text))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MEMGUARD"))}
    env.update(PYTHONPATH=str(ROOT), MEMGUARD_STATE_DIR=str(tmp_path / "state"), **environment)
    command = [sys.executable, "-W", "error", str(script)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    return result.returncode, result.stdout, result.stderr


def test_at_the_limit_the_block_gets_a_memory_error_and_the_process_goes_on(tmp_path: Path) -> None:
    code, out, err = run(
        """
        def main():
            all_tokens = []
            with memguard.guard(limit="120MiB"):
                grow(all_tokens)
        try:
            main()
        except MemoryError as error:
            print(type(error).__module__, type(error).__name__, error)
        gc.collect()
        print('goes on')
        """,
        tmp_path,
    )
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("memguard.errors MemoryLimitExceeded ")
    assert "all_tokens (list, " in first and "prepare.py:" in first and "bytes a token" in first
    assert second == "goes on"
    record = last_run(str(tmp_path / "state" / "runs"))
    assert record is not None and record.termination_reason == "memory"
    assert record.peak is not None and record.peak < 130 << 20
    assert record.culprit is not None and record.culprit.file == str(tmp_path / "prepare.py")


@pytest.mark.slow
def test_on_pressure_keeps_it_below_the_limit(tmp_path: Path) -> None:
    code, out, err = run(
        """
        written = 0
        tokens = []
        def flush():
            global written
            written += len(tokens)
            tokens.clear()
        with memguard.guard("70MiB", on_pressure=flush) as g:
            for start in range(2500):  # 95 MiB, were it kept
                memguard.checkpoint()
                tokens.extend(range(300, 1300))
                time.sleep(0.0005)
        flush()
        with open(os.path.join(g.directory, "events.jsonl")) as file:
            events = [json.loads(line)["event"] for line in file]
        print(written, g.record.termination_reason, "flushed" in events)
        """,
        tmp_path,
    )
    assert (code, out, err) == (0, "2500000 None True\n", "")


def test_everything_is_as_before_once_it_is_over(tmp_path: Path) -> None:
    code, out, err = run(
        """
        import resource
        def state():
            with open(f"/proc/self/task/{os.getpid()}/children") as file: children = file.read()
            fds = sorted(int(name) for name in os.listdir("/proc/self/fd"))
            with open("/proc/self/status") as file: caught = [line for line in file if line.startswith("SigCgt")]
            handler = signal.getsignal(signal.SIGURG)
            limit = resource.getrlimit(resource.RLIMIT_DATA)
            return dict(os.environ), children, fds, caught, handler, memguard.pressure.callbacks(), sys.path[:], limit
        def own(*_): print('own handler')
        import memguard.pressure
        for handler in (signal.SIG_DFL, own):
            signal.signal(signal.SIGURG, handler)
            with memguard.guard("1GiB"):  # what is loaded at the first one stays loaded
                pass
            before = state()
            for error in (None, ValueError('mine'), SystemExit(3)):
                try:
                    with memguard.guard("1GiB", on_pressure=print) as g:
                        assert state() != before and g.record is None and g.watcher
                        if error: raise error
                except (ValueError, SystemExit) as caught:
                    assert caught is error
                assert state() == before, (state(), before)
                assert g.record.termination_reason is None and g.watcher is None
        os.kill(os.getpid(), signal.SIGURG)
        """,
        tmp_path,
    )
    assert (code, out, err) == (0, "own handler\n", "")


def test_guards_nest_and_the_inner_limit_acts_first(tmp_path: Path) -> None:
    code, out, err = run(
        """
        @memguard.limited("100MiB")
        def inner(tokens):
            "Its own words."
            assert memguard.headroom() < 100 << 20
            grow(tokens)
        with memguard.guard("180MiB") as outer:
            try:
                inner([])
            except memguard.MemoryLimitExceeded as error:
                print('inner', '100 MiB' in error.message)
            gc.collect()
            assert 100 << 20 < memguard.headroom() < 180 << 20, memguard.headroom()
            try:
                grow(tokens := [])
            except memguard.MemoryLimitExceeded as error:
                print('outer', '180 MiB' in error.message)
        print(inner.__doc__, os.environ.get("MEMGUARD_LIMIT"))
        """,
        tmp_path,
    )
    assert (code, out, err) == (0, "inner True\nouter True\nIts own words. None\n", "")


def test_what_the_block_starts_counts_and_is_guarded_too(tmp_path: Path) -> None:
    code, out, err = run(
        """
        import subprocess
        with memguard.guard("1GiB"):
            before = memguard.headroom()
            code = "import sys; x = b'x' * (64 << 20); print('_memguard_agent' in sys.modules, flush=True); input()"
            child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            print(child.stdout.readline().decode().strip())
            print(64 << 20 <= before - (now := memguard.headroom()) < 90 << 20 or (before, now))
            child.communicate(b"\\n")
        """,
        tmp_path,
    )
    assert (code, out, err) == (0, "True\nTrue\n", "")


def test_a_forked_child_that_leaves_the_block_leaves_the_guard_running(tmp_path: Path) -> None:
    code, out, err = run(
        """
        with memguard.guard("1GiB") as g:
            pid = os.fork()
            if pid:
                assert os.waitpid(pid, 0)[1] == 0
                os.kill(g.watcher, 0)
                print('still watched')
        if not pid:
            os._exit(0)
        print(g.record.exit_code)
        """,
        tmp_path,
    )
    assert (code, out, err) == (0, "still watched\n0\n", "")


def test_a_watcher_that_was_killed_fails_no_work(tmp_path: Path) -> None:
    code, out, err = run(
        """
        import resource
        limits = resource.getrlimit(resource.RLIMIT_DATA)
        with memguard.guard("200MiB") as g:
            block = bytearray(b'x') * (120 << 20)  # near enough for the watcher to move the fence
            time.sleep(0.3)
            os.kill(g.watcher, signal.SIGKILL)
            time.sleep(0.05)
        print('done', resource.getrlimit(resource.RLIMIT_DATA) == limits)
        """,
        tmp_path,
    )
    assert (code, out, err) == (0, "done True\n", "")


def test_outside_the_main_thread_it_says_so(tmp_path: Path) -> None:
    code, out, err = run(
        """
        def work():
            try:
                with memguard.guard("1GiB"): print('entered')
            except memguard.ConfigError as error:
                print(error, '|', error.hint)
        thread = threading.Thread(target=work, name='loader')
        thread.start(); thread.join()
        """,
        tmp_path,
    )
    assert (code, err) == (0, "") and "thread 'loader'" in out and "main thread" in out


def test_it_cannot_be_entered_twice_at_once(tmp_path: Path) -> None:
    code, out, err = run(
        """
        g = memguard.guard("1GiB")
        with g:
            try:
                with g: pass
            except memguard.ConfigError as error:
                print(error)
        with g: pass   # one after the other
        """,
        tmp_path,
    )
    assert (code, out, err) == (0, "this guard is entered already\n", "")


@pytest.mark.parametrize("limit", ["much", "-1", "0%", "8GiBs", 0, -5, 1.5, True])
def test_what_is_no_size_is_refused_at_once(limit: str) -> None:
    for make in (memguard.guard, memguard.limited):
        with pytest.raises(ConfigError, match="limit: "):
            make(limit)


def test_what_returns_before_its_work_is_done_cannot_be_limited() -> None:
    def produce() -> object:
        yield 1

    async def fetch() -> None: ...

    for function in (produce, fetch):
        with pytest.raises(ConfigError, match="returns before its work is done"):
            memguard.limited("1GiB")(function)


def test_headroom_obeys_the_limit_that_the_run_was_given(tmp_path: Path) -> None:
    code, out, err = run(
        """
        free = memguard.headroom()
        os.environ["MEMGUARD_LIMIT"] = str(64 << 20)
        small = memguard.headroom()
        block = bytearray(b'x') * (16 << 20)
        print(json.dumps([free, small, memguard.headroom()]))
        """,
        tmp_path,
    )
    assert (code, err) == (0, "")
    free, small, smaller = json.loads(out)
    assert free > small and 30 << 20 < small < 64 << 20
    assert 15 << 20 < small - smaller < 18 << 20
