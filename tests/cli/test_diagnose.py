"""`memguard diagnose` as a user types it; a real kill in a real cgroup at the end."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from memguard.cli import evidence as sources
from memguard.cli.main import main
from memguard.diagnose.query import Query
from memguard.diagnose.rules import decide
from memguard.system.kernel_log import KernelLog, Refusal
from tests.boxes import MemoryBox

KILLS = Path(__file__).parent.parent / "data" / "kills"
MEMCG = KILLS / "memcg_v1_list.txt"
MIB = 1 << 20


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer, isatty=lambda: False))
    return buffer


def feed(buffer: io.BytesIO, data: bytes) -> None:
    buffer.write(data)
    buffer.seek(0)


def test_a_log_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", str(MEMCG)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(
        "The kernel killed python (pid 3335): the memory cgroup /mg_3334 had reached its limit of 512 MiB."
    )
    assert err == ""


def test_json_of_a_pasted_text(capsys: pytest.CaptureFixture[str], stdin: io.BytesIO) -> None:
    feed(stdin, MEMCG.read_bytes())
    assert main(["diagnose", "--json", "-"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["schema"] == "memguard.diagnosis/1"
    assert record["verdict"] == "memcg-oom"
    event = record["events"][0]
    assert {key: event[key] for key in ("killer", "pid", "task", "limit", "oom_memcg", "constraint")} == {
        "killer": "kernel",
        "pid": 3335,
        "task": "python",
        "limit": 512 * MIB,
        "oom_memcg": "/mg_3334",
        "constraint": "CONSTRAINT_MEMCG",
    }


def test_gzip_is_known_by_its_content(capsys: pytest.CaptureFixture[str], stdin: io.BytesIO, tmp_path: Path) -> None:
    packed = gzip.compress(MEMCG.read_bytes())
    (tmp_path / "log").write_bytes(packed)
    assert main(["diagnose", str(tmp_path / "log")]) == 1
    broken = tmp_path / "broken.gz"
    broken.write_bytes(packed[:-20])
    assert main(["diagnose", str(broken)]) == 3
    assert "broken.gz to its end" in capsys.readouterr().err


def test_all_lists_every_kill(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--all", str(KILLS / "grep_of_kill_lines.txt")]) == 1
    out = capsys.readouterr().out
    assert all(f"({pid})" in out for pid in (100, 200, 300))


def test_nothing_found_is_no_failure(capsys: pytest.CaptureFixture[str], stdin: io.BytesIO) -> None:
    feed(stdin, b"all is well\n")
    assert main(["diagnose", "-"]) == 0
    assert capsys.readouterr().out.startswith("No kill for memory is recorded in this text (1 lines).")


@pytest.mark.parametrize("name", ["absent.log", "."])
def test_what_cannot_be_read(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", str(tmp_path / name)]) == 3
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("memguard diagnose: ") and str(tmp_path) in err


def test_this_machine_without_any_right(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def no_logs(refused: list[Refusal]) -> list[KernelLog]:
        refused.append(Refusal("/dev/kmsg", "only root may read it here (kernel.dmesg_restrict=1)"))
        return []

    monkeypatch.setattr("memguard.system.kernel_log.kernel_logs", no_logs)
    monkeypatch.setattr("memguard.system.cgroup.find_memory_cgroups", lambda: ())
    monkeypatch.setattr("memguard.system.kernel_file.read_bytes", lambda path: None)
    monkeypatch.setattr("memguard.watch.journal.last_run", lambda: None)
    assert main(["diagnose"]) == 3
    err = capsys.readouterr().err
    assert "/dev/kmsg: not read, only root may read it here (kernel.dmesg_restrict=1)" in err
    assert "sudo dmesg | memguard diagnose -" in err
    monkeypatch.setattr("memguard.system.kernel_file.read_bytes", lambda path: b"pgfault 7\noom_kill 4\n")
    assert main(["diagnose"]) == 0
    out = capsys.readouterr().out
    assert "can be neither shown nor ruled out" in out and "killed 4 process(es) for memory on this machine" in out
    cgroup = SimpleNamespace(oom_kill=2, limit=64 * MIB)
    monkeypatch.setattr("memguard.system.cgroup.find_memory_cgroups", lambda: ("/sys/fs/cgroup/x",))
    monkeypatch.setattr("memguard.system.cgroup.read_memory_cgroup", lambda directory: cgroup)
    assert main(["diagnose"]) == 1
    out = capsys.readouterr().out
    assert "has killed 2 process(es) for memory in /sys/fs/cgroup/x (limit 64.0 MiB)" in out


def test_a_second_log_is_asked_where_the_first_has_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = MEMCG.read_text().splitlines()

    def logs(refused: list[Refusal]) -> list[KernelLog]:
        return [KernelLog("/dev/kmsg", iter(["[1.0] nothing here"]), (), 0.0), KernelLog("journalctl -k", iter(lines))]

    monkeypatch.setattr("memguard.system.kernel_log.kernel_logs", logs)
    monkeypatch.setattr("memguard.watch.journal.last_run", lambda: None)
    evidence = sources.gather_machine()
    assert evidence.log is not None and evidence.log.events[0].pid == 3335
    assert evidence.sources[:2] == ("/dev/kmsg: 1 lines", f"journalctl -k: {len(lines)} lines")


def test_a_page_of_html(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["diagnose", "--html", str(page), str(MEMCG)]) == 1
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert str(page) in capsys.readouterr().err
    assert main(["diagnose", "--html", str(tmp_path / "absent" / "page.html"), str(MEMCG)]) == 3
    assert main(["diagnose", "--html", str(tmp_path), str(MEMCG)]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (["--task", "python"], 1, "pid 200"),
        (["--pid", "100"], 1, "pid 100"),
        (["--pid", "1000"], 0, "No kill of pid 1000"),
        (["--exit-code", "139"], 0, "crash"),
        (["--since", "soon"], 2, "not a time"),
        (["--pid", "0"], 2, "at least 1"),
        (["--exit-code", "700"], 2, "between 0 and 255"),
    ],
)
def test_what_was_asked_for(options: list[str], code: int, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", *options, str(KILLS / "grep_of_kill_lines.txt")]) == code
    assert word in "".join(capsys.readouterr())


def test_the_estimate_is_set_beside_what_was_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from memguard.cli import diagnose

    peak = {"low": 1, "expected": 900 * MIB, "high": 3}
    record = {
        "plans": [{"name": "stream", "peak": peak}, {"name": "read-all", "peak": peak}],
        "recommended": "stream",
        "script": {"plan": {"name": "read-all", "peak": peak}},
    }
    asked: list[object] = []

    def estimate(inputs: list[str], script: str | None) -> dict[str, object]:
        asked.append((inputs, script))
        return record

    monkeypatch.setattr(diagnose, "_estimate", estimate)
    monkeypatch.chdir(tmp_path)
    found = decide(replace(sources.gather_named(str(MEMCG)), query=Query(command="python prepare.py train.txt")))
    assert diagnose.compare(found).comparison is None and asked == []  # the file is not there
    (tmp_path / "train.txt").write_text("x")
    comparison = diagnose.compare(found).comparison
    assert comparison is not None and asked == [(["train.txt"], None)]
    assert [plan.name for plan in comparison.plans] == ["read-all", "stream"]
    assert (comparison.script_plan, comparison.held, comparison.allowed) == ("read-all", 523008 << 10, 512 * MIB)
    monkeypatch.setattr(diagnose, "_estimate", lambda inputs, script: {})
    assert diagnose.compare(found) == found


@pytest.mark.parametrize("suffix", ["xz", "bz2"])
def test_other_ways_to_pack_a_log(suffix: str, tmp_path: Path) -> None:
    import bz2
    import lzma

    packed = {"xz": lzma.compress, "bz2": bz2.compress}[suffix](MEMCG.read_bytes())
    (tmp_path / f"log.{suffix}").write_bytes(packed)
    assert main(["diagnose", str(tmp_path / f"log.{suffix}")]) == 1
    (tmp_path / "cut").write_bytes(packed[:-30])
    assert main(["diagnose", str(tmp_path / "cut")]) == 3


def test_earlyooms_kill_is_found_where_the_kernel_log_holds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (KILLS / "vm_earlyoom.journal.txt").read_text().splitlines()
    monkeypatch.setattr("memguard.system.kernel_log.kernel_logs", lambda refused: [KernelLog("k", iter(["[1.0] x"]))])
    monkeypatch.setattr("memguard.system.service_log.service_log", lambda refused: KernelLog("journal", iter(lines)))
    monkeypatch.setattr("memguard.watch.journal.last_run", lambda: None)
    diagnosis = decide(sources.gather_machine())
    assert (diagnosis.verdict, diagnosis.events[0].killer, diagnosis.events[0].pid) == (
        "userspace-killer",
        "earlyoom",
        342,
    )


@pytest.mark.cgroup
@pytest.mark.skipif(bool(MemoryBox.missing()), reason=MemoryBox.missing() or "-")
def test_a_real_kill_right_after(tmp_path: Path) -> None:
    """Provoked here by the kernel itself: no argument, and the same log in a file, name process, cgroup and limit."""
    if not os.access("/dev/kmsg", os.R_OK):
        pytest.skip("the kernel log cannot be read here")
    grow = "import ctypes; ctypes.CDLL(None).prctl(15, b'mg prep (v2)', 0, 0, 0); x = []\n"
    grow += "while True: x.append(bytearray(1 << 20))"
    with MemoryBox(64 * MIB) as box:
        process = box.start([sys.executable, "-S", "-c", grow])
        assert process.wait(60) == -9
        name = box.directory.name
    environment = {**os.environ, "MEMGUARD_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "memguard", "diagnose", "--json"]
    here = subprocess.run(command, capture_output=True, text=True, env=environment)
    log = tmp_path / "kernel.log"
    log.write_bytes(subprocess.run(["dmesg"], capture_output=True, check=True).stdout)
    named = subprocess.run([*command, str(log)], capture_output=True, text=True, env=environment)
    for result in (here, named):
        assert result.returncode == 1, result.stderr
        record = json.loads(result.stdout)
        event = record["events"][0]
        assert (record["verdict"], record["confidence"]) == ("memcg-oom", "certain")
        assert (event["pid"], event["task"], event["limit"]) == (process.pid, "mg prep (v2)", 64 * MIB)
        assert event["oom_memcg"].endswith(name)
    assert " ago." in json.loads(here.stdout)["explanation"]
