"""`memguard merge` as a person types it, on what `memguard tokenize` really wrote."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from memguard.cli.main import main
from memguard.records.codec import from_json
from memguard.records.manifest import Manifest


def test_two_jobs_become_one(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "a", "b", "-o", "ab"]) == 0
    out, err = capsys.readouterr()
    manifest = from_json(Manifest, Path("ab/manifest.json").read_text())
    tokens = sum(shard.tokens for shard in manifest.shards)
    assert out == "" and f"{tokens:,} gpt2 tokens of 2 jobs in ab: 2 files, " in err
    assert Path("ab/train.bin").read_bytes() == Path("a/train.bin").read_bytes() + Path("b/train.bin").read_bytes()
    assert main(["verify", "ab"]) == 0
    assert "are exactly the text of a.txt and b.txt" in capsys.readouterr().out


def test_json_is_the_manifest_and_quiet_is_quiet(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "a", "b", "-o", "ab", "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert from_json(Manifest, out) == from_json(Manifest, Path("ab/manifest.json").read_text())
    assert err == ""


def test_overwrite_replaces_an_earlier_job_and_nothing_else(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["merge", "a", "b", "-o", "ab", "-q"]) == 0
    Path("ab/notes.md").write_text("mine")
    assert main(["merge", "b", "a", "-o", "ab", "-q"]) == 3
    assert "--overwrite" in capsys.readouterr().err
    assert main(["merge", "b", "a", "-o", "ab", "-q", "--overwrite"]) == 0
    assert Path("ab/train.bin").read_bytes() == Path("b/train.bin").read_bytes() + Path("a/train.bin").read_bytes()
    assert Path("ab/notes.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a", "-o", "out"], 2, ["two or more directories"]),
        (["a", "b"], 2, ["-o"]),
        (["-o", "out"], 2, ["DIR"]),
        (["a", "missing", "-o", "out"], 3, ["missing does not exist"]),
        (["a", "a.txt", "-o", "out"], 3, ["a.txt is a file"]),
        (["a", "unfinished", "-o", "out"], 3, ["unfinished holds no finished job", "--resume"]),
        (["a", "b", "-o", "b"], 3, ["b is one of the jobs to merge"]),
        (["a", "npy", "-o", "out"], 3, ["the format of the first is nanogpt, of the second npy"]),
        (["a", "damaged", "-o", "out"], 3, ["is not the file that its manifest.json speaks of", "memguard verify"]),
    ],
)
def test_mistakes_are_one_clear_line(
    workspace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: list[str]
) -> None:
    Path("unfinished").mkdir()
    shutil.copytree("b", "damaged")
    with open("damaged/train.bin", "r+b") as file:
        file.write(b"\x00\x01")
    assert main(["tokenize", "b.txt", "-o", "npy", "-q", "--format", "npy"]) == 0
    before = Path("b/train.bin").read_bytes()
    assert main(["merge", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    assert all(word in err for word in words), err
    assert not Path("out").exists() and Path("b/train.bin").read_bytes() == before


def test_the_hint_names_options_that_exist(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--format", "npy", "--val-by", "shard", "--shard-tokens", "5000", "--offsets"]
    for name in ("a", "b"):
        assert main(["tokenize", f"{name}.txt", "-o", f"{name}2", "-q", *options]) == 0
    assert main(["merge", "a2", "b2", "-o", "out"]) == 3
    hint = capsys.readouterr().err.splitlines()[1]
    named = re.findall(r"--[a-z-]+", hint)
    assert named
    assert main(["tokenize", "--help"]) == 0
    usage = capsys.readouterr().out
    assert all(re.search(rf"{flag}\b", usage) for flag in named), hint
