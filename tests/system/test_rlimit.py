from __future__ import annotations

import os
import resource
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.system.rlimit import parse_limits, read_rlimits
from tests.system.machines import text


def test_recorded_limits() -> None:
    limits = parse_limits(text("proc/v1/limits"))
    assert limits["RLIMIT_AS"] == (None, None)
    assert limits["RLIMIT_STACK"] == (8 << 20, None)
    assert limits["RLIMIT_CORE"] == (0, None)
    assert len(limits) == 16  # every line of the file


@given(
    st.lists(st.one_of(st.text(max_size=60), st.from_regex(r"Max [a-z ]{3,20} +\S{0,30} +\S{0,30}", fullmatch=True)))
)
def test_no_text_makes_the_parser_raise(lines: list[str]) -> None:
    for soft, hard in parse_limits("\n".join(lines)).values():
        assert (soft is None or soft >= 0) and (hard is None or hard >= 0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the real /proc")
def test_the_kernel_agrees() -> None:
    limits = read_rlimits(os.getpid())
    for name in ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_NOFILE"):
        expected = resource.getrlimit(getattr(resource, name))
        assert limits[name] == tuple(None if value == resource.RLIM_INFINITY else value for value in expected)


def test_a_vanished_process_has_none(tmp_path: os.PathLike[str]) -> None:
    assert read_rlimits(1, os.fspath(tmp_path)) == {}
