"""A job that is killed at any moment and resumed gives the same bytes, and writes no finished shard again."""

from __future__ import annotations

import functools
import os
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memguard.errors import ConfigError, InputError, ManifestMismatch, ShardError
from memguard.tokens import job as jobs
from memguard.tokens.engine.encode import load_encoding
from memguard.tokens.output.journal import JOURNAL, read_journal
from memguard.tokens.output.manifest import read_manifest
from memguard.tokens.progress import JobProgress
from memguard.tokens.tuning import Tuning

pytestmark = [pytest.mark.usefixtures("shared_engines")]
if sys.version_info >= (3, 12):
    # fork beside the threads of an earlier test: they are idle, and the child starts its own
    ignored = "ignore:This process .* is multi-threaded:DeprecationWarning"
    pytestmark.append(pytest.mark.filterwarnings(ignored))

FORMATS: list[dict[str, Any]] = [
    {},
    {"documents": "blank-line", "offsets": True},
    {"format": "npy", "shard_tokens": 10_007, "documents": "blank-line"},
    {"format": "llmc", "shard_tokens": 9_000, "val_by": "shard"},
    {"format": "megatron", "documents": "blank-line", "eot": "prepend"},
]


@pytest.fixture
def text(tmp_path: Path, english: str) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(english)
    return path


# Checkpoints all the time.
tokenize = functools.partial(jobs.tokenize, tuning=Tuning(checkpoint_seconds=0.0))


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def stamps(directory: Path) -> dict[str, tuple[int, int]]:
    """Of the finished shards: inode and time."""
    if not directory.exists():
        return {}
    names = [path for path in directory.iterdir() if not path.name.startswith(".") and path.name != "manifest.json"]
    found = {path.name: path.stat() for path in names}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


class Stop(Exception):
    pass


def stopped(paths: list[Path], out: Path, after: int, **options: Any) -> None:
    """Runs the job up to its block number `after`."""
    blocks = iter(range(after))

    def progress(now: JobProgress) -> None:
        if next(blocks, None) is None:
            raise Stop

    with pytest.raises(Stop):
        tokenize(paths, out, progress=progress, **options)


@pytest.mark.slow
@pytest.mark.parametrize("options", FORMATS, ids=str)
def test_stopped_and_resumed_is_the_same(text: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    tokenize([text], tmp_path / "whole", block=16384, **options)
    out = tmp_path / "out"
    for resume in (False, True, True):
        stopped([text], out, 7, block=16384, resume=resume, **options)
        assert (out / JOURNAL).exists()
        assert not (out / "manifest.json").exists()
    before = stamps(out)
    # another block size and another number of workers: what stands there does not depend on them
    tokenize([text], out, block=9999, workers=3, resume=True, **options)
    assert files(out) == files(tmp_path / "whole")
    assert before.items() <= stamps(out).items()


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "txt.gz"])
def test_records_and_compressed_files_go_on_too(tmp_path: Path, english: str, suffix: str) -> None:
    path = tmp_path / f"text.{suffix}"
    documents = english.split("\n\n")
    if suffix == "jsonl":
        import json

        path.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
    elif suffix == "csv":
        import csv

        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["text"], *([document] for document in documents)])
    else:
        import gzip

        path.write_bytes(gzip.compress(english.encode()))
    options = {"val_fraction": 0} if suffix == "txt.gz" else {"val_fraction": 0.3}
    tokenize([path], tmp_path / "whole", **options)
    stopped([path], tmp_path / "out", 5, block=7777, **options)
    tokenize([path], tmp_path / "out", resume=True, **options)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_several_files_and_a_long_record(tmp_path: Path, english: str) -> None:
    import json

    paths = [tmp_path / f"{number}.jsonl" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_text(json.dumps({"text": english[number * 1000 : number * 1000 + 150_000]}) + "\n")
    tokenize(paths, tmp_path / "whole", val_fraction=0.5)
    for after in (2, 5, 9, 14):
        stopped(paths, tmp_path / "out", after, block=20_000, val_fraction=0.5)
        tokenize(paths, tmp_path / "out", block=11_111, resume=True, val_fraction=0.5)
        assert files(tmp_path / "out") == files(tmp_path / "whole")
        shutil.rmtree(tmp_path / "out")


def test_a_kill_between_the_manifest_and_the_end_loses_nothing(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"documents": "blank-line", "offsets": True}
    tokenize([text], tmp_path / "whole", **options)
    real = jobs.write_manifest

    def write_and_stop(directory: str, manifest: Any) -> None:
        real(directory, manifest)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "write_manifest", write_and_stop)
        with pytest.raises(Stop):
            tokenize([text], tmp_path / "out", **options)
    before = stamps(tmp_path / "out")
    assert "train.offsets.bin" in before
    tokenize([text], tmp_path / "out", resume=True, **options)
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert stamps(tmp_path / "out") == before


def killed(text: Path, out: Path, delay: float, options: dict[str, Any], *, resume: bool) -> bool:
    """Runs the job in a child and kills it after `delay` seconds; whether it had ended by itself."""
    pid = os.fork()
    if not pid:  # the child
        code = 1
        try:
            tokenize([text], out, block=16384, resume=resume, **options)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)


def kill_again_and_again(text: Path, tmp_path: Path, options: dict[str, Any], kills: int, seed: int) -> int:
    """Returns how many kills came while the job was at work."""
    generator, hits = random.Random(seed), 0
    whole, out = tmp_path / "whole", tmp_path / "out"
    start = time.monotonic()
    tokenize([text], whole, **options)
    longest = max(0.3, 2 * (time.monotonic() - start))
    while hits < kills:
        shutil.rmtree(out, ignore_errors=True)
        resume = False
        while hits < kills:
            before = stamps(out)
            ended = killed(text, out, generator.uniform(0, longest), options, resume=resume)
            after = stamps(out)
            assert all(after.get(name) == stamp for name, stamp in before.items())
            if ended:
                break
            hits, resume = hits + 1, True
        before = stamps(out)
        tokenize([text], out, resume=True, **options)
        assert files(out) == files(whole)
        assert before.items() <= stamps(out).items()
    return hits


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("options", [FORMATS[1], pytest.param(FORMATS[2], marks=pytest.mark.slow)], ids=str)
def test_a_few_kills(text: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    assert kill_again_and_again(text, tmp_path, options, 4, seed=1) == 4


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("options", FORMATS, ids=str)
def test_two_hundred_kills(text: Path, tmp_path: Path, english: str, options: dict[str, Any]) -> None:
    """Five layouts, 40 kills each."""
    text.write_text(english * 3)
    assert kill_again_and_again(text, tmp_path, options, 40, seed=7) == 40


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"val_fraction": 0.2}, "--val-fraction was 0.1, now it is 0.2"),
        ({"encoding": "r50k_base"}, "encoding was gpt2, now it is r50k_base"),
        ({"format": "npy"}, "format was nanogpt, now it is npy"),
        ({"eot": True}, "--eot was none, now it is append"),
        ({"errors": "ignore"}, "--errors was strict, now it is ignore"),
        ({"documents": "line"}, "--documents was file, now it is line"),
    ],
)
def test_a_changed_option_is_named(text: Path, tmp_path: Path, changed: dict[str, Any], named: str) -> None:
    out = tmp_path / "out"
    stopped([text], out, 5, block=16384)
    before = files(out)
    with pytest.raises(ManifestMismatch) as caught:
        tokenize([text], out, resume=True, **changed)
    assert named in caught.value.message
    assert files(out) == before
    tokenize([text], out, resume=True)


def test_a_changed_input_is_named(text: Path, tmp_path: Path, english: str) -> None:
    out = tmp_path / "out"
    stopped([text], out, 5, block=16384)
    status = text.stat()
    for content, word in ((english + "more", "size"), ("X" + english[1:], "first MiB")):
        text.write_text(content)
        os.utime(text, ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(ManifestMismatch, match=rf"text\.txt has changed \({word}\)"):
            tokenize([text], out, resume=True)
    text.write_text(english)
    with pytest.raises(ManifestMismatch, match="time of change"):
        tokenize([text], out, resume=True)
    with pytest.raises(ManifestMismatch, match="had 1 input files, now there are 2"):
        tokenize([text, text], out, resume=True)


@pytest.mark.parametrize("grows", [True, False])
def test_an_input_that_changes_while_it_is_read(text: Path, tmp_path: Path, grows: bool, english: str) -> None:
    def change(now: JobProgress) -> None:
        if now.bytes_done > 100_000:
            with text.open("r+b") as file:
                file.seek(0, os.SEEK_END)
                file.write(b"more") if grows else file.truncate(200_000)

    with pytest.raises(InputError, match="changed while it was read"):
        tokenize([text], tmp_path / "out", block=16384, progress=change)


def test_an_unfinished_job_is_kept_from_harm(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stopped([text], out, 9, block=16384)
    before = files(out)
    with pytest.raises(ManifestMismatch, match=r"holds an unfinished job \(\d+ % done\) of .*text\.txt") as caught:
        tokenize([text], out)
    assert "--resume" in caught.value.hint
    assert files(out) == before
    tokenize([text], out, overwrite=True)
    assert sorted(files(out)) == ["manifest.json", "train.bin", "val.bin"]


def test_an_overwrite_of_an_unfinished_job_takes_its_shards_away(text: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "out", {"format": "npy", "shard_tokens": 5000, "val_fraction": 0}
    stopped([text], out, 20, block=16384, **options)
    assert len(list(out.glob("train_*.npy"))) > 2
    tokenize([text], out, overwrite=True)
    assert sorted(files(out)) == ["manifest.json", "train.bin", "val.bin"]


def test_resume_of_nothing_and_of_a_finished_job(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = tokenize([text], out, resume=True)
    before = stamps(out)
    assert tokenize([text], out, resume=True) == first
    assert stamps(out) == before
    with pytest.raises(ManifestMismatch, match="the finished job"):
        tokenize([text], out, resume=True, eot=True)


def test_a_stream_cannot_be_resumed(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"hello world")
    os.close(writing)
    with pytest.raises(ConfigError, match="cannot be read again"):
        tokenize([f"/dev/fd/{reading}"], tmp_path / "out", resume=True, val_fraction=0)
    os.close(reading)


@pytest.mark.parametrize("failing", ["write_manifest", "remove_old_files"])
def test_a_failure_at_the_very_end(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, english: str
) -> None:
    """Everything is written: a resume only has to publish it."""
    out = tmp_path / "out"
    (tmp_path / "other.txt").write_text("an older job")
    tokenize([tmp_path / "other.txt"], out, format="npy", shard_tokens=1, val_fraction=0)
    monkeypatch.setattr(jobs, failing, lambda *_: (_ for _ in ()).throw(ShardError("the disk went away")))
    with pytest.raises(ShardError, match="went away") as caught:
        tokenize([text], out, overwrite=True)
    assert "--resume" in caught.value.hint
    monkeypatch.undo()
    tokenize([text], out, resume=True)
    assert sorted(files(out)) == ["manifest.json", "train.bin", "val.bin"]
    ids = [np.fromfile(out / f"{split}.bin", dtype="<u2").tolist() for split in ("train", "val")]
    assert ids[0] + ids[1] == load_encoding("gpt2").encode_ordinary(english)


def test_two_writers(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def second(now: JobProgress) -> None:
        with pytest.raises(ShardError, match="another memguard is writing"):
            tokenize([text], out, overwrite=True)

    tokenize([text], out, block=100_000, progress=second)
    assert read_manifest(str(out)) is not None


def test_a_torn_journal_line_is_none(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stopped([text], out, 9, block=16384)
    journal = out / JOURNAL
    data = journal.read_bytes()
    lines = data.split(b"\n")
    journal.write_bytes(data[: -len(lines[-2]) // 2])
    found = read_journal(str(out))
    assert found is not None and found.checkpoint is not None
    tokenize([text], tmp_path / "whole")
    tokenize([text], out, resume=True)
    assert files(out) == files(tmp_path / "whole")


def test_a_missing_part_is_named(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stopped([text], out, 9, block=16384)
    (out / ".train.bin.tmp").write_bytes(b"")
    with pytest.raises(ManifestMismatch, match=r"cannot go on: .*train\.bin\.tmp has 0 bytes of"):
        tokenize([text], out, resume=True)


def test_foreign_files_are_never_touched(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "train.bin").write_bytes(b"somebody else's")
    (out / "notes.md").write_text("mine")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(ManifestMismatch, match=r"holds train\.bin, which no memguard job has written"):
            tokenize([text], out, **options)
    assert files(out) == {"train.bin": b"somebody else's", "notes.md": b"mine"}
