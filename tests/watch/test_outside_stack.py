"""The stack of a Python without an agent: py-spy's answer as text, and real stopped processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.system.proc import Process, read_process
from memguard.watch.agents import outside_stack
from memguard.watch.agents.outside_stack import as_dump, find_pyspy, may_trace, read_outside_stack
from memguard.watch.agents.stacks import blame, parse_dumps

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
needs_pyspy = pytest.mark.skipif(
    find_pyspy(os.environ) is None or not may_trace(), reason="py-spy is not installed, or may not read here"
)
needs_remote_exec = pytest.mark.skipif(
    not hasattr(sys, "remote_exec") or not may_trace(), reason="sys.remote_exec came with Python 3.14"
)
JOB = """
import threading, time
def wait():
    threading.Event().wait()
def build(rows):
    print("ready", flush=True)
    while True:
        rows.append(len(rows))
        rows.clear()
threading.Thread(target=wait, daemon=True).start()
build([])
"""


@contextlib.contextmanager
def stopped(path: Path, code: str = JOB) -> Iterator[Process]:
    path.write_text(code)
    job = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE)
    try:
        assert job.stdout is not None and job.stdout.readline() == b"ready\n"
        os.kill(job.pid, signal.SIGSTOP)
        process = read_process(job.pid)
        assert process is not None
        yield process
    finally:
        job.kill()
        job.communicate()


def frame(name: str, line: int, filename: str = "/home/ann/prep.py") -> dict[str, object]:
    return {"name": name, "filename": filename, "line": line}


def test_the_thread_with_the_lock_is_the_current_one() -> None:
    threads = [
        {"thread_id": 7, "os_thread_id": 70, "owns_gil": True, "frames": [frame("build", 5), frame("<module>", 9)]},
        {"thread_id": 8, "os_thread_id": 71, "owns_gil": False, "frames": [frame("wait", 3)]},
    ]
    (found,) = parse_dumps(as_dump(threads, 70)).values()
    assert [(thread.current, len(thread.frames)) for thread in found] == [(False, 1), (True, 2)]
    blamed = blame(found)
    assert blamed is not None and (blamed[0].file, blamed[0].line, blamed[0].function) == (
        "/home/ann/prep.py",
        5,
        "build",
    )


def test_else_the_main_thread() -> None:
    threads = [
        {"thread_id": 8, "os_thread_id": 71, "owns_gil": False, "frames": [frame("other", 3)]},
        {"thread_id": 7, "os_thread_id": 70, "owns_gil": False, "frames": [frame("main", 5)]},
    ]
    blamed = blame(parse_dumps(as_dump(threads, 70))[70])
    assert blamed is not None and blamed[0].function == "main"


def test_names_that_are_not_ascii_survive() -> None:
    threads = [{"thread_id": 7, "os_thread_id": 7, "owns_gil": True, "frames": [frame("größe", 1, "/tmp/é\n.py")]}]
    text = as_dump(threads, 7)
    assert text.isascii()
    blamed = blame(parse_dumps(text)[7])
    assert blamed is not None and (blamed[0].file, blamed[0].function) == ("/tmp/é?.py", "größe")


@needs_pyspy
def test_a_stopped_job_is_read_by_pyspy_and_stays_stopped(tmp_path: Path) -> None:
    stack = tmp_path / "stack.txt"
    stack.touch()
    with stopped(tmp_path / "job.py") as process:
        assert read_outside_stack(process, str(stack), lambda: False, 2.0) is None
        assert " T " in Path(f"/proc/{process.pid}/stat").read_text()
        blamed = blame(parse_dumps(stack.read_text())[process.pid])
    assert blamed is not None and blamed[0].function == "build" and blamed[0].file == str(tmp_path / "job.py")


@needs_remote_exec
def test_a_stopped_job_is_read_by_remote_exec_and_is_stopped_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside_stack, "find_pyspy", lambda environ: None)
    stack = tmp_path / "stack.txt"
    stack.touch()
    with stopped(tmp_path / "job.py") as process:
        assert read_outside_stack(process, str(stack), lambda: False, 2.0) is None
        assert " T " in Path(f"/proc/{process.pid}/stat").read_text()
        blamed = blame(parse_dumps(stack.read_text())[process.pid])
    assert blamed is not None and blamed[0].function == "build"
    assert sorted(tmp_path.iterdir()) == [tmp_path / "job.py", stack]


def pretend(tmp_path: Path, text: str) -> dict[str, str]:
    """A py-spy that does what `text` says."""
    program = tmp_path / "bin" / "py-spy"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return {"PATH": str(program.parent)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 'Permission denied' >&2; exit 1", "Permission denied"),
        ("echo nonsense", "py-spy could not read it"),
        ("echo '[{\"frames\": 3}]'", "py-spy could not read it"),
        ("kill -9 $$", "exit code -9"),
        ("sleep 30", "no answer in 0 s"),
    ],
)
def test_a_pyspy_that_cannot(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pretend(tmp_path, text)["PATH"] + "/py-spy"
    monkeypatch.setattr(outside_stack, "find_pyspy", lambda environ: path)
    monkeypatch.setattr(outside_stack, "_by_remote_exec", lambda *arguments: "")
    stack = tmp_path / "stack.txt"
    stack.touch()
    with stopped(tmp_path / "job.py") as process:
        assert said in (read_outside_stack(process, str(stack), lambda: False, 0.3) or "")
    assert stack.read_text() == ""


def test_without_any_means_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside_stack, "find_pyspy", lambda environ: None)
    monkeypatch.setattr(outside_stack, "_by_remote_exec", lambda *arguments: "")
    with stopped(tmp_path / "job.py") as process:
        assert "memguard-prep[pyspy]" in (read_outside_stack(process, str(tmp_path / "s"), lambda: False, 2.0) or "")


def test_what_is_not_python_is_left_alone(tmp_path: Path) -> None:
    job = subprocess.Popen(["sleep", "60"])
    process = read_process(job.pid)
    assert process is not None
    said = read_outside_stack(process, str(tmp_path / "s"), lambda: False, 2.0)
    job.kill()
    job.wait()
    assert said is not None and "is not Python" in said


def test_the_one_beside_the_own_python_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = pretend(tmp_path, "true")
    monkeypatch.setattr(sys, "executable", "")
    assert find_pyspy(environ) == environ["PATH"] + "/py-spy"
    assert find_pyspy({"PATH": "/nonexistent"}) is None
    monkeypatch.setattr(sys, "executable", environ["PATH"] + "/python")
    assert find_pyspy({"PATH": "/nonexistent"}) == environ["PATH"] + "/py-spy"
