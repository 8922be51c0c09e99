"""The agent in real interpreters: seen by nobody, and answering SIGURG."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.system.open_files import find_descriptor
from memguard.system.proc import Process, read_process
from memguard.watch.agents.stacks import parse_dumps
from memguard.watch.process.actions import ask_for_stack
from tests.waiting import until

INJECT = Path(__file__).resolve().parents[2] / "memguard" / "inject"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


def interpreters() -> list[str]:
    """This one, and every other Python that lies about."""
    found = [sys.executable]
    found += map(str, Path.home().glob(".pyenv/versions/*/bin/python"))
    found += filter(None, (shutil.which(f"python3.{minor}", path="/usr/bin") for minor in range(6, 15)))
    return list(dict.fromkeys(found))


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    for name in ("stack.txt", "events.jsonl"):
        (tmp_path / name).touch()
    return tmp_path


def environment(run_directory: Path | None, *paths: Path) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    places = [*([INJECT] if run_directory else []), *paths]
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    if places:
        env["PYTHONPATH"] = os.pathsep.join(map(str, places))
    if run_directory:
        env["MEMGUARD_RUN_DIR"] = str(run_directory)
    return env


def output(command: list[str], env: dict[str, str], **options: object) -> tuple[int, str, str]:
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload]
    return result.returncode, result.stdout, result.stderr


PROBE = """
import os, signal, sys, warnings
print(sys.argv, sys.path, sys.flags, sys.executable, __name__, sorted(vars()))
print(sorted(set(sys.modules) - {"_memguard_agent", "faulthandler", "atexit"}))
print([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)], os.getcwd(), warnings.filters)
print(sorted(sys.path_importer_cache), file=sys.stderr)
raise SystemExit(7)
"""


@pytest.mark.parametrize("python", interpreters())
def test_a_script_sees_the_same_python(python: str, run_directory: Path) -> None:
    command = [python, "-W", "error", "-c", PROBE, "a", "--b"]
    assert output(command, environment(run_directory)) == output(command, environment(None))


def test_a_traceback_is_the_same(run_directory: Path) -> None:
    command = [sys.executable, "-c", "def f():\n    1 / 0\nf()"]
    plain = output(command, environment(None))
    assert plain[0] == 1 and "ZeroDivisionError" in plain[2]
    assert output(command, environment(run_directory)) == plain


@pytest.mark.parametrize(
    "code",
    [
        "print('own', __name__)",
        "import nothing_of_that_name",
        "raise ValueError('own')",
        "raise ImportError('own', name='sitecustomize')",
    ],
)
def test_the_users_own_sitecustomize_is_chained(code: str, run_directory: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(code + "\n")
    command = [sys.executable, "-c", "import sys; print('sitecustomize' in sys.modules)"]
    assert output(command, environment(run_directory, own)) == output(command, environment(None, own))


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_it_is_absent_where_python_is_told_to_look_at_nothing(flag: str, run_directory: Path) -> None:
    code = "import sys; print('_memguard_agent' in sys.modules)"
    assert output([sys.executable, flag, "-c", code], environment(run_directory)) == (0, "False\n", "")


@pytest.mark.parametrize("run", ["/nonexistent", "/proc/1/nothing", "/dev/null"])
def test_a_run_directory_that_is_gone_harms_nothing(run: str) -> None:
    env = {**environment(Path("/x")), "MEMGUARD_RUN_DIR": run}
    assert output([sys.executable, "-W", "error", "-c", "print(1)"], env) == (0, "1\n", "")


def test_few_descriptors_are_enough(run_directory: Path) -> None:
    command = [
        "sh",
        "-c",
        'ulimit -n 20; exec "$0" -c "import os; print(os.listdir(\'/proc/self/fd\'))"',
        sys.executable,
    ]
    code, out, err = output(command, environment(run_directory))
    assert (code, err) == (0, "") and out.startswith("[")


BUSY = """
def spin():
    print("ready", flush=True)
    while True:
        pass
"""


@pytest.fixture
def busy(run_directory: Path) -> Iterator[tuple[subprocess.Popen[str], Process]]:
    yield from start(BUSY + "spin()", run_directory)


def start(code: str, run_directory: Path) -> Iterator[tuple[subprocess.Popen[str], Process]]:
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=environment(run_directory), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            found = read_process(process.pid)
            assert found is not None
            yield process, found
        finally:
            process.kill()


def test_sigurg_writes_the_stack(busy: tuple[subprocess.Popen[str], Process], run_directory: Path) -> None:
    stack = run_directory / "stack.txt"
    assert ask_for_stack(busy[1], str(stack))
    until(lambda: "<module>" in stack.read_text())
    (thread,) = parse_dumps(stack.read_text())[busy[1].pid]
    assert [frame.function for frame in thread.frames] == ["spin", "<module>"]
    assert busy[0].poll() is None


def test_during_a_long_c_call_too(run_directory: Path) -> None:
    stack = run_directory / "stack.txt"
    for _, process in start("print('ready', flush=True)\nsum(range(10**11))", run_directory):
        assert ask_for_stack(process, str(stack))  # it may come before the call has begun
        again = functools.partial(ask_for_stack, process, str(stack))
        until(lambda: "line 2 in <module>" in stack.read_text(), remind=again)


def test_a_forked_worker_answers_too(run_directory: Path) -> None:
    code = BUSY + "import os, signal\nif not os.fork(): spin()\nos.wait()"
    for parent, process in start(code, run_directory):
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        child = read_process(int(children[0]))
        assert child is not None and child != process
        assert ask_for_stack(child, str(run_directory / "stack.txt"))
        until(lambda: " in spin" in (run_directory / "stack.txt").read_text())
        os.kill(child.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "prelude",
    [
        "import os; os.dup2(1, 240)\n",
        "import os; os.closerange(3, 1000); os.dup2(1, 243)\n",
        "import signal; signal.signal(23, signal.SIG_IGN)\n",
        "import faulthandler, signal; faulthandler.unregister(23); signal.signal(23, signal.SIG_DFL)\n",
    ],
)
def test_who_does_not_listen_is_not_asked(prelude: str, run_directory: Path) -> None:
    for process, found in start(prelude + BUSY + "spin()", run_directory):
        assert not ask_for_stack(found, str(run_directory / "stack.txt"))
        assert process.poll() is None
        assert (run_directory / "stack.txt").read_text() == ""


@pytest.mark.parametrize(
    "prelude",
    [
        "import os; os.closerange(3, 1000)\n",
        "import faulthandler; faulthandler.unregister(23)\n",
        "import faulthandler; faulthandler.register(23, file=open('/dev/null', 'w'), chain=True)\n",
    ],
)
def test_a_dump_that_was_lost_is_written_by_the_handler_behind_it(prelude: str, run_directory: Path) -> None:
    stack = run_directory / "stack.txt"
    for process, found in start(prelude + BUSY + "spin()", run_directory):
        for times in (1, 2):
            assert ask_for_stack(found, str(stack))
            until(lambda times=times: stack.read_text().count("in <module>") == times)  # type: ignore[misc]
        (thread,) = parse_dumps(stack.read_text())[found.pid]
        assert [frame.function for frame in thread.frames] == ["spin", "<module>"]
        assert process.poll() is None


def test_another_file_of_the_agents_number_is_never_written_to(run_directory: Path, tmp_path: Path) -> None:
    """Neither by the signal, which somebody else sends here, nor at the end, where a MemoryError is told."""
    own = tmp_path / "own.txt"
    code = (
        "import os, signal, sys\n"
        "os.dup2(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), 240)\n"
        "try: raise MemoryError('mine')\n"
        "finally: os.write(240, b'mine')\n"
    )
    assert output([sys.executable, "-c", code, str(own)], environment(run_directory))[0] == 1
    assert own.read_bytes() == b"mine"
    assert "line 3 in <module>" in (run_directory / "stack.txt").read_text()


def test_a_python_with_low_descriptors_says_so(run_directory: Path) -> None:
    command = ["sh", "-c", 'ulimit -n 20; exec "$0" -c "$1"', sys.executable]
    code = "import os; os.closerange(3, 20); print('ready', flush=True); input()"
    with subprocess.Popen([*command, code], env=environment(run_directory), stdin=-1, stdout=-1) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        found = read_process(process.pid)
        assert found is not None and not ask_for_stack(found, str(run_directory / "stack.txt"))
        process.kill()


def test_another_program_is_not_asked(run_directory: Path) -> None:
    with subprocess.Popen(["sleep", "60"], env=environment(run_directory)) as process:
        found = read_process(process.pid)
        assert found is not None and not ask_for_stack(found, str(run_directory / "stack.txt"))
        process.kill()


def test_the_descriptor_is_high_and_not_inherited(
    busy: tuple[subprocess.Popen[str], Process], run_directory: Path
) -> None:
    assert find_descriptor(busy[1].pid, str(run_directory / "stack.txt")) == 240
    code = "import subprocess; subprocess.run(['ls', '/proc/self/fd'], close_fds=False)"
    _, out, _ = output([sys.executable, "-c", code], environment(run_directory))
    assert "240" not in out


def test_tiktoken_needs_no_network(run_directory: Path, tmp_path: Path) -> None:
    pytest.importorskip("tiktoken")
    cache = tmp_path / "cache"
    code = (
        "import importlib.util\n"
        "importlib.util.find_spec('tiktoken.load')\n"  # a look at a module is no import of it
        "import tiktoken, sys\n"
        "enc = tiktoken.get_encoding('gpt2')\n"
        "print(enc.encode('hello world'), tiktoken.load.__loader__.exec_module.__qualname__)\n"
        "print(tiktoken.load.read_file(sys.argv[1]))\n"
    )
    other = tmp_path / "other.txt"
    other.write_bytes(b"mine")
    env = {**environment(run_directory), "TIKTOKEN_CACHE_DIR": str(cache), "https_proxy": "http://127.0.0.1:9"}
    code_, out, err = output([sys.executable, "-c", code, str(other)], env)
    assert (code_, err) == (0, "")
    assert out == "[31373, 995] _LoaderBasics.exec_module\nb'mine'\n"
    assert len(list(cache.iterdir())) == 2, "tiktoken keeps its cache"


def test_a_pool_reports_a_dead_worker_and_no_living_one(run_directory: Path, tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(
        "import multiprocessing, os, sys, time\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('fork').Pool(2, maxtasksperchild=1) as pool:\n"
        "        print(pool.map(abs, range(6), chunksize=1), flush=True)\n"
        "        pool.apply_async(os._exit, (4,))\n"
        "        while not os.path.getsize(sys.argv[1]): time.sleep(0.01)\n"
    )
    events = run_directory / "events.jsonl"
    code, out, err = output([sys.executable, str(script), str(events)], environment(run_directory))
    assert (code, out, err) == (0, "[0, 1, 2, 3, 4, 5]\n", "")
    (line,) = events.read_text().splitlines()
    assert '"exitcode": 4' in line


# The second request comes when the first is done and the agent has just looked whether there is another.
ASKED_AGAIN = """
import marshal, os, signal, sys, time
agent = sys.modules["_memguard_agent"]
requests = agent.load("_memguard_requests")
look, looks = requests.read_requests, []

def ask(*words):
    path = agent.request_path(agent.runs[0])
    each = {"within": 1.0, "salvage": None, "message": "told", "until": time.monotonic() + 60}
    asked = [dict(each, seq=n, do=(word,)) for n, word in enumerate(words, 1)]
    with open(path + ".new", "wb") as file:
        file.write(marshal.dumps(asked))
    os.rename(path + ".new", path)
    os.kill(os.getpid(), signal.SIGURG)

def look_and_be_asked(path):
    found = look(path)
    looks.append(found)
    if len(looks) == 2:
        ask("reclaim", "raise")
    return found

requests.read_requests = look_and_be_asked
try:
    ask("reclaim")
    for n in range(100): time.sleep(0.001)
    print("not told")
except MemoryError as error:
    print(error)
"""


def test_a_request_that_comes_after_the_last_look_is_seen(run_directory: Path) -> None:
    code, out, err = output([sys.executable, "-c", ASKED_AGAIN], environment(run_directory))
    assert (code, out, err) == (0, "told\n", "")
