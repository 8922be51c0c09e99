"""The forecast of `memguard run` on real scripts: what it says while they read, against what they hold in the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memguard.system.open_files import read_positions
from memguard.system.proc import read_stat, read_status
from memguard.units import MIB
from memguard.watch.decide.forecast import Point, Track, forecast, observe, period
from tests.terminals import Terminal

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")

ROOT = Path(__file__).resolve().parents[2]
CHUNKED = ROOT / "tests/programs/plan_chunked_list.py"
RUN = [sys.executable, "-m", "memguard", "run", "--python", sys.executable]
# Keeps four times what it reads; argv: the input, and the seconds to wait after each MiB.
KEEPS = "import sys, time\nkept = []\nwith open(sys.argv[1], 'rb', buffering=0) as file:\n"
KEEPS += (
    "    while part := file.read(1 << 20):\n        kept.append(part * 4)\n        time.sleep(float(sys.argv[2]))\n"
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {**os.environ, "PYTHONPATH": str(ROOT), "MEMGUARD_STATE_DIR": str(tmp_path / "state"), "TERM": "xterm"}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def keeps(tmp_path: Path) -> list[str]:
    """A script that will hold 200 MiB in the end, and its input of 50 MiB."""
    (tmp_path / "keeps.py").write_text(KEEPS)
    (tmp_path / "train.txt").write_bytes(b"x" * (50 * MIB))
    return [str(tmp_path / "keeps.py"), str(tmp_path / "train.txt")]


def test_said_and_recorded(keeps: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    record = tmp_path / "r.json"
    command = [*RUN, "--limit", "120MiB", "--record", str(record), *keeps, "0.05"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 75, result.stderr
    said = next(line for line in result.stderr.splitlines() if "at this slope" in line)
    assert said.startswith("memguard: at ") and " of train.txt, " in said and "the limit is reached at " in said
    run = json.loads(record.read_text())
    assert run["termination_reason"] == "memory"
    assert run["forecast"]["peak"] == pytest.approx(210 * MIB, rel=0.1)
    assert run["forecast"]["limit_at"] == pytest.approx(110 / 200, abs=0.08)
    notices = [decision for decision in run["decisions"] if decision["action"] == "notice"]
    assert len(notices) == 1 and notices[0]["used"] < 100 * MIB


@pytest.mark.slow
def test_ended_early_where_that_is_asked_for(keeps: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    record = tmp_path / "r.json"
    command = [*RUN, "--limit", "120MiB", "--abort-on-forecast", "--record", str(record), *keeps, "0.08"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 75, result.stderr
    run = json.loads(record.read_text())
    assert run["termination_reason"] == "forecast" and run["peak"] < 110 * MIB


@pytest.mark.slow
def test_one_that_fits_is_left_alone(keeps: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    record = tmp_path / "r.json"
    command = [*RUN, "--limit", "400MiB", "--abort-on-forecast", "--record", str(record), *keeps, "0.02"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and "slope" not in result.stderr, result.stderr
    assert json.loads(record.read_text())["termination_reason"] is None


@pytest.mark.slow
def test_a_progress_line_for_a_script_that_prints_nothing(keeps: list[str], environment: dict[str, str]) -> None:
    with Terminal([*RUN, "--limit", "1GiB", *keeps, "0.04"], env=environment) as terminal:
        assert terminal.end(60) == 0
    assert " of train.txt, " in terminal.output and "the end is reached in " in terminal.output
    lines = terminal.screen.lines
    assert len(lines) == 1 and lines[0].startswith("memguard: keeps.py: exit code 0"), lines


@pytest.mark.slow
def test_none_for_a_script_that_prints(keeps: list[str], environment: dict[str, str]) -> None:
    script = Path(keeps[0])
    script.write_text(script.read_text().replace("kept.append", "print(len(kept) + 1, 'MiB read'); kept.append"))
    with Terminal([*RUN, "--limit", "1GiB", *keeps, "0.04"], env=environment) as terminal:
        assert terminal.end(60) == 0
    lines = terminal.screen.lines
    assert lines[:-1] == [f"{n} MiB read" for n in range(1, 51)], lines
    assert "of train.txt" not in terminal.output


@pytest.mark.slow
def test_a_chunked_list_over_134_mb(vocabulary: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Watched from outside, as the guard does: from 15 % of the input on within 10 % of the peak it has in the end."""
    corpus = Path.home() / ".cache/memguard-corpus/corpus_en.txt"
    if not corpus.exists():
        pytest.skip("no corpus of 134 MB here")
    size = corpus.stat().st_size
    environment = {**environment, "TIKTOKEN_CACHE_DIR": vocabulary}
    track, said, peak = Track(), [], 0
    with subprocess.Popen([sys.executable, str(CHUNKED), str(corpus), str(tmp_path)], env=environment) as process:
        stat = read_stat(process.pid)
        assert stat is not None
        start = time.monotonic()
        while process.poll() is None:
            now = time.monotonic() - start
            status = read_status(process.pid)
            used = (status.rss_anon or 0) if status else 0
            peak = max(peak, used)
            for path, position, _ in read_positions([stat.process], {str(corpus): size}):
                track = observe(track, Point(now, path, position, size, used))
                predicted = forecast(track, None)
                if position >= 0.15 * size:
                    said.append(predicted.peak if predicted else None)
            time.sleep(period(now))
    assert process.returncode == 0 and len(said) > 30
    wrong = [value for value in said if value is None or abs(value / peak - 1) > 0.1]
    assert not wrong, (peak, said)
