from __future__ import annotations

import builtins
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from memguard.cli import doctor
from memguard.cli.main import main
from memguard.inject import gpt2_files
from memguard.records.codec import from_json
from memguard.records.doctor import GROUPS, Ability, DoctorReport
from memguard.records.limits import Limits
from memguard.units import GIB


def examined(capsys: pytest.CaptureFixture[str], *flags: str) -> DoctorReport:
    assert main(["doctor", "--json", *flags]) == 0
    return from_json(DoctorReport, capsys.readouterr().out)


def test_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    report = examined(capsys)
    assert {ability.group for ability in report.abilities} == set(GROUPS)
    assert len({ability.name for ability in report.abilities}) == len(report.abilities)
    assert report.limits.constraints and report.limits.effective > 0
    assert report.machine is not None and report.machine.total == report.limits.total
    assert os.access(report.machine.script_python or "", os.X_OK)
    for ability in report.abilities:
        assert ability.state != "unavailable" or ability.reason


def test_limit_and_reserve(capsys: pytest.CaptureFixture[str]) -> None:
    report = examined(capsys, "--limit", "3MiB", "--reserve", "50%")
    assert (report.limits.effective, report.limits.source) == (3 << 20, "--limit")
    (memory,) = (c for c in report.limits.constraints if c.name == "MemAvailable")
    assert memory.margin == round(memory.limit / 2)
    (memory,) = (c for c in examined(capsys, "--reserve", "0").limits.constraints if c.name == "MemAvailable")
    assert memory.margin == 0


def test_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["doctor", "--limit", "3MiB"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and "\x1b" not in printed.out
    assert printed.out.startswith("A new job may use 3.00 MiB here; the tightest limit is --limit.\n")
    assert max(map(len, printed.out.splitlines())) <= 80


@pytest.mark.parametrize("flags", [["--limit", "lots"], ["--reserve", "-1"], ["--nonsense"], ["extra"]])
def test_usage(capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    assert main(["doctor", *flags]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "memguard doctor" in printed.err


def test_nothing_measurable_is_exit_3(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "read_limits", lambda **_: Limits(0, "no limit could be read", None, None, None))
    assert main(["doctor"]) == 3
    assert "nothing can be measured" in capsys.readouterr().out


def ability(name: str, environ: dict[str, str] | None = None) -> Ability:
    report = doctor.examine(None, None, {"PATH": os.defpath} if environ is None else environ)
    (found,) = (a for a in report.abilities if a.name == name)
    return found


def test_which_vocabularies_tiktoken_has(tmp_path: Path) -> None:
    absent = ability("other encodings", {"TIKTOKEN_CACHE_DIR": str(tmp_path)})
    file = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
    assert absent.state == "partial"
    assert "export TIKTOKEN_CACHE_DIR" in absent.mend and f"cl100k_base.tiktoken to DIR/{file}" in absent.mend
    (tmp_path / file).write_text("x")
    one = ability("other encodings", {"DATA_GYM_CACHE_DIR": str(tmp_path)})
    assert one.reason.startswith(f"cl100k_base in {tmp_path}; o200k_base")
    for url in doctor._VOCABULARIES.values():
        (tmp_path / hashlib.sha1(url.encode()).hexdigest()).write_text("x")
    assert ability("other encodings", {"TIKTOKEN_CACHE_DIR": str(tmp_path)}).state == "ok"
    assert ability("other encodings", {"TIKTOKEN_CACHE_DIR": ""}).state == "partial"  # caching switched off


def test_the_addresses_are_tiktokens_own() -> None:
    import inspect

    import tiktoken_ext.openai_public as public

    source = inspect.getsource(public)
    for name, url in doctor._VOCABULARIES.items():
        assert url in source and hasattr(public, name)


def test_without_gigatoken(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("gigatoken"):
            raise ImportError(name)
        return real(name, *rest)

    assert "gigatoken" in ability("fast engine").reason
    monkeypatch.setattr(builtins, "__import__", refuse)
    engine = ability("fast engine")
    assert engine.state == "partial" and "pip install gigatoken" in engine.mend
    assert ability("token counts").state == "partial"


def test_a_damaged_vocabulary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ability("gpt2, r50k_base").state == "ok"

    def damaged() -> None:
        raise ValueError("/x/r50k_base.tiktoken is damaged: install memguard again")

    monkeypatch.setattr(gpt2_files, "ranks", damaged)
    found = ability("gpt2, r50k_base")
    assert found.state == "unavailable" and "/x/r50k_base.tiktoken" in found.reason


def test_runs_on_record(state_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = state_directory / "runs"
    assert ability("guarded runs on record").reason == f"none yet in {runs}"
    (runs / "a").mkdir(parents=True)
    assert ability("guarded runs on record").reason == f"1 in {runs}"
    (state_directory / "file").write_text("")
    monkeypatch.setenv("MEMGUARD_STATE_DIR", str(state_directory / "file"))
    blocked = ability("guarded runs on record")
    assert blocked.state != "ok" and "MEMGUARD_STATE_DIR" in blocked.mend


def test_a_reserve_larger_than_the_machine_leaves_no_room(capsys: pytest.CaptureFixture[str]) -> None:
    assert examined(capsys, "--reserve", str(1 << 50)).limits.effective == 0
    assert examined(capsys, "--limit", "64GiB").limits.effective <= 64 * GIB
