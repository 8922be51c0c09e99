from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.system import kernel_log
from memguard.system.kernel_log import Refusal, describe, format_kmsg, kernel_logs


def test_a_record_of_dev_kmsg_reads_like_dmesg() -> None:
    record = "6,339,5140900,-;Memory cgroup out of memory: Killed process 7 (a;b)\n SUBSYSTEM=cgroup\n DEVICE=+x\n"
    assert format_kmsg(record) == ("[    5.140900] Memory cgroup out of memory: Killed process 7 (a;b)",)
    assert format_kmsg("4,1,123456789012,-,caller=T1;x\\x0ay") == ("[123456.789012] x\\x0ay",)


@given(st.text(max_size=60) | st.from_regex(r"\d?,\d?,\S{0,30},-;\S*", fullmatch=True))
def test_no_record_makes_the_formatter_raise(record: str) -> None:
    for line in format_kmsg(record):
        assert "\n" not in line


def refuse(number: int, words: str = "") -> object:
    def opener() -> object:
        raise OSError(number, words)
        yield

    return opener


def test_the_first_readable_source_is_taken_and_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_log, "_kmsg", refuse(errno.EPERM))
    monkeypatch.setattr(kernel_log, "_dmesg", lambda: iter(()))
    monkeypatch.setattr(kernel_log, "_journal", lambda: iter(("a", "b")))
    log = next(kernel_logs())
    assert (log.source, list(log), log.epoch) == ("journalctl -k", ["a", "b"], None)
    assert [refusal.source for refusal in log.refused] == ["/dev/kmsg", "dmesg"]
    assert "only root" in log.refused[0].reason and log.refused[1].reason == "no message in it"


def test_lines_of_the_kernels_own_clock_carry_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_log, "_kmsg", lambda: iter(("[    1.000000] a",)))
    log = next(kernel_logs())
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert log.epoch is not None and abs(log.epoch + now - time.time()) < 5


def test_without_any_right_each_source_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_log, "_kmsg", refuse(errno.EACCES))
    monkeypatch.setattr(kernel_log, "_dmesg", refuse(errno.ENOENT))
    monkeypatch.setattr(kernel_log, "_journal", refuse(errno.EPERM))
    refused: list[Refusal] = []
    assert list(kernel_logs(refused)) == []
    message = describe(refused)
    assert "/dev/kmsg: only root" in message and "dmesg: not there" in message
    assert "journalctl -k: only root and the groups systemd-journal and adm" in message
    assert describe([Refusal("a", "no"), Refusal("b", "not there"), Refusal("c", "no")]) == "a, c: no; b: not there"


def program(directory: Path, name: str, body: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what the test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(kernel_log, "_kmsg", refuse(errno.EPERM))
    return tmp_path


def test_dmesg_that_may_not_read(programs: Path) -> None:
    program(programs, "dmesg", 'echo "dmesg: read kernel buffer failed: Operation not permitted" >&2; exit 1')
    refused: list[Refusal] = []
    assert list(kernel_logs(refused)) == []
    assert refused[1].source == "dmesg" and refused[1].reason.startswith("only root may read it here")


def test_dmesg_that_prints_and_then_fails_is_read(programs: Path) -> None:
    program(programs, "dmesg", 'echo "[    1.0] a"; echo "[    2.0] b"; exit 1')
    assert list(next(kernel_logs())) == ["[    1.0] a", "[    2.0] b"]


def test_a_line_without_an_end_comes_in_bounded_pieces(programs: Path) -> None:
    program(programs, "dmesg", "printf '%0200000d' 0")
    pieces = list(next(kernel_logs()))
    assert len(pieces) == 4 and max(map(len, pieces)) == 64 * 1024


def test_a_program_that_never_ends_is_ended_with_its_lines(programs: Path) -> None:
    pid_file = programs / "pid"
    program(programs, "dmesg", f"echo $$ > {pid_file}; while :; do echo line; done")
    log = next(kernel_logs())
    assert [next(log.lines) for _ in range(3)] == ["line"] * 3
    pid = int(pid_file.read_text())
    del log
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the real kernel log")
def test_the_real_log_or_the_reason_why_not() -> None:
    refused: list[Refusal] = []
    log = next(kernel_logs(refused), None)
    if log is None:
        assert "/dev/kmsg" in describe(refused)
    else:
        lines = list(log)
        assert lines and all("\n" not in line for line in lines)
