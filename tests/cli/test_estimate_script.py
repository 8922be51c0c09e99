"""`memguard estimate --script` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.cli.main import main

SCRIPT = """\
import sys
import numpy as np
import tiktoken
enc = tiktoken.get_encoding("gpt2")
with open({path}, encoding="utf-8") as f:
    data = f.read()
ids = enc.encode_ordinary(data)
np.array(ids, dtype=np.uint16).tofile("train.bin")
"""


@pytest.fixture
def text(tmp_path: Path, english: str) -> Path:
    path = tmp_path / "train.txt"
    path.write_text(english, encoding="utf-8")
    return path


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "prepare.py"
    path.write_text(SCRIPT.format(path="sys.argv[1]"))
    return path


def test_json(script: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--json", "--script", str(script), str(text), "--limit", "1GiB"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "memguard.estimate/1"
    plan = found["script"]["plan"]
    assert found["script"]["path"] == str(script)
    assert plan["name"] == "read-all"
    assert found["script"]["unrecognised"] == []
    assert plan["peak"]["low"] <= plan["peak"]["expected"] <= plan["peak"]["high"]
    top = next(step for step in plan["steps"] if step["name"] == plan["peak_step"])
    assert top["bytes"] == plan["peak"]["expected"]
    assert isinstance(top["bytes"], int)
    assert {"read", "encode", "array"} <= {step["kind"] for step in plan["steps"]}


def test_exit_1_when_it_does_not_fit(script: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--script", str(script), str(text), "--limit", "32M"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("prepare.py would need ") and " of 32.0 MiB: killed. Streaming needs " in out
    assert "Do this instead:" in out and "memguard tokenize" in out
    assert "Or guard it:" in out
    assert "enc.encode_ordinary(data)" in out


def test_the_script_names_its_input(
    script: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_text(SCRIPT.format(path='"train.txt"'))
    monkeypatch.chdir(text.parent)
    assert main(["estimate", "--script", "prepare.py", "--limit", "1GiB"]) == 0
    assert " GiB: fits." in capsys.readouterr().out


def test_an_input_that_is_not_here_is_named(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.write_text(SCRIPT.format(path='"elsewhere.txt"'))
    assert main(["estimate", "--script", str(script)]) == 2
    assert "elsewhere.txt, which is not here" in capsys.readouterr().err


@pytest.mark.slow
def test_a_script_as_the_first_file_is_meant_as_one(
    script: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", str(script), str(text), "--limit", "1GiB"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("prepare.py would need ")
    assert err == f"memguard: {script} is a script: read as --script; as a text: --input-format text\n"
    assert main(["estimate", str(script), "--input-format", "text"]) == 0
    out, err = capsys.readouterr()
    assert "\nchunked-list" in out and err == ""
    assert main(["estimate", str(script), str(script)]) == 0
    assert "\n2 files as one text" in capsys.readouterr().out
    assert main(["estimate", str(script)]) == 2
    assert f"memguard estimate --script {script} FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_what_was_not_understood_can_be_measured(script: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.write_text("import helper\n" + SCRIPT.format(path="sys.argv[1]") + "helper.keep(ids)\n")
    main(["estimate", "--script", str(script), str(text)])
    out = " ".join(capsys.readouterr().out.replace("\\\n", " ").split())
    assert f"Measure it: memguard estimate {text} --probe {script}" in out
    main(["estimate", "--script", str(script), "--size", "1GB", "--like", "english"])
    assert "--probe" not in capsys.readouterr().out


@pytest.mark.slow
def test_findings_knobs_and_the_scheduler_are_in_the_json(
    script: Path, text: Path, english: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text.write_text(english * 40)
    script.write_text(
        "import sys, tiktoken\nCHUNK = 1 << 24\nenc = tiktoken.get_encoding('gpt2')\n"
        "with open(sys.argv[1]) as f, open('out.bin', 'wb') as out:\n"
        "    while data := f.read(CHUNK):\n        out.write(bytes(enc.encode_ordinary(data)))\n"
    )
    main(["estimate", "--json", "--script", str(script), str(text), "--limit", "1GiB"])
    found = json.loads(capsys.readouterr().out)
    read = next(one for one in found["script"]["findings"] if one["kind"] == "read")
    assert (read["file"], read["line"], read["call"]) == (str(script), 5, "f.read(CHUNK)")
    assert (read["makes"], read["variable"]) == ("text", "data") and 16e6 < read["bytes"] < 70e6
    knob = found["script"]["knobs"][0]
    assert (knob["name"], knob["line"], knob["source"], knob["value"]) == ("CHUNK", 2, "1 << 24", 1 << 24)
    assert knob["smaller"] < 1 << 24 and knob["costs"] > 50e6
    asked = found["scheduler"]
    assert asked["plan"] == str(script) and asked["peak"] == found["script"]["plan"]["peak"]["high"]
    assert asked["ray"] == f"memory={asked['memory']}" and asked["memory"] > asked["peak"]


def test_no_input_at_all(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--script", str(script)]) == 2
    assert "does not say which file it reads" in capsys.readouterr().err


def test_a_text_that_is_not_here(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--script", str(script), "--size", "45GB", "--like", "english", "--ram", "64GiB"]) == 1
    assert "GiB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file"), (b"def (:\n", "line 1: not Python"), (b"\xff\xfe\x00\x01", "not Python source")],
    ids=["missing", "syntax", "binary"],
)
def test_a_script_that_cannot_be_read(
    tmp_path: Path, text: Path, content: bytes | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.py"
    if content is not None:
        path.write_bytes(content)
    assert main(["estimate", "--script", str(path), str(text)]) == 3
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""
    assert len(captured.err.splitlines()) <= 2


def test_a_directory_for_a_script(tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--script", str(tmp_path), str(text)]) == 3
    assert "is a directory" in capsys.readouterr().err


# A bare Python in between: the peak that the kernel reports for a child begins with its parent's at the fork.
LAUNCHER = """\
import resource, subprocess, sys
subprocess.check_call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_the_figure_is_what_the_script_then_takes(
    script: Path, text: Path, english: str, vocabulary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text.write_text(english * 16, encoding="utf-8")
    main(["estimate", "--json", "--script", str(script), str(text)])
    peak = json.loads(capsys.readouterr().out)["script"]["plan"]["peak"]
    command = [sys.executable, "-S", "-c", LAUNCHER, sys.executable, str(script), str(text)]
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": vocabulary}
    done = subprocess.run(command, env=environment, cwd=text.parent, stdout=subprocess.PIPE, check=True)
    measured = int(done.stdout)
    assert peak["low"] <= measured <= peak["high"]
    assert peak["expected"] == pytest.approx(measured, rel=0.06)
