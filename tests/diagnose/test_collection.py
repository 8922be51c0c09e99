"""Order, joined reports, several logs of one machine, and logs that are nothing but kills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from memguard.diagnose import collection as module
from memguard.diagnose.collection import Collection, LogFindings, join_reports, merge_findings
from memguard.records.diagnosis import Event

KERNEL = Event("1", "kernel", 10, "python", task_memcg="/system.slice/prep.service", unix_time=100.4)
UNIT = Event("2", "systemd", None, None, task_memcg="prep.service", usage=5, unix_time=100.0, evidence=("unit",))
KILL = (
    "[{n}.000001] Memory cgroup out of memory: Killed process {n} (python) total-vm:9kB, anon-rss:8kB, "
    "file-rss:0kB, shmem-rss:0kB\n"
)


def log(*events: Event) -> LogFindings:
    return LogFindings(10, events, len(events), ())


def kills(first: int, last: int) -> Iterator[bytes]:
    for n in range(first, last, 500):
        yield "".join(KILL.format(n=i) for i in range(n, min(last, n + 500))).encode()


@pytest.mark.parametrize("order", [(UNIT, KERNEL), (KERNEL, UNIT)])
def test_a_report_becomes_evidence_of_its_kill_wherever_it_stands(order: tuple[Event, ...]) -> None:
    [event] = join_reports(order)
    assert (event.killer, event.pid, event.usage, event.evidence) == ("kernel", 10, 5, ("unit",))


@pytest.mark.parametrize(
    "other",
    [
        replace(UNIT, task_memcg="other.service"),
        replace(UNIT, unix_time=500.0),
        replace(UNIT, killer="colab", task_memcg=None),
    ],
)
def test_a_report_about_something_else_stays(other: Event) -> None:
    assert join_reports((KERNEL, other)) == [KERNEL, other]


def test_slurm_and_kubernetes_report_the_kernels_kill() -> None:
    kill = replace(KERNEL, task_memcg="/slurm/uid_1/job_77/step_0", unix_time=None)
    step = Event(None, "slurm", None, None, task_memcg="step 77.0")
    assert len(join_reports((kill, step))) == 1
    assert len(join_reports((kill, replace(step, task_memcg="step 7.0")))) == 2
    assert len(join_reports((kill, Event(None, "kubernetes", None, "prep")))) == 1


def test_kills_of_two_logs_in_the_order_of_time_and_each_once() -> None:
    copy = replace(KERNEL, time="x", unix_time=101.0, uid=5)
    late = replace(KERNEL, pid=11, unix_time=50.0)
    early = Event("3", "earlyoom", 12, "python", unix_time=10.0)
    merged = merge_findings([log(late, KERNEL), log(early, copy, UNIT)])
    assert [event.pid for event in merged.events] == [12, 11, 10]
    assert merged.events[-1].uid == 5 and merged.event_count == 3 and merged.lines == 20


def test_the_same_pid_hours_later_is_another_kill() -> None:
    assert len(merge_findings([log(KERNEL), log(replace(KERNEL, unix_time=9000.0))]).events) == 2


def test_the_last_line_decides_which_kill_is_the_last() -> None:
    """The kernel's report is still open while earlyoom kills twice; the kernel's own kill comes last of all."""
    collection = Collection()
    collection.read_lines(
        [
            "[1.0] a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0",
            'earlyoom[7]: sending SIGTERM to process 5 uid 1 "b": badness 0, VmRSS 1 MiB',
            KILL.format(n=9).strip(),
            'earlyoom[7]: sending SIGTERM to process 6 uid 1 "c": badness 0, VmRSS 1 MiB',
        ]
    )
    events = collection.findings().events
    assert [(event.pid, event.line) for event in events] == [(5, 2), (9, 3), (6, 4)]


def test_a_log_that_is_nothing_but_kills_is_counted_and_its_end_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUDGET", 1000)
    monkeypatch.setattr("memguard.diagnose.stream._TAIL", 100_000)
    collection = Collection()
    collection.read_chunks(kills(1, 20_001))
    findings = collection.findings()
    assert (findings.lines, findings.event_count) == (20_000, 20_000)
    assert findings.skipped > 10_000
    assert findings.events[-1].pid == 20_000 and findings.events[-1].line == 20_000
    assert findings.events[0].pid == 1


def test_a_report_that_was_open_at_the_gap_does_not_go_on_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUDGET", 1)
    monkeypatch.setattr("memguard.diagnose.stream._TAIL", 10)
    collection = Collection()
    head = b"[1.0] a invoked oom-killer: gfp_mask=0xcc0, order=0\n[1.0] memory: usage 1kB, limit 2kB, failcnt 0\n"
    collection.read_chunks([head, b"x\n" * 100, b"y\n", KILL.format(n=9).encode()])
    first, last = collection.findings().events
    assert (first.invoker, first.pid, first.limit) == ("a", None, 2048)
    assert (last.invoker, last.pid, last.limit) == (None, 9, None)
