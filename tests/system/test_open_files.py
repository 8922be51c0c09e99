"""Open files and environments: as text, and of a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.system.environment import find_by_environment
from memguard.system.open_files import OpenFile, find_descriptor, parse_fdinfo, read_open_files

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


def test_fdinfo_as_the_kernel_prints_it() -> None:
    assert parse_fdinfo("pos:\t1048576\nflags:\t0100001\nmnt_id:\t29\nino:\t7\n") == (1048576, 0o100001)
    assert parse_fdinfo("") == (None, None)
    assert parse_fdinfo("pos: x\nflags: 9\n") == (None, None)


@given(st.text(max_size=100))
def test_no_text_makes_it_raise(text: str) -> None:
    parse_fdinfo(text)


@linux
def test_what_this_process_has_open(tmp_path: Path) -> None:
    text, output, gone = tmp_path / "train.txt", tmp_path / "out.bin", tmp_path / "gone"
    text.write_bytes(b"x" * 1000)
    gone.write_bytes(b"yy")
    with text.open("rb", buffering=0) as reading, output.open("wb") as writing, gone.open("r+b") as both:
        reading.seek(600)
        gone.unlink()
        found = {file.descriptor: file for file in read_open_files(os.getpid())}
        assert found[reading.fileno()] == OpenFile(str(text), reading.fileno(), 1000, 600, True, False)
        assert found[writing.fileno()] == OpenFile(str(output), writing.fileno(), 0, 0, False, True)
        assert found[both.fileno()] == OpenFile(str(gone), both.fileno(), 2, 0, True, True, deleted=True)
        assert find_descriptor(os.getpid(), str(text)) == reading.fileno()
        assert find_descriptor(os.getpid(), str(tmp_path / "other")) is None
    pipe = os.pipe()
    assert not {file.descriptor for file in read_open_files(os.getpid())} & set(pipe)
    for descriptor in pipe:
        os.close(descriptor)


@linux
def test_a_process_that_is_not_there_has_nothing_open() -> None:
    assert read_open_files(2**22 + 1) == ()
    assert find_descriptor(2**22 + 1, "/x") is None


@linux
def test_processes_are_found_by_a_variable_of_their_environment(tmp_path: Path) -> None:
    value = str(tmp_path)
    env = {**os.environ, "MEMGUARD_TEST_MARK": value}
    with subprocess.Popen(["sleep", "60"], env=env) as marked, subprocess.Popen(["sleep", "60"]) as other:
        try:
            found = [process.pid for process in find_by_environment("MEMGUARD_TEST_MARK", value)]
            assert found == [marked.pid]
            assert find_by_environment("MEMGUARD_TEST_MARK", value + "x") == ()
            assert find_by_environment("TEST_MARK", value) == (), "the whole name counts"
        finally:
            marked.kill()
            other.kill()
