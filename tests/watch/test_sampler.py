"""The sampler on a /proc made of files, with limits that a test moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memguard.records.limits import Constraint
from memguard.system.proc import Process
from memguard.units import MIB
from memguard.watch.measure.sampler import LONGEST, SHORTEST, Sampler

PAGE = 4096
pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux")


class FakeProc:
    """A /proc of its own. Sizes in MiB; `pss` is what the process's memory is worth once shared pages are split."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.children: dict[int, list[int]] = {}
        self.loadavg(1, 100)

    def loadavg(self, running: int, newest: int) -> None:
        (self.directory / "loadavg").write_text(f"0.20 0.18 0.12 {running}/456 {newest}\n")

    def process(
        self, pid: int, anon: int, *, parent: int = 1, shmem: int = 0, file: int = 0, pss: int | None = None
    ) -> None:
        place = self.directory / str(pid)
        (place / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
        pages = [n * MIB // PAGE for n in (4000, anon + shmem + file, shmem + file)]
        (place / "statm").write_text(f"{pages[0]} {pages[1]} {pages[2]} 1 0 500 0\n")
        (place / "stat").write_text(f"{pid} (python) S {parent} 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 {pid * 10} 0 0\n")
        (place / "status").write_text(
            f"RssAnon:\t{anon << 10} kB\nRssFile:\t{file << 10} kB\nRssShmem:\t{shmem << 10} kB\n"
        )
        shared = anon if pss is None else pss
        (place / "smaps_rollup").write_text(f"Pss_Anon: {shared << 10} kB\nPss_Shmem: {shmem << 10} kB\n")
        siblings = self.children.setdefault(parent, [])
        if pid not in siblings:
            siblings.append(pid)
        for known, listed in self.children.items():
            if (self.directory / str(known)).is_dir():
                (self.directory / str(known) / "task" / str(known) / "children").write_text(" ".join(map(str, listed)))
        (place / "task" / str(pid) / "children").touch()

    def end(self, pid: int) -> None:
        (self.directory / str(pid) / "statm").write_text("")  # what a kept descriptor reads then
        for name in ("statm", "stat", "status", "smaps_rollup"):
            (self.directory / str(pid) / name).unlink()


class FakeLimits:
    """One constraint on the tree itself and one of the kernel's, in MiB."""

    def __init__(self, own: int = 1000, kernel: int | None = None) -> None:
        self.own, self.kernel, self.elsewhere, self.reads = own, kernel, 0, 0

    def read(self, tree: int) -> tuple[Constraint, ...]:
        self.reads += 1
        constraints = [Constraint("--limit", "--limit", self.own * MIB, tree, 0, False)]
        if self.kernel is not None:
            used = tree + self.elsewhere * MIB
            constraints.append(Constraint("memory.max", "/cg", self.kernel * MIB, used, 64 * MIB, True))
        return tuple(constraints)

    def close(self) -> None: ...


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    fake = FakeProc(tmp_path)
    fake.process(10, 100)
    return fake


def make(proc: FakeProc, limits: Any = None) -> Sampler:
    return Sampler(Process(10, 100), limits or FakeLimits(), proc=str(proc.directory))


def test_what_counts(proc: FakeProc) -> None:
    proc.process(10, 100, shmem=30, file=500)
    sample = make(proc).measure(0.0)
    assert sample.tree == 130 * MIB, "anonymous and shared memory; mapped files do not count"
    assert sample.exact and sample.processes == 1
    assert sample.constraints[0].used == 130 * MIB


def test_shared_memory_that_grows_is_seen(proc: FakeProc) -> None:
    sampler = make(proc)
    assert sampler.measure(0.0).tree == 100 * MIB
    proc.process(10, 100, shmem=50)
    assert sampler.measure(0.1).tree == 150 * MIB


def test_a_quiet_tree_is_only_glanced_at(proc: FakeProc) -> None:
    limits = FakeLimits()
    sampler = make(proc, limits)
    assert sampler.tick(0.0) is not None
    assert [sampler.tick(n / 100) for n in range(1, 20)] == [None] * 19
    assert limits.reads == 1
    assert sampler.tick(0.3) is not None, "now and then it is measured all the same"


def test_growth_is_measured_at_once(proc: FakeProc) -> None:
    sampler = make(proc)
    sampler.tick(0.0)
    proc.process(10, 101)
    assert sampler.tick(0.001) is None
    proc.process(10, 230)  # more than an eighth of the 900 MiB that are left
    sample = sampler.tick(0.002)
    assert sample is not None and sample.tree == 230 * MIB
    assert sampler.peak == 230 * MIB


def test_the_nearer_the_more_often(proc: FakeProc) -> None:
    limits = FakeLimits(own=100 + 500)
    sampler = make(proc, limits)
    sampler.measure(0.0)
    assert sampler.interval == pytest.approx(500 * MIB / 10e9)
    limits.own = 101
    sampler.measure(0.1)
    assert sampler.interval == SHORTEST
    limits.own = 50
    sampler.measure(0.2)
    assert sampler.interval == SHORTEST, "already over"
    limits.own = 100_000
    sampler.measure(0.3)
    assert sampler.interval == LONGEST


def test_cores_that_can_be_busy_count(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    sampler = make(proc, FakeLimits(own=600))
    for thread in (11, 12, 13):
        (proc.directory / "10" / "task" / str(thread)).mkdir()
    proc.loadavg(running=4, newest=101)  # three, and the watcher itself
    sampler.measure(0.0, exact=True)
    assert sampler.interval == pytest.approx(500 * MIB / 30e9)
    proc.loadavg(running=50, newest=101)
    sampler.measure(0.1, exact=True)
    assert sampler.interval == pytest.approx(500 * MIB / 40e9), "no more than the tree has threads"


def test_a_new_process_is_seen_at_the_next_tick(proc: FakeProc) -> None:
    sampler = make(proc)
    sampler.tick(0.0)
    proc.process(20, 400, parent=10)
    assert sampler.tick(0.01) is None, "the machine has started nothing: no walk"
    proc.loadavg(1, 20)
    sample = sampler.tick(0.02)
    assert sample is not None and (sample.tree, sample.processes) == (500 * MIB, 2)
    assert sampler.most_processes == 2


def test_a_process_that_ended_no_longer_counts(proc: FakeProc) -> None:
    proc.process(20, 400, parent=10)
    sampler = make(proc)
    assert sampler.measure(0.0, exact=True).tree == 500 * MIB
    proc.end(20)
    sampler.tick(0.01)
    assert sampler.measure(0.02).tree == 100 * MIB
    assert [process.pid for process in sampler.processes] == [10]


def test_an_orphan_stays_and_a_reused_pid_does_not(proc: FakeProc) -> None:
    proc.process(20, 400, parent=10)
    sampler = make(proc)
    sampler.measure(0.0, exact=True)
    (proc.directory / "10" / "task" / "10" / "children").write_text("")  # re-parented
    assert sampler.measure(0.1, exact=True).tree == 500 * MIB
    stat = proc.directory / "20" / "stat"
    stat.write_text(stat.read_text().replace(" 200 0 0", " 999 0 0"))  # another process has that pid now
    assert sampler.measure(0.2, exact=True).tree == 100 * MIB


def test_memory_shared_after_fork_is_counted_once_near_the_limit(proc: FakeProc) -> None:
    proc.process(10, 300, pss=100)
    for pid in (20, 30):
        proc.process(pid, 300, parent=10, pss=100)
    limits = FakeLimits(own=1000)
    sampler = make(proc, limits)
    sampler.peak = 900 * MIB  # no new peak, so nothing but the limit asks for PSS
    sample = sampler.measure(0.0)
    assert sample.tree == 300 * MIB and not sample.exact
    assert sampler.measure(0.1, exact=True).exact


def test_far_from_the_limit_a_new_peak_is_measured_all_the_same(proc: FakeProc) -> None:
    proc.process(10, 300, pss=150)
    proc.process(20, 300, parent=10, pss=150)
    sampler = make(proc, FakeLimits(own=100_000))
    sampler.measure(0.0)
    assert sampler.peak == 300 * MIB


def test_where_pss_cannot_be_read_the_sum_stands(proc: FakeProc) -> None:
    proc.process(20, 50, parent=10)
    for pid in (10, 20):
        (proc.directory / str(pid) / "smaps_rollup").unlink()
    assert make(proc).measure(0.0, exact=True).tree == 150 * MIB


def test_a_vanished_root_is_an_empty_tree(proc: FakeProc) -> None:
    sampler = make(proc)
    sampler.measure(0.0)
    proc.end(10)
    sample = sampler.tick(1.0)
    assert sample is not None and (sample.tree, sample.processes) == (0, 0)


def test_growth_that_the_tree_does_not_show_is_seen_in_the_cgroup(proc: FakeProc, tmp_path: Path) -> None:
    limits = FakeLimits(kernel=512)
    usage = tmp_path / "memory.current"
    usage.write_text(str(200 * MIB))

    def read(tree: int) -> tuple[Constraint, ...]:
        limits.reads += 1
        return (Constraint("memory.max", str(tmp_path), 512 * MIB, 200 * MIB, 64 * MIB, True),)

    limits.read = read  # type: ignore[method-assign]
    sampler = make(proc, limits)
    sampler.tick(0.0)
    assert sampler.tick(0.001) is None
    usage.write_text(str(300 * MIB))
    assert sampler.tick(0.002) is not None
    sampler.close()
