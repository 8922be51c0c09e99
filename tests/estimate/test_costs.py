from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from memguard.estimate import baseline
from memguard.estimate.baseline import BaselineProbe
from memguard.estimate.plans.costs import cached_int_max, int_bytes, read_costs
from memguard.units import MIB


def test_cached_ints_are_what_identity_says() -> None:
    highest = cached_int_max()
    assert int(str(highest)) is int(str(highest))
    assert int(str(highest + 1)) is not int(str(highest + 1))


# In a child: this process has free pools that the list would fill first.
_GROW = """\
from memguard.system.proc import read_status
before = read_status("self").rss_anon
ids = list(range(1000, 3_001_000))
print(read_status("self").rss_anon - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RssAnon is Linux's")
def test_a_list_of_ints_takes_what_the_costs_say() -> None:
    """The resident memory of three million distinct ids, in this very interpreter."""
    costs = read_costs(0, 0)
    grown = int(subprocess.run([sys.executable, "-c", _GROW], stdout=subprocess.PIPE, check=True).stdout)
    assert grown == pytest.approx(3_000_000 * (costs.list_slot + costs.heap_int), rel=0.03)


def test_an_int_takes_at_least_what_getsizeof_says() -> None:
    assert sys.getsizeof(50_000) <= int_bytes() < sys.getsizeof(50_000) + 17


def test_the_baseline_is_measured_in_a_child() -> None:
    with BaselineProbe("gpt2") as probe:
        result = probe.result()
    assert result.measured
    assert 20 << 20 < result.rss <= result.peak < 400 << 20


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "print('something else')"])
def test_a_child_that_fails_leaves_the_stand_in(program: str) -> None:
    with BaselineProbe("gpt2", program=program) as probe:
        assert not probe.result().measured


def test_a_python_that_does_not_exist_leaves_the_stand_in() -> None:
    with BaselineProbe("gpt2", python="/nonexistent/python") as probe:
        assert not probe.result().measured


def test_the_child_times_tiktoken_on_pieces_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("Some words of a text, one after the other. " * 4000)
    with BaselineProbe("gpt2", pieces=[(str(path), 0, 50_000), (str(path), 100_000, 50_000)]) as probe:
        rate = probe.result().rate
    assert rate is not None and 1e5 < rate < 1e9


def test_a_text_that_is_gone_is_not_timed(tmp_path: Path) -> None:
    with BaselineProbe("gpt2", pieces=[(str(tmp_path / "gone.txt"), 0, 50_000)]) as probe:
        result = probe.result()
    assert result.measured
    assert result.rate is None


def test_a_probe_left_early_leaves_no_child() -> None:
    with BaselineProbe("gpt2") as probe:
        process = probe._process
    assert process is not None
    assert process.returncode is not None


def test_what_a_script_imports_is_weighed_in_a_python_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "own_program.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    found = {}
    for name, modules in {
        "bare": ["os", "no_such_library.x:y", "own_program"],
        "numpy": ["os", "numpy:array"],
        "tiktoken": ["numpy", "tiktoken"],
        "loud": ["this", "numpy"],
    }.items():
        with BaselineProbe("gpt2", modules=modules) as probe:
            found[name] = probe.result()
    loaded = {name: baseline.script for name, baseline in found.items()}
    bare, numpy, both = loaded["bare"], loaded["numpy"], loaded["tiktoken"]
    assert bare and numpy and both and loaded["loud"]
    assert bare.missing == ("no_such_library",) and numpy.missing == ()
    assert not (tmp_path / "ran").exists()  # nobody's library is imported
    assert 6 * MIB < bare.rss < 16 * MIB < numpy.rss < both.rss
    assert both.rss == pytest.approx(found["tiktoken"].rss, rel=0.06)
    assert both.peak >= both.rss > both.anonymous > 0


@pytest.mark.slow
def test_libraries_that_take_too_long_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they have taken so far is the least of it."""
    place = tmp_path / "site-packages"
    place.mkdir()
    (place / "slow_library.py").write_text("import time\nkept = b'x' * (40 << 20)\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(place))
    monkeypatch.setattr(baseline, "_TIMEOUT", 8.0)
    with BaselineProbe("gpt2", modules=["slow_library"]) as probe:
        found = probe.result().script
    assert found is not None and not found.whole
    assert found.rss > 45 * MIB and found.anonymous > 40 * MIB
