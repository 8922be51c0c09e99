from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from memguard.errors import ManifestMismatch, ShardError
from memguard.records.manifest import EncodingInfo, InputFile, Manifest, ShardInfo
from memguard.tokens.input.blocks import Start
from memguard.tokens.output.disk import disk_error
from memguard.tokens.output.formats import FORMATS
from memguard.tokens.output.journal import Checkpoint, Journal
from memguard.tokens.output.manifest import read_manifest, write_manifest
from memguard.tokens.output.writer import Output, OutputLayout

NO_ENDS = np.empty(0, np.int64)
MANIFEST = Manifest(
    inputs=(InputFile("a.txt", 4, 1.5, "00"),),
    encoding=EncodingInfo("gpt2", 50257, 50256),
    dtype="uint16",
    format="nanogpt",
    shards=(ShardInfo("train.bin", "train", 3, None, 6, "11"),),
    complete=True,
    options={"eot": "none"},
)


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint16)


def record() -> Checkpoint:
    return Checkpoint(Start(), 0, 0, 0, {})


def test_a_file_is_raw_little_endian_and_appears_at_the_end(tmp_path: Path) -> None:
    output = Output(str(tmp_path), OutputLayout(FORMATS["nanogpt"], "uint16", 50257), None)
    output.write("train", ids(1, 50256), NO_ENDS)
    output.write("train", ids(), NO_ENDS)
    output.write("train", np.array([258], dtype=">u2"), NO_ENDS)
    assert names(tmp_path) == [".train.bin.tmp"]
    output.seal_all()
    output.publish()
    output.stop()
    data = (tmp_path / "train.bin").read_bytes()
    assert data == b"\x01\x00\x50\xc4\x02\x01"
    assert output.shards == [ShardInfo("train.bin", "train", 3, None, 6, hashlib.sha256(data).hexdigest())]
    assert names(tmp_path) == ["train.bin"]


def test_shards_are_cut_at_their_size_and_count_their_documents(tmp_path: Path) -> None:
    layout = OutputLayout(FORMATS["npy"], "uint16", 50257, ("train",), 4, 0, offsets=True)
    output = Output(str(tmp_path), layout, None)
    # documents of 3, 5, 0 and 2 tokens; the last token belongs to one that goes on
    full = output.write("train", np.arange(11, dtype=np.uint16), np.array([3, 8, 8, 10]))
    assert full == 2
    output.seal_all()
    output.publish()
    output.stop()
    assert [np.load(tmp_path / f"train_00000{n}.npy").tolist() for n in range(3)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10],
    ]
    assert [(shard.tokens, shard.documents) for shard in output.shards[:2]] == [(4, 1), (4, 2)]
    assert np.fromfile(tmp_path / "train.offsets.bin", "<u8").tolist() == [0, 3, 8, 8, 10]


def test_shards_take_their_names_with_a_checkpoint(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    journal.begin({})
    output = Output(str(tmp_path), OutputLayout(FORMATS["npy"], "uint16", 50257, ("tokens",), 2, 1), journal)
    output.write("tokens", ids(1, 2, 3, 4, 5), NO_ENDS)
    output.settle()
    assert not [name for name in names(tmp_path) if not name.startswith(".")]
    assert not output.kept
    output.checkpoint(record())
    output.settle()
    assert output.kept
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["train_000001.npy", "val_000000.npy"]
    output.stop()
    journal.remove()


def test_a_second_journal_in_one_directory_is_refused(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    with pytest.raises(ShardError, match="another memguard is writing"):
        Journal(str(tmp_path))
    journal.remove()
    Journal(str(tmp_path)).remove()
    assert names(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    output = Output(str(tmp_path), OutputLayout(FORMATS["nanogpt"], "uint16", 50257), None)
    shard = output.streams["train"].open_files()[0]
    with open("/dev/full", "wb", buffering=0) as full:
        os.dup2(full.fileno(), shard._file.fileno())
    with pytest.raises(ShardError, match="the disk is full") as caught:
        output.write("train", np.zeros(10, dtype=np.uint16), NO_ENDS)
    assert "train" in caught.value.message
    assert "\n" not in caught.value.message
    output.stop()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EFBIG, errno.EIO])
def test_every_disk_error_names_the_file(number: int) -> None:
    error = disk_error("/nowhere/.train.bin.tmp", OSError(number, os.strerror(number)))
    assert "/nowhere/train.bin" in error.message
    assert error.hint or number == errno.EIO


def test_the_manifest_goes_to_disk_and_back(tmp_path: Path) -> None:
    assert read_manifest(str(tmp_path)) is None
    write_manifest(str(tmp_path), MANIFEST)
    assert read_manifest(str(tmp_path)) == MANIFEST
    assert names(tmp_path) == ["manifest.json"]


def test_a_foreign_manifest_is_none_of_ours(tmp_path: Path) -> None:
    for text in ("not json", "{}", '{"schema": "memguard.run/1"}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(ManifestMismatch, match="no manifest of memguard's"):
            read_manifest(str(tmp_path))
