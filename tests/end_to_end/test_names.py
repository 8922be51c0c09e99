"""Names that are not UTF-8, or that hold what a terminal obeys: every command finds the file and shows it safely."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse such names")

ODD = b"\xff\x1b[2J\n"
SHOWN = "\\xff^[[2J^J"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\udc80-\udcff]")
KILL = (
    b"[ 1234.567] Memory cgroup out of memory: Killed process 4242 (py\x1b[31mth\xe9on3) total-vm:4000000kB, "
    b"anon-rss:3000000kB, file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:6000kB oom_score_adj:0\n"
)
READER = """
import sys, time
with open(sys.argv[1], "rb") as file:
    while file.read(100_000):
        time.sleep(0.002)
sys.exit(3)
"""
GROWER = """
import sys
rows, file = [], open(sys.argv[1], "rb")
while True:
    rows.append(list(range(1000, 20000)))
    file.read(100)
"""


@pytest.fixture
def here(tmp_path: Path) -> bytes:
    """A directory of such a name, with a text, a log and two scripts in it."""
    directory = os.fsencode(tmp_path) + b"/d" + ODD
    os.mkdir(directory)
    for name, content in (
        (b"in" + ODD + b".txt", b"Some words of English text, and more of them.\n" * 3000),
        (b"log" + ODD, KILL),
        (b"read" + ODD + b".py", READER.encode()),
        (b"grow" + ODD + b".py", GROWER.encode()),
    ):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(content)
    return directory


def memguard(here: bytes, *words: str | bytes, code: int = 0) -> tuple[str, str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "memguard", *words], cwd=here, env=env, capture_output=True, timeout=120
    )
    out, err = result.stdout.decode(), result.stderr.decode()  # UTF-8, strictly
    assert result.returncode == code, (out, err)
    assert "itself failed" not in err and not CONTROL.search(out), (ascii(out), err)
    return out, err


def safe(text: str) -> str:
    assert not CONTROL.search(text) and "Traceback" not in text, ascii(text)
    return text


@pytest.mark.slow
def test_estimate(here: bytes) -> None:
    name = b"in" + ODD + b".txt"
    out, err = memguard(here, "estimate", name)
    assert f"in{SHOWN}.txt: " in out and safe(err) == ""
    record = json.loads(memguard(here, "estimate", "--json", name)[0])
    assert record["input"]["paths"] == [os.fsdecode(name)]
    assert f"grow{SHOWN}.py would need " in memguard(here, "estimate", "--script", b"grow" + ODD + b".py", name)[0]


@pytest.mark.slow
def test_token_files(here: bytes) -> None:
    name = b"in" + ODD + b".txt"
    for directory in (b"one" + ODD, b"two" + ODD):
        _, err = memguard(here, "tokenize", name, "-o", directory)
        assert f"{directory[:3].decode()}{SHOWN}/train.bin" in safe(err)
        out, _ = memguard(here, "verify", directory)
        assert f"in {directory[:3].decode()}{SHOWN} are exactly the text of in{SHOWN}.txt" in out
    assert f"one{SHOWN}/val.bin" in memguard(here, "inspect", b"one" + ODD + b"/val.bin")[0]
    _, err = memguard(here, "merge", b"one" + ODD, b"two" + ODD, "-o", b"all" + ODD)
    assert f"of 2 jobs in all{SHOWN}: " in safe(err)
    memguard(here, "verify", b"all" + ODD)
    manifest = json.loads(Path(os.fsdecode(here + b"/all" + ODD + b"/manifest.json")).read_text(encoding="utf-8"))
    (source,) = {source["path"] for source in manifest["inputs"]}
    assert os.path.basename(source) == os.fsdecode(name)


def test_a_log(here: bytes) -> None:
    out, err = memguard(here, "diagnose", b"log" + ODD, code=1)
    # Colours in a log are a terminal's, not the name's.
    assert "The kernel killed pyth\ufffdon3 (pid 4242)" in out and f"log{SHOWN}" in out + safe(err)
    memguard(here, "doctor")


@pytest.mark.parametrize("words", [["nothing"], ["estimate"], ["run"], ["verify"], ["diagnose"], ["inspect"]])
def test_what_is_not_there(words: list[str], here: bytes) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "memguard", *words, b"none" + ODD],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    err = safe(result.stderr.decode())
    assert result.returncode in (2, 3, 127) and len(err.splitlines()) <= 3, err
    assert f"none{SHOWN}" in err or words == ["nothing"]
    result = subprocess.run([sys.executable, "-m", "memguard", *words, b"--no" + ODD], cwd=here, capture_output=True)
    assert result.returncode == 2 and not CONTROL.search(result.stderr.decode())


def test_a_run_that_goes_well(here: bytes) -> None:
    """The argument, the input file and the working directory; the exit code is the script's own."""
    name, script = b"in" + ODD + b".txt", b"read" + ODD + b".py"
    memguard(here, "run", "--record", b"rec" + ODD, "--python", sys.executable, script, name, code=3)
    record = json.loads(Path(os.fsdecode(here + b"/rec" + ODD)).read_text(encoding="utf-8"))
    assert (record["command"][-1], record["cwd"]) == (os.fsdecode(name), os.fsdecode(here))
    assert record["script"] == os.fsdecode(script) and record["exit_code"] == 3


@pytest.mark.slow
def test_a_run_that_is_stopped(here: bytes) -> None:
    name, script = b"in" + ODD + b".txt", b"grow" + ODD + b".py"
    _, err = memguard(here, "run", "--limit", "60MiB", "--python", sys.executable, script, name, code=75)
    report = err[err.index("memguard: stopped") :]
    assert report.startswith(f"memguard: stopped grow{SHOWN}.py")
    assert f"grow{SHOWN}.py:5" in safe(report) and "rows (list" in report
    last = err[: err.index("memguard: stopped")].splitlines()[-1]
    assert last.startswith("memguard.MemoryLimitExceeded: ") and f"at grow{SHOWN}.py:5 holds" in safe(last)
    out, err = memguard(here, "diagnose", code=1)
    assert f"/d{SHOWN}/grow{SHOWN}.py:5:" in re.sub(r"\s", "", out)  # a long line is wrapped
    assert "memguard tokenize" in out and safe(err) == ""


def test_a_process_that_runs_already(here: bytes, state_directory: Path) -> None:
    name, script = b"in" + ODD + b".txt", b"read" + ODD + b".py"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)", script, name], cwd=here) as process:
        watcher = subprocess.Popen(
            [sys.executable, "-m", "memguard", "watch", "--record", b"rec" + ODD, str(process.pid)],
            cwd=here,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
        )
        runs = state_directory / "runs"
        while not any(path.read_text().count("\n") > 1 for path in runs.glob("*/journal.jsonl")):
            assert watcher.poll() is None, watcher.stderr and watcher.stderr.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        _, err = watcher.communicate(timeout=30)
    safe(err.decode())
    record = json.loads(Path(os.fsdecode(here + b"/rec" + ODD)).read_text(encoding="utf-8"))
    assert len(record["command"]) == 5 and record["command"][3].startswith("read")
