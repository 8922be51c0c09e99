from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.system import service_log as module
from memguard.system.kernel_log import Refusal
from memguard.system.service_log import log_files, service_log


def test_only_those_who_may_kill_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def journal(*options: str) -> Iterator[str]:
        asked.extend(options)
        return iter(["first", "second"])

    monkeypatch.setattr(module, "journal_lines", journal)
    log = service_log([])
    assert log is not None and list(log) == ["first", "second"]
    assert asked[::2] == ["-t"] * (len(asked) // 2) and {"systemd-oomd", "earlyoom", "nohang"} <= set(asked[1::2])


@pytest.mark.parametrize(
    ("error", "reason"), [(FileNotFoundError(2, "no journal"), "not there"), (PermissionError(1, "denied"), "denied")]
)
def test_a_journal_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str) -> None:
    def journal(*options: str) -> Iterator[str]:
        raise error

    monkeypatch.setattr(module, "journal_lines", journal)
    refused: list[Refusal] = []
    assert service_log(refused) is None
    assert refused == [Refusal("journal", reason)]


def test_an_empty_journal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "journal_lines", lambda *options: iter(()))
    assert service_log([]) is None


def test_files_that_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kern.log").write_text("x")
    monkeypatch.setattr(module, "_FILES", (str(tmp_path / "absent"), str(tmp_path / "kern.log"), str(tmp_path)))
    monkeypatch.setattr("sys.platform", "linux")
    assert list(log_files()) == [str(tmp_path / "kern.log")]
