from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.diagnose.lines import MAX_LINE, parse_line, split_message

MESSAGE = "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"


@pytest.mark.parametrize(
    ("prefix", "time", "uptime", "host"),
    [
        ("", None, None, None),
        ("[12345.678901] ", "12345.678901", 12345.678901, None),
        ("<6>[39291577.009360] ", "39291577.009360", 39291577.00936, None),
        ("[   10.500000][ T900] ", "10.500000", 10.5, None),
        ("[Di Aug 12 03:54:03 2025] ", "Di Aug 12 03:54:03 2025", None, None),
        ("[dim. 19 avril 18:03:30 2026] ", "dim. 19 avril 18:03:30 2026", None, None),
        ("Nov  9 10:10:50 host-1 kernel: ", "Nov  9 10:10:50", None, "host-1"),
        ("Nov  9 10:10:50 host-1 kernel: [  518.050606] ", "Nov  9 10:10:50", 518.050606, "host-1"),
        ("2026-09-19T17:27:56.876995+00:00 web-1 kernel: ", "2026-09-19T17:27:56.876995+00:00", None, "web-1"),
        ("2026-09-19T17:27:56,876995+02:00 ", "2026-09-19T17:27:56,876995+02:00", None, None),
        ("kern  :warn  : [  518.050606] ", "518.050606", 518.050606, None),
        ("4,1234,518050606,-;", "518.050606", 518.050606, None),
        ("[Nov21 20:45] ", "Nov21 20:45", None, None),
        ("MESSAGE=", None, None, None),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_what_stands_before_the_message(
    prefix: str, time: str | None, uptime: float | None, host: str | None, end: str
) -> None:
    line = parse_line(prefix + MESSAGE + end)
    assert (line.text, line.time, line.uptime, line.host) == (MESSAGE, time, uptime, host)
    assert line.raw == prefix + MESSAGE


def test_the_program_that_speaks() -> None:
    line = parse_line("2026-11-21T20:46:07+0000 mgvm earlyoom[357]: low memory! at or below")
    assert (line.program, line.host, line.text) == ("earlyoom", "mgvm", "low memory! at or below")
    assert parse_line("Nov  9 10:10:50 h kernel: x").program == "kernel"
    assert parse_line(MESSAGE).program is None


def test_a_row_of_the_task_table_keeps_its_bracket() -> None:
    row = "[   3335]     0  3335   135001   132242  1134592        0             0 python"
    assert parse_line("[ 1000.791306] " + row).text == row


def test_escapes_of_the_kernel() -> None:
    assert parse_line(r"6,1,1000000,-;task=pr\xc3\xa9p").text == "task=prép"
    assert parse_line(r"6,1,1000000,-;/a\x5cx2db.scope").text == r"/a\x2db.scope"  # systemd's own escape stays
    assert split_message(r"anon 1\x0afile 2") == ["anon 1", "file 2"]
    assert split_message("anon 1#012file 2") == ["anon 1", "file 2"]
    assert split_message("one line") == ["one line"]


def test_journal_json() -> None:
    raw = '{"__REALTIME_TIMESTAMP":"1790000000123456","_HOSTNAME":"lab","SYSLOG_IDENTIFIER":"kernel","MESSAGE":"a\\nb"}'
    line = parse_line(raw)
    assert (line.text, line.time, line.host, line.program) == ("a\nb", "@1790000000.123456", "lab", "kernel")
    assert parse_line('{"MESSAGE": broken').text.startswith("{")
    assert parse_line('{"MESSAGE": null}').text == '{"MESSAGE": null}'


@given(st.text(max_size=300))
def test_no_text_makes_it_raise(text: str) -> None:
    assert len(parse_line(text).raw) <= MAX_LINE
