"""Asks to real Pythons with the agent in them, and what they answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.system.proc import Process, read_process
from memguard.watch.agents.requests import Answers, send_request, withdraw
from memguard.watch.agents.stacks import parse_dumps
from memguard.watch.journal import RunDirectory
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
INJECT = ROOT / "memguard" / "inject"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("stack.txt", "events.jsonl"):
        (run / name).touch()
    return RunDirectory(str(run))


class Script:
    """A running script: `go` lets it take its next step, `ask` asks it, `answers` waits for what it says."""

    def __init__(self, path: Path, directory: RunDirectory, *options: str) -> None:
        self.directory = directory
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env["PYTHONPATH"] = os.pathsep.join([str(INJECT), str(ROOT)])
        env["MEMGUARD_RUN_DIR"] = directory.path
        command = [sys.executable, *options, str(path)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.popen = subprocess.Popen(command, env=env, text=True, cwd=path.parent, **pipes)
        self._answers = Answers(directory.events)
        self._seen: list[dict[str, Any]] = []
        self.expect("ready")
        found = read_process(self.popen.pid)
        assert found is not None
        self.process = found

    def expect(self, line: str) -> None:
        assert self.popen.stdout is not None
        got = self.popen.stdout.readline()
        assert got == line + "\n", (got, self.popen.poll() is not None and self.popen.communicate()[1])

    def go(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()

    def ask(self, *do: str, process: Process | None = None, **more: Any) -> int:
        number = send_request(self.directory, process or self.process, *do, **{"within": 5.0, **more})
        assert number is not None
        return number

    def answers(self, number: int, count: int = 1) -> list[dict[str, Any]]:
        def found() -> list[dict[str, Any]]:
            self._seen += self._answers.new()
            answers = [answer for answer in self._seen if answer.get("seq") == number]
            assert len(answers) >= count or self.popen.poll() is None, (self._seen, self.popen.poll())
            return answers if len(answers) >= count else []

        # A signal just before a system call that blocks is served when that returns: it is sent again.
        return until(found, step=0.002, remind=lambda: self.popen.send_signal(signal.SIGURG))

    def end(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate(timeout=30)
        return self.popen.returncode, out, err


Start = Callable[..., Script]


@pytest.fixture
def start(directory: RunDirectory, tmp_path: Path) -> Iterator[Start]:
    """Starts a script's text. It says `ready` when it wants to be asked, and goes on at `go`."""
    started: list[Script] = []

    def run(text: str, *options: str) -> Script:
        path = tmp_path / "prepare.py"
        path.write_text(textwrap.dedent(text))
        started.append(Script(path, directory, *options))
        return started[-1]

    yield run
    for script in started:
        script.popen.kill()
        script.popen.communicate()


WAIT = "print('ready', flush=True)\ninput()\n"


def test_nothing_of_it_is_loaded_before_the_first_ask(start: Start) -> None:
    script = start(WAIT + "import sys; print([n for n in sys.modules if n.startswith('_memguard')])\n")
    script.go()
    script.expect("['_memguard_agent']")


def test_reclaim_gives_memory_back(start: Start) -> None:
    script = start(
        """
        import gc
        gc.disable()
        class Node: pass
        for _ in range(400):
            node = Node(); node.me = node; node.load = bytearray(64 << 10)
        del node
        print('ready', flush=True)
        input()
        """
    )
    number = script.ask("reclaim")
    (answer,) = script.answers(number)
    assert answer["event"] == "reclaimed" and answer["pid"] == script.process.pid
    assert answer["freed"] > 20 << 20 and 0 < answer["seconds"] < 5
    assert script.popen.poll() is None


def test_a_look_names_the_variable_and_its_line(start: Start, tmp_path: Path) -> None:
    script = start(
        """
        def main():
            all_tokens = list(range(300, 600300))
            print('ready', flush=True); input()  # line 4
        main()
        """
    )
    (answer,) = script.answers(script.ask("inspect"))
    (found,) = answer["containers"]
    assert answer["event"] == "held"
    assert (found["variable"], found["type"], found["length"]) == ("all_tokens", "list", 600000)
    assert (found["file"], found["line"], found["function"]) == (str(tmp_path / "prepare.py"), 4, "main")
    assert found["bytes"] == pytest.approx(600000 * 40.1, rel=0.05)
    assert found["bytes_as_uint16"] is None, "600,299 needs 32 bits"
    assert "as uint32 it would be 2.29 MiB" in found["text"]
    dump = parse_dumps(Path(script.directory.stack).read_text())[script.process.pid]
    assert [frame.line for frame in dump[0].frames] == [4, 5]


def test_words_are_done_in_their_order_and_each_is_answered(start: Start) -> None:
    script = start(WAIT)
    number = script.ask("reclaim", "inspect", "nonsense")
    answers = script.answers(number, 3)
    assert [answer["event"] for answer in answers] == ["reclaimed", "held", "failed"]
    assert answers[2]["errors"] == ["nonsense: KeyError: 'nonsense'"]


def test_an_ask_is_obeyed_once(start: Start) -> None:
    script = start(WAIT)
    script.answers(script.ask("reclaim"))
    script.popen.send_signal(signal.SIGURG)
    script.popen.send_signal(signal.SIGURG)
    number = script.ask("inspect")
    script.answers(number)
    lines = [json.loads(line) for line in Path(script.directory.events).read_text().splitlines()]
    assert [line["event"] for line in lines] == ["reclaimed", "held"]


RAISES = """
    import sys
    def main():
        tokens = list(range(500, 400500))
        try:
            print('ready', flush=True)
            input()
        finally:
            print('cleaned up', flush=True)
    try:
        main()
    except MemoryError as error:
        print(type(error).__mro__[0].__name__, isinstance(error, Exception), error, flush=True)
        raise
    """


def test_raise_is_a_memory_error_with_the_culprit_in_it(start: Start) -> None:
    script = start(RAISES)
    script.ask("inspect", "raise", message="1.01 GiB of 1 GiB used")
    code, out, err = script.end()
    assert code == 1
    assert out.splitlines()[0] == "cleaned up"
    assert out.splitlines()[1].startswith(
        "MemoryLimitExceeded True 1.01 GiB of 1 GiB used; tokens (list, 400,000 ints)"
    )
    assert "memguard.MemoryLimitExceeded: 1.01 GiB" in err


def test_raise_is_memguards_own_error_where_memguard_is_loaded(start: Start) -> None:
    script = start(
        """
        import memguard
        try:
            print('ready', flush=True)
            input()
        except memguard.MemoryLimitExceeded as error:
            print('caught', error.message, flush=True)
        """
    )
    script.ask("raise", message="full")
    assert script.end()[:2] == (0, "caught full\n")


def test_raise_hard_ends_a_loop_that_swallows_every_exception(start: Start) -> None:
    script = start(
        """
        while True:
            try:
                print('ready', flush=True)
                input()
            except Exception:
                print('swallowed', flush=True)
        """
    )
    (answer,) = script.answers(script.ask("raise"))
    assert answer["hard"] is False
    script.expect("swallowed")
    script.expect("ready")
    script.ask("raise-hard")
    code, _, err = script.end()
    assert code == 1 and "MemoryLimitExceededHard" in err


def test_an_error_of_a_pool_worker_reaches_its_parent(start: Start) -> None:
    script = start(
        """
        import multiprocessing, os
        def work(_):
            print('ready', flush=True)
            while True: pass
        if __name__ == '__main__':
            multiprocessing.set_start_method('fork')
            with multiprocessing.Pool(1) as pool:
                try:
                    pool.map(work, [1])
                except MemoryError as error:
                    print(type(error).__name__, error, flush=True)
        """
    )
    children = Path(f"/proc/{script.process.pid}/task/{script.process.pid}/children").read_text().split()
    worker = read_process(int(children[0]))
    assert worker is not None
    script.ask("raise", process=worker, message="the worker is full")
    assert script.end()[:2] == (0, "MemoryLimitExceeded the worker is full\n")


def test_what_was_asked_before_is_done_too_and_the_error_comes_last(start: Start) -> None:
    script = start(RAISES)
    script.popen.send_signal(signal.SIGSTOP)
    script.ask("reclaim", within=0.0)  # its time is over when the next one is asked
    first, second = script.ask("raise", message="first"), script.ask("inspect")
    script.popen.send_signal(signal.SIGCONT)
    code, out, _ = script.end()
    assert code == 1 and "MemoryLimitExceeded True first" in out
    answers = [json.loads(line) for line in Path(script.directory.events).read_text().splitlines()]
    asked = [(answer["event"], answer["seq"]) for answer in answers if "seq" in answer]
    assert asked == [("raised", first), ("held", second)]


def test_what_is_withdrawn_is_not_done(start: Start) -> None:
    script = start(WAIT)
    script.popen.send_signal(signal.SIGSTOP)
    script.ask("raise")
    withdraw(script.directory, script.process)
    script.popen.send_signal(signal.SIGCONT)
    script.answers(script.ask("reclaim"))
    script.go()
    assert script.end() == (0, "", "")


@pytest.mark.parametrize(
    "prelude",
    [
        "import os; os.closerange(3, 1000); os.dup2(1, 240)\n",
        "import faulthandler; faulthandler.unregister(23)\nimport signal; signal.signal(23, signal.SIG_DFL)\n",
        "import os; os.execlp('sh', 'sh', '-c', 'echo ready; read line')\n",
    ],
)
def test_who_does_not_listen_is_not_asked(prelude: str, start: Start) -> None:
    script = start(prelude + WAIT)
    assert send_request(script.directory, script.process, "raise", within=1.0) is None
    assert sorted(os.listdir(script.directory.path)) == ["events.jsonl", "stack.txt"], "no ask is left lying about"
    script.go()
    assert script.end()[0] == 0


def test_another_program_at_the_same_pid_is_not_asked(start: Start) -> None:
    script = start(WAIT)
    stranger = Process(script.process.pid, script.process.start_time + 1)
    assert send_request(script.directory, stranger, "raise", within=1.0) is None


def test_a_run_directory_that_is_gone_is_nobody(tmp_path: Path) -> None:
    me = read_process(os.getpid())
    assert me is not None
    assert send_request(RunDirectory(str(tmp_path / "gone")), me, "reclaim", within=1.0) is None


def test_answers_come_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    answers = Answers(str(path))
    assert answers.new() == [], "there is no file yet"
    with path.open("ab", buffering=0) as file:
        file.write(b'{"event": "flushed", "seq": 1}\n{"event": "he')
        assert [answer["event"] for answer in answers.new()] == ["flushed"]
        assert answers.new() == []
        file.write(b'ld", "seq": 1}\nnot json\n[1]\n{"seq": 2}\n{"event": 3}\n\xff\n')
        assert [answer["event"] for answer in answers.new()] == ["held"]


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_no_content_makes_answers_raise_or_lose_a_later_one(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    answers = Answers(str(path))
    with path.open("ab", buffering=0) as file:
        for part in parts:
            file.write(part)
            answers.new()
        file.write(b'\n{"event": "last"}\n')
    assert answers.new()[-1:] == [{"event": "last"}]


@pytest.mark.parametrize(
    ("ids", "dtype"),
    [
        ("list(range(300, 200300)) * 2", "uint32"),
        ("[n % 50257 for n in range(300000)]", "uint16"),
        ("[list(range(k, k + 1000)) for k in range(500)]", "uint16"),
        ("collections.deque(n % 50257 for n in range(300000))", "uint16"),
        ("array.array('q', [n % 100 for n in range(300000)])", "uint16"),
        ("tuple(range(1000, 65536)) * 20", "uint16"),
    ],
)
def test_salvage_writes_the_ids_and_a_note(ids: str, dtype: str, start: Start, tmp_path: Path) -> None:
    import array
    import collections

    (tmp_path / "train.txt").write_text("x" * 100_000)
    script = start(
        f"""
        import array, collections
        source = open('train.txt', 'rb', buffering=0)
        source.read(40_000)
        all_tokens = {ids}
        print('ready', flush=True); input()  # line 6
        """
    )
    (answer,) = script.answers(script.ask("salvage", salvage=str(tmp_path / "kept")))
    assert answer["event"] == "salvaged", answer
    value = eval(ids, {"array": array, "collections": collections})
    flat = [n for part in value for n in part] if isinstance(value[0], list) else list(value)
    width = {"uint16": "H", "uint32": "I"}[dtype]
    assert array.array(width, Path(answer["path"]).read_bytes()).tolist() == flat
    note = json.loads(Path(answer["path"] + ".json").read_text())
    assert (note["count"], note["dtype"]) == (answer["count"], answer["dtype"]) == (len(flat), dtype)
    assert (note["variable"], note["source"], note["line"]) == ("all_tokens", str(tmp_path / "prepare.py"), 6)
    (source,) = [file for file in note["inputs"] if file["path"] == str(tmp_path / "train.txt")]
    assert (source["position"], source["size"]) == (40_000, 100_000)
    assert len(os.listdir(tmp_path / "kept")) == 2


@pytest.mark.parametrize(
    ("ids", "within", "error"),
    [
        ("['a word'] * 1000000", 5.0, "no variable holds token ids"),
        ("list(range(300, 1000300))", 1e-9, "not done in time"),
        ("[-1] * 1000000", 5.0, "no variable holds token ids"),
        ("list(range(300, 500300)) + [2**40]", 5.0, "no variable holds token ids"),
        ("list(range(300, 500300)) + [None]", 5.0, "TypeError"),
    ],
)
def test_what_cannot_be_salvaged_leaves_nothing(
    ids: str, within: float, error: str, start: Start, tmp_path: Path
) -> None:
    script = start(f"tokens = {ids}\n{WAIT}")
    (answer,) = script.answers(script.ask("salvage", salvage=str(tmp_path / "kept"), within=within))
    assert answer["event"] == "salvaged" and "path" not in answer and error in answer["errors"][0]
    assert not (tmp_path / "kept").exists() or os.listdir(tmp_path / "kept") == []
