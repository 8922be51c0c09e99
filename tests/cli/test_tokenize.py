"""`memguard tokenize` as a person types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from memguard.cli.main import main
from memguard.records.codec import from_json
from memguard.records.manifest import Manifest
from memguard.tokens.engine.encode import load_encoding
from tests.boxes import MemoryBox

pytestmark = pytest.mark.usefixtures("shared_engines")

REPOSITORY = Path(__file__).parents[2]
OUTPUTS = ["manifest.json", "train.bin", "val.bin"]


@pytest.fixture
def text(tmp_path: Path, english: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "input.txt"
    path.write_text(english)
    return path


def test_the_usual_call(text: Path, capsys: pytest.CaptureFixture[str], english: str) -> None:
    assert main(["tokenize", "input.txt", "-o", "data"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    ids = load_encoding("gpt2").encode_ordinary(english)
    assert f"{len(ids):,} gpt2 tokens from 1 file" in err
    assert "bytes per token" in err
    assert sorted(os.listdir("data")) == OUTPUTS
    train, val = (np.fromfile(f"data/{name}.bin", dtype=np.uint16).tolist() for name in ("train", "val"))
    assert train + val == ids


def test_workers_that_do_not_fit_are_left_out_and_it_says_so(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenize", "input.txt", "-o", "data", "--workers", "16", "--max-memory", "155M"]) == 0
    assert "note: 16 workers asked for, 2 fit into --max-memory" in capsys.readouterr().err
    assert main(["tokenize", "input.txt", "-o", "data", "--workers", "2", "--overwrite"]) == 0
    assert "note" not in capsys.readouterr().err


def test_the_directory_is_named_after_the_file(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenize", str(text)]) == 0
    assert sorted(os.listdir("input_tokens")) == OUTPUTS
    assert "input_tokens/train.bin" in capsys.readouterr().err


def test_json_is_the_manifest_and_quiet_is_quiet(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenize", "input.txt", "-o", "data", "--json", "-q", "--val-fraction", "0"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["schema"] == "memguard.manifest/1"
    assert from_json(Manifest, out) == from_json(Manifest, Path("data/manifest.json").read_text())


def test_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_bytes(b'{"a":1}\xff')
    assert main(["tokenize", "a.json", "--errors", "replace"]) == 0
    err = capsys.readouterr().err
    assert "1 byte not UTF-8, replaced by U+FFFD" in err
    assert "taken as plain text" in err
    Path("b.jsonl").write_text('{"text": "one two"}\n{"text": null}\n{"text": "three"}\n')
    assert main(["tokenize", "b.jsonl", "--val-fraction", "0"]) == 0
    err = capsys.readouterr().err
    assert "from 2 documents in 1 file" in err
    assert "1 record without a text, left out" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.txt"], 3, ["none.txt", "No such file"]),
        (["folder"], 3, ["folder", "no file that is text"]),
        (["*.md"], 3, ["no file matches *.md"]),
        (["empty.txt"], 3, ["empty.txt is empty"]),
        (["bad.txt"], 3, ["bad.txt is not UTF-8", "0xff", "offset 4", "--errors replace"]),
        (["input.txt", "--encoding", "gtp2"], 2, ["gtp2", "did you mean gpt2"]),
        (["input.txt", "--max-memory", "1M"], 2, ["--max-memory 1.00 MiB", "at least"]),
        (["input.txt", "--max-memory", "lots"], 2, ["lots"]),
        (["input.txt", "--workers", "0"], 2, ["--workers"]),
        (["input.txt", "--val-fraction", "1"], 2, ["--val-fraction"]),
        (["input.txt", "-o", "input.txt"], 3, ["input.txt is a file"]),
        (["-"], 2, ["stdin has no known size", "--val-fraction 0"]),
        (["input.txt", "--shard-tokens", "some", "--format", "npy"], 2, ["--shard-tokens", "some"]),
        (["input.txt", "--shard-tokens", "1M"], 2, ["nanogpt has no shards"]),
        (["input.txt", "--val-by", "shard"], 2, ["no shards to take val from"]),
        (["input.txt", "--val-by", "document"], 2, ["needs documents", "--documents"]),
        (["input.txt", "--separator", ""], 2, ["--separator"]),
        (["input.txt", "--separator", "x", "--documents", "line"], 2, ["exclude each other"]),
        (["input.txt", "--resume", "--overwrite"], 2, ["exclude each other"]),
        (["rows.jsonl"], 3, ["rows.jsonl", "byte 22", "no field 'text'", "it has: id"]),
        (["rows.jsonl", "--text-field", "id"], 3, ["'id'", "byte 0", "no text but int"]),
        (["broken.jsonl"], 3, ["broken.jsonl", "byte 0", "no JSON"]),
        (["rows.csv", "--column", "txt"], 3, ["rows.csv", "no column 'txt'", "it has: id, text"]),
        ([], 2, ["FILE"]),
    ],
)
def test_mistakes_are_one_clear_line(
    text: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: list[str]
) -> None:
    Path("empty.txt").touch()
    Path("bad.txt").write_bytes(b"abc \xff def")
    Path("folder").mkdir()
    Path("rows.jsonl").write_text('{"id": 1, "text": ""}\n{"id": 2}\n')
    Path("broken.jsonl").write_text('{"text": "a"\n')
    Path("rows.csv").write_text("id,text\n1,a\n")
    before = sorted(os.listdir())
    assert main(["tokenize", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert all(word in err for word in words), err
    assert "Traceback" not in err
    assert sorted(os.listdir()) == before


def test_a_second_job_is_refused_and_overwrite_replaces(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenize", "input.txt", "-o", "data", "-q"]) == 0
    assert main(["tokenize", "input.txt", "-o", "data"]) == 3
    err = capsys.readouterr().err
    assert "already holds train.bin, val.bin, manifest.json, made from input.txt with gpt2" in err
    assert "--overwrite" in err
    assert main(["tokenize", "input.txt", "-o", "data", "-q", "--overwrite"]) == 0


def start(arguments: list[str], cwd: Path, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "memguard", "tokenize", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, stdin=stdin, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )


def test_stdin(tmp_path: Path) -> None:
    with start(["-", "-o", "data", "--val-fraction", "0"], tmp_path) as process:
        _, err = process.communicate(b"hello world")
    assert process.returncode == 0, err
    assert np.fromfile(tmp_path / "data/train.bin", dtype=np.uint16).tolist() == [31373, 995]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals, english: str) -> None:
    """The job is held in the middle by a stdin that stays open."""
    with start(["-", "-o", "data", "--val-fraction", "0"], tmp_path) as process:
        assert process.stdin is not None
        process.stdin.write(english.encode() * 4)
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob("data/.train.bin.tmp")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        err = process.stderr.read().decode() if process.stderr else ""
        process.wait(20)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert "no file was left behind" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.cgroup
@pytest.mark.parametrize("limit", [512 << 20, 300 << 20])
def test_it_finishes_in_a_small_box(tmp_path: Path, english: str, limit: int) -> None:
    path, times = tmp_path / "input.txt", 100_000_000 // len(english) + 1
    with path.open("w") as file:
        for _ in range(times):
            file.write(english)
    with MemoryBox(limit) as box:
        command = [sys.executable, "-m", "memguard", "tokenize", str(path), "-o", str(tmp_path / "data"), "--json"]
        done = box.run(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 0, done.stderr
    assert box.oom_kills == 0
