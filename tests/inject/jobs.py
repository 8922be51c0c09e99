"""A running script with the agent in its Python, in any Python, to be asked as the guard asks."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from memguard.system.proc import read_process
from memguard.watch.agents.requests import Answers, send_request
from memguard.watch.journal import RunDirectory
from tests.waiting import until

INJECT = Path(__file__).resolve().parents[2] / "memguard" / "inject"


def plain(**more: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**env, "PYTHONDONTWRITEBYTECODE": "1", **more}


class Job:
    """A script in such a directory, with the agent in its Python."""

    def __init__(self, python: str, path: Path, directory: RunDirectory) -> None:
        self.directory, self.answers = directory, Answers(directory.events)
        self.heard: list[dict[str, Any]] = []
        env = plain(PYTHONPATH=str(INJECT), MEMGUARD_RUN_DIR=directory.path)
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.popen = subprocess.Popen([python, str(path)], env=env, text=True, **pipes)
        assert self.popen.stdout is not None
        self.first = self.popen.stdout.readline()

    def ask(self, *do: str, **more: Any) -> list[dict[str, Any]]:
        """The answers to all of `do`."""
        process = read_process(self.popen.pid)
        assert process is not None
        number = send_request(self.directory, process, *do, **{"within": 10.0, **more})
        assert number is not None

        def found() -> list[dict[str, Any]]:
            self.heard += self.answers.new()
            answers = [answer for answer in self.heard if answer.get("seq") == number]
            assert len(answers) == len(do) or self.popen.poll() is None, self.popen.communicate()
            return answers if len(answers) == len(do) else []

        # A signal just before a call that blocks is served when that returns: it is sent again.
        return until(found, step=0.002, remind=lambda: self.popen.send_signal(signal.SIGURG))

    def told(self, event: str) -> list[dict[str, Any]]:
        self.heard += self.answers.new()
        return [answer for answer in self.heard if answer["event"] == event]

    def end(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate("\n", timeout=30)
        return self.popen.returncode, self.first + out, err
