"""`memguard verify` as a person types it, on what `memguard tokenize` really wrote, merged or not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from memguard.cli.main import main
from memguard.records.codec import from_json
from memguard.records.verify import VerifyReport


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


@pytest.mark.slow
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
