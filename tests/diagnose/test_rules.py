from __future__ import annotations

from dataclasses import replace

import pytest

from memguard.diagnose.clues import Clue
from memguard.diagnose.collection import LogFindings
from memguard.diagnose.kill_wording import explain_kill
from memguard.diagnose.rules import Evidence, Pressure, decide
from memguard.records.diagnosis import Counter, Event, TaskRow
from memguard.records.run import Culprit, Decision, Forecast, RunLimit, RunRecord
from tests.records.examples import run_record

MIB, GIB = 1 << 20, 1 << 30

RUN = run_record(
    limit=RunLimit(480 * MIB, "memory.max of /box"),
    script="prepare.py",
    cgroup="/sys/fs/cgroup/memory/box",
    inputs=("my train.txt",),
)
STOPPED = replace(
    RUN,
    exit_code=75,
    termination_reason="memory",
    peak=470 * MIB,
    decisions=(Decision(59.0, "abort", "abort", 470 * MIB, 480 * MIB, "97 % of the limit"),),
    culprit=Culprit(
        "prepare.py", 23, "main", "all_tokens", "list", 41_200_000, 1_600_000_000, 82_400_000, "use uint16"
    ),
)
KILL = Event(
    time="1030.000000",
    killer="kernel",
    pid=500,
    task="python",
    anon_rss=500 * MIB,
    limit=512 * MIB,
    oom_memcg="/box",
    task_memcg="/box",
    constraint="CONSTRAINT_MEMCG",
    usage=512 * MIB,
    uptime=1030.0,
    unix_time=1030.0,
    cgroup_version=1,
    evidence=("the line",),
)


def log(*events: Event, clues: tuple[Clue, ...] = (), lines: int = 100) -> LogFindings:
    return LogFindings(lines, events, len(events), clues)


def machine(run: RunRecord | None, *events: Event, **more: object) -> Evidence:
    return Evidence(**{"log": log(*events), "named": False, "run": run, "now": 2000.0, **more})  # type: ignore[arg-type]


def test_a_kill_of_the_guarded_run_is_matched_and_its_files_are_named() -> None:
    forecast = Forecast("my train.txt", 10, 100, 3 * GIB, 5.0)
    killed = replace(RUN, exit_code=137, exit_signal=9, termination_reason="memory", kernel_kills=1, forecast=forecast)
    diagnosis = decide(machine(killed, KILL))
    assert (diagnosis.verdict, diagnosis.confidence, diagnosis.run_id) == ("memcg-oom", "certain", RUN.id)
    assert diagnosis.explanation.startswith("The kernel killed python (pid 500): the memory cgroup /box")
    assert "512 MiB" in diagnosis.explanation.split("\n")[0]
    assert any("`memguard tokenize 'my train.txt' -o DIR`" in step for step in diagnosis.advice)
    assert any(f"`memguard fix {RUN.script} 'my train.txt'`" in step for step in diagnosis.advice)
    # 3 GiB of forecast and a quarter of room
    assert any("echo 3840M | sudo tee /sys/fs/cgroup/memory/box/memory.limit_in_bytes" in s for s in diagnosis.advice)


@pytest.mark.parametrize(
    ("event", "matched"),
    [
        (KILL, True),
        (replace(KILL, unix_time=900.0), False),  # before the run began
        (replace(KILL, unix_time=1100.0), False),  # after it ended
        (replace(KILL, unix_time=None), False),
        (replace(KILL, pid=7, task_memcg="/elsewhere"), False),
        (replace(KILL, pid=7, others=(TaskRow(500, "python", 1),)), True),
        (replace(KILL, pid=7, tasks=(TaskRow(500, "python", 1),)), True),  # a worker beside the run's own process
        (replace(KILL, pid=7, task_memcg="/"), False),
        (replace(KILL, killer="earlyoom"), True),
        (replace(KILL, killer="slurm"), False),  # a report names no process of the run
    ],
)
def test_which_kill_belongs_to_the_run(event: Event, matched: bool) -> None:
    assert (decide(machine(RUN, event)).run_id == RUN.id) is matched


def test_a_guard_that_was_killed_itself() -> None:
    """Older kills have nothing to do with it; one during the run may have been the guard's, or the script's."""
    died = replace(RUN, exit_code=137, watcher_death="it was stopped")
    diagnosis = decide(machine(died, replace(KILL, unix_time=10.0, pid=7)))
    assert (diagnosis.verdict, diagnosis.confidence) == ("unknown", "weak")
    assert "The guard of the last run, prepare.py, was itself ended by SIGKILL" in diagnosis.explanation
    assert "it was stopped" in diagnosis.explanation
    assert decide(machine(died, replace(KILL, pid=7))).verdict == "memcg-oom"
    left = replace(died, watcher_death="it was left inside the kernel's limit of 528 MiB", kernel_kills=1)
    assert decide(machine(left, KILL)).run_id == RUN.id


def test_the_guard_is_the_answer_when_it_came_last() -> None:
    diagnosis = decide(machine(STOPPED, replace(KILL, unix_time=10.0, pid=7)))
    assert (diagnosis.verdict, diagnosis.confidence) == ("guard", "certain")
    assert "prepare.py:23" in diagnosis.explanation
    assert "all_tokens (list, 41,200,000 items) held 1.49 GiB; as uint16 it would be 78.6 MiB" in diagnosis.explanation
    assert diagnosis.advice[0] == "use uint16"
    assert [event.killer for event in diagnosis.events] == ["memguard", "kernel"]


def test_a_run_that_stood_still() -> None:
    diagnosis = decide(machine(replace(STOPPED, termination_reason="hang")))
    assert diagnosis.verdict == "hang" and "it had stood still" in diagnosis.explanation


def test_a_kill_after_the_guards_stop_is_the_answer() -> None:
    diagnosis = decide(machine(STOPPED, replace(KILL, unix_time=1061.0, pid=7), now=1161.0))
    assert (diagnosis.verdict, diagnosis.run_id) == ("memcg-oom", None)
    assert "That was 1 min 40 s ago." in diagnosis.explanation


def test_a_kill_of_another_user_stands_below_ones_own_run() -> None:
    foreign = replace(KILL, unix_time=1080.0, pid=7, uid=112, oom_memcg="/x", task_memcg="/x")
    stopped = decide(machine(STOPPED, foreign, uid=1000, runs_since=2))
    assert stopped.verdict == "guard"
    assert "After it 2 guarded runs ended well." in stopped.explanation
    assert "Not of this run: kernel killed python (pid 7)" in stopped.explanation
    killed = decide(machine(replace(RUN, exit_code=137, exit_signal=9), foreign, uid=1000))
    assert (killed.verdict, killed.run_id) == ("unknown", RUN.id) and "Not of this run" in killed.explanation
    alone = decide(machine(None, foreign, uid=1000))
    assert alone.verdict == "memcg-oom" and "another user of this machine (uid 112), not to you" in alone.explanation
    both = decide(machine(None, replace(KILL, unix_time=900.0, uid=1000), foreign, uid=1000))
    assert both.events[0].pid == KILL.pid  # one's own comes first, although it is older
    assert "another user" not in decide(machine(None, foreign)).explanation  # root asks


def test_of_one_storm_the_largest_is_named() -> None:
    small, large = replace(KILL, pid=7, unix_time=1031.0, anon_rss=MIB), replace(KILL, pid=8, unix_time=1029.5)
    later = replace(KILL, pid=9, unix_time=1100.0, anon_rss=MIB)
    diagnosis = decide(machine(None, large, small))
    assert diagnosis.events[0].pid == 8 and "one storm of 2 kills" in diagnosis.explanation
    assert decide(machine(None, large, small, later)).events[0].pid == 9
    assert decide(machine(None, large, replace(small, oom_memcg="/b"))).events[0].pid == 7  # another limit


def test_counter_and_log_may_disagree() -> None:
    counted = decide(machine(None, counters=(Counter("/proc/vmstat", 4),)))
    assert counted.verdict == "unknown" and "counter shows 4 kill(s)" in counted.explanation


def test_advice_about_what_filled_the_limit() -> None:
    slab = replace(KILL, task="nginx", categories={"anon": 100 * MIB, "slab": 400 * MIB})
    assert "the kernel's own objects" in decide(machine(None, slab)).advice[0]
    files = replace(KILL, task="nginx", categories={"anon": 100 * MIB, "file": 400 * MIB})
    assert "pages of files" in decide(machine(None, files)).advice[0]


def test_a_named_log_is_judged_alone() -> None:
    for events in ((), (KILL,)):
        named = decide(Evidence(log(*events), named=True, run=STOPPED, now=2000.0))
        assert named.run_id is None and named.verdict == ("memcg-oom" if events else "unknown")


def test_sigkill_without_a_kill_in_the_log_proves_nothing() -> None:
    killed = replace(RUN, exit_code=137, exit_signal=9)
    diagnosis = decide(machine(killed))
    assert (diagnosis.verdict, diagnosis.confidence) == ("unknown", "weak")
    assert "nothing here proves that it was memory" in diagnosis.explanation
    hidden = decide(machine(killed, log=None))
    assert "could not be read" in hidden.explanation
    assert any("dmesg" in step for step in hidden.advice)


def test_a_kill_that_the_run_counted_is_a_kill_although_the_log_is_hidden() -> None:
    diagnosis = decide(machine(replace(RUN, exit_code=137, exit_signal=9, kernel_kills=1), log=None))
    assert (diagnosis.verdict, diagnosis.confidence, diagnosis.run_id) == ("oom-kill", "likely", RUN.id)
    assert "1 process(es) for memory during the run of prepare.py" in diagnosis.explanation
    assert any("dmesg" in step for step in diagnosis.advice)


def test_counters_say_how_many_where_the_log_is_hidden() -> None:
    counters = (Counter("/sys/fs/cgroup/a", 0), Counter("/sys/fs/cgroup", 3, 512 * MIB))
    diagnosis = decide(machine(None, log=None, counters=counters))
    assert (diagnosis.verdict, diagnosis.confidence) == ("memcg-oom", "weak")
    assert "3 process(es)" in diagnosis.explanation and "512 MiB" in diagnosis.explanation
    readable = decide(machine(None, counters=counters))
    assert readable.verdict == "unknown"  # a log that can be read and holds no kill weighs more than an old counter


@pytest.mark.parametrize(("code", "verdict"), [(0, "unknown"), (1, "not-memory"), (None, "unknown")])
def test_a_run_that_was_neither_killed_nor_stopped(code: int | None, verdict: str) -> None:
    diagnosis = decide(machine(replace(RUN, exit_code=code)))
    assert diagnosis.verdict == verdict
    assert "300 MiB" in diagnosis.explanation


def test_which_sign_speaks_when_there_is_no_kill() -> None:
    unclear = Clue("killed", "unclear", "m", "Killed")
    refused = Clue("memory-error", "allocation", "m", "MemoryError")
    full = Clue("disk-full", "not-memory", "m", "No space left on device")
    for clues, verdict in (
        ((), "unknown"),
        ((unclear,), "unknown"),
        ((unclear, full), "not-memory"),
        ((unclear, full, refused), "allocation-failure"),
    ):
        assert decide(Evidence(log(clues=clues), named=True)).verdict == verdict


def test_events_are_limited_unless_all_are_wanted() -> None:
    events = tuple(replace(KILL, pid=pid, unix_time=float(pid)) for pid in range(1, 101))
    few, every = decide(machine(None, *events)), decide(machine(None, *events), every_event=True)
    assert few.events[0].pid == every.events[0].pid == 100
    assert (len(few.events), len(every.events), few.event_count) == (20, 100, 100)


def test_workers_and_shared_memory_are_named() -> None:
    tasks = tuple(TaskRow(500 + i, "python", 100 * MIB) for i in range(4))
    event = replace(KILL, tasks=tasks, categories={"anon": 300 * MIB, "shmem": 200 * MIB}, invoker="sh", invoker_pid=9)
    diagnosis = decide(machine(None, event))
    assert any("fewer workers: 4 processes named python" in step for step in diagnosis.advice)
    assert any("/dev/shm" in step for step in diagnosis.advice)
    assert "Others held memory too: 3 × python 300 MiB." in diagnosis.explanation
    assert "sh (pid 9) only asked for memory" in diagnosis.explanation


def test_a_jetsam_report_without_a_victim_has_its_own_sentence() -> None:
    """Each process has no reason, or left because it was idle: macOS has named nobody."""
    report = Event("1", "jetsam", None, "Python", tasks=(TaskRow(7, "Python", GIB), TaskRow(8, "mdworker", MIB)))
    [headline, held, *_] = decide(Evidence(log(report), named=True)).explanation.split("\n")
    assert headline == (
        "macOS reports that memory was short, but names no process that it killed for that; "
        "the largest process was Python."
    )
    assert held == "The largest processes held: Python 1.00 GiB, mdworker 1.00 MiB."
    nameless = decide(Evidence(log(replace(report, task=None)), named=True)).explanation
    assert nameless.startswith("macOS reports that memory was short, but names no process that it killed for that.\n")


def test_a_killer_without_a_sentence_of_its_own_is_named() -> None:
    event = Event("1", "newd", 7, "python", anon_rss=GIB, note="over its limit")
    [headline, *_] = explain_kill(event, "userspace-killer", (event,), 1, None, None).split("\n")
    assert headline == "newd, not the kernel, killed python (pid 7), which held 1.00 GiB: over its limit."


def test_no_advice_about_tokens_for_another_kind_of_program() -> None:
    diagnosis = decide(machine(None, replace(KILL, task="mysqld", pid=7)))
    assert not any("tokenize" in step for step in diagnosis.advice)


def test_a_machine_that_was_full_needs_a_bigger_one_at_last() -> None:
    event = replace(
        KILL, constraint="CONSTRAINT_NONE", oom_memcg=None, limit=None, usage=None, memory_total=15 * GIB, swap_total=0
    )
    diagnosis = decide(machine(None, event))
    assert diagnosis.verdict == "oom-kill"
    assert "whole machine was out of memory (15.0 GiB of RAM, no swap)" in diagnosis.explanation
    assert "32.0 GiB of RAM" in diagnosis.advice[-1]


@pytest.mark.parametrize(
    ("pressure", "verdict"),
    [
        (Pressure(full_avg60=35.0, swap_total=GIB, swap_free=0), "thrashing"),
        (Pressure(full_avg60=5.0, shm_used=99, shm_total=100), "shm-full"),
        (Pressure(full_avg60=5.0, shm_used=10, shm_total=100), "unknown"),
        (Pressure(), "unknown"),
    ],
)
def test_what_the_machine_suffers_now_where_nothing_was_killed(pressure: Pressure, verdict: str) -> None:
    diagnosis = decide(machine(None, pressure=pressure))
    assert diagnosis.verdict == verdict
    assert decide(machine(None, KILL, pressure=pressure)).verdict == "memcg-oom"


def test_the_users_own_names_come_from_the_command() -> None:
    diagnosis = decide(machine(None, replace(KILL, pid=7, command="python prep.py a.txt")))
    assert (diagnosis.script, diagnosis.inputs) == ("prep.py", ("a.txt",))
    assert any("`memguard estimate a.txt`" in step for step in diagnosis.advice)
    assert any("`memguard run prep.py`" in step for step in diagnosis.advice)


def test_wsl_and_swap_in_the_advice() -> None:
    full = replace(
        KILL, constraint="CONSTRAINT_NONE", oom_memcg=None, limit=None, usage=None, memory_total=8 * GIB, swap_total=0
    )
    plain = decide(machine(None, full)).advice
    assert any("swapon" in step for step in plain) and not any("wsl" in step for step in plain)
    wsl = decide(machine(None, replace(full, kernel_release="5.15.90.1-microsoft-standard-WSL2"))).advice
    assert any("wsl --shutdown" in step for step in wsl)
