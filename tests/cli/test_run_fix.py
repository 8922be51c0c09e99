"""`memguard run --fix` from end to end: the fixed script runs, its file stays, the bytes are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
ROOT = Path(__file__).resolve().parents[2]

PREPARE = """\
import sys
import numpy as np
import tiktoken

with open(sys.argv[1], "r", encoding="utf-8") as f:
    data = f.read()
enc = tiktoken.get_encoding("gpt2")
train = enc.encode_ordinary(data[: int(len(data) * 0.9)])
val = enc.encode_ordinary(data[int(len(data) * 0.9) :])
np.array(train, dtype=np.uint16).tofile("train.bin")
np.array(val, dtype=np.uint16).tofile("val.bin")
print("memguard" in sys.modules, len(train), len(val), __file__)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, english: str) -> Path:
    (tmp_path / "prepare.py").write_text(PREPARE)
    (tmp_path / "train.txt").write_text(english * 12, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "memguard", "run", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_what_is_handed_over_runs(here: Path) -> None:
    (here / "prepare.py").write_text("print('file', __file__)\n")
    program = (
        "from memguard.watch.options import Options\nfrom memguard.watch.process.fixed import Fixed\n"
        "from memguard.watch.process.launch import Command\nfrom memguard.watch.run import run_guarded\nimport sys\n"
        "options = Options(fixed=Fixed('prepare.py', b'print(\"fixed\", __file__)'))\n"
        "run_guarded(Command(sys.executable, ('python', 'prepare.py'), script='prepare.py'), options)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == (f"fixed {here}/prepare.py\n", "")


@pytest.mark.slow
def test_the_usual_script(here: Path, vocabulary: str) -> None:
    offline = {**os.environ, "TIKTOKEN_CACHE_DIR": vocabulary}
    plain = subprocess.run([sys.executable, "prepare.py", "train.txt"], capture_output=True, text=True, env=offline)
    assert plain.returncode == 0, plain.stderr
    expected = [(here / name).read_bytes() for name in ("train.bin", "val.bin")]
    fixed = run("--fix", "prepare.py", "train.txt")
    assert [(here / name).read_bytes() for name in ("train.bin", "val.bin")] == expected
    assert fixed.stdout == plain.stdout.replace("False ", "True ") and fixed.returncode == 0
    first, last = fixed.stderr.splitlines()
    assert first.startswith(
        "memguard: prepare.py runs fixed, in memory only: line 5: open → memguard.open_text; line 7: "
    )
    assert "(memguard fix prepare.py shows them)" in first and "exit code 0" in last
    assert (here / "prepare.py").read_text() == PREPARE
    assert sorted(os.listdir(here)) == ["prepare.py", "train.bin", "train.txt", "val.bin"]


@pytest.mark.slow
def test_an_error_shows_the_lines_that_ran(here: Path) -> None:
    (here / "prepare.py").write_text(PREPARE + "data = None\ndata[0]\n")
    result = run("--fix", "-q", "prepare.py", "train.txt")
    assert result.returncode == 1 and result.stderr.endswith(
        f'  File "{here}/prepare.py", line 14, in <module>\n    data[0]\n    ~~~~^^^\n'
        "TypeError: 'NoneType' object is not subscriptable\n"
    )
    (here / "prepare.py").write_text(PREPARE.replace("open(sys.argv[1]", "open(sys.argv[7]"))
    result = run("--fix", "-q", "prepare.py", "train.txt", *"abcdef")
    line = '    with memguard.open_text(sys.argv[7], "r", encoding="utf-8") as f:\n'
    assert line in result.stderr and "No such file or directory: 'f'" in result.stderr, result.stderr


HOG = PREPARE + "held = []\nwhile True: held.append(bytearray(len(train)))\n"


@pytest.mark.slow
def test_the_guard_names_the_line_that_ran(here: Path) -> None:
    (here / "prepare.py").write_text(HOG)
    result = run("--fix", "--limit", "256MiB", "--record", "record.json", "prepare.py", "train.txt")
    record = json.loads((here / "record.json").read_text())
    assert result.returncode == 75 and "runs fixed" in result.stderr, result.stderr
    culprit = record["culprit"]
    assert (culprit["file"], culprit["line"]) == (str(here / "prepare.py"), 14)
    assert culprit["variable"] == "held" and culprit["source_text"].startswith("while True: held.append(")


@pytest.mark.slow
def test_nothing_to_fix_is_said_and_the_script_runs(here: Path) -> None:
    (here / "prepare.py").write_text("import sys\nprint(__file__, sys.argv)\n")
    result = run("--fix", "prepare.py", "train.txt")
    assert result.stdout == f"{here}/prepare.py ['prepare.py', 'train.txt']\n" and result.returncode == 0
    assert result.stderr.startswith("memguard: prepare.py runs unchanged: there is nothing to fix\n")
    result = run("--fix", "-q", "prepare.py")
    assert (result.returncode, result.stderr) == (0, "")
    (here / "prepare.py").write_text("print('\n")
    result = run("--fix", "prepare.py")
    assert result.returncode == 1 and "runs unchanged: prepare.py" in result.stderr and "SyntaxError" in result.stderr


@pytest.mark.slow
def test_where_it_cannot_be(here: Path) -> None:
    result = run("--fix", "--no-agent", "prepare.py", "train.txt")
    assert result.returncode == 2 and "--fix needs the agent" in result.stderr
    result = run("--fix", "--", "sh", "-c", "echo done")
    assert result.stdout == "done\n" and "sh runs unchanged: sh is not Python" in result.stderr
    result = run("--fix", "--", sys.executable, "-E", "prepare.py", "train.txt")
    assert "keeps the agent out" in result.stderr and result.stdout.startswith("False ")
    result = run("--fix", "--", sys.executable, "-O", "-X", "utf8", "prepare.py", "train.txt")
    assert result.stdout.startswith("True ") and result.returncode == 0
    result = run("--fix", "-m", "prepare", "train.txt")
    assert result.stdout.startswith("True ") and result.returncode == 0


@pytest.mark.slow
def test_workers_of_every_kind_run_the_fixed_source(here: Path) -> None:
    """Spawn and forkserver read the script again; a process of the script's own starts it by its path."""
    (here / "prepare.py").write_text(
        PREPARE.replace("import sys\n", "import multiprocessing, subprocess, sys\n").replace(
            "with open",
            "if __name__ != '__main__' or sys.argv[2:]:\n    print('memguard' in sys.modules)\n    exit()\nwith open",
        )
        + "subprocess.run([sys.executable, __file__, 'train.txt', 'again'], check=True)\n"
        "for kind in ('spawn', 'forkserver'):\n"
        "    worker = multiprocessing.get_context(kind).Process(target=print)\n"
        "    worker.start()\n    worker.join()\n"
    )
    result = run("--fix", "prepare.py", "train.txt")
    assert "runs fixed" in result.stderr and result.returncode == 0, result.stderr
    assert sorted(line for line in result.stdout.splitlines() if line in ("True", "False")) == ["True"] * 3
