"""memguard.workers: how many of that size fit here now."""

from __future__ import annotations

import pytest

import memguard
from memguard.system.machine import read_cores
from memguard.units import GIB, MIB
from memguard.watch import workers


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "headroom", lambda: 10 * GIB)
    monkeypatch.setattr(workers, "read_cores", lambda: 6)


@pytest.mark.usefixtures("left")
@pytest.mark.parametrize(
    ("size", "fit"),
    [(GIB, 10), ("1GiB", 10), ("3.4GiB", 2), ("10GiB", 1), (10 * GIB + 1, 0), ("45GB", 0), (1, 10 * GIB)],
)
def test_as_many_as_fit_and_no_more_than_cores(size: int | str, fit: int) -> None:
    assert memguard.workers(size, cores=False) == fit
    assert memguard.workers(size) == min(fit, 6)


@pytest.mark.parametrize("size", [0, -1, True, 1.5, None, "", "lots", "0", "50%"])
def test_what_is_no_size_is_refused(size: object) -> None:
    with pytest.raises(memguard.ConfigError):
        memguard.workers(size)  # type: ignore[arg-type]


def test_where_no_limit_can_be_read_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "headroom", lambda: None)
    with pytest.raises(memguard.SystemInterfaceError, match="no limit of memory can be read"):
        memguard.workers("1GiB")


def test_it_is_the_room_that_headroom_says() -> None:
    each = 256 * MIB
    before = memguard.headroom()
    found = memguard.workers(each, cores=False)
    after = memguard.headroom()
    assert before is not None and after is not None
    assert min(before, after) // each - 1 <= found <= max(before, after) // each + 1
    assert memguard.workers(1) == read_cores()
