from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.system import proc
from memguard.system.proc import Process
from memguard.units import MIB
from tests.system.machines import text, write_files

KIB = 1024


def test_stat_of_a_recorded_process() -> None:
    stat = proc.parse_stat(text("proc/v2/stat"))
    assert stat == proc.Stat(333, "python3", "R", 330, 330, 330, 1817, cpu_ticks=245 + 530)
    assert stat.alive and stat.process == Process(333, 1817)


def test_a_name_with_parentheses_and_blanks() -> None:
    line = text("proc/v2/stat").replace("(python3)", "(tmux: (a b) R 1)")
    stat = proc.parse_stat(line)
    assert stat is not None
    assert (stat.name, stat.ppid, stat.start_time) == ("tmux: (a b) R 1", 330, 1817)


def test_a_zombie_is_not_alive() -> None:
    stat = proc.parse_stat(text("proc/v2/stat").replace(") R ", ") Z "))
    assert stat is not None and not stat.alive


def test_status_of_a_recorded_process() -> None:
    status = proc.parse_status(text("proc/v2/status"))
    assert (status.pid, status.name, status.ppid, status.state, status.uid) == (333, "python3", 330, "R", 1000)
    assert status.vm_rss == 147780 * KIB
    assert (status.rss_anon, status.rss_file, status.rss_shmem) == (110816 * KIB, 6244 * KIB, 30720 * KIB)
    assert (status.vm_hwm, status.vm_data, status.vm_swap) == (178408 * KIB, 112172 * KIB, 0)
    assert status.vm_rss == status.rss_anon + status.rss_file + status.rss_shmem
    assert status.catches(signal.SIGINT) and not status.catches(signal.SIGTERM)


def test_a_kernel_thread_has_no_memory() -> None:
    status = proc.parse_status("Name:\tkthreadd\nState:\tS (sleeping)\nPid:\t2\nThreads:\t1\n")
    assert (status.name, status.vm_rss, status.rss_anon, status.sig_cgt) == ("kthreadd", None, None, 0)


def test_statm_counts_pages() -> None:
    statm = proc.parse_statm("1000 300 200 4 0 500 0\n", page_size=65536)
    assert statm == proc.Statm(1000 * 65536, 300 * 65536, 200 * 65536, 500 * 65536)


def test_rollup_of_a_recorded_process() -> None:
    rollup = proc.parse_smaps_rollup(text("proc/v2/smaps_rollup"))
    assert rollup.pss_shmem == 30720 * KIB
    assert rollup.pss is not None and rollup.rss is not None and rollup.pss <= rollup.rss
    before_5_4 = proc.parse_smaps_rollup("Rss:   8 kB\nPss:   4 kB\n")
    assert (before_5_4.rss, before_5_4.pss, before_5_4.pss_anon) == (8192, 4096, None)


@pytest.mark.parametrize("machine", ["v1", "v2"])
def test_meminfo_of_recorded_machines(machine: str) -> None:
    memory = proc.parse_meminfo(text(f"proc/{machine}/meminfo"))
    assert memory.total and memory.free and memory.available is not None
    assert memory.free < memory.total and memory.available < memory.total
    assert memory.swap_total == 0
    # Slab + stacks + page tables of a small machine: tens of MiB.
    assert memory.kernel_unreclaimable is not None and MIB < memory.kernel_unreclaimable < 200 * MIB


PARSERS = (
    proc.parse_stat,
    proc.parse_statm,
    proc.parse_status,
    proc.parse_smaps_rollup,
    proc.parse_meminfo,
)
LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.from_regex(r"(Vm|Rss|Sig|Mem)[A-Za-z]{2,9}:\s*\S{0,25}( kB)?", fullmatch=True),
        st.sampled_from(["MemTotal: ١٢ kB", "VmRSS: -4 kB", "Uid:", "SigCgt: zz", "Pid: " + "9" * 5000]),
    ),
    max_size=12,
)


@given(LINES)
def test_no_text_makes_a_parser_raise(lines: list[str]) -> None:
    for parse in PARSERS:
        parse("\n".join(lines))  # type: ignore[operator]


@given(st.integers(0, len(text("proc/v2/status"))))
def test_a_status_cut_anywhere_gives_true_values_or_none(end: int) -> None:
    whole, part = text("proc/v2/status"), text("proc/v2/status")[:end]
    complete = part[: part.rfind("\n") + 1]
    expected, found = proc.parse_status(whole), proc.parse_status(complete)
    for field in ("vm_rss", "rss_anon", "vm_data", "threads"):
        assert getattr(found, field) in (None, getattr(expected, field))


def test_a_vanished_process_is_none(tmp_path: os.PathLike[str]) -> None:
    root = os.fspath(tmp_path)
    assert proc.read_stat(1, root) is None
    assert proc.read_status(1, root) is None
    assert proc.read_rollup(1, root) is None
    assert proc.read_statm(1, root) is None
    assert proc.read_children(1, root) == ()
    assert proc.read_cmdline(1, root) == ()
    assert proc.read_meminfo(root) is None


STAT = "{pid} (x) {state} {ppid} {pid} {pid}" + " 0" * 15 + " {start}" + " 0" * 30 + "\n"


class Processes:
    """A fake /proc of (pid, parent, start time, state)."""

    def __init__(self, directory: os.PathLike[str], children_files: bool = True) -> None:
        self.root, self.files = os.fspath(directory), children_files

    def set(self, *rows: tuple[int, int, int] | tuple[int, int, int, str]) -> None:
        files: dict[str, object] = {}
        for pid, ppid, start, *state in rows:
            files[f"{pid}/stat"] = STAT.format(pid=pid, ppid=ppid, start=start, state=(state or ["S"])[0])
            children = " ".join(str(row[0]) for row in rows if row[1] == pid)
            files[f"{pid}/task/{pid}/{'children' if self.files else 'comm'}"] = children
        from pathlib import Path

        write_files(Path(self.root), files)


@pytest.mark.parametrize("children_files", [True, False])
def test_the_tree_below_a_process(tmp_path: os.PathLike[str], children_files: bool) -> None:
    processes = Processes(tmp_path, children_files)
    processes.set((10, 1, 100), (11, 10, 110), (12, 11, 120), (13, 10, 130), (20, 1, 90))
    tree = proc.read_tree(Process(10, 100), proc=processes.root)
    assert tree[0] == Process(10, 100)
    assert sorted(p.pid for p in tree) == [10, 11, 12, 13]


def test_a_process_whose_parent_ended_stays_in_the_tree(tmp_path: os.PathLike[str]) -> None:
    processes = Processes(tmp_path)
    processes.set((10, 1, 100), (12, 1, 120), (14, 12, 140))
    known = (Process(10, 100), Process(11, 110), Process(12, 120))
    tree = proc.read_tree(Process(10, 100), known, proc=processes.root)
    assert sorted(p.pid for p in tree) == [10, 12, 14]


def test_a_reused_pid_is_not_the_same_process(tmp_path: os.PathLike[str]) -> None:
    processes = Processes(tmp_path)
    processes.set((10, 1, 999), (11, 10, 1000), (12, 1, 5000), (13, 12, 5001))
    assert proc.read_tree(Process(10, 100), (Process(12, 120),), proc=processes.root) == ()


def test_zombies_are_walked_and_not_returned(tmp_path: os.PathLike[str]) -> None:
    processes = Processes(tmp_path)
    processes.set((10, 1, 100, "Z"), (11, 10, 110, "S"), (12, 10, 120, "X"))
    tree = proc.read_tree(Process(10, 100), proc=processes.root)
    assert [p.pid for p in tree] == [11]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the real /proc")
def test_a_real_tree() -> None:
    code = "import subprocess, sys; p = subprocess.Popen(['cat'], stdin=0); print(p.pid, flush=True); p.wait()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        root = proc.read_process(child.pid)
        assert root is not None
        tree = proc.read_tree(root)
        assert {child.pid, grandchild} <= {p.pid for p in tree}
        assert os.getpid() not in {p.pid for p in tree}
        status = proc.read_status(child.pid)
        assert status is not None and status.ppid == os.getpid() and (status.rss_anon or 0) > MIB
        statm, rollup = proc.read_statm(child.pid), proc.read_rollup(child.pid)
        assert statm is not None and rollup is not None
        assert rollup.pss is not None and 0 < rollup.pss <= statm.resident * 1.1
        assert proc.read_cmdline(child.pid)[1:] == ("-c", code)
    assert proc.read_tree(root, tree) == ()
