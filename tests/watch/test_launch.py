"""Which interpreter, which environment, which error."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from memguard.errors import ConfigError
from memguard.watch.process import launch
from memguard.watch.process.launch import Command, child_environment, find_python, plain_command, python_command, spawn

INJECT = str(Path(launch.__file__).resolve().parents[2] / "inject")


def make_program(directory: Path, name: str = "python") -> str:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(autouse=True)
def not_started_with_dash_m(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/usr/bin/memguard", raising=False)


def test_the_active_environments_python_goes_first(tmp_path: Path) -> None:
    active = make_program(tmp_path / "venv" / "bin")
    on_path = make_program(tmp_path / "usr")
    environ = {"PATH": str(tmp_path / "usr"), "VIRTUAL_ENV": str(tmp_path / "venv")}
    assert find_python(None, environ) == (active, active)
    assert find_python(None, {**environ, "PATH": str(tmp_path / "venv" / "bin")}) == (active, "python")
    assert find_python(None, {"PATH": environ["PATH"], "CONDA_PREFIX": str(tmp_path / "venv")}) == (active, active)
    assert find_python(None, {"PATH": environ["PATH"]}) == (on_path, "python")
    assert find_python(None, {**environ, "VIRTUAL_ENV": "/gone"}) == (on_path, "python")


def test_python3_then_memguards_own(tmp_path: Path) -> None:
    three = make_program(tmp_path, "python3")
    assert find_python(None, {"PATH": str(tmp_path)}) == (three, "python3")
    assert find_python(None, {"PATH": "/nonexistent"}) == (sys.executable, sys.executable)


def test_python_dash_m_memguard_means_that_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/x/memguard/__main__.py", raising=False)
    make_program(tmp_path)
    assert find_python(None, {"PATH": str(tmp_path)})[0] == sys.executable


def test_the_one_that_was_named(tmp_path: Path) -> None:
    named = make_program(tmp_path, "python9")
    assert find_python("python9", {"PATH": str(tmp_path)}) == ("python9", "python9")
    assert find_python(named, {"PATH": ""}) == (named, named)
    for missing in ("python9", "/nonexistent/python", str(tmp_path)):
        with pytest.raises(ConfigError) as caught:
            find_python(missing, {"PATH": "/nonexistent"})
        assert caught.value.exit_code == 127


def test_commands(tmp_path: Path) -> None:
    python = make_program(tmp_path)
    script = tmp_path / "prepare.py"
    script.touch()
    environ = {"PATH": str(tmp_path)}
    assert python_command([str(script), "-m", "x"], module=False, python=None, environ=environ) == Command(
        python, ("python", str(script), "-m", "x"), str(script)
    )
    assert python_command(["pkg", "a"], module=True, python=None, environ=environ) == Command(
        python, ("python", "-m", "pkg", "a"), "pkg"
    )
    assert plain_command(["bash", "job.sh"]).script is None
    assert plain_command(["python", "-u", "p.py", "q"]).name == "p.py"


def script_error(*words: str, path: str = "/usr/bin:/bin") -> tuple[int, str, str]:
    with pytest.raises(ConfigError) as caught:
        python_command(list(words), module=False, python=None, environ={"PATH": path})
    return caught.value.exit_code, caught.value.message, caught.value.hint


def test_scripts_that_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert script_error("nope.py") == (127, "no such script: nope.py", f"looked for it in {tmp_path}")
    code, message, hint = script_error("sh", "-c", "x")
    assert (code, message) == (127, "no such script: sh") and hint.endswith("memguard run -- sh -c x")
    (tmp_path / "d").mkdir()
    assert script_error("d")[0] == 126
    make_program(tmp_path, "job.sh")
    code, message, hint = script_error("job.sh", "a")
    assert (code, message) == (126, "job.sh is not a Python script") and hint.endswith("run -- ./job.sh a")
    (tmp_path / "binary").write_bytes(b"\x7fELF\0")
    assert script_error("./binary")[0] == 126


def test_scripts_that_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").touch()
    (tmp_path / "noname").write_text("#!/usr/bin/env python3\n")
    (tmp_path / "plain").write_text("print(1)\n")
    for script in ("package", "noname", "plain", "-"):
        python_command([script], module=False, python=sys.executable, environ={})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, [INJECT]),
        ("", [INJECT]),
        ("/a:/b", [INJECT, "/a", "/b"]),
        (f"{INJECT}:/a", [INJECT, "/a"]),  # memguard run inside memguard run
        (INJECT, [INJECT]),
        ("/a:", [INJECT, "/a", ""]),  # an empty entry is the working directory: the user's own wish
    ],
)
def test_pythonpath(before: str | None, after: list[str]) -> None:
    environ = {"A": "b"} if before is None else {"A": "b", "PYTHONPATH": before}
    child = child_environment(environ, "/run", agent=True)
    assert child == {"A": "b", "PYTHONPATH": os.pathsep.join(after), "MEMGUARD_RUN_DIR": "/run"}


def test_without_the_agent_the_environment_is_the_users_own() -> None:
    assert child_environment({"PYTHONPATH": "/a"}, "/r", agent=False) == {"PYTHONPATH": "/a", "MEMGUARD_RUN_DIR": "/r"}


def test_spawn_restores_what_python_changed(tmp_path: Path) -> None:
    target = tmp_path / "status"
    command = Command("cp", ("cp", "/proc/self/status", str(target)))
    pid = spawn(command, dict(os.environ), {signal.SIGUSR2})
    assert os.waitpid(pid, 0)[1] == 0
    fields = dict(line.split(":\t") for line in target.read_text().splitlines() if line.startswith("Sig"))
    assert int(fields["SigIgn"], 16) & (1 << (signal.SIGPIPE - 1)) == 0
    assert int(fields["SigBlk"], 16) == 1 << (signal.SIGUSR2 - 1)


@pytest.mark.parametrize(
    ("content", "mode", "code", "words"),
    [
        (None, 0, 127, "no such program"),
        (b"#!/bin/sh\n", 0o644, 126, "Permission denied"),
        (b"just text\n", 0o755, 126, "Exec format error"),
        (b"#!/nonexistent/interpreter\n", 0o755, 127, "no such program"),
    ],
)
def test_spawn_says_why_it_cannot(tmp_path: Path, content: bytes | None, mode: int, code: int, words: str) -> None:
    path = tmp_path / "program"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(ConfigError, match=words) as caught:
        spawn(Command(str(path), (str(path),)), {}, set())
    assert caught.value.exit_code == code
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
