"""What memguard writes to may be full, closed or gone: the exit code stays the script's, in one line, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
ROOT = Path(__file__).resolve().parents[2]
GROWS = "rows = [bytearray(b'x') * (1 << 20) for _ in range(200)]; raise SystemExit(7)"
ENDS = "raise SystemExit(7)"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def run(
    code: str, *options: str, shell: str = '"$@"', prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """`shell` runs the command, its words in "$@"."""
    guarded = [sys.executable, "-m", "memguard", "run", *options, "--", sys.executable, "-c", code]
    command = [*prefix, "sh", "-c", shell, "sh", *guarded]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize(("code", "expected"), [(GROWS, 75), (ENDS, 7)], ids=["stopped", "ended"])
@pytest.mark.parametrize(
    "shell",
    [
        '"$@" 2>&-',
        '"$@" >&-',
        '"$@" <&- >&- 2>&-',
        '"$@" 2>/dev/full',
        '{ "$@" 2>&1 1>&3; echo $? >code; } 3>&1 | true; exit $(cat code)',
    ],
    ids=["no stderr", "no stdout", "nothing", "full", "no reader"],
)
def test_nobody_listens(shell: str, code: str, expected: int) -> None:
    result = run(code, "--limit", "96M", shell=shell)
    assert result.returncode == expected
    assert "Error" not in result.stderr.replace("MemoryLimitExceeded", "")


@pytest.mark.parametrize(("code", "expected"), [(GROWS, 75), (ENDS, 7)], ids=["stopped", "ended"])
def test_the_record_cannot_be_written(code: str, expected: int, here: Path) -> None:
    result = run(code, "-q", "--limit", "96M", "--record", "/dev/full")
    assert result.returncode == expected
    lines = [line for line in result.stderr.splitlines() if "--record" in line]
    assert len(lines) == 1
    assert lines[0].startswith("memguard: --record /dev/full could not be written: No space left on device")
    (kept,) = Path(os.environ["MEMGUARD_STATE_DIR"], "runs").iterdir()
    assert str(kept) in lines[0] and json.loads((kept / "record.json").read_text())["exit_code"] == expected


def test_the_place_of_the_record_vanishes(here: Path) -> None:
    (here / "there").mkdir()
    result = run(f"import os; os.rmdir('there'); {ENDS}", "--record", "there/r.json")
    assert result.returncode == 7
    first, last = result.stderr.splitlines()
    assert "there/r.json could not be written: No such file or directory" in first
    assert ": exit code 7 after " in last


@pytest.mark.parametrize("code", [GROWS, ENDS], ids=["stopped", "ended"])
def test_the_state_directory_vanishes(code: str) -> None:
    gone = "import os, shutil; shutil.rmtree(os.environ['MEMGUARD_STATE_DIR'])"
    result = run(f"{gone}; {code}", "--limit", "96M")
    assert result.returncode == (75 if code is GROWS else 7)
    assert "failed" not in result.stderr


def test_the_disk_is_full(here: Path) -> None:
    """A file system of 64 KiB, for the run's directory alone, which the script fills."""
    (here / "small").mkdir()
    mount = "mount -t tmpfs -o size=64k none small && export MEMGUARD_STATE_DIR=$PWD/small && "
    if subprocess.run(["unshare", "-m", "sh", "-c", mount + "true"], capture_output=True).returncode:
        pytest.skip("no mount of one's own here")
    fills = "f = open('small/x', 'wb', 0)\ntry:\n  while True: f.write(bytes(4096))\nexcept OSError: pass\n"
    for code, expected in ((GROWS, 75), (ENDS, 7)):
        result = run(fills + code, "--limit", "96M", shell=mount + '"$@"', prefix=("unshare", "-m"))
        assert result.returncode == expected, result.stderr
        assert "failed" not in result.stderr
        assert ("stopped python" in result.stderr) is (expected == 75)


def test_a_report_that_cannot_be_shown() -> None:
    bug = "import memguard.report.run as report; report.render = report.summary = None; "
    main = f"import sys; {bug}from memguard.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", main, "run", "--limit", "96M", "--", sys.executable, "-c", GROWS]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 75
    said = [line for line in result.stderr.splitlines() if line.startswith("memguard: ")]
    assert len(said) == 1 and "could not be shown (TypeError" in said[0] and "record is in" in said[0]
