"""The watcher's side of a flush, with real Pythons on the other side of the page."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memguard.system.proc import Process, read_process
from memguard.watch.agents.flush import FlushRequests
from memguard.watch.agents.requests import Answers, send_request
from memguard.watch.journal import RunDirectory
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
INJECT = ROOT / "memguard" / "inject"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")

Run = Callable[..., "Script"]


class Script:
    """A running script. It says `ready` and goes on at a line of its stdin."""

    def __init__(self, path: Path, directory: RunDirectory) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env["PYTHONPATH"] = os.pathsep.join([str(INJECT), str(ROOT)])
        env["MEMGUARD_RUN_DIR"] = directory.path
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.popen = subprocess.Popen([sys.executable, str(path)], env=env, text=True, cwd=path.parent, **pipes)
        self.directory, self.flush = directory, FlushRequests(directory.path)
        self.events: list[dict[str, Any]] = []
        self._answers = Answers(directory.events)
        self.line("ready")
        found = read_process(self.popen.pid)
        assert found is not None
        self.process = found

    def line(self, expected: str) -> None:
        assert self.popen.stdout is not None
        got = self.popen.stdout.readline()
        assert got == expected + "\n", (got, self.popen.poll() is not None and self.popen.communicate()[1])

    def go(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()

    def listen(self) -> None:
        for event in self._answers.new():
            self.events.append(event)
            self.flush.hear(event, time.monotonic())

    def wait(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Until so many events of that kind have come."""

        def found() -> list[dict[str, Any]]:
            self.listen()
            events = [event for event in self.events if event["event"] == kind]
            return events if len(events) >= count else []

        return until(found, step=0.002)

    def end(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate(timeout=30)
        return self.popen.returncode, out, err


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    directory = tmp_path / "run"
    directory.mkdir()
    for name in ("stack.txt", "events.jsonl"):
        (directory / name).touch()
    started: list[Script] = []

    def start(text: str) -> Script:
        path = tmp_path / "prepare.py"
        path.write_text(textwrap.dedent(text))
        started.append(Script(path, RunDirectory(str(directory))))
        return started[-1]

    yield start
    for script in started:
        script.popen.kill()
        script.popen.communicate()


def test_it_is_asked_through_the_page_and_answers_at_its_checkpoint(run: Run) -> None:
    script = run(
        """
        import memguard
        from memguard import pressure
        @memguard.on_pressure
        def flush(): print('flushed', pressure.get_headroom(), flush=True)
        @memguard.on_pressure
        def broken(): raise OSError('disk full')
        memguard.checkpoint()
        for _ in range(2):
            print('ready', flush=True)
            input()
            memguard.checkpoint()
        """
    )
    (passed,) = script.wait("checkpoint")
    assert passed["place"].endswith("prepare.py:8")
    assert [(c["name"], c["line"]) for c in script.flush.callbacks()] == [("flush", 4), ("broken", 6)]
    assert script.flush.ready([script.process])
    assert script.flush.ask([script.process], 12345) == 1
    assert script.flush.pending and not script.flush.answers
    script.go()
    script.line("flushed 12345")
    (answer,) = script.wait("flushed")
    assert (answer["called"], answer["errors"]) == (2, ["broken: OSError('disk full')"])
    assert (script.flush.pending, script.flush.running, script.flush.answers) == ({}, {}, 1)
    assert [event["event"] for event in script.events][-2:] == ["flushing", "flushed"]
    script.line("ready")
    script.go()
    assert script.end() == (0, "", ""), "it was asked once"
    script.flush.close()
    assert sorted(os.listdir(script.directory.path)) == ["events.jsonl", "stack.txt"]


def test_what_is_withdrawn_is_not_done(run: Run) -> None:
    script = run(
        """
        import memguard
        memguard.on_pressure(lambda: print('flushed', flush=True))
        memguard.checkpoint()
        print('ready', flush=True)
        input()
        memguard.checkpoint()
        """
    )
    script.wait("checkpoint")
    script.flush.ask([script.process], 1)
    script.flush.withdraw()
    script.go()
    assert script.end() == (0, "", "")


def test_a_callback_without_a_checkpoint_is_told_once_and_never_called(run: Run) -> None:
    script = run(
        """
        import memguard
        @memguard.on_pressure
        def flush(): print('flushed', flush=True)
        print('ready', flush=True)
        input()
        """
    )
    script.wait("registered")
    assert script.flush.ask([script.process], 1) == 0
    assert [one.name for one in script.flush.silent([script.process])] == ["flush"]
    assert script.flush.silent([script.process]) == []
    script.go()
    assert script.end() == (0, "", "")


def test_a_callback_that_waits_for_ever_is_interrupted_and_names_its_line(run: Run) -> None:
    script = run(
        """
        import memguard, queue
        full = queue.Queue(1)
        full.put(1)
        @memguard.on_pressure
        def flush():
            full.put(2)  # line 7: nobody takes it out
        memguard.checkpoint()
        print('ready', flush=True)
        input()
        memguard.checkpoint()
        print('went on', flush=True)
        """
    )
    script.wait("checkpoint")
    script.flush.ask([script.process], 1)
    script.go()
    script.wait("flushing")
    blocked = until(lambda: script.flush.blocked(time.monotonic()), step=0.05)
    assert [work.pid for work in blocked] == [script.process.pid]
    send_request(script.directory, script.process, "interrupt", within=1.0)
    (answer,) = script.wait("flushed")
    assert "flush: interrupted: flush waited for what did not come" in answer["errors"][0]
    assert "prepare.py:7: full.put(2)" in answer["errors"][0]
    script.line("went on")
    assert script.end()[0] == 0


@pytest.mark.slow
def test_one_that_works_is_not(run: Run) -> None:
    script = run(
        """
        import memguard, time
        @memguard.on_pressure
        def flush():
            end = time.monotonic() + 3
            while time.monotonic() < end: sum(range(10000))
        memguard.checkpoint()
        print('ready', flush=True)
        input()
        memguard.checkpoint()
        """
    )
    script.wait("checkpoint")
    script.flush.ask([script.process], 1)
    script.go()
    script.wait("flushing")
    while not any(event["event"] == "flushed" for event in script.events):
        assert script.flush.blocked(time.monotonic()) == []
        time.sleep(0.05)
        script.listen()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_that_imports_the_main_module_registers_nothing(run: Run, method: str) -> None:
    script = run(
        f"""
        import memguard, multiprocessing
        memguard.on_pressure(lambda: None)
        def count(_):
            return len(memguard.pressure.callbacks())
        if __name__ == '__main__':
            print('ready', flush=True)
            with multiprocessing.get_context('{method}').Pool(1) as pool:
                print(pool.map(count, [1]), len(memguard.pressure.callbacks()), flush=True)
        """
    )
    script.line("[0] 1")
    assert script.end()[0] == 0
    script.listen()
    assert len(script.flush.registered) == 1


def test_a_forked_worker_asks_for_its_own_buffer_alone(run: Run) -> None:
    script = run(
        """
        import memguard, os
        @memguard.on_pressure
        def flush(): print('parent', flush=True)
        memguard.checkpoint()
        if os.fork() == 0:
            memguard.on_pressure(lambda: print('worker', flush=True))
            memguard.checkpoint()
            print('ready', flush=True)
            input()
            memguard.checkpoint()
            os._exit(0)
        os.wait()
        """
    )
    script.wait("checkpoint", 2)
    workers = [read_process(event["pid"]) for event in script.events if event["event"] == "checkpoint"]
    worker = next(process for process in workers if process is not None and process != script.process)
    assert script.flush.ask([worker], 1) == 1
    script.go()
    script.line("worker")
    (answer,) = script.wait("flushed")
    assert (answer["pid"], answer["called"]) == (worker.pid, 1)
    assert script.end() == (0, "", "")


def test_lines_that_are_nonsense_do_no_harm(tmp_path: Path) -> None:
    flush = FlushRequests(str(tmp_path))
    for event in ({}, {"event": "flushing", "pid": 1}, {"event": "checkpoint", "pid": "1"}, {"event": "registered"}):
        flush.hear(event, 0.0)
    flush.hear({"event": "registered", "pid": 1, "callback": 3, "file": 4, "line": "x"}, 0.0)
    flush.hear({"event": "checkpoint", "pid": 1 << 40, "place": None}, 0.0)
    assert flush.ask([Process(1 << 40, 0)], 5) == 0, "there is no page"
    assert flush.callbacks() == [{"name": "3", "pid": 1, "file": None, "line": None, "checkpoint": None}]
