from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from memguard.system.psi import Pressure, Stall, parse_pressure, read_pressure
from tests.system.machines import DATA


def test_pressure_of_a_loaded_machine() -> None:
    text = "some avg10=12.50 avg60=3.00 avg300=0.71 total=1500000\nfull avg10=1.00 avg60=0.50 avg300=0.10 total=40\n"
    assert parse_pressure(text) == Pressure(Stall(12.5, 3.0, 0.71, 1.5), Stall(1.0, 0.5, 0.1, 4e-05))


def test_the_machines_cpu_file_once_had_no_full_line() -> None:
    assert parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n") == Pressure(
        Stall(0.0, 0.0, 0.0, 7e-06), None
    )


def test_recorded_pressure_and_none_without_psi(tmp_path: os.PathLike[str]) -> None:
    recorded = read_pressure(str(DATA / "proc/v2/pressure"))
    assert recorded is not None and recorded.some is not None and recorded.full is not None
    assert recorded.some.total >= recorded.full.total
    assert read_pressure(os.path.join(tmp_path, "missing")) is None


@given(
    st.text(max_size=80)
    | st.from_regex(r"(some|full) avg10=\S{0,9} avg60=(nan|inf|1e999|\d) avg300=\d total=\S{0,30}", fullmatch=True)
)
def test_no_text_makes_the_parser_raise(text: str) -> None:
    parse_pressure(text)
