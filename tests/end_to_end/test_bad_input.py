"""Bad input: one clear line that names the file and a hint, the right exit code, nothing left half-written."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.cli.main import main
from tests.people import Person, myself, normal_user

# command, exit code, what the message must name
CASES = [
    (["estimate", "missing.txt"], 3, "missing.txt"),
    (["estimate", "hollow"], 3, "hollow"),
    (["estimate", "empty.txt"], 3, "empty.txt"),
    (["estimate", "binary.txt"], 3, "binary.txt"),
    (["estimate", "text.txt", "--encoding", "gpt3"], 2, "gpt3"),
    (["estimate", "text.txt", "--encoding", "cl100k_base"], 3, "TIKTOKEN_CACHE_DIR"),
    (["estimate", "text.txt", "--limit", "lots"], 2, "lots"),
    (["estimate", "text.txt", "--limit", "0"], 2, "0"),
    (["estimate"], 2, "FILE"),
    (["tokenize", "missing.txt", "-o", "out"], 3, "missing.txt"),
    (["tokenize", "hollow", "-o", "out"], 3, "hollow"),
    (["tokenize", "empty.txt", "-o", "out"], 3, "empty.txt"),
    (["tokenize", "invalid.txt", "-o", "out"], 3, "offset 6"),
    (["tokenize", "text.txt", "-o", "out", "--encoding", "gpt3"], 2, "gpt3"),
    (["tokenize", "text.txt", "-o", "out", "--encoding", "cl100k_base"], 3, "TIKTOKEN_CACHE_DIR"),
    (["tokenize", "text.txt", "-o", "out", "--max-memory=-5M"], 2, "-5M"),
    (["tokenize", "text.txt", "-o", "out", "--max-memory", "1M"], 2, "--max-memory"),
    (["tokenize", "text.txt", "-o", "out", "--val-fraction", "1.5"], 2, "1.5"),
    (["tokenize", "text.txt", "-o", "out", "--workers", "0"], 2, "0"),
    (["tokenize", "text.txt", "-o", "text.txt"], 3, "text.txt"),
    (["tokenize", "text.txt", "-o", "taken"], 3, "taken"),
    (["run", "missing.py"], 127, "missing.py"),
    (["run", "folder"], 126, "folder"),
    (["run", "--limit", "lots", "script.py"], 2, "lots"),
    (["run", "--python", "no-such-python", "script.py"], 127, "no-such-python"),
    (["run", "--record", "no/such/dir/r.json", "script.py"], 2, "no/such/dir"),
    (["run", "--", "no-such-command"], 127, "no-such-command"),
    (["run", "--", "./not-executable"], 126, "not-executable"),
    (["run"], 2, "prepare.py"),
    (["diagnose", "missing.log"], 3, "missing.log"),
    (["diagnose", "folder"], 3, "folder"),
    (["demo", "--limit", "10M"], 2, "10M"),
    (["demo", "--keep", "folder"], 2, "folder"),
    (["demo", "--size", "1MB"], 2, "1MB"),
]


@pytest.fixture
def desk(tmp_path: Path) -> Person:
    who = myself(tmp_path)
    who.env["TIKTOKEN_CACHE_DIR"] = str(tmp_path / "no-cache")
    fill(tmp_path)
    return who


def fill(directory: Path) -> None:
    (directory / "text.txt").write_text("Some text, and some more of it. " * 1000)
    (directory / "empty.txt").touch()
    (directory / "binary.txt").write_bytes(bytes(range(256)) * 40)
    (directory / "invalid.txt").write_bytes(b"Hello \xff there")
    (directory / "script.py").write_text("print('never')\n")
    (directory / "not-executable").write_text("#!/bin/sh\n")
    (directory / "folder").mkdir()
    (directory / "folder" / "file.txt").write_text("x")
    (directory / "hollow").mkdir()
    (directory / "taken").mkdir()
    (directory / "taken" / "train.bin").write_bytes(b"somebody else's")


def listing(directory: Path) -> set[str]:
    found = {str(path.relative_to(directory)) for path in directory.rglob("*")}
    return {name for name in found if not name.startswith("state")}


def complain(who: Person, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs it; asserts a short complaint on stderr and nothing on stdout."""
    line = who.memguard(*command)
    if who.user:
        line = ["su", "-m", "-s", "/bin/sh", who.user, "-c", "exec " + shlex.join(line)]
    result = subprocess.run(line, cwd=who.home, env=who.env, capture_output=True, text=True, timeout=60)
    return checked(command, result)


def checked(command: list[str], result: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    shown = f"$ memguard {' '.join(command)}\n{result.stdout}{result.stderr}(exit {result.returncode})"
    assert "Traceback" not in result.stderr, shown
    assert result.stdout == "", shown
    lines = [text for text in result.stderr.splitlines() if not text.startswith("usage:") and text.strip()]
    usage = result.stderr.startswith("usage:")
    assert usage or (1 <= len(lines) <= 3 and lines[0].startswith("memguard")), shown
    return result


@pytest.fixture
def here(desk: Person, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The desk as this process's own working directory: a process for each case would cost a minute."""
    monkeypatch.chdir(desk.home)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", desk.env["TIKTOKEN_CACHE_DIR"])
    return desk.home


@pytest.mark.parametrize(
    ("command", "code", "names"), CASES, ids=lambda value: " ".join(value) if isinstance(value, list) else None
)
def test_one_clear_line(
    here: Path, command: list[str], code: int, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(here)
    returned = main(command)
    captured = capsys.readouterr()
    result = checked(command, subprocess.CompletedProcess(command, returned, captured.out, captured.err))
    assert result.returncode == code, result.stderr
    assert names in result.stderr
    assert listing(here) == before


@pytest.fixture
def somebody() -> Iterator[Person]:
    who = normal_user()
    fill(who.home)
    (who.home / "secret.txt").write_text("text " * 100)
    for name in ("secret.txt", "script.py"):
        (who.home / name).chmod(0o000)
    (who.home / "locked").mkdir(mode=0o555)
    yield who
    shutil.rmtree(who.home)


@pytest.mark.parametrize(
    ("command", "code", "names"),
    [
        (["estimate", "secret.txt"], 3, "secret.txt"),
        (["tokenize", "secret.txt", "-o", "out"], 3, "secret.txt"),
        (["tokenize", "text.txt", "-o", "locked/out"], 3, "locked"),
        (["tokenize", "text.txt", "-o", "locked"], 3, "locked"),
        (["run", "script.py"], 126, "script.py"),
        (["diagnose", "secret.txt"], 3, "secret.txt"),
    ],
)
def test_what_a_normal_user_may_not_touch(somebody: Person, command: list[str], code: int, names: str) -> None:
    before = listing(somebody.home)
    result = complain(somebody, command)
    assert result.returncode == code, result.stderr
    assert names in result.stderr
    assert listing(somebody.home) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A 1 MiB file system."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mount)], capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk(desk: Person, small_disk: Path, english: str) -> None:
    (desk.home / "big.txt").write_text(english * 12)
    result = complain(desk, ["tokenize", "big.txt", "-o", str(small_disk / "out")])
    assert result.returncode == 3
    assert str(small_disk) in result.stderr
    assert not [path for path in small_disk.rglob("*") if path.is_file()]


def test_a_disk_that_fills_up_while_writing(desk: Person, small_disk: Path, english: str) -> None:
    """The free space is there at the start and gone in the middle: a reader of a pipe cannot know the size."""
    (desk.home / "big.txt").write_text(english * 12)
    script = (
        "import shutil, sys\n"
        "shutil.disk_usage = lambda path, real=shutil.disk_usage: real('/')\n"
        "import os\n"
        "os.statvfs = lambda path, real=os.statvfs: real('/')\n"
        "from memguard.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    result = subprocess.run(
        [desk.python, "-c", script, "tokenize", "big.txt", "-o", str(small_disk / "out")],
        cwd=desk.home,
        env=desk.env,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 3, result.stderr
    assert "Traceback" not in result.stderr and str(small_disk) in result.stderr
    assert not [path for path in small_disk.rglob("*") if path.is_file()]
