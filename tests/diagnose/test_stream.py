from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from memguard.diagnose.stream import LineFilter
from memguard.diagnose.wrapping import LONGEST as MAX_LINE


def never() -> bool:
    return False


def split(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@given(st.text(alphabet="xyK\n\r é", max_size=200), st.integers(1, 50))
def test_lines_with_a_trigger_in_order_and_each_once(text: str, size: int) -> None:
    chosen = LineFilter(["K", "xy"], never)
    got = list(chosen.lines(split(text.encode(), size)))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert got == [line for line in lines if "K" in line or "xy" in line]
    assert chosen.count == len(lines) - (not lines[-1])


@given(st.text(alphabet="xyK\n\r", max_size=200), st.integers(1, 50))
def test_every_line_while_a_report_is_open(text: str, size: int) -> None:
    got = list(LineFilter(["K"], lambda: True).lines(split(text.encode(), size)))
    assert got == [line for line in text.replace("\r", "\n").split("\n") if line]


def test_a_report_opens_and_closes_between_two_lines() -> None:
    state = {"active": False}
    lines = []
    for line in LineFilter(["open", "close"], lambda: state["active"]).lines([b"a\nopen\nb\nc\nclose\nd\nopen\ne"]):
        lines.append(line)
        state["active"] = line != "close" if line in ("open", "close") else state["active"]
    assert lines == ["open", "b", "c", "close", "open", "e"]


def test_utf16_and_byte_order_marks() -> None:
    for data in ("\ufeffK1\r\nx\r\nK2é".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be")):
        for size in (1, 2, 3, 1000):
            chosen = LineFilter(["K"], never)
            assert list(chosen.lines(split(data, size))) == ["K1", "K2é"]
            assert chosen.count == 3


def test_one_endless_line_takes_bounded_memory() -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(400):
            yield b"K" * 100_000

    tracemalloc.start()
    got = list(LineFilter(["K"], never).lines(endless()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [len(line) for line in got] == [MAX_LINE]
    assert peak < 4_000_000 + 2_000_000  # the tail that is kept, and a few chunks
