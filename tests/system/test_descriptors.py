"""Each case in a process of its own: a limit on open files holds for all of it, and cannot be raised again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
ROOT = str(Path(__file__).resolve().parents[2])

SMALL = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
from memguard.system import descriptors, kernel_file, proc
before = descriptors.widen()
assert before == (16, 16)
def fill():
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return held
def count():
    return len(os.listdir("/proc/self/fd"))
files = [kernel_file.KeptFile("/proc/self/statm") for _ in range(40)]
"""


def run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", SMALL + code], env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_only_a_part_of_a_small_table_is_kept_open() -> None:
    run(
        "before = count()\n"
        "assert all(file.read() for file in files)\n"
        "assert 0 < count() - before < 16 - before\n"
        "assert all(file.read() for file in files)\n"
        "kept = [file for file in files if file.opened == 1]\n"
        "assert len(kept) == count() - before\n"
        "assert {file.opened for file in files} == {1, 2}, 'the others are opened at each look'"
    )


def test_kept_files_give_way_to_what_has_to_be_opened() -> None:
    run(
        "assert all(file.read() for file in files)\n"
        "held = fill()\n"
        "assert proc.read_stat('self').pid == os.getpid()\n"  # one descriptor: a kept file's
        "assert str(os.getpid()) in descriptors.list_names('/proc')\n"
        "assert all(file.read() for file in files)"
    )


def test_without_room_a_process_does_not_look_as_if_it_had_ended() -> None:
    code = (
        "held = fill()\n"
        "for look in (lambda: proc.read_stat(1), lambda: descriptors.list_names('/proc'), files[0].read):\n"
        "    try:\n"
        "        print(look())\n"
        "    except OSError as error:\n"
        "        print(error.errno == 24)\n"
        "descriptors.release_spare()\n"
        "assert proc.read_stat('self').pid == os.getpid()"
    )
    assert run(code) == "True\nTrue\nTrue\n"


def test_elsewhere_what_cannot_be_opened_is_not_known() -> None:
    """In a program that only asks for its headroom: then it is None."""
    run(
        "descriptors.give_back(before)\n"
        "descriptors.release_spare()\n"
        "held = fill()\n"
        "assert proc.read_stat(1) is None and descriptors.list_names('/proc') is None and files[0].read() is None"
    )


def test_a_soft_limit_is_raised_and_given_back() -> None:
    code = (
        "import os, resource\n"
        "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (20, hard))\n"
        "from memguard.system.descriptors import give_back, is_watcher, widen\n"
        "before = widen()\n"
        "assert before == (20, hard) and is_watcher()\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(1024, hard), hard)\n"
        "give_back(before)\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (20, hard) and not is_watcher()"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": ROOT}, check=True)
