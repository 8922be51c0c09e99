"""The whole line: the tokens are tiktoken's, whatever the block, the workers and the engine."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memguard import pressure
from memguard.errors import ConfigError, InputError, ManifestMismatch, MemguardError, ShardError
from memguard.records.manifest import Manifest
from memguard.tokens import pipeline, plan
from memguard.tokens.engine import pool as pools
from memguard.tokens.engine.encode import Vocabulary, _Gigatoken, load_encoding
from memguard.tokens.job import tokenize
from memguard.tokens.output import disk
from memguard.tokens.output.manifest import read_manifest
from memguard.tokens.progress import JobProgress
from memguard.tokens.tuning import Tuning
from tests.tokens.test_split import NASTY

pytestmark = pytest.mark.usefixtures("shared_engines")

EOT = 50256


def read(directory: Path, name: str, dtype: str = "<u2") -> list[int]:
    ids: list[int] = np.fromfile(directory / name, dtype=dtype).tolist()
    return ids


def expected(text: str) -> list[int]:
    return load_encoding("gpt2").encode_ordinary(text)


@pytest.fixture
def mixed(tmp_path: Path, english: str) -> Path:
    path = tmp_path / "mixed.txt"
    chinese = "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。\r\n" * 50
    path.write_bytes(("\ufeff" + english[:60_000] + chinese + "<|endoftext|> ’twas\n\n" + english[-60_000:]).encode())
    return path


@pytest.mark.parametrize("engine", ["gigatoken", "tiktoken"])
@pytest.mark.parametrize(("block", "workers"), [(977, 1), (64 << 10, 3), (1 << 20, 2)])
def test_train_and_val_are_exactly_the_tokens(
    mixed: Path, tmp_path: Path, engine: str, block: int, workers: int
) -> None:
    out = tmp_path / "out"
    manifest = tokenize([mixed], out, engine=engine, block=block, workers=workers)
    text = mixed.read_bytes().decode()
    train, val = read(out, "train.bin"), read(out, "val.bin")
    assert train + val == expected(text)
    assert 0.88 < len(load_encoding("gpt2").decode_bytes(train)) / len(text.encode()) < 0.92
    assert sorted(entry.name for entry in out.iterdir()) == ["manifest.json", "train.bin", "val.bin"]
    assert read_manifest(str(out)) == manifest
    assert manifest.engine == engine


@given(
    text=st.lists(st.sampled_from([*NASTY, "<|endoftext|>"]), min_size=1, max_size=60).map("".join),
    block=st.integers(1, 70),
    fraction=st.sampled_from([0, 0.1, 0.5, 0.99]),
    workers=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_any_block(tmp_path: Path, text: str, block: int, fraction: float, workers: int) -> None:
    path, out = tmp_path / "text.txt", tmp_path / "out"
    path.write_bytes(text.encode())
    tokenize([path], out, block=block, val_fraction=fraction, workers=workers, overwrite=True)
    assert read(out, "train.bin") + (read(out, "val.bin") if fraction else []) == expected(text)


def test_the_output_does_not_depend_on_workers_or_block(mixed: Path, tmp_path: Path) -> None:
    shards = {
        tokenize([mixed], tmp_path / f"{block}-{workers}", block=block, workers=workers).shards
        for block, workers in ((64 << 10, 1), (64 << 10, 4), (1 << 20, 2), (333, 2))
    }
    assert len(shards) == 1


def test_the_manifest_says_what_stands_there(mixed: Path, tmp_path: Path) -> None:
    manifest = tokenize([mixed], tmp_path / "out", val_fraction=0.25)
    assert manifest.complete
    assert (manifest.dtype, manifest.format, manifest.encoding.name) == ("uint16", "nanogpt", "gpt2")
    assert [source.path for source in manifest.inputs] == [str(mixed)]
    assert [(s.path, s.split) for s in manifest.shards] == [("train.bin", "train"), ("val.bin", "val")]
    for shard in manifest.shards:
        data = (tmp_path / "out" / shard.path).read_bytes()
        assert (shard.bytes, shard.tokens * 2) == (len(data), len(data))
        assert shard.sha256 == hashlib.sha256(data).hexdigest()


def test_files_are_texts_of_their_own_in_the_order_given(tmp_path: Path) -> None:
    texts = ["hel", "lo world", "", " the end"]
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_text(text)
    tokenize(paths, tmp_path / "plain", val_fraction=0)
    assert read(tmp_path / "plain", "train.bin") == [token for text in texts for token in expected(text)]
    assert not (tmp_path / "plain" / "val.bin").exists()
    manifest = tokenize(paths, tmp_path / "eot", val_fraction=0, eot=True)
    assert read(tmp_path / "eot", "train.bin") == [token for text in texts for token in [*expected(text), EOT]]
    assert manifest.shards[0].documents == 4
    tokenize(reversed(paths), tmp_path / "reversed", val_fraction=0)
    assert read(tmp_path / "reversed", "train.bin")[: len(expected(" the end"))] == expected(" the end")


@pytest.mark.parametrize("block", [1, 5, 64, 1 << 16])
@pytest.mark.parametrize("errors", ["replace", "ignore"])
def test_bad_bytes_are_what_python_makes_of_them(tmp_path: Path, block: int, errors: str) -> None:
    data = b"fine \xff words \xe5\xad\xe5\xad\x97 and\x80 \xf0\x9f\x98 \xed\xa0\x80 more, \xe2\x82" * 7
    (tmp_path / "bad.txt").write_bytes(data)
    out = tmp_path / "out"
    manifest = tokenize([tmp_path / "bad.txt"], out, errors=errors, block=block)
    assert read(out, "train.bin") + read(out, "val.bin") == expected(data.decode("utf-8", errors))
    assert manifest.invalid_bytes == len(data) - len(data.decode("utf-8", "ignore").encode())


@pytest.mark.parametrize("block", [64, 1 << 16])
def test_strict_names_the_byte_and_leaves_nothing(tmp_path: Path, block: int) -> None:
    path, out = tmp_path / "bad.txt", tmp_path / "out"
    path.write_bytes(b"good words " * 100 + "é".encode()[:1] + b" more words" * 100)
    with pytest.raises(InputError) as caught:
        tokenize([path], out, block=block)
    assert (caught.value.path, caught.value.offset) == (str(path), 1100)
    assert "1,100" in caught.value.message
    assert "0xc3" in caught.value.message
    assert not out.exists()


def test_a_character_cut_off_at_the_end_is_bad_too(tmp_path: Path) -> None:
    (tmp_path / "cut.txt").write_bytes(b"word " + "字".encode()[:2])
    with pytest.raises(InputError, match="unexpected end of data") as caught:
        tokenize([tmp_path / "cut.txt"], tmp_path / "out")
    assert caught.value.offset == 5


def test_a_directory_of_another_job_is_refused_unless_overwritten(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = tokenize([mixed], out)
    other = tmp_path / "other.txt"
    other.write_text("something else entirely")
    with pytest.raises(ManifestMismatch, match="already holds"):
        tokenize([other], out)
    assert read_manifest(str(out)) == before
    tokenize([other], out, overwrite=True, val_fraction=0)
    assert read(out, "train.bin") == expected("something else entirely")
    assert sorted(entry.name for entry in out.iterdir()) == ["manifest.json", "train.bin"]


def test_a_failed_overwrite_keeps_the_old_files(mixed: Path, tmp_path: Path) -> None:
    out, bad = tmp_path / "out", tmp_path / "bad.txt"
    before = tokenize([mixed], out)
    bad.write_bytes(b"bad \xff")
    with pytest.raises(InputError):
        tokenize([bad], out, overwrite=True)
    assert read_manifest(str(out)) == before
    assert hashlib.sha256((out / "train.bin").read_bytes()).hexdigest() == before.shards[0].sha256
    assert len(list(out.iterdir())) == 3


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_text("this is text")
    with pytest.raises(ShardError, match="is an input"):
        tokenize([tmp_path / "train.bin"], tmp_path, overwrite=True)
    assert (tmp_path / "train.bin").read_text() == "this is text"


class Stop(BaseException):
    pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, Stop, MemoryError])
def test_an_interrupted_job_leaves_nothing(mixed: Path, tmp_path: Path, error: type[BaseException]) -> None:
    def interrupt(now: JobProgress) -> None:
        if now.bytes_done > 20_000:
            raise error

    with pytest.raises(error):
        tokenize([mixed], tmp_path / "out", block=4096, progress=interrupt)
    assert not (tmp_path / "out").exists()


def test_too_little_room_is_said_early(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_space", lambda directory: 10_000)
    with pytest.raises(ShardError, match=r"needs about .* more, and 9\.77 KiB is free"):
        tokenize([mixed], tmp_path / "out", block=4096)
    assert not (tmp_path / "out").exists()


def test_word_caches_are_dropped_when_memory_runs_short(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = []
    real = _Gigatoken.forget
    monkeypatch.setattr(_Gigatoken, "forget", lambda self: forgotten.append(1) or real(self))
    monkeypatch.setattr(pipeline, "anonymous_memory", lambda: 0)  # nothing at the start of the job
    monkeypatch.setattr(pools.Pool, "_memory", lambda self: 1 << 40)  # far too much ever after
    tokenize([mixed], tmp_path / "out", block=16384, val_fraction=0, workers=1, tuning=Tuning(cache_interval=8192))
    assert len(forgotten) > 3
    assert read(tmp_path / "out", "train.bin") == expected(mixed.read_bytes().decode())


@pytest.mark.parametrize("workers", [1, 2])
def test_under_pressure_workers_start_afresh_and_fewer_blocks_are_under_way(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    forgotten: set[int] = set()
    real = _Gigatoken.forget
    monkeypatch.setattr(_Gigatoken, "forget", lambda self: forgotten.add(id(self)) or real(self))
    under_way: list[int] = []
    oldest = pools.Pool._oldest
    monkeypatch.setattr(
        pools.Pool, "_oldest", lambda self, waiting: under_way.append(len(waiting)) or oldest(self, waiting)
    )
    seen: list[JobProgress] = []

    def progress(now: JobProgress) -> None:
        seen.append(now)
        if len(seen) == 10:
            assert not forgotten
            assert set(under_way) == {2 * workers}
            under_way.clear()
            pressure.request()

    tokenize([mixed], tmp_path / "out", block=4096, val_fraction=0, workers=workers, progress=progress)
    assert 1 <= len(forgotten) <= workers  # one that has no core to itself may come too late for a block
    assert under_way[workers:] and max(under_way[workers:]) == workers  # what was under way then is finished first
    assert read(tmp_path / "out", "train.bin") == expected(mixed.read_bytes().decode())
    assert pressure.callbacks() == ()


def test_what_the_callers_code_holds_is_not_the_jobs(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Gigatoken, "forget", lambda self: pytest.fail("a word cache was dropped"))
    monkeypatch.setattr(pipeline, "anonymous_memory", lambda: 1 << 40)
    monkeypatch.setattr(pools.Pool, "_memory", lambda self: 1 << 40)
    tokenize([mixed], tmp_path / "out", block=16384, tuning=Tuning(cache_interval=0))


def test_uint32_where_the_vocabulary_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.txt").write_text("hello world")
    monkeypatch.setattr(plan, "load_vocabulary", lambda name: Vocabulary("gpt2", 70_000, EOT, "r50k"))
    manifest = tokenize([tmp_path / "t.txt"], tmp_path / "out", val_fraction=0, eot=True)
    assert manifest.dtype == "uint32"
    assert read(tmp_path / "out", "train.bin", "<u4") == [31373, 995, EOT]


def test_progress_ends_at_the_whole(mixed: Path, tmp_path: Path) -> None:
    seen: list[JobProgress] = []
    manifest: Manifest = tokenize([mixed], tmp_path / "out", block=4096, progress=seen.append)
    assert [now.bytes_done for now in seen] == sorted(now.bytes_done for now in seen)
    assert seen[-1].bytes_done == seen[-1].bytes_total == mixed.stat().st_size
    assert seen[-1].tokens == sum(shard.tokens for shard in manifest.shards)


def test_a_pipe_needs_val_fraction_zero(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"hello world")
    os.close(writing)
    path = f"/dev/fd/{reading}"
    with pytest.raises(ConfigError, match="no known size"):
        tokenize([path], tmp_path / "out")
    tokenize([path], tmp_path / "out", val_fraction=0)
    os.close(reading)
    assert read(tmp_path / "out", "train.bin") == [31373, 995]


@pytest.mark.parametrize(
    "options",
    [
        {"val_fraction": 1.0},
        {"val_fraction": -0.1},
        {"val_fraction": float("nan")},
        {"errors": "surrogateescape"},
        {"encoding": "gpt3"},
        {"engine": "fast"},
        {"max_memory": 1 << 20},
    ],
)
def test_unusable_options(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "t.txt").write_text("hello world")
    with pytest.raises(ConfigError) as caught:
        tokenize([tmp_path / "t.txt"], tmp_path / "out", **options)
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("hello world")
    with pytest.raises(ShardError, match="is a file, not a directory"):
        tokenize([tmp_path / "t.txt"], tmp_path / "t.txt")
    with pytest.raises(MemguardError, match="cannot make the directory"):
        tokenize([tmp_path / "t.txt"], tmp_path / "t.txt" / "below")


@pytest.mark.slow
def test_random_words_stay_within_the_memory_promised(tmp_path: Path) -> None:
    """The worst text for the engine's word cache: 10 MiB of cache per MiB of text without the budget."""
    import subprocess
    import sys

    path = tmp_path / "random.txt"
    letters = np.random.default_rng(1).integers(97, 123, 48 << 20).astype("u1")
    letters[::9] = 32
    letters.tofile(path)
    code = (
        "import sys; from memguard.tokens.job import tokenize; peak = []\n"
        "tokenize([sys.argv[1]], sys.argv[2], workers=2, progress=lambda now: peak.append(now.memory))\n"
        "print(max(peak))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "out")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 256 << 20
