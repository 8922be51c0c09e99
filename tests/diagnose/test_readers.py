"""One line in, one event or clue out; and what holds for every reader of the list."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from memguard.diagnose import readers
from memguard.diagnose.clues import Clue, ClueReader
from memguard.diagnose.lines import parse_line
from memguard.diagnose.log_reader import LogReader
from memguard.diagnose.readers import CLUES, KILLERS, READERS, REPORTERS, Readers
from memguard.records.diagnosis import Event


def read_event(text: str) -> Event | None:
    parser = Readers()
    events = [*parser.feed(parse_line(text)), *parser.close()]
    return events[0] if events else None


def read_clue(text: str) -> Clue | None:
    return ClueReader(CLUES).read(parse_line(text))


TRIGGERS = (*readers.TRIGGERS, *ClueReader(CLUES).triggers())
CG = "/user.slice/user-1000.slice/session-2.scope"


def test_the_list_leaves_no_reader_out() -> None:
    found = set()
    for module in pkgutil.iter_modules(readers.__path__):
        loaded = importlib.import_module(f"{readers.__name__}.{module.name}")
        found |= {
            value for value in vars(loaded).values() if isinstance(value, type) and LogReader in value.__mro__[1:]
        }
    assert found == set(READERS) and len(READERS) == len(found)


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_says_what_it_listens_for_and_starts_and_ends_with_nothing(reader: type[LogReader]) -> None:
    assert reader.TRIGGERS and all(reader.TRIGGERS)
    made = reader()
    assert made.feed(parse_line("nothing of interest")) == [] and made.close() == []
    assert not made.taken


def test_who_kills_does_not_only_report() -> None:
    assert not KILLERS & REPORTERS and "kernel" not in KILLERS | REPORTERS


@pytest.mark.parametrize(
    ("text", "killer", "pid", "task", "memcg"),
    [
        (
            f"Killed {CG} due to memory used (74) / total (81) and swap used (5) / total (5) being more than 90.00%",
            "systemd-oomd",
            None,
            None,
            CG,
        ),
        (
            f"Marked {CG} for killing due to memory pressure for /user.slice being 64.15% > 1.00% for > 30s",
            "systemd-oomd",
            None,
            None,
            CG,
        ),
        (
            'sending SIGTERM to process 997 uid 1000 "python3": oom_score 1146, oom_score_adj 0, VmRSS 2 MiB, cmdline',
            "earlyoom",
            997,
            "python3",
            None,
        ),
        (
            'sending SIGTERM to process 397 uid 61876 "early oom": badness 0, VmRSS 1 MiB',
            "earlyoom",
            397,
            "early oom",
            None,
        ),
        (
            "Killing process 'bash' with signal 15, pid: 5874, badness: 538, VmRSS: 3160 MiB",
            "earlyoom",
            5874,
            "bash",
            None,
        ),
        (
            "slurmstepd: error: Detected 2 oom-kill event(s) in step 3756240.batch cgroup.",
            "slurm",
            None,
            None,
            "step 3756240.batch",
        ),
        (
            "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=191.batch cgroup. Some of your processes",
            "slurm",
            None,
            None,
            "step 191.batch",
        ),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=11300781.0. Some of the step tasks",
            "slurm",
            None,
            None,
            "step 11300781.0",
        ),
        ("      Reason:       OOMKilled", "kubernetes", None, None, None),
        ('            "OOMKilled": true,', "docker", None, None, None),
    ],
)
def test_killers(text: str, killer: str, pid: int | None, task: str | None, memcg: str | None) -> None:
    event = read_event(text)
    assert event is not None
    assert (event.killer, event.pid, event.task, event.task_memcg) == (killer, pid, task, memcg)
    assert any(trigger in text for trigger in TRIGGERS)


@pytest.mark.parametrize(
    ("text", "kind", "cause"),
    [
        ("Killed", "killed", "unclear"),
        ("Killed: 9", "killed", "unclear"),
        ("zsh: killed     python prepare.py", "killed", "unclear"),
        ("./run.sh: line 28:  8575 Killed                  python preprocess.py", "killed", "unclear"),
        ("[1]+  Killed                  python prepare.py", "killed", "unclear"),
        ("Command terminated by signal 9", "killed", "unclear"),
        ("subprocess.CalledProcessError: died with <Signals.SIGKILL: 9>", "worker-killed", "unclear"),
        ("    Exit Code:    137", "exit-137", "unclear"),
        ("Process finished with exit code 137", "exit-137", "unclear"),
        ("RuntimeError: DataLoader worker (pid 4024) is killed by signal: Killed.", "worker-killed", "unclear"),
        ("MemoryError", "memory-error", "allocation"),
        ("memory allocation of 150994960 bytes failedAborted", "rust-refused", "allocation"),
        ("  what():  std::bad_alloc", "allocation-failed", "allocation"),
        ("Segmentation fault (core dumped)", "segfault", "not-memory"),
        ("OSError: [Errno 28] No space left on device", "disk-full", "not-memory"),
        ('  "OOMKilled": false,', "not-oom-killed", "unclear"),
        ("slurmstepd: error: Exceeded step memory limit at some point.", "slurm-limit-met", "unclear"),
    ],
)
def test_clues(text: str, kind: str, cause: str) -> None:
    clue = read_clue(text)
    assert clue is not None and (clue.kind, clue.cause) == (kind, cause)
    assert any(trigger in text for trigger in TRIGGERS)


@pytest.mark.parametrize(
    "text",
    [
        "skilled workers",
        "exit code 0",
        "request 137 done",
        "Killed the mood",
        "a bit of memory",
        "exit code 1370",
        "pid 139",
    ],
)
def test_what_is_no_clue(text: str) -> None:
    assert read_clue(text) is None
    assert read_event(text) is None
