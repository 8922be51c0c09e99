"""Open files and environments: as text, and of a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.system.open_files import (
    OpenFile,
    find_descriptor,
    parse_fdinfo,
    read_open_files,
    read_positions,
    read_transfer,
)
from memguard.system.proc import Process
from memguard.system.run_mark import find_marked

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


ME = Process(os.getpid(), 0)


@linux
def test_positions_of_known_inputs_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "train.txt", tmp_path / "other.txt"
    for path in (text, other):
        path.write_bytes(b"x" * 1000)
    inputs = {str(text): 1000, str(tmp_path / "closed.txt"): 5}
    assert read_positions([ME], inputs) == []
    with text.open("rb", buffering=0) as first, text.open("rb", buffering=0) as second, other.open("rb") as third:
        first.seek(100)
        second.seek(700)
        third.read(10)
        assert read_positions([ME, ME, Process(2**22 + 1, 0)], inputs) == [(str(text), 700, 1000)]
        first.seek(5000)
        assert read_positions([ME], inputs) == [(str(text), 1000, 1000)], "never beyond the end"


def process_with(tmp_path: Path, rchar: int, **files: int) -> str:
    """A made-up /proc with process 7, which has `files` (name → position) open and has read `rchar` bytes."""
    proc = tmp_path / "proc"
    for part in ("fd", "fdinfo"):
        (proc / "7" / part).mkdir(parents=True)
    for number, (name, position) in enumerate(files.items(), 3):
        (proc / "7/fd" / str(number)).symlink_to(f"/data/{name.replace('_', '.')}")
        (proc / "7/fdinfo" / str(number)).write_text(f"pos:\t{position}\nflags:\t0100000\n")
    (proc / "7/io").write_text(f"rchar: {rchar}\nwchar: 12\nsyscr: 3\nsyscw: 1\n")
    return str(proc)


INPUTS = {"/data/a.parquet": 1000, "/data/b.parquet": 1000, "/data/c.txt": 1000}


@pytest.mark.parametrize(
    ("rchar", "files", "position"),
    [
        (400, {"a_parquet": 0}, 400),
        (1400, {"a_parquet": 0}, 0),  # it has read other things, too: nothing is known
        (400, {"a_parquet": 30}, 30),  # its reader does move the position
        (400, {"a_parquet": 0, "b_parquet": 0}, 0),  # which of the two?
        (400, {"a_parquet": 0, "c_txt": 200}, 0),
        (400, {"a_parquet": 0, "libc_so": 0}, 400),
    ],
)
def test_columnar_files_by_what_their_process_has_read(
    tmp_path: Path, rchar: int, files: dict[str, int], position: int
) -> None:
    proc = process_with(tmp_path, rchar, **files)
    found = {path: where for path, where, _ in read_positions([Process(7, 0)], INPUTS, proc)}
    assert found["/data/a.parquet"] == position


def test_a_text_at_its_beginning_is_at_its_beginning(tmp_path: Path) -> None:
    assert read_positions([Process(7, 0)], INPUTS, process_with(tmp_path, 400, c_txt=0)) == [("/data/c.txt", 0, 1000)]


def test_transfer(tmp_path: Path) -> None:
    assert read_transfer(7, process_with(tmp_path, 400)) == (400, 12)
    assert read_transfer(8, str(tmp_path / "proc")) is None
    (tmp_path / "proc/7/io").write_text("garbage\n")
    assert read_transfer(7, str(tmp_path / "proc")) is None


@linux
def test_what_this_process_writes_is_counted(tmp_path: Path) -> None:
    before = read_transfer(os.getpid())
    (tmp_path / "out").write_bytes(b"x" * 5000)
    after = read_transfer(os.getpid())
    assert before is not None and after is not None and after[1] - before[1] >= 5000


@linux
def test_processes_are_found_by_a_variable_of_their_environment(tmp_path: Path) -> None:
    value = str(tmp_path)
    env = {**os.environ, "MEMGUARD_TEST_MARK": value}
    with subprocess.Popen(["sleep", "60"], env=env) as marked, subprocess.Popen(["sleep", "60"]) as other:
        try:
            found = [process.pid for process in find_marked("MEMGUARD_TEST_MARK", value)]
            assert found == [marked.pid]
            assert find_marked("MEMGUARD_TEST_MARK", value + "x") == ()
            assert find_marked("TEST_MARK", value) == (), "the whole name counts"
        finally:
            marked.kill()
            other.kill()
