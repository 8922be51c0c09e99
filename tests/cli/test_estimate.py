from __future__ import annotations

import functools
import json
import os
import re
import shlex
from pathlib import Path

import pytest

from memguard.cli.main import main
from memguard.estimate import job
from memguard.estimate.plans.catalogue import PLANS
from memguard.estimate.tuning import Tuning
from memguard.records.codec import from_json
from memguard.records.estimate import Estimate


@pytest.fixture(autouse=True)
def quick_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real child, but a bare Python: its size is not what is tested here."""
    program = "import sys; print('ready', flush=True)\nfor line in sys.stdin: print(0.1, flush=True)"
    quick = functools.partial(job.estimate_files, tuning=Tuning(baseline_program=program))
    monkeypatch.setattr(job, "estimate_files", quick)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def text(tmp_path: Path, english: str) -> str:
    path = tmp_path / "some text.txt"
    path.write_text(english[:200_000], encoding="utf-8")
    return str(path)


def test_a_newcomer_gets_a_table_and_a_next_command(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", text]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    for name in ("read-all", "chunked-list", "sharded-list", "line-list", "stream"):
        assert f"\n{name}" in out
    assert "more plans with --all" in out
    assert main(["estimate", text, "--all", "--explain"]) == 0
    every = capsys.readouterr().out
    for plan in PLANS:
        assert f"\n{plan.name}" in every
    assert "not counted" not in " ".join(every.split())
    assert f"memguard tokenize {shlex.quote(text)} -o tokens" in joined(out)
    assert main(["estimate", text, "--explain"]) == 0
    assert "Peak at" in capsys.readouterr().out and "Peak at" not in out


def joined(out: str) -> str:
    """As a shell reads it: a backslash ends a line that goes on."""
    return " ".join(out.replace("\\\n", " ").split())


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("slurm", r"--mem=\d+M\n"),
        ("ray", r"memory=\d{9,}\n"),
        ("kubernetes", r"resources: \{requests: \{memory: (\d+Mi)\}, limits: \{memory: \1\}\}\n"),
    ],
)
def test_what_to_ask_a_scheduler_for(text: str, name: str, pattern: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", text, "--scheduler", name, "--check", "read-all", "--limit", "20M"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(pattern, out)
    assert err.startswith("memguard: read-all takes ") and err.count("\n") == 1


def test_json_is_one_record(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", text, text, "--json", "--limit", "1G", "--val-fraction", "0"]) == 0
    out = capsys.readouterr().out
    record = from_json(Estimate, out)
    assert json.loads(out)["schema"] == "memguard.estimate/1"
    assert record.input.paths == (text, text)
    assert record.input.bytes == 2 * os.path.getsize(text)
    assert len(record.input.slices) == 1
    assert record.limits.effective <= 1 << 30
    assert [plan.name for plan in record.plans] == [plan.name for plan in PLANS]


def test_check_answers_with_the_exit_code(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", text, "--check", "stream", "--limit", "2G"]) == 0
    assert main(["estimate", text, "--check", "read-all", "--limit", "20M"]) == 1
    assert main(["estimate", text, "--limit", "20M"]) == 0
    assert "killed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--limit", "nonsense"], 2, "not a size: 'nonsense'"),
        (["--limit", "0"], 2, "at least one byte"),
        (["--limit", "-5G"], 2, "--limit"),
        (["--reserve", "lots"], 2, "not a size"),
        (["--val-fraction", "1.5"], 2, "--val-fraction must be"),
        (["--val-fraction", "nan"], 2, "--val-fraction must be"),
        (["--encoding", "gpt7"], 2, "no such encoding: 'gpt7'"),
        (["--check", "magic"], 2, "magic"),
        (["--workers", "many"], 2, "--workers must be a number"),
        (["--workers", "0"], 2, "--workers must be a number"),
        (["--chunk-chars", "0"], 2, "--chunk-chars must be at least 1"),
        (["--size", "4GB"], 2, "name either"),
        (["--corpus", "openwebtext"], 2, "name either"),
        (["--ram", "lots"], 2, "not a size"),
    ],
)
def test_nonsense_is_a_usage_error(
    text: str, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert main(["estimate", text, *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("content", [None, b"", b"binary\0text"], ids=["missing", "empty", "binary"])
def test_a_bad_file_is_one_line_and_exit_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    assert main(["estimate", str(path)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("memguard estimate: ") and str(path) in err.splitlines()[0]
    assert len(err.splitlines()) == 2


def test_an_empty_directory_is_told_what_is_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", str(tmp_path)]) == 3
    err = capsys.readouterr().err
    assert "holds no file that is text by its name" in err and ".jsonl" in err


def test_a_directory_is_read_whole(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    directory = os.path.dirname(text)
    Path(directory, "more.txt").write_text("more words " * 1000)
    assert main(["estimate", directory]) == 0
    out = capsys.readouterr().out
    assert "\n2 files as one text: " in out
    assert "\npool-files" in out
    assert f"memguard tokenize {shlex.quote(directory)} -o tokens" in joined(out)


def test_what_if_needs_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--size", "15GB", "--like", "english", "--ram", "64GiB", "--json"]) == 0
    record = from_json(Estimate, capsys.readouterr().out)
    chunked = next(plan for plan in record.plans if plan.name == "chunked-list")
    # 8 to 10 bytes of memory per byte of English text.
    assert 100e9 < chunked.peak.expected < 150e9
    assert chunked.verdict == "killed"
    assert record.limits.total == 64 << 30
    assert record.machine
    assert main(["estimate", "--corpus", "openwebtext"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "OpenWebText" in out and "9,032,003,326 gpt2 tokens" in out and "huggingface.co" in out


def test_a_part_of_the_text_stands_for_all_of_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", text, "--json"]) == 0
    part = from_json(Estimate, capsys.readouterr().out)
    assert main(["estimate", "--size", "1GB", "--like", text, "--json"]) == 0
    whole = from_json(Estimate, capsys.readouterr().out)
    assert whole.input.bytes == 10**9
    assert whole.input.bytes_per_token == part.input.bytes_per_token
    assert whole.input.tokens.expected == pytest.approx(10**9 / part.input.bytes_per_token, rel=1e-3)


def test_workers_are_a_number_or_as_many_as_fit(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", text, "--json", "--workers", "3", "--limit", "4G"]) == 0
    record = from_json(Estimate, capsys.readouterr().out)
    assert {plan.workers for plan in record.plans} == {None, 3}
    assert main(["estimate", text, "--json", "--limit", "20M"]) == 0
    record = from_json(Estimate, capsys.readouterr().out)
    assert {plan.workers_fit for plan in record.plans} == {None, 0}


def test_the_history_of_nothing_says_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--history"]) == 0
    assert "memguard run SCRIPT" in capsys.readouterr().out


def test_a_name_that_begins_with_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-text").write_text("some words " * 100)
    assert main(["estimate", "--", "-text"]) == 0
    assert "memguard tokenize -o tokens -- -text" in capsys.readouterr().out


def test_a_full_disk_is_noted(text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 90, 10))
    assert main(["estimate", text]) == 0
    assert "only 10 B is free here" in " ".join(capsys.readouterr().out.split())
