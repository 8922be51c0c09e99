"""Other people's Python, as it lies in this interpreter's library: no traceback, no long wait, little memory."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig

import pytest

from tests.bench.reader import MOST_BYTES, MOST_SECONDS, Reading
from tests.people import ROOT

LIBRARIES = sorted({sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")})


@pytest.mark.parametrize("most", [20, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_every_file_is_answered_in_time_and_in_little_memory(most: int) -> None:
    # in a fresh Python: a worker that has run other tests is itself larger than what is allowed here
    command = [sys.executable, "-m", "tests.bench", "reader", "--files", str(most), "--json", *LIBRARIES]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    found = [Reading(**json.loads(line)) for line in done.stdout.splitlines()]
    assert len(found) > most // 2
    assert [reading for reading in found if reading.failed] == []
    assert [reading for reading in found if reading.seconds > 1.5 * MOST_SECONDS] == []  # other tests run beside it
    assert [reading for reading in found if reading.peak > MOST_BYTES] == []
