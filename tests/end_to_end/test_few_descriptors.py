"""`ulimit -n 16` and less, soft and hard: the guard holds, and the script has the limit that its user set."""

from __future__ import annotations

import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.system.cgroup import find_memory_cgroups
from tests.people import Person, myself, normal_user

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
SHOW = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
GROWS = """
import time
rows = []
for i in range(500):
    rows.append(bytearray(b"x" * 1_000_000)); time.sleep(0.003)
"""
# The script itself has none left when it grows.
EXHAUSTED = "import os\ntry:\n  while True: os.open('/dev/null', os.O_RDONLY)\nexcept OSError: pass" + GROWS
POOL = """
import multiprocessing, time
def grow(n):
    rows = [bytearray(b"x" * 1_000_000) for i in range(400) if not time.sleep(0.003)]
if __name__ == "__main__":
    workers = [multiprocessing.Process(target=grow, args=(n,)) for n in range(3)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
"""


@pytest.fixture(params=["myself", "normal user"])
def person(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Person]:
    if request.param == "myself":
        yield myself(tmp_path)
        return
    person = normal_user()
    yield person
    subprocess.run(["rm", "-rf", str(person.home)], check=True)


def run(person: Person, files: int, code: str, *options: str, limit: str = "-n") -> subprocess.CompletedProcess[str]:
    words = shlex.join(person.memguard("run", "--limit", "200MiB", *options, "--", person.python, "-c", code))
    shell = f"ulimit {limit} {files} && exec {words}"
    command = ["sh", "-c", shell]
    if person.user is not None:
        command = ["su", "-m", "-s", "/bin/sh", person.user, "-c", shell]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=person.env, cwd=person.home)


def assert_stopped(result: subprocess.CompletedProcess[str], since: float) -> None:
    assert result.returncode == 75, result.stderr
    assert "memguard: stopped python" in result.stderr and "failed" not in result.stderr
    assert time.monotonic() - since < 10


@pytest.mark.slow
@pytest.mark.parametrize("files", [16, pytest.param(10, marks=pytest.mark.slow), 8])
def test_it_is_stopped(person: Person, files: int) -> None:
    since = time.monotonic()
    result = run(person, files, GROWS)
    assert_stopped(result, since)
    assert "rows (list, " in result.stderr and "<string>:5" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("code", [EXHAUSTED, POOL], ids=["exhausted", "processes"])
def test_also_a_tree_that_needs_descriptors_itself(person: Person, code: str) -> None:
    since = time.monotonic()
    assert_stopped(run(person, 24 if code is POOL else 16, code), since)


def test_nobody_is_left_in_a_cgroup_of_the_guards(tmp_path: Path) -> None:
    me = myself(tmp_path)
    before = _cgroups()
    assert run(me, 16, GROWS).returncode == 75
    assert _cgroups() <= before


def _cgroups() -> set[str]:
    directory = next(iter(find_memory_cgroups()), None)
    return {name for name in os.listdir(directory or "/") if name.startswith(f"memguard-{os.getpid()}")}


def test_the_script_gets_the_limits_as_they_were(person: Person) -> None:
    assert run(person, 16, SHOW).stdout == "16 16\n"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert run(person, 20, SHOW, limit="-S -n").stdout == f"20 {hard}\n"


def test_too_few_to_start_with_is_said_before_the_start(tmp_path: Path) -> None:
    result = run(myself(tmp_path), 5, "print('never')")
    assert (result.returncode, result.stdout) == (125, "")
    assert "has not started the script" in result.stderr and "ulimit -n 1024" in result.stderr
    assert "Traceback" not in result.stderr
