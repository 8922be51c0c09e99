"""Fixtures of the tests that ask a running script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.watch.journal import RunDirectory
from tests.inject.jobs import Job


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("stack.txt", "events.jsonl"):
        (run / name).touch()
    return RunDirectory(str(run))


@pytest.fixture
def jobs() -> Iterator[list[Job]]:
    started: list[Job] = []
    yield started
    for job in started:
        job.popen.kill()
        job.popen.communicate()
