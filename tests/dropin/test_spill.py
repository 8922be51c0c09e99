from __future__ import annotations

import errno
import os
from array import array
from pathlib import Path

import pytest

from memguard.dropin import spill
from memguard.dropin.spill import SpillFile, choose_directory
from memguard.errors import SpillError


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(spill.SPILL_VARIABLE, str(tmp_path))


def test_bytes_come_back_and_the_file_has_no_name(tmp_path: Path) -> None:
    file = SpillFile()
    for part in (b"abc", array("H", [1, 2]), b"", bytearray(b"z")):
        file.append(part)
    assert file.size == 8
    assert file.read(0, 100) == b"abc\1\0\2\0z"
    assert file.read(3, 2) == b"\1\0"
    assert file.directory == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_mapping_is_private_and_outlives_the_file() -> None:
    file = SpillFile()
    file.append(b"x" * 5000 + array("H", range(5000)).tobytes())
    ids = file.map("uint16", 5000 + 2 * 2100, 3)
    ids[0] = 7
    assert file.map("uint16", 5000 + 2 * 2100, 3).tolist() == [2100, 2101, 2102]
    file.close()
    assert ids.tolist() == [7, 2101, 2102]


def test_where_private_mappings_are_limited_the_array_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    file, real = SpillFile(), spill.mmap.mmap
    file.append(array("H", range(100)))

    def limited(descriptor: int, size: int, flags: int, *rest: int, **more: int) -> object:
        if flags == spill.mmap.MAP_PRIVATE:
            raise OSError(errno.ENOMEM, "no")
        return real(descriptor, size, flags, *rest, **more)

    monkeypatch.setattr(spill.mmap, "mmap", limited)
    ids = file.map("uint16", 4, 3)
    ids[:] = 0
    assert file.map("uint16", 4, 3).tolist() == [2, 3, 4]


def test_a_forked_child_appends_to_a_copy() -> None:
    file = SpillFile()
    file.append(b"parent")
    child = os.fork()
    if not child:
        file.append(b" child")
        os._exit(0 if file.read(0, 100) == b"parent child" else 1)
    assert os.waitpid(child, 0)[1] == 0
    file.append(b" again")
    assert file.read(0, 100) == b"parent again"


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no tmpfs here")
def test_a_directory_in_memory_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(spill.SPILL_VARIABLE, "/dev/shm")
    assert choose_directory() == os.getcwd()


def test_no_directory_says_what_is_wrong_with_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "candidates", lambda: [str(tmp_path / "gone"), str(tmp_path)])
    with pytest.raises(SpillError, match=r"gone cannot be used \(No such file") as caught:
        choose_directory(1 << 60)
    assert "and 1048576 TiB is needed" in str(caught.value)
    assert spill.SPILL_VARIABLE in caught.value.hint


def test_a_full_disk_makes_the_file_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(spill, "candidates", lambda: [str(tmp_path), str(other)])
    file, full, write = SpillFile(), [file_size := 3], os.pwrite
    file.append(b"abc")

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        if file.directory == str(tmp_path) and at >= file_size and full:
            full.pop()
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data, at)

    monkeypatch.setattr(spill.os, "pwrite", pwrite)
    file.append(b"defg")
    assert file.read(0, 9) == b"abcdefg"
    assert file.directory == str(other)


def test_a_full_disk_without_another_is_a_memory_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SpillFile()
    monkeypatch.setattr(spill, "candidates", lambda: [str(tmp_path)])

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(spill.os, "pwrite", pwrite)
    with pytest.raises(MemoryError, match="the disk is full") as caught:
        file.append(b"x")
    assert isinstance(caught.value, SpillError)
    assert caught.value.path == str(tmp_path)


def test_a_file_with_a_name_does_not_lie_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(spill.SPILL_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert choose_directory(named=True) != str(tmp_path) == choose_directory()
    monkeypatch.setenv(spill.SPILL_VARIABLE, str(tmp_path))
    assert choose_directory(named=True) == str(tmp_path)
