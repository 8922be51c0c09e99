"""The probe: what it refuses, where the script's outputs go, and one real probe of a small script."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from memguard.errors import InputError
from memguard.estimate.probe.run import outside_paths, probe, slice_sizes
from memguard.records.limits import Limits
from memguard.units import GIB, MIB

LIMITS = Limits(4 * GIB, "a test", None, None, None)

# A list of the bytes: eight bytes of memory for each byte of the input.
SCRIPT = """\
import os
import sys
import time
from beside import gather

data = gather(sys.argv[1])
open("out.bin", "wb").write(b"done")
open(os.path.join(os.path.dirname(__file__), "beside_the_script.bin"), "wb").write(b"done")
open(os.path.join(os.path.expanduser("~"), "in_home.bin"), "wb").write(b"done")
print("the script's own words")
time.sleep(0.25)
"""
# Both stay alive for longer than the guard sleeps, far below its limit.
BESIDE = "def gather(path):\n    raw = open(path, 'rb').read()\n    return raw, list(raw)\n"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text(BESIDE)
    (tmp_path / "home").mkdir()
    (tmp_path / "text.txt").write_bytes(b"some words\n" * 3_000_000)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VIRTUAL_ENV", os.path.dirname(os.path.dirname(sys.executable)))
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the guard is exact on Linux")
def test_a_script_is_measured_and_leaves_nothing(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = str(desk / "text.txt")
    before = sorted(str(found.relative_to(desk)) for found in desk.rglob("*"))
    place = os.getcwd()
    result = probe(str(desk / "script.py"), path, LIMITS)
    out, err = capfd.readouterr()
    assert out == ""  # stdout is the estimate's
    assert err.count("the script's own words") == 3
    assert (result.shape, result.verdict) == ("linear", "fits")
    assert len(result.points) == 3
    # One byte of the file and eight of the list.
    assert result.per_byte == pytest.approx(9, rel=0.15)
    assert result.peak.low <= 9 * 33_000_000 + result.fixed <= result.peak.high
    after = [name for name in sorted(str(f.relative_to(desk)) for f in desk.rglob("*")) if "__pycache__" not in name]
    assert after == before
    assert os.getcwd() == place and os.environ["HOME"] == str(desk / "home")


def test_a_script_that_fails_is_named(desk: Path) -> None:
    (desk / "script.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(InputError, match="ended with exit code 3"):
        probe(str(desk / "script.py"), str(desk / "text.txt"), LIMITS)


def test_a_script_that_could_write_elsewhere_is_refused_unrun(desk: Path) -> None:
    (desk / "script.py").write_text(f"open({str(desk / 'precious')!r}, 'w')\n")
    with pytest.raises(InputError, match=r"script.py:1: names the path"):
        probe(str(desk / "script.py"), str(desk / "text.txt"), LIMITS)
    assert not (desk / "precious").exists()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("open('/data/out.bin', 'wb')", ["/data/out.bin"]),
        ("open(f'/data/{name}.bin', 'wb')", ["/data/"]),
        ("Path('~/out')", ["~/out"]),
        ("open('../out.bin', 'wb')", ["../out.bin"]),
        ("os.path.join('..', 'out')", [".."]),
        ("open('/dev/null')", []),
        ("'a / b'.split('/')", []),
        ("requests.get('https://host/path')", []),
        ("'''/docstring/of a module'''", []),
    ],
)
def test_paths_outside_are_found(line: str, found: list[str]) -> None:
    assert [text for _, text in outside_paths(line + "\n")] == found


def test_too_little_and_missing_are_refused(desk: Path) -> None:
    (desk / "small.txt").write_text("few words")
    with pytest.raises(InputError, match="too little"):
        probe(str(desk / "script.py"), str(desk / "small.txt"), LIMITS)
    with pytest.raises(InputError, match="cannot be read: no such file"):
        probe(str(desk / "none.py"), str(desk / "text.txt"), LIMITS)
    (desk / "bad.py").write_text("def (:\n")
    with pytest.raises(InputError, match=r"bad\.py:1: not Python"):
        probe(str(desk / "bad.py"), str(desk / "text.txt"), LIMITS)


def test_slices_grow_and_stay_small() -> None:
    assert slice_sizes(1 << 40) == (8 * MIB, 16 * MIB, 32 * MIB)
    assert slice_sizes(16 * MIB) == (2 * MIB, 4 * MIB, 8 * MIB)
