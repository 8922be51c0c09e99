"""A real machine without /proc, with another one's, or with half of it: in a mount namespace of one's own (root)."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.people import Person, myself, normal_user

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
GUARD = "import memguard\nwith memguard.guard('1GiB'): pass"


@pytest.fixture
def me(tmp_path: Path) -> Person:
    return myself(tmp_path)


def inside(person: Person, setup: str, *command: str | Path, unshare: str = "-m") -> subprocess.CompletedProcess[str]:
    """`command` after `setup` (a shell's words) in namespaces of their own; skips where that is not allowed."""
    words = ["unshare", *unshare.split(), "sh", "-c"]
    tried = subprocess.run([*words, f"{setup} true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"unshare {unshare}: {tried.stderr.strip()}")
    line = shlex.join(map(str, command))
    if person.user is not None:
        line = shlex.join(["su", "-m", "-s", "/bin/sh", person.user, "-c", "exec " + line])
    options = {"capture_output": True, "text": True, "timeout": 60, "cwd": person.home, "env": person.env}
    return subprocess.run([*words, f"{setup} exec {line}"], **options)  # type: ignore[call-overload, no-any-return]


NOTHING = "mount -t tmpfs none /proc &&"
FOREIGN = "mount -t tmpfs none /proc && mkdir /proc/self && echo nonsense >/proc/self/stat &&"


@pytest.mark.parametrize(
    ("setup", "words"), [(NOTHING, "/proc is not mounted"), (FOREIGN, "/proc is not Linux's")], ids=["none", "foreign"]
)
@pytest.mark.parametrize(
    "arguments",
    [["run", "--", "true"], ["run", "--limit", "50%", "--", "true"], ["watch", "1"], ["watch", "--name", "python"]],
    ids=" ".join,
)
def test_run_and_watch_say_so_before_the_start(me: Person, setup: str, words: str, arguments: list[str]) -> None:
    result = inside(me, setup, *me.memguard(*arguments))
    assert (result.returncode, result.stdout) == (3, "")
    first, hint = result.stderr.splitlines()
    assert first.startswith(f"memguard {arguments[0]}: {words}") and hint.startswith("  ")
    assert not os.path.exists(me.env["MEMGUARD_STATE_DIR"])


def test_a_guarded_block_says_so(me: Person) -> None:
    result = inside(me, NOTHING, me.python, "-c", GUARD)
    assert result.returncode == 1
    assert "SystemInterfaceError: /proc is not mounted" in result.stderr.splitlines()[-1]


def test_another_namespaces_numbers_are_not_taken_for_ours(me: Person) -> None:
    """In a PID namespace with the outer /proc, /proc/2 is somebody else."""
    result = inside(me, "", *me.memguard("run", "--", "true"), unshare="--pid --fork")
    assert result.returncode == 3
    assert "/proc shows another PID namespace" in result.stderr and "--mount-proc" in result.stderr


def test_in_a_namespace_with_its_own_proc_it_guards(me: Person) -> None:
    command = me.memguard("run", "--limit", "96M", PROGRAMS / "guard_list.py")
    result = inside(me, "", *command, unshare="--pid --fork --mount-proc")
    assert result.returncode == 75, result.stderr
    assert "guard_list.py:3" in result.stderr


@pytest.mark.parametrize("program", ["guard_list.py", "guard_double_fork.py"])
def test_processes_alone_are_enough(me: Person, program: str) -> None:
    """subset=pid: no meminfo, no loadavg; also what has left the tree is found."""
    command = me.memguard("run", "--limit", "300M", PROGRAMS / program)
    result = inside(me, "mount -t proc -o subset=pid proc /proc &&", *command)
    assert result.returncode == 75, result.stderr


@pytest.fixture
def person() -> Iterator[Person]:
    person = normal_user()
    yield person
    subprocess.run(["rm", "-rf", str(person.home)], check=True)


def test_where_others_are_hidden_ones_own_are_guarded(person: Person) -> None:
    command = person.memguard("run", "--limit", "96M", PROGRAMS / "guard_list.py")
    result = inside(person, "mount -t proc -o hidepid=2 proc /proc &&", *command)
    assert result.returncode == 75, result.stderr
    assert "guard_list.py:3" in result.stderr


def test_doctor_says_what_is_missing(me: Person) -> None:
    result = inside(me, NOTHING, *me.memguard("doctor"))
    assert result.returncode == 3 and result.stderr == ""
    text = " ".join(result.stdout.split())
    assert "unavailable memory of every process /proc is not mounted" in text
    assert "unavailable stop a script in time /proc is not mounted" in text
    assert "mount -t proc proc /proc" in text
