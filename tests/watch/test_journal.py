"""What a run leaves on disk: the fold, what a crash leaves of it, pruning."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from memguard.errors import MemguardError
from memguard.records.codec import from_json, to_dict
from memguard.records.run import Culprit, RunRecord
from memguard.watch import journal
from memguard.watch.journal import (
    Journal,
    fold,
    last_ended_run,
    last_run,
    open_run,
    prune,
    read_run,
    runs_directory,
    write_record,
)

DECISION = {"time": 1.0, "action": "abort", "rule": "r", "used": 5, "limit": 6, "reason": "x"}


def write_run(started: float = 1_700_000_000.0, **ended: object) -> tuple[journal.RunDirectory, RunRecord]:
    directory, warning = open_run(started)
    assert warning is None
    book = Journal(directory)
    book.write("start", 0.0, set={"id": directory.id, "command": ["python", "p.py"], "cwd": "/w", "started": started})
    book.write("peak", 0.5, set={"peak": 100})
    book.write("decision", 1.0, decision=DECISION)
    culprit = to_dict(Culprit(file="p.py", line=3))
    book.write(
        "end", 1.5, set={"exit_code": 75, "peak": 120, "culprit": culprit, "not_a_field": 1, **ended}, remark="hello"
    )
    record = book.record()
    book.close()
    return directory, record


def test_the_record_is_the_fold_of_the_lines() -> None:
    directory, record = write_run()
    assert (record.command, record.peak, record.exit_code) == (("python", "p.py"), 120, 75)
    assert record.culprit == Culprit(file="p.py", line=3)
    assert record.decisions[0].used == 5
    assert record.seconds is None
    with open(directory.journal, encoding="utf-8") as file:
        assert fold(file) == record
    assert read_run(directory.path) == record


def test_a_journal_cut_off_anywhere_still_reads() -> None:
    directory, record = write_run()
    data = Path(directory.journal).read_text("utf-8")
    first = data.index("\n") + 1
    for end in range(len(data) + 1):
        cut = fold(data[:end].splitlines(keepends=True))
        if end < first - 1:
            assert cut is None
        else:
            assert cut is not None and cut.id == record.id
            assert cut.exit_code is None or end >= len(data) - 1


@pytest.mark.parametrize(
    "line", ["", "garbage", "[1]", "null", '{"set": 5}', '{"decision": []}', '{"set": {"peak": []}}']
)
def test_damaged_lines_are_passed_over(line: str) -> None:
    start = json.dumps({"set": {"id": "a", "command": ["x"], "cwd": "/", "started": 1.0}})
    record = fold([line, start])
    assert record is not None and record.id == "a"


def test_a_damaged_decision_makes_no_record_and_no_exception() -> None:
    start = json.dumps({"set": {"id": "a", "command": ["x"], "cwd": "/", "started": 1.0}})
    assert fold([start, '{"decision": {"bogus": 1}}']) is None


def test_only_the_owner_can_read_it() -> None:
    directory, record = write_run()
    write_record(record, directory.record)
    assert stat.S_IMODE(os.stat(directory.path).st_mode) == 0o700
    for file in (directory.journal, directory.stack, directory.events, directory.record):
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    _, record = write_run()
    target = tmp_path / "r.json"
    write_record(record, str(target))
    assert from_json(RunRecord, target.read_text("utf-8")) == record
    assert os.listdir(tmp_path) == ["r.json"]
    with pytest.raises(OSError):
        write_record(record, str(tmp_path / "missing" / "r.json"))
    (tmp_path / "d").mkdir()
    with pytest.raises(OSError):
        write_record(record, str(tmp_path / "d"))
    assert sorted(os.listdir(tmp_path)) == ["d", "r.json"]


def test_a_device_is_written_to_and_a_link_is_followed(tmp_path: Path) -> None:
    _, record = write_run()
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_record(record, str(pipe))
    assert os.read(reader, 100).startswith(b'{\n  "schema": "memguard.run/1"')
    os.close(reader)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    target.write_text("old")
    link.symlink_to(target)
    write_record(record, str(link))
    assert link.is_symlink() and "memguard.run/1" in target.read_text()


def test_the_last_run_is_the_newest_that_can_be_read() -> None:
    assert last_run() is None
    write_run(1_700_000_000.0)
    newer, record = write_run(1_700_000_100.0)
    assert last_run() == record
    Path(newer.journal).write_text("")
    older = last_run()
    assert older is not None and older.id != record.id


def test_later_runs_that_ended_well_do_not_hide_the_one_that_did_not() -> None:
    assert last_ended_run() == (None, 0)
    write_run(1_699_000_000.0, termination_reason="memory")  # more than a week before the newest one
    assert last_ended_run()[0] is not None
    write_run(1_700_000_000.0, exit_code=0)
    assert last_ended_run() == (None, 0)
    _, stopped = write_run(1_700_000_100.0, termination_reason="memory")
    write_run(1_700_000_200.0, exit_code=1)  # its own failure: neither
    write_run(1_700_000_300.0, exit_code=0)
    assert last_ended_run() == (stopped, 1)
    _, killed = write_run(1_700_000_400.0, exit_code=137, exit_signal=9)
    assert last_ended_run() == (killed, 0)


def test_a_damaged_record_falls_back_to_the_journal() -> None:
    directory, record = write_run()
    Path(directory.record).write_text('{"schema": "memguard.run/1", "id"', encoding="utf-8")
    assert read_run(directory.path) == record


def test_where_runs_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEMGUARD_STATE_DIR", str(tmp_path))
    assert runs_directory() == str(tmp_path / "runs")
    monkeypatch.delenv("MEMGUARD_STATE_DIR")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert runs_directory() == "/x/memguard/runs"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert runs_directory() == "/h/.local/state/memguard/runs"


def test_it_is_where_platformdirs_would_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    platformdirs = pytest.importorskip("platformdirs")
    monkeypatch.delenv("MEMGUARD_STATE_DIR")
    assert runs_directory() == os.path.join(platformdirs.user_state_dir("memguard"), "runs")


def test_an_unwritable_state_directory_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEMGUARD_STATE_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    directory, warning = open_run(1.0)
    assert directory.path.startswith(str(tmp_path / "memguard-"))
    assert warning is not None and "cannot be written (Not a directory)" in warning
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with pytest.raises(MemguardError) as caught:
        open_run(1.0)
    assert caught.value.exit_code == 125


def test_two_runs_in_one_second_get_two_directories() -> None:
    first, second = open_run(5.0)[0], open_run(5.0)[0]
    assert first.path != second.path


def finished(started: float) -> str:
    directory, record = write_run(started)
    write_record(record, directory.record)
    return directory.path


def test_pruning_by_number_and_age() -> None:
    paths = [finished(1_700_000_000.0 + n) for n in range(5)]
    prune(runs_directory(), os.stat(paths[0]).st_mtime, max_runs=3)
    assert [os.path.exists(path) for path in paths] == [False, False, True, True, True]
    prune(runs_directory(), os.stat(paths[-1]).st_mtime + journal.MAX_AGE + 60)
    assert [os.path.exists(path) for path in paths] == [False, False, False, False, True], "the newest always stays"


def test_pruning_by_size() -> None:
    paths = [finished(1_700_000_000.0 + n) for n in range(3)]
    size = sum(entry.stat().st_size for entry in os.scandir(paths[0]))
    prune(runs_directory(), os.stat(paths[0]).st_mtime, max_bytes=round(2.5 * size))
    assert [os.path.exists(path) for path in paths] == [False, True, True]


def test_a_run_that_goes_on_is_not_pruned() -> None:
    going_on = write_run(1_700_000_000.0)[0].path  # this process's pid, and no record yet
    finished(1_700_000_001.0)
    prune(runs_directory(), os.stat(going_on).st_mtime, max_runs=1)
    assert os.path.exists(going_on)
