from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from memguard.diagnose.collection import Collection
from memguard.diagnose.query import Query, exit_clue, parse_since
from memguard.diagnose.rules import Evidence, decide
from memguard.errors import ConfigError
from memguard.records.diagnosis import Diagnosis, Event, TaskRow

EVENT = Event("1.0", "kernel", 77, "python3", task_memcg="/system.slice/prep.service", unix_time=1000.0)
NOW = datetime(2026, 5, 5, 12, 0).timestamp()
LOG = (
    b"[1.000001] Out of memory: Killed process 12 (python3) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB\n"
    b"[2.000001] Out of memory: Killed process 13 (java) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB\n"
)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Query(), True),
        (Query(since=999.0), True),
        (Query(since=1001.0), False),
        (Query(pid=77), True),
        (Query(pid=7), False),  # no prefix of a pid
        (Query(pid=78), True),  # killed along with it
        (Query(task="python"), True),
        (Query(task="PYTHON3"), True),
        (Query(task="java"), False),
        (Query(unit="prep.service"), True),
        (Query(unit="prep"), True),
        (Query(unit="other"), False),
        (Query(pid=77, task="java"), False),
    ],
)
def test_every_part_must_hold(query: Query, wanted: bool) -> None:
    assert query.wants(replace(EVENT, others=(TaskRow(78, "worker", 1),))) is wanted


def test_a_name_is_compared_as_far_as_the_kernel_keeps_it() -> None:
    assert Query(task="a-very-long-program-name").wants(replace(EVENT, task="a-very-long-pro"))


def test_a_kill_without_a_time_is_never_too_old() -> None:
    assert Query(since=1e12).wants(replace(EVENT, unix_time=None))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10min", NOW - 600),
        ("2h", NOW - 7200),
        ("3 days ago", NOW - 3 * 86400),
        ("90s", NOW - 90),
        ("@1790000000", 1790000000.0),
        ("today", datetime(2026, 5, 5).timestamp()),
        ("yesterday", datetime(2026, 5, 5).timestamp() - 86400),
        ("9:30", datetime(2026, 5, 5, 9, 30).timestamp()),
        ("2026-05-04 10:00", datetime(2026, 5, 4, 10).timestamp()),
        ("2026-05-04", datetime(2026, 5, 4).timestamp()),
        ("2026-05-05T10:00:00+00:00", 1777975200.0),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_since(text, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", "2026-13-01", "-5min", "@", "25:99"])
def test_no_times(text: str) -> None:
    with pytest.raises(ConfigError, match="--since"):
        parse_since(text, NOW)


def ask(query: Query, data: bytes = LOG) -> Diagnosis:
    collection = Collection()
    collection.read_chunks([data])
    return decide(Evidence(collection.findings(), named=True, query=query))


def test_the_kill_that_was_asked_for() -> None:
    assert ask(Query()).events[0].pid == 13
    asked = ask(Query(task="python"))
    assert (asked.verdict, asked.events[0].pid, asked.event_count) == ("oom-kill", 12, 1)
    nobody = ask(Query(pid=99))
    assert (nobody.verdict, nobody.events) == ("unknown", ())
    assert nobody.explanation.startswith("No kill of pid 99 is recorded.\nOther kills for memory: 2;")


@pytest.mark.parametrize(
    ("code", "verdict", "word"),
    [
        (137, "unknown", "SIGKILL"),
        (-9, "unknown", "SIGKILL"),
        (143, "unknown", "SIGTERM"),
        (139, "not-memory", "crash"),
        (-11, "not-memory", "crash"),
        (130, "not-memory", "Ctrl-C"),
        (127, "not-memory", "not found"),
        (0, "not-memory", "ended well"),
        (134, "unknown", "aborted itself"),
        (135, "unknown", "bus error"),
        (140, "unknown", "signal 12"),
        (1, "unknown", "the program's own code"),
    ],
)
def test_an_exit_code_alone_proves_little(code: int, verdict: str, word: str) -> None:
    diagnosis = ask(Query(exit_code=code), b"")
    assert diagnosis.verdict == verdict
    assert word in diagnosis.explanation


def test_a_crash_is_not_put_down_to_a_kill_of_somebody_else() -> None:
    assert ask(Query(exit_code=137)).verdict == "oom-kill"
    assert ask(Query(exit_code=139)).verdict == "not-memory"


def test_no_code_no_clue() -> None:
    assert exit_clue(None) is None


def test_the_command_that_was_typed_names_script_and_input() -> None:
    diagnosis = ask(Query(command="python prepare.py 'my text.txt' --out ids.bin"))
    assert (diagnosis.script, diagnosis.inputs) == ("prepare.py", ("my text.txt", "ids.bin"))
    assert any("memguard estimate 'my text.txt'" in step for step in diagnosis.advice)
