"""`memguard verify`, `inspect` and `merge` as a person types them, on what `memguard tokenize` really wrote."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from memguard.cli.main import main
from memguard.records.codec import from_json
from memguard.records.inspect import InspectReport
from memguard.records.manifest import Manifest
from memguard.records.verify import VerifyReport


@pytest.fixture(scope="module")
def tokenized(tmp_path_factory: pytest.TempPathFactory, english: str) -> Path:
    """a.txt and b.txt, and what the tokenizer made of them in a/ and b/; made once."""
    directory = tmp_path_factory.mktemp("tokenized")
    (directory / "a.txt").write_text(english[:60_000] + "é的🙂")
    (directory / "b.txt").write_text(english[60_000:100_000])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        for name in ("a", "b"):
            assert main(["tokenize", f"{name}.txt", "-o", name, "-q"]) == 0
    return directory


@pytest.fixture
def workspace(tmp_path: Path, tokenized: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "workspace"
    shutil.copytree(tokenized, directory)
    monkeypatch.chdir(directory)
    return directory


def test_verify(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "a"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("ok: the ") and "are exactly the text of a.txt\n" in out and err == ""
    assert main(["verify", "a", "--json"]) == 0
    report = from_json(VerifyReport, capsys.readouterr().out)
    assert report.ok and report.text_bytes == os.path.getsize("a.txt")


def test_a_wrong_token_is_exit_code_1_and_its_place(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = np.fromfile("a/train.bin", dtype="<u2")
    ids[500] = 1000
    ids.tofile("a/train.bin")
    assert main(["verify", "a"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("FAILED: a has 1 problem\n") and "train.bin, token 500: another text (a.txt, byte " in out
    assert err == ""
    assert main(["verify", "a", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"][0]["token"] == 500
    assert main(["verify", "a", "--no-text"]) == 1
    assert "SHA-256" in capsys.readouterr().out


def test_verify_of_what_cannot_be_read_is_exit_code_3(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.rename("a.txt", "moved.txt")
    assert main(["verify", "a"]) == 3
    assert "cannot read a.txt" in capsys.readouterr().err
    assert main(["verify", "a", "--source", "moved.txt"]) == 0
    assert main(["verify", "a", "--no-text"]) == 0
    assert main(["verify", "."]) == 3
    assert main(["verify", "a", "--no-text", "--source", "moved.txt"]) == 2
    (workspace / "a/manifest.json").write_text("{")
    assert main(["verify", "a"]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_inspect(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "a/val.bin"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("a/val.bin: ") and "é的🙂" in out and err == ""
    assert main(["inspect", "a/val.bin", "--json"]) == 0
    assert from_json(InspectReport, capsys.readouterr().out).encoding == "gpt2"
    assert main(["inspect", "a"]) == 3
    assert main(["inspect", "a.txt"]) == 3
    assert main(["inspect", "nothing"]) == 3
    assert main(["inspect", "a/val.bin", "--encoding", "gpt-5"]) == 2


def test_merge(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "a", "b", "-o", "ab", "--json"]) == 0
    out, err = capsys.readouterr()
    manifest = from_json(Manifest, out)
    assert manifest == from_json(Manifest, Path("ab/manifest.json").read_text())
    tokens = sum(shard.tokens for shard in manifest.shards)
    assert f"{tokens:,} gpt2 tokens of 2 jobs in ab: 2 files, " in err
    assert Path("ab/train.bin").read_bytes() == Path("a/train.bin").read_bytes() + Path("b/train.bin").read_bytes()
    assert main(["verify", "ab"]) == 0
    assert "are exactly the text of a.txt and b.txt" in capsys.readouterr().out
    assert main(["merge", "a", "b", "-o", "ab", "-q"]) == 3
    assert main(["merge", "a", "b", "-o", "ab", "-q", "--overwrite"]) == 0
    assert main(["merge", "a", "-o", "x"]) == 2
    assert main(["merge", "a", "missing", "-o", "x"]) == 3
    assert not Path("x").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--format", "npy", "--shard-tokens", "5000", "--val-by", "shard"],
        ["--format", "llmc", "--documents", "blank-line", "--val-by", "document", "--eot-first"],
        ["--format", "megatron", "--documents", "line", "--offsets"],
        ["--separator", "\n\n", "--errors", "ignore", "--no-eot"],
    ],
    ids=["shards", "blank lines", "lines", "separator"],
)
def test_every_kind_of_job_verifies_merged_or_not(
    workspace: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    for name in ("a", "b"):
        assert main(["tokenize", f"{name}.txt", "-o", f"{name}2", "-q", *options]) == 0, capsys.readouterr().err
        assert main(["verify", f"{name}2"]) == 0, capsys.readouterr().out
    assert main(["merge", "a2", "b2", "-o", "ab2"]) == 0, capsys.readouterr().err
    assert main(["verify", "ab2"]) == 0, capsys.readouterr().out


def test_jsonl_is_compared_record_by_record(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [f"record {n}: é的🙂\n\nwith\ttext" for n in range(200)]
    Path("c.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in records))
    assert main(["tokenize", "c.jsonl", "-o", "c", "-q", "--val-fraction", "0"]) == 0
    assert main(["verify", "c"]) == 0, capsys.readouterr().out
    ids = np.fromfile("c/train.bin", dtype="<u2")
    ends = np.flatnonzero(ids == 50256)
    ids[ends[99] + 1] = 1000  # the first token of record 100, the 101st document
    ids.tofile("c/train.bin")
    capsys.readouterr()
    assert main(["verify", "c"]) == 1
    out = capsys.readouterr().out
    assert "c.jsonl, document 101, byte 0" in out and "'record 100: é" in out
