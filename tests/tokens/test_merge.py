from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from memguard.errors import ConfigError, InputError, ManifestMismatch, MemguardError, ShardError
from memguard.records.codec import from_json
from memguard.records.manifest import FileInfo, Manifest
from memguard.tokens.check.verify import verify
from memguard.tokens.merge import merge
from memguard.tokens.output import disk
from memguard.tokens.output.formats import FORMATS
from memguard.tokens.output.manifest import write_manifest
from memguard.tokens.output.megatron_index import Index
from memguard.tokens.output.readers import TokenProgress, open_reader
from memguard.tokens.tuning import Tuning
from tests.tokens.finished import finished_job

ONE = {"one.txt": "one two three\n" * 50, "two.txt": "zwei, drei und vier\n" * 20}
TWO = {"three.txt": "的 и é 🙂\n" * 33}
THREE = {"four.txt": "x" * 99}


def jobs(tmp_path: Path, **options: object) -> list[str]:
    texts = {"a": ONE, "b": TWO, "c": THREE}
    for name, its in texts.items():
        finished_job(tmp_path / name, its, **options)  # type: ignore[arg-type]
    return [str(tmp_path / name) for name in texts]


def ids(directory: str | Path, split: str) -> list[int]:
    manifest = from_json(Manifest, (Path(directory) / "manifest.json").read_text())
    found = []
    for shard in manifest.shards:
        if shard.split == split:
            with open_reader(os.path.join(directory, shard.path), format=manifest.format, dtype=manifest.dtype) as one:
                found += [token for block in one.blocks() for token in block.tolist()]
    return found


@pytest.mark.parametrize("eot", ["append", "none"])
@pytest.mark.parametrize(
    ("form", "shard_tokens"), [(name, 97) for name in ("npy", "llmc")] + [(n, None) for n in FORMATS]
)
def test_the_shards_follow_each_other_and_verify(tmp_path: Path, form: str, shard_tokens: int | None, eot: str) -> None:
    parts = jobs(tmp_path, form=form, shard_tokens=shard_tokens, eot=eot)
    steps: list[TokenProgress] = []
    manifest = merge(parts, tmp_path / "out", progress=steps.append)
    assert manifest == from_json(Manifest, (tmp_path / "out/manifest.json").read_text())
    for split in ("train", "val"):
        assert ids(tmp_path / "out", split) == [token for part in parts for token in ids(part, split)]
    assert steps[-1].done == steps[-1].total == sum(shard.tokens for shard in manifest.shards)
    report = verify(tmp_path / "out")
    assert report.problems == () and report.ok and report.text_compared
    names = sorted(path for shard in manifest.shards for path in (shard.path, *(file.path for file in shard.files)))
    assert sorted(os.listdir(tmp_path / "out")) == sorted([*names, "manifest.json"])
    assert all(verify(part).ok for part in parts)  # untouched


def test_a_merged_job_may_be_merged_again(tmp_path: Path) -> None:
    a, b, c = jobs(tmp_path)
    merge([a, b], tmp_path / "ab")
    manifest = merge([str(tmp_path / "ab"), c], tmp_path / "abc")
    assert verify(tmp_path / "abc").ok
    assert [part.inputs for part in manifest.parts] == [2, 1, 1]
    assert [source.path for source in manifest.inputs] == [str(tmp_path / n) for n in (*ONE, *TWO, *THREE)]
    merge([a, b, c], tmp_path / "direct")
    for name in ("train.bin", "val.bin"):
        assert (tmp_path / "abc" / name).read_bytes() == (tmp_path / "direct" / name).read_bytes()


def test_verify_finds_a_difference_in_a_merged_job(tmp_path: Path) -> None:
    merge(jobs(tmp_path), tmp_path / "out")
    data = np.fromfile(tmp_path / "out/val.bin", dtype="<u2")
    data[-3] = 1000
    data.tofile(tmp_path / "out/val.bin")
    (problem,) = verify(tmp_path / "out").problems
    assert (problem.kind, problem.shard, problem.token) == ("text", "val.bin", data.size - 3)
    assert problem.source == str(tmp_path / "four.txt")


def test_documents_keep_their_ends(tmp_path: Path) -> None:
    parts = jobs(tmp_path, form="megatron")
    merge(parts, tmp_path / "out", tuning=Tuning(read_ids=3))
    before: list[int] = []
    for part in parts:
        with Index(f"{part}/train.idx") as index:
            ends = [end for block in index.document_ends() for end in block.tolist()]
        before += [end + (before[-1] if before else 0) for end in ends]
    with Index(str(tmp_path / "out/train.idx")) as index:
        assert [end for block in index.document_ends() for end in block.tolist()] == before
    assert len(before) >= 3


def offsets_of(directory: Path, name: str, ends: list[int]) -> FileInfo:
    data = np.array([0, *ends], dtype="<u8").tobytes()
    (directory / name).write_bytes(data)
    return FileInfo(name, len(data), hashlib.sha256(data).hexdigest())


def with_offsets(directory: str, ends: list[int], name: str = "train.offsets.bin") -> None:
    path = Path(directory)
    manifest = from_json(Manifest, (path / "manifest.json").read_text())
    write_manifest(directory, dataclasses.replace(manifest, offsets=(offsets_of(path, name, ends),)))


@pytest.mark.parametrize("block", [8, 16, 1 << 20])
def test_document_offsets_are_counted_on(tmp_path: Path, block: int) -> None:
    a, b, c = jobs(tmp_path)
    for job, ends in ((a, [3, 10]), (b, []), (c, [4])):
        with_offsets(job, ends)
    manifest = merge([a, b, c], tmp_path / "out", tuning=Tuning(read_offsets=block))
    before = len(ids(a, "train")) + len(ids(b, "train"))
    assert np.fromfile(tmp_path / "out/train.offsets.bin", dtype="<u8").tolist() == [0, 3, 10, before + 4]
    assert [file.path for file in manifest.offsets] == ["train.offsets.bin"]
    assert verify(tmp_path / "out").ok
    with pytest.raises(ManifestMismatch, match="files of document offsets"):
        finished_job(tmp_path / "d", {"d.txt": "d"})
        merge([a, str(tmp_path / "d")], tmp_path / "other")
    for job in (a, b):
        with_offsets(job, [1], "tokens.offsets.bin")
    with pytest.raises(ManifestMismatch, match="count over val and train together"):
        merge([a, b], tmp_path / "other")


DIFFERENT = [
    ({"form": "npy"}, "the format of the first is nanogpt, of the second npy"),
    ({"dtype": "uint32"}, "the dtype of the first is uint16, of the second uint32"),
    ({"eot": "none"}, "the place of end-of-text tokens of the first is append, of the second none"),
]


@pytest.mark.parametrize(("options", "message"), DIFFERENT)
def test_jobs_that_do_not_go_together_are_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    finished_job(tmp_path / "a", ONE)
    finished_job(tmp_path / "b", TWO, **options)  # type: ignore[arg-type]
    with pytest.raises(ManifestMismatch, match=message) as caught:
        merge([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path / "out")
    assert str(tmp_path / "a") in caught.value.message and str(tmp_path / "b") in caught.value.message
    assert not (tmp_path / "out").exists()


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    a, b, _ = jobs(tmp_path)
    manifest = from_json(Manifest, Path(b, "manifest.json").read_text())
    encoding = dataclasses.replace(manifest.encoding, name="p50k_base")
    write_manifest(b, dataclasses.replace(manifest, encoding=encoding))
    with pytest.raises(ManifestMismatch, match="the encoding of the first is gpt2, of the second p50k_base"):
        merge([a, b], tmp_path / "out")


def test_a_damaged_shard_is_noticed_and_nothing_is_left(tmp_path: Path) -> None:
    a, b, _ = jobs(tmp_path)
    data = bytearray(Path(b, "val.bin").read_bytes())
    data[0] ^= 1
    Path(b, "val.bin").write_bytes(data)
    with pytest.raises(ShardError, match=r"b/val\.bin is not the file that its manifest\.json speaks of"):
        merge([a, b], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_output_is_never_an_input_and_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    a, b, c = jobs(tmp_path)
    before = Path(a, "train.bin").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(ShardError, match="one of the jobs to merge"):
            merge([a, b], a, overwrite=overwrite)
    with pytest.raises(ManifestMismatch, match="already holds"):
        merge([a, b], c)
    assert Path(a, "train.bin").read_bytes() == before
    merge([a, b], c, overwrite=True)
    assert verify(c).ok and ids(c, "train") == ids(a, "train") + ids(b, "train")


def test_a_foreign_file_is_never_overwritten(tmp_path: Path) -> None:
    a, b, _ = jobs(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/train.bin").write_bytes(b"mine")
    for overwrite in (False, True):
        with pytest.raises(MemguardError, match=r"train\.bin"):
            merge([a, b], tmp_path / "out", overwrite=overwrite)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"train.bin": b"mine"}


def test_unfinished_and_missing_jobs_are_refused(tmp_path: Path) -> None:
    a, b, _ = jobs(tmp_path)
    with pytest.raises(ConfigError, match="two or more"):
        merge([a], tmp_path / "out")
    with pytest.raises(InputError, match="does not exist"):
        merge([a, str(tmp_path / "nothing")], tmp_path / "out")
    Path(b, "manifest.json").unlink()
    with pytest.raises(ManifestMismatch, match="holds no finished job"):
        merge([a, b], tmp_path / "out")


def test_too_little_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, _ = jobs(tmp_path)
    monkeypatch.setattr(disk, "free_space", lambda directory: 100)
    with pytest.raises(ShardError, match="and 100 B is free"):
        merge([a, b], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, _ = jobs(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("memguard.tokens.output.formats.write_all", full)
    with pytest.raises(ShardError, match=r"cannot write .*train\.bin: the disk is full"):
        merge([a, b], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_merge_leaves_nothing_and_the_older_job_in_its_place(tmp_path: Path) -> None:
    a, b, c = jobs(tmp_path)
    before = {path.name: path.read_bytes() for path in Path(c).iterdir()}

    def interrupt(now: TokenProgress) -> None:
        if now.done > now.total // 2:
            raise KeyboardInterrupt

    for out, overwrite in ((tmp_path / "out", False), (Path(c), True)):
        with pytest.raises(KeyboardInterrupt):
            merge([a, b], out, overwrite=overwrite, progress=interrupt)
    assert not (tmp_path / "out").exists()
    assert {path.name: path.read_bytes() for path in Path(c).iterdir()} == before
