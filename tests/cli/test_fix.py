"""memguard fix: diff, report, writing, verifying; what it refuses."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memguard.cli.main import main
from memguard.estimate.job import Request
from memguard.estimate.weigh import Weigher, read_weigher
from memguard.fix import job
from memguard.records.codec import from_json
from memguard.records.fix import FixRecord
from memguard.records.limits import Limits

SCRIPT = '''\
"""Prepares a text."""
import numpy as np
import tiktoken

with open("input.txt", encoding="utf-8") as f:
    data = f.read()
n = len(data)
enc = tiktoken.get_encoding("gpt2")
ids = enc.encode_ordinary(data[:int(n*0.9)])
print(len(ids))
np.array(ids, dtype=np.uint16).tofile("train.bin")
'''
_known: dict[str, Weigher] = {}


@pytest.fixture(autouse=True)
def one_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python's own memory is measured once: in a process of its own, which takes half a second."""

    def read(request: Request, limits: Limits, *, progress: Any = None) -> Weigher:
        if "one" not in _known:
            english = Request(script=request.script, size="100MB", like="english")
            _known["one"] = read_weigher(english, limits)
        assert request.script
        return dataclasses.replace(_known["one"], path=request.script, limits=limits)

    monkeypatch.setattr(job, "read_weigher", read)
    monkeypatch.chdir(tmp_path)


def fix(capfdbinary: pytest.CaptureFixture[bytes], *words: str) -> tuple[int, bytes, str]:
    code = main(["fix", *words])
    out, err = capfdbinary.readouterr()
    return code, out, err.decode()


def test_the_diff_is_on_stdout_the_report_on_stderr_and_git_takes_the_diff(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    Path("prepare.py").write_text(SCRIPT)
    code, out, err = fix(capfdbinary, "prepare.py")
    assert code == 0
    assert Path("prepare.py").read_text() == SCRIPT
    changed = [line for line in out.decode().splitlines() if line.startswith(("+", "-"))]
    assert changed == [
        "--- a/prepare.py",
        "+++ b/prepare.py",
        "+import memguard",
        '-with open("input.txt", encoding="utf-8") as f:',
        '+with memguard.open_text("input.txt", encoding="utf-8") as f:',
        '-enc = tiktoken.get_encoding("gpt2")',
        '+enc = memguard.get_encoding("gpt2")',
    ]
    assert "2 lines changed, 0 left" in err
    assert "line 5  open → memguard.open_text" in err
    assert "before" in err and "after" in err and "disk" in err
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "apply", "-"], input=out, check=True)
    fixed = Path("prepare.py").read_text()
    Path("prepare.py").write_text(SCRIPT)
    assert fix(capfdbinary, "prepare.py", "-o", "-")[1].decode() == fixed
    code, out, err = fix(capfdbinary, "prepare.py", "--diff")
    assert (code, err) == (0, "")


def test_check_and_a_script_that_needs_nothing(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("prepare.py").write_text(SCRIPT)
    code, out, err = fix(capfdbinary, "prepare.py", "--check")
    assert (code, out) == (1, b"") and "lines 5, 8" in err
    Path("small.py").write_text("print(1)\n")
    assert fix(capfdbinary, "small.py", "--check")[:2] == (0, b"")
    code, out, err = fix(capfdbinary, "small.py")
    assert (code, out) == (0, b"") and "needs no fix" in err


def test_write_keeps_mode_line_ends_and_encoding(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    source = ("# -*- coding: latin-1 -*-\n# pr\xe9pare\n" + SCRIPT).replace("\n", "\r\n").encode("latin-1")
    Path("prepare.py").write_bytes(source)
    os.chmod("prepare.py", 0o751)
    code, _out, err = fix(capfdbinary, "prepare.py", "--write")
    written = Path("prepare.py").read_bytes()
    assert code == 0 and "undo" in err
    assert written == source.replace(b"with open", b"with memguard.open_text").replace(
        b"tiktoken.get", b"memguard.get"
    ).replace(b"import tiktoken\r\n", b"import tiktoken\r\nimport memguard\r\n")
    assert os.stat("prepare.py").st_mode & 0o777 == 0o751
    assert not [name for name in os.listdir() if name.startswith(".memguard")]
    assert fix(capfdbinary, "prepare.py", "--write")[0] == 0
    assert Path("prepare.py").read_bytes() == written


def test_a_byte_order_mark_stays(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("prepare.py").write_bytes(b"\xef\xbb\xbf" + SCRIPT.encode())
    _, out, _ = fix(capfdbinary, "prepare.py", "--diff")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "apply", "-"], input=out, check=True)
    applied = Path("prepare.py").read_bytes()
    assert applied.startswith(b"\xef\xbb\xbf")
    Path("prepare.py").write_bytes(b"\xef\xbb\xbf" + SCRIPT.encode())
    assert fix(capfdbinary, "prepare.py", "--write", "--force")[0] == 0
    assert Path("prepare.py").read_bytes() == applied


def test_write_refuses_what_git_could_not_bring_back(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("prepare.py").write_text(SCRIPT)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    code, _, err = fix(capfdbinary, "prepare.py", "--write")
    assert (code, Path("prepare.py").read_text()) == (2, SCRIPT)
    assert "no commit" in err and "--force" in err and len(err.splitlines()[-2:]) == 2
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    code, _out, err = fix(capfdbinary, "prepare.py", "--write")
    assert code == 0 and "git checkout -- prepare.py" in err
    assert "memguard.open_text" in Path("prepare.py").read_text()
    subprocess.run([*git, "checkout", "-q", "--", "prepare.py"], check=True)
    Path("prepare.py").write_text(SCRIPT + "# more\n")
    assert fix(capfdbinary, "prepare.py", "--write", "--force")[0] == 0
    assert "memguard.open_text" in Path("prepare.py").read_text()


def test_rules_comments_and_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("prepare.py").write_text(SCRIPT.replace('gpt2")', 'gpt2")  # memguard: ignore[get-encoding]'))
    code, out, err = fix(capfdbinary, "prepare.py", "--json")
    record = from_json(FixRecord, out.decode())
    assert code == 0 and json.loads(out)["schema"] == "memguard.fix/1"
    assert not record.edits and {left.reason for left in record.left} >= {"ignored"}
    assert record.unused_ignores == ()
    Path("prepare.py").write_text(SCRIPT + "x = 1  # memguard: ignore\n")
    record = from_json(FixRecord, fix(capfdbinary, "prepare.py", "--json")[1].decode())
    assert record.unused_ignores == (12,)
    assert [(edit.rule, edit.line, edit.applicability) for edit in record.edits] == [
        ("open-text", 5, "safe"),
        ("get-encoding", 8, "safe"),
    ]
    assert record.edits[0].replaced == "open" and record.edits[0].text == "memguard.open_text"
    assert all(edit.saves > 50_000_000 for edit in record.edits)
    assert record.after.peak.expected < record.before.peak.expected / 4
    out = fix(capfdbinary, "prepare.py", "--diff", "--only", "get-encoding")[1]
    assert b"memguard.get_encoding" in out and b"open_text" not in out
    out = fix(capfdbinary, "prepare.py", "--diff", "--skip", "open-text")[1]
    assert b"memguard.get_encoding" in out and b"open_text" not in out
    code, _, err = fix(capfdbinary, "prepare.py", "--only", "nothing")
    assert code == 2 and "no such rule: nothing" in err
    code, out, _ = fix(capfdbinary, "--list-rules")
    assert code == 0 and b"token-buffer" in out and b"safe" in out


BY_LINE = """\
import re, tiktoken, numpy as np
enc = tiktoken.get_encoding("gpt2")
ids = []
for line in open("input.txt"):
    ids.extend(enc.encode_ordinary(line))
np.array(ids, dtype=np.uint16).tofile("train.bin")
"""


def test_a_script_that_is_changed_takes_the_faster_encoder_too(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("prepare.py").write_text(BY_LINE)
    _, out, _ = fix(capfdbinary, "prepare.py", "--json")
    edits = from_json(FixRecord, out.decode()).edits
    assert [(edit.rule, edit.faster) for edit in edits] == [("get-encoding", True), ("token-buffer", False)]
    _, out, _ = fix(capfdbinary, "prepare.py", "--json", "--only", "get-encoding")  # alone it is no fix
    assert not from_json(FixRecord, out.decode()).edits


def test_what_is_large_after_the_fix_is_said(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    whole = BY_LINE.replace('open("input.txt"):', 're.sub("a", "b", open("input.txt").read()).split():')
    Path("prepare.py").write_text(whole)
    _, _, err = fix(capfdbinary, "prepare.py")
    assert "still large\n  line 4: " in err and "re.sub" in err.partition("still large")[2]


def test_errors_are_one_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("broken.py").write_text("def f(:\n")
    for words, expected in (
        (["missing.py"], 3),
        (["broken.py"], 3),
        (["."], 3),
        ([], 2),
        (["-", "--write"], 2),
        (["broken.py", "--args", "'"], 2),
    ):
        code, out, err = fix(capfdbinary, *words)
        assert (code, out) == (expected, b"") and "Traceback" not in err, err
        assert err.startswith("memguard fix: ")


@pytest.mark.slow
def test_stdin(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "memguard", "fix", "-", "--diff"],
        input=SCRIPT.encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0 and b"+import memguard" in done.stdout, done.stderr


@pytest.mark.parametrize("width", [40, 80])
def test_the_report_fits(
    width: int, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    Path("prepare.py").write_text(SCRIPT + "import pickle; pickle.dump(ids, open('x', 'wb'))\n")
    _, _, err = fix(capfdbinary, "prepare.py")
    assert "writes a list's own bytes" in " ".join(err.split())
    assert all(len(line) <= width for line in err.splitlines()), err


@pytest.mark.slow
def test_verify_runs_both(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("prepare.py").write_text(SCRIPT)
    Path("input.txt").write_text("the cat sat on the mat\n" * 3000)
    code, _, err = fix(capfdbinary, "prepare.py", "--verify", "input.txt")
    assert code == 0 and "1 file and the output are the same" in err
    assert sorted(os.listdir()) == ["input.txt", "prepare.py"]
    code, out, _ = fix(capfdbinary, "prepare.py", "--verify", "input.txt", "--json")
    record = from_json(FixRecord, out.decode())
    assert record.verify is not None and record.verify.same and record.verify.files == 1
