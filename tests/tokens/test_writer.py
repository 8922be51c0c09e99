from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from memguard.errors import ManifestMismatch, ShardError
from memguard.records.manifest import EncodingInfo, InputFile, Manifest, ShardInfo
from memguard.tokens.manifest import read_manifest, refuse_foreign_files, write_manifest
from memguard.tokens.writer import ShardWriter, disk_error, remove_remains

MANIFEST = Manifest(
    inputs=(InputFile("a.txt", 4, 1.5, "00"),),
    encoding=EncodingInfo("gpt2", 50257, 50256),
    dtype="uint16",
    format="nanogpt",
    shards=(ShardInfo("train.bin", "train", 3, None, 6, "11"),),
    complete=True,
    options={"eot": False},
)


def test_a_shard_is_raw_little_endian_and_appears_at_the_end(tmp_path: Path) -> None:
    writer = ShardWriter(str(tmp_path), "train.bin", "train", "uint16")
    writer.write(np.array([1, 50256], dtype=np.uint16))
    writer.write(np.array([], dtype=np.uint16))
    writer.write(np.array([258], dtype=">u2"))
    assert [entry.name for entry in tmp_path.iterdir()] == [f".train.bin.{os.getpid()}.tmp"]
    info = writer.seal()
    writer.publish()
    data = (tmp_path / "train.bin").read_bytes()
    assert data == b"\x01\x00\x50\xc4\x02\x01"
    assert info == ShardInfo("train.bin", "train", 3, None, 6, hashlib.sha256(data).hexdigest())
    writer.discard()
    assert [entry.name for entry in tmp_path.iterdir()] == ["train.bin"]


def test_discard_leaves_nothing(tmp_path: Path) -> None:
    writer = ShardWriter(str(tmp_path), "train.bin", "train", "uint32")
    writer.write(np.array([100_000], dtype=np.uint32))
    writer.discard()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_is_refused_and_remains_are_removed(tmp_path: Path) -> None:
    names = ("train.bin",)
    writer = ShardWriter(str(tmp_path), "train.bin", "train", "uint16")
    with pytest.raises(ShardError, match="another memguard is writing"):
        remove_remains(str(tmp_path), names)
    writer.discard()
    (tmp_path / ".train.bin.123.tmp").write_bytes(b"left by a kill")
    (tmp_path / ".other.123.tmp").touch()
    remove_remains(str(tmp_path), names)
    assert [entry.name for entry in tmp_path.iterdir()] == [".other.123.tmp"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    writer = ShardWriter(str(tmp_path), "train.bin", "train", "uint16")
    with open("/dev/full", "wb", buffering=0) as full:
        os.dup2(full.fileno(), writer._file.fileno())
    with pytest.raises(ShardError, match="the disk is full") as caught:
        writer.write(np.zeros(10, dtype=np.uint16))
    assert "train.bin" in caught.value.message
    assert "\n" not in caught.value.message
    writer.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EFBIG, errno.EIO])
def test_every_disk_error_names_the_file(number: int) -> None:
    error = disk_error("/nowhere/train.bin", OSError(number, os.strerror(number)))
    assert "/nowhere/train.bin" in error.message
    assert error.hint or number == errno.EIO


def test_the_manifest_goes_to_disk_and_back(tmp_path: Path) -> None:
    assert read_manifest(str(tmp_path)) is None
    write_manifest(str(tmp_path), MANIFEST)
    assert read_manifest(str(tmp_path)) == MANIFEST
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.json"]


def test_a_foreign_manifest_is_none_of_ours(tmp_path: Path) -> None:
    for text in ("not json", "{}", '{"schema": "memguard.run/1"}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(ManifestMismatch, match="no manifest of memguard's"):
            read_manifest(str(tmp_path))


def test_existing_files_are_refused_with_their_origin(tmp_path: Path) -> None:
    names = ("train.bin", "val.bin", "manifest.json")
    refuse_foreign_files(str(tmp_path), names)
    (tmp_path / "val.bin").touch()
    with pytest.raises(ManifestMismatch, match=r"already holds val\.bin$"):
        refuse_foreign_files(str(tmp_path), names)
    write_manifest(str(tmp_path), MANIFEST)
    with pytest.raises(ManifestMismatch, match=r"made from a\.txt with gpt2") as caught:
        refuse_foreign_files(str(tmp_path), names)
    assert "--overwrite" in caught.value.hint
    (tmp_path / "manifest.json").write_text("none of ours")
    with pytest.raises(ManifestMismatch, match="already holds"):
        refuse_foreign_files(str(tmp_path), names)
