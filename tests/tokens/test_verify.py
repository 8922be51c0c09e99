from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from memguard.errors import InputError
from memguard.records.codec import from_json, to_json
from memguard.records.manifest import FileInfo, Manifest
from memguard.records.verify import VerifyReport
from memguard.tokens.check.verify import verify
from memguard.tokens.output.formats import FORMATS
from memguard.tokens.output.manifest import write_manifest
from memguard.tokens.output.readers import TokenProgress
from memguard.tokens.tuning import Tuning
from tests.tokens.finished import EOT, finished_job

TEXTS = {"a.txt": "It was the best of times, it was the worst of times. 🙂\n" * 40, "b.txt": "Ein Süßstoff, 的.\n" * 30}
ALL = pytest.mark.parametrize(
    ("form", "dtype", "shard_tokens"),
    [(name, dtype, n) for name, form in FORMATS.items() for dtype in form.allowed_dtypes for n in (None, 301)
     if n is None or not form.whole_split],
)  # fmt: skip


@pytest.fixture
def job(tmp_path: Path) -> Path:
    finished_job(tmp_path / "data", TEXTS)
    return tmp_path / "data"


def kinds(report: VerifyReport) -> list[tuple[str, str | None]]:
    return [(problem.kind, problem.shard) for problem in report.problems]


def overwrite(path: Path, place: int, token: int) -> int:
    """Returns the token that stood there."""
    ids = np.fromfile(path, dtype="<u2")
    before, ids[place] = int(ids[place]), token
    ids.tofile(path)
    return before


@ALL
@pytest.mark.parametrize("eot", ["append", "prepend", "none"])
def test_what_was_written_verifies(tmp_path: Path, form: str, dtype: str, shard_tokens: int | None, eot: str) -> None:
    manifest = finished_job(tmp_path / "data", TEXTS, form=form, dtype=dtype, shard_tokens=shard_tokens, eot=eot)
    report = verify(tmp_path / "data")
    assert report.problems == ()
    assert report.ok and report.text_compared
    assert report.text_bytes == sum(len(text.encode()) for text in TEXTS.values())
    assert report.tokens == sum(shard.tokens for shard in manifest.shards)
    assert report.eot_tokens == (0 if eot == "none" else 2)
    assert [check.path for check in report.shards] == [shard.path for shard in manifest.shards]
    assert from_json(VerifyReport, to_json(report)) == report


def test_progress_and_files_without_the_text(job: Path) -> None:
    steps: list[TokenProgress] = []
    (job.parent / "a.txt").unlink()
    report = verify(job, text=False, progress=steps.append)
    assert report.ok and not report.text_compared and report.text_bytes is None
    assert steps[-1] == TokenProgress(report.tokens, report.tokens)


def test_another_token(job: Path) -> None:
    overwrite(job / "train.bin", 200, 1000)
    report = verify(job)
    assert kinds(report) == [("text", "train.bin")]
    (problem,) = report.problems
    assert (problem.token, problem.source) == (200, str(job.parent / "a.txt"))
    text = (job.parent / "a.txt").read_bytes()
    assert problem.expected is not None and problem.offset is not None
    assert text[problem.offset :].startswith(problem.expected.encode())
    assert [check.ok for check in report.shards] == [False, True]


def test_another_token_with_the_same_text_is_not_the_file_that_was_written(job: Path) -> None:
    """ " the" as " t" + "he" is the same text; the hash tells."""
    ids = np.fromfile(job / "train.bin", dtype="<u2").tolist()
    place = ids.index(262)
    ids[place : place + 1] = [256, 258]
    np.array(ids[:-1], dtype="<u2").tofile(job / "train.bin")
    report = verify(job, text=False)
    assert kinds(report) == [("sha256", "train.bin")]


def test_an_id_that_does_not_exist_is_one_problem(job: Path) -> None:
    overwrite(job / "val.bin", 7, 60000)
    report = verify(job)
    assert kinds(report) == [("ids", "val.bin")]
    assert "val.bin, token 7: the id 60000 does not exist; gpt2 has 50,257 tokens" in report.problems[0].message
    assert kinds(verify(job, text=False)) == [("ids", "val.bin")]


def test_an_end_of_text_token_in_the_wrong_place(job: Path) -> None:
    ids = np.fromfile(job / "train.bin", dtype="<u2")
    place = int(np.flatnonzero(ids == EOT)[0])
    ids[[place, place + 1]] = ids[[place + 1, place]]
    ids.tofile(job / "train.bin")
    report = verify(job)
    assert kinds(report) == [("eot", "train.bin")]
    assert report.problems[0].token == place
    assert "no end-of-text token where a document ends" in report.problems[0].message


def test_a_missing_file_does_not_hide_the_others(job: Path) -> None:
    (job / "val.bin").unlink()
    overwrite(job / "train.bin", 3, 4)
    report = verify(job)
    assert kinds(report) == [("missing", "val.bin"), ("sha256", "train.bin")]
    assert not report.text_compared


def test_a_truncated_file(job: Path) -> None:
    os.truncate(job / "val.bin", 11)
    assert kinds(verify(job)) == [("size", "val.bin"), ("header", "val.bin")]
    os.truncate(job / "val.bin", 10)
    report = verify(job)
    assert kinds(report)[:2] == [("size", "val.bin"), ("size", "val.bin")]
    assert report.problems[-1].message.startswith("after the last token: the end of the tokens")


def test_foreign_files(job: Path) -> None:
    for name in ("train_000000.npy", "other.bin", "meta.pkl", ".train.bin.tmp", ".hidden"):
        (job / name).write_bytes(b"")
    report = verify(job)
    assert kinds(report) == [("foreign", "other.bin"), ("foreign", "train_000000.npy")]
    assert len(report.notes) == 2 and "meta.pkl" in report.notes[1] and "killed" in report.notes[0]


@pytest.mark.parametrize(
    ("text", "message"), [("It was", "has 6 bytes now"), (TEXTS["a.txt"].replace("best", "BEST"), "has changed")]
)
def test_a_source_that_has_changed_is_not_compared(job: Path, text: str, message: str) -> None:
    (job.parent / "a.txt").write_text(text)
    report = verify(job)
    assert kinds(report) == [("source", None)]
    assert message in report.problems[0].message
    assert all(check.ok for check in report.shards)


def test_a_change_beyond_the_first_mebibyte_of_the_source_is_found(tmp_path: Path) -> None:
    text = "all work and no play makes jack a dull boy\n" * 30_000
    finished_job(tmp_path / "data", {"long.txt": text}, eot="none")
    assert verify(tmp_path / "data").ok
    changed = text[:1_200_000] + "X" + text[1_200_001:]
    (tmp_path / "long.txt").write_text(changed)
    report = verify(tmp_path / "data")
    assert [problem.kind for problem in report.problems] == ["text"]
    offset = report.problems[0].offset
    assert offset is not None and 1_200_000 - 10 < offset <= 1_200_000


def test_a_source_that_has_moved(job: Path) -> None:
    moved = job.parent / "moved.txt"
    (job.parent / "a.txt").rename(moved)
    with pytest.raises(InputError, match=r"cannot read .*a\.txt") as caught:
        verify(job)
    assert "--source" in caught.value.hint
    assert verify(job, sources=[str(moved), str(job.parent / "b.txt")]).ok
    with pytest.raises(InputError, match="made from 2 sources, not from 1"):
        verify(job, sources=[str(moved)])


def test_a_source_that_has_become_a_directory(job: Path) -> None:
    (job.parent / "a.txt").rename(job.parent / "moved.txt")
    (job.parent / "a.txt").mkdir()
    for name in ("one.txt", "two.txt"):
        (job.parent / "a.txt" / name).write_text("x")
    with pytest.raises(InputError, match=r"a\.txt is no file any more") as caught:
        verify(job)
    assert "--source" in caught.value.hint


def test_stdin_cannot_be_read_again(job: Path) -> None:
    manifest = from_json(Manifest, (job / "manifest.json").read_text())
    first = dataclasses.replace(manifest.inputs[0], path="-", mtime=None)
    write_manifest(str(job), dataclasses.replace(manifest, inputs=(first, manifest.inputs[1])))
    with pytest.raises(InputError, match="made from stdin"):
        verify(job)
    assert verify(job, text=False).ok
    assert verify(job, sources=[str(job.parent / "a.txt"), str(job.parent / "b.txt")]).ok


def test_an_index_that_says_something_else(tmp_path: Path) -> None:
    finished_job(tmp_path / "data", TEXTS, form="megatron")
    path = tmp_path / "data/train.idx"
    data = bytearray(path.read_bytes())
    data[34] ^= 1
    path.write_bytes(data)
    report = verify(tmp_path / "data")
    assert kinds(report)[0][0] == "index" and report.shards[0].ok is False
    path.unlink()
    assert ("missing", "train.idx") in kinds(verify(tmp_path / "data"))


@pytest.mark.parametrize("eot", ["append", "prepend"])
@pytest.mark.parametrize("block", [5, 1 << 19])
def test_an_index_whose_documents_end_elsewhere(tmp_path: Path, eot: str, block: int) -> None:
    """A sound index, with the hash that the manifest names: only its documents are others than the text's."""
    texts = {"a.txt": "one two three four", "b.txt": "five six", "c.txt": "seven"}
    manifest = finished_job(tmp_path / "data", texts, form="megatron", eot=eot, val_share=0)
    assert verify(tmp_path / "data").ok
    ids = np.fromfile(tmp_path / "data/train.bin", dtype="<u2")
    shard = FORMATS["megatron"].open(str(tmp_path / "x.tmp"), dtype="uint16", n_vocab=None)
    for part in (ids[:6], ids[6:8], ids[8:]):
        shard.write(part)
        shard.end_document()
    _, index = shard.finish()
    os.replace(index.temp_path, tmp_path / "data/train.idx")
    files = (FileInfo("train.idx", index.bytes, index.sha256),)
    shards = (dataclasses.replace(manifest.shards[0], files=files),)
    write_manifest(str(tmp_path / "data"), dataclasses.replace(manifest, shards=shards))
    report = verify(tmp_path / "data", tuning=Tuning(read_ids=block))
    assert kinds(report) == [("index", "train.idx")]
    assert "do not end where the end-of-text tokens are" in report.problems[0].message


def test_offsets_and_unfinished_jobs(job: Path) -> None:
    manifest = from_json(Manifest, (job / "manifest.json").read_text())
    info = FileInfo("train.offsets.bin", 16, "0" * 64)
    write_manifest(str(job), dataclasses.replace(manifest, offsets=(info,), complete=False))
    (job / "train.offsets.bin").write_bytes(bytes(16))
    assert kinds(verify(job)) == [("manifest", None), ("sha256", "train.offsets.bin")]


@pytest.mark.parametrize("name", ["nothing", "a.txt", ""])
def test_what_is_no_job_is_refused(job: Path, name: str) -> None:
    with pytest.raises(InputError):
        verify(job.parent / name)


@pytest.mark.parametrize("form", FORMATS)
def test_no_change_of_a_byte_goes_unnoticed(tmp_path: Path, form: str) -> None:
    directory = tmp_path / "data"
    manifest = finished_job(directory, TEXTS, form=form)
    random = np.random.default_rng(7)
    for name in [path for shard in manifest.shards for path in (shard.path, *(file.path for file in shard.files))]:
        good = (directory / name).read_bytes()
        for number, place in enumerate(random.integers(0, len(good), 10).tolist()):
            bad = bytearray(good)
            bad[place] ^= 1 << int(random.integers(8))
            (directory / name).write_bytes(bad)
            report = verify(directory, text=number % 2 == 0)
            assert name in {shard for _, shard in kinds(report)}, (name, place)
        (directory / name).write_bytes(good)
    assert verify(directory).ok
