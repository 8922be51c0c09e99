from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import memguard
from memguard import pressure
from memguard.errors import ConfigError, ManifestMismatch, ShardError
from memguard.tokens.engine import engine_check as sample
from memguard.tokens.engine.encode import load_encoding, make_engine
from memguard.tokens.output.manifest import read_manifest


def test_the_writer_writes_what_it_is_given(tmp_path: Path) -> None:
    with memguard.ShardWriter(tmp_path / "out", format="npy", shard_tokens=5, splits=("train", "val")) as writer:
        for start in range(0, 12, 3):
            writer.write(range(start, start + 3), end_document=True)
        writer.write(np.array([7, 8], dtype=np.int64), "val")
        assert not list((tmp_path / "out").glob("train_*"))
    found = [np.load(path).tolist() for path in sorted((tmp_path / "out").glob("train_*.npy"))]
    assert found == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    assert np.load(tmp_path / "out/val_000000.npy").tolist() == [7, 8]
    assert writer.manifest == read_manifest(str(tmp_path / "out"))
    with pytest.raises(ManifestMismatch):
        memguard.ShardWriter(tmp_path / "out")
    with memguard.ShardWriter(tmp_path / "out", overwrite=True) as writer:
        writer.write([1])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "train.bin"]


def test_a_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), memguard.ShardWriter(tmp_path / "out") as writer:
        writer.write([1, 2])
        raise RuntimeError
    assert not (tmp_path / "out").exists()
    with pytest.raises(ShardError, match="outside 0 to 50256"), memguard.ShardWriter(tmp_path / "out") as writer:
        writer.write([1, 50257])
    with pytest.raises(ConfigError, match="whole numbers"), memguard.ShardWriter(tmp_path / "out") as writer:
        writer.write([1.5])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="no such split"), memguard.ShardWriter(tmp_path / "out") as writer:
        writer.write([1], "test")
    assert not (tmp_path / "out").exists()
    assert pressure.callbacks() == ()


def test_what_is_written_may_be_reused_by_the_caller(tmp_path: Path) -> None:
    buffer = np.arange(4)
    with memguard.ShardWriter(tmp_path / "out") as writer:
        writer.write(buffer)
        buffer[:] = 9
        pressure.request()
        writer.write([4])
        assert (tmp_path / "out/.train.bin.tmp").stat().st_size == 10
    assert np.fromfile(tmp_path / "out/train.bin", dtype="<u2").tolist() == [0, 1, 2, 3, 4]


def test_blocks_of_ids_are_the_tokens(tmp_path: Path, english: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text(english)
    blocks = list(memguard.iter_token_blocks([path], block=10_000))
    assert len(blocks) > 10
    assert np.concatenate(blocks).tolist() == load_encoding("gpt2").encode_ordinary(english)
    with pytest.raises(ConfigError):
        next(memguard.iter_token_blocks([path], val_fraction=0.1))
    unfinished = memguard.iter_token_blocks([path], block=10_000)
    assert next(unfinished).dtype == np.uint16
    unfinished.close()  # type: ignore[attr-defined]


def test_the_public_names_are_there() -> None:
    for name in memguard.__all__:
        assert getattr(memguard, name) is not None
    assert "resume" in inspect.signature(memguard.tokenize).parameters


def test_pressure_shrinks_and_changes_nothing(tmp_path: Path, english: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text(english)
    ids = [block for block in memguard.iter_token_blocks([path], block=120_000) if pressure.request() is None]
    assert np.concatenate(ids).tolist() == load_encoding("gpt2").encode_ordinary(english)


def test_an_engine_that_differs_is_found_out(tmp_path: Path, english: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine("gpt2")
    sample.check_engine(engine, "gpt2", [("here", b"some text, \xff and more")])
    monkeypatch.setattr(type(engine), "_encode", lambda self, data: np.zeros(3, np.uint32))
    path = tmp_path / "text.txt"
    path.write_text(english)
    with pytest.raises(memguard.InputError, match="does not give tiktoken's tokens for gpt2"):
        memguard.tokenize([path], tmp_path / "out", block=10_000)
    assert not (tmp_path / "out").exists()
    memguard.tokenize([path], tmp_path / "out", engine="gigatoken")  # asked for by name: trusted
