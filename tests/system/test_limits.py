from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.records.limits import Constraint, Limits
from memguard.system.limits import (
    LimitsReader,
    default_reserve,
    describe,
    kernel_margin,
    read_limits,
    slurm_limit,
)
from memguard.units import GIB, MIB
from tests.boxes import MemoryBox
from tests.system.machines import bare_machine, text, v1_machine, v2_machine, write_files

V2_USED = 113512448 + 30 * MIB + (27488256 - 20312672)
V1_USED = 106086400 + 30 * MIB + 397312


def named(limits: Limits, name: str) -> Constraint:
    (constraint,) = (c for c in limits.constraints if c.name == name)
    return constraint


def names(limits: Limits) -> list[str]:
    return [constraint.name for constraint in limits.constraints]


def test_a_machine_without_limits_has_its_memory(tmp_path: Path) -> None:
    limits = read_limits(root=bare_machine(tmp_path), environ={})
    (memory,) = limits.constraints
    total, available = limits.total, limits.available
    assert total is not None and available is not None
    assert memory == Constraint("MemAvailable", f"{tmp_path}/proc/meminfo", total, total - available, 256 * MIB, False)
    assert limits.effective == available - 256 * MIB
    assert limits.binding == memory and limits.swap_free == 0


def test_version_2_max_and_high_each_count_the_whole_cgroup(tmp_path: Path) -> None:
    root, scope = v2_machine(tmp_path)
    limits = read_limits(root=root, environ={}, tree_used=5 * MIB)
    assert names(limits) == ["memory.max", "memory.high", "MemAvailable"]
    assert named(limits, "memory.max") == Constraint("memory.max", str(scope), 512 * MIB, V2_USED, 64 * MIB, True)
    assert limits.binding == named(limits, "memory.high")
    assert limits.effective == 480 * MIB - V2_USED - 64 * MIB
    assert limits.source == f"memory.high of {scope}"


def test_an_ancestors_limit_counts_the_ancestor(tmp_path: Path) -> None:
    root, scope = v2_machine(tmp_path)
    write_files(scope.parent, {"memory.max": 600 * MIB, "memory.stat": f"anon {400 * MIB}\nfile {90 * MIB}\n"})
    limits = read_limits(root=root, environ={})
    assert limits.binding == Constraint("memory.max", str(scope.parent), 600 * MIB, 400 * MIB, 64 * MIB, True)


def test_version_1_counts_shared_memory_and_no_page_cache(tmp_path: Path) -> None:
    root, own = v1_machine(tmp_path)
    limits = read_limits(root=root, environ={})
    assert limits.binding == Constraint("memory.limit_in_bytes", str(own), 512 * MIB, V1_USED, 64 * MIB, True)
    assert limits.source == f"memory.limit_in_bytes of {own}"


def test_version_1_a_limit_of_a_hidden_ancestor(tmp_path: Path) -> None:
    root, own = v1_machine(tmp_path)
    stat = text("cgroup/v1_box/memory.stat").replace(
        "hierarchical_memory_limit 536870912", "hierarchical_memory_limit 402653184"
    )
    write_files(own, {"memory.stat": stat})
    limits = read_limits(root=root, environ={})
    hidden = named(limits, "hierarchical_memory_limit")
    # Of the hidden cgroup at least what the topmost visible one uses is used.
    assert (hidden.limit, hidden.used, hidden.kernel) == (384 * MIB, 200000000, True)


def test_version_1_an_ancestor_that_does_not_count_its_children(tmp_path: Path) -> None:
    root, own = v1_machine(tmp_path)
    write_files(own.parent, {"memory.limit_in_bytes": 100 * MIB})  # use_hierarchy=0: it does not hold for us
    assert names(read_limits(root=root, environ={})) == ["memory.limit_in_bytes", "MemAvailable"]


def test_the_users_own_limit_counts_the_tree_alone(tmp_path: Path) -> None:
    root, _ = v2_machine(tmp_path)
    limits = read_limits(root=root, environ={}, limit=100 * MIB, tree_used=30 * MIB)
    assert limits.constraints[0] == Constraint("--limit", "--limit", 100 * MIB, 30 * MIB, 0, False)
    assert limits.effective == 70 * MIB and limits.source == "--limit"
    assert read_limits(root=root, environ={}, limit=10 * MIB, tree_used=30 * MIB).effective == 0


def test_the_users_own_reserve(tmp_path: Path) -> None:
    limits = read_limits(root=bare_machine(tmp_path), environ={}, reserve=GIB)
    assert limits.available is not None and limits.effective == limits.available - GIB


def test_ulimit_of_the_process(tmp_path: Path) -> None:
    root = bare_machine(tmp_path)
    line = "Max address space         {:<20} unlimited            bytes     "
    recorded = text("proc/v2/limits")
    assert line.format("unlimited") in recorded
    write_files(tmp_path, {"proc/self/limits": recorded.replace(line.format("unlimited"), line.format(GIB))})
    limit = named(read_limits(root=root, environ={}), "RLIMIT_AS")
    assert limit == Constraint("RLIMIT_AS", "/proc/self/limits", GIB, 152128 * 1024, GIB // 10, True)
    reader = LimitsReader(root=root, environ={}, rlimits=False)
    assert [c.name for c in reader.read(0)] == ["MemAvailable"]
    reader.close()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"SLURM_MEM_PER_NODE": "4096"}, ("SLURM_MEM_PER_NODE", 4 * GIB)),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_CPU": "512", "SLURM_CPUS_ON_NODE": "4"}, ("SLURM_MEM_PER_CPU", 2 * GIB)),
        ({"SLURM_MEM_PER_CPU": "512", "SLURM_CPUS_PER_TASK": "2"}, ("SLURM_MEM_PER_CPU", GIB)),
        ({"SLURM_MEM_PER_CPU": "512"}, ("SLURM_MEM_PER_CPU", 512 * MIB)),
        ({"SLURM_MEM_PER_NODE": "lots"}, None),
        ({}, None),
    ],
)
def test_slurm(environ: dict[str, str], expected: tuple[str, int] | None) -> None:
    assert slurm_limit(environ) == expected


def test_slurm_counts_the_tree_unless_a_cgroup_is_as_tight(tmp_path: Path) -> None:
    root, _ = v2_machine(tmp_path)
    tighter = read_limits(root=root, environ={"SLURM_MEM_PER_NODE": "300"}, tree_used=9)
    assert named(tighter, "SLURM_MEM_PER_NODE") == Constraint(
        "SLURM_MEM_PER_NODE", "the environment", 300 * MIB, 9, 64 * MIB, False
    )
    same = read_limits(root=root, environ={"SLURM_MEM_PER_NODE": "512"})
    assert "SLURM_MEM_PER_NODE" not in names(same)


def test_nothing_readable_is_no_room(tmp_path: Path) -> None:
    if sys.platform == "linux":
        limits = read_limits(root=str(tmp_path), environ={})
        assert (limits.effective, limits.constraints, limits.total) == (0, (), None)


@given(st.integers(1, 1 << 50))
def test_margin_and_reserve_leave_room_on_every_machine(total: int) -> None:
    assert kernel_margin(total) >= max(64 * MIB, total // 10)
    reserve = default_reserve(total)
    assert 0 <= reserve <= total // 4 or reserve <= total // 10
    assert reserve <= 2 * GIB
    assert default_reserve(total + GIB) >= reserve


def test_reserves_of_common_machines() -> None:
    reserves = [default_reserve(gib * GIB) // MIB for gib in (1, 2, 8, 16, 64)]
    assert reserves == [256, 256, 819, 1638, 2048]


def test_the_reader_sees_every_change(tmp_path: Path) -> None:
    root, scope = v2_machine(tmp_path)
    reader = LimitsReader(root=root, environ={})
    first = reader.read(0)[0]
    assert (first.limit, first.used) == (512 * MIB, V2_USED)
    write_files(scope, {"memory.max": 700 * MIB, "memory.stat": f"anon {100 * MIB}\n"})
    second = reader.read(0)[0]
    assert (second.limit, second.used) == (700 * MIB, 100 * MIB)
    write_files(scope, {"memory.max": "max\n"})
    assert [c.name for c in reader.read(0)] == ["memory.high", "MemAvailable"]
    reader.close()


def test_the_reader_follows_the_process_into_another_cgroup(tmp_path: Path) -> None:
    root, scope = v2_machine(tmp_path)
    reader = LimitsReader(root=root, environ={})
    assert reader.read(0)[0].source == str(scope)
    other = tmp_path / "sys/fs/cgroup/other.scope"
    write_files(other, {"memory.max": 50 * MIB, "memory.high": "max\n", "memory.stat": "anon 1\n"})
    write_files(tmp_path, {"proc/self/cgroup": "0::/other.scope\n"})
    assert reader.read(0)[0] == Constraint("memory.max", str(other), 50 * MIB, 1, 64 * MIB, True)
    assert reader.cgroups == (str(other),)
    reader.close()


def test_the_reader_survives_a_removed_cgroup(tmp_path: Path) -> None:
    root, scope = v2_machine(tmp_path)
    reader = LimitsReader(root=root, environ={})
    assert reader.read(0)[0].source == str(scope)
    shutil.rmtree(scope)
    for descriptor in reader._cgroups[0]._limit, reader._cgroups[0]._stat:
        descriptor.close()  # as the kernel does: a removed cgroup's files say ENODEV
    assert [c.name for c in reader.read(0)] == ["MemAvailable"]
    reader.close()


@pytest.mark.parametrize("state", ["Z", "X"])
def test_the_reader_does_not_follow_an_ended_process(tmp_path: Path, state: str) -> None:
    """Version 1 shows it in the root while it waits for its parent; its children are where it was."""
    root, own = v1_machine(tmp_path)
    reader = LimitsReader(root=root, environ={})
    assert reader.read(0)[0].source == str(own)
    write_files(
        tmp_path,
        {
            "proc/self/cgroup": text("proc/v1/cgroup").replace("/jobs/42", "/"),
            "proc/self/stat": text("proc/v2/stat").replace(") R ", f") {state} "),
        },
    )
    assert reader.read(0)[0].source == str(own)
    reader.close()


@pytest.mark.cgroup
def test_a_real_process_that_ends_before_its_children() -> None:
    with MemoryBox(512 * MIB) as box:
        child = box.start(["sh", "-c", "sleep 30 & echo $!; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None and child.stdin is not None
        sleeper = int(child.stdout.readline())
        reader = LimitsReader(child.pid)

        def held() -> list[str]:
            return [c.source for c in reader.read(0) if c.kernel and c.limit == 512 * MIB]

        assert held() == [str(box.directory)]
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # now a zombie
        assert held() == [str(box.directory)]
        child.wait()  # now gone
        assert held() == [str(box.directory)]
        os.kill(sleeper, 9)
        child.stdout.close()
    assert held() == []  # and the cgroup with it
    reader.close()


def test_close_gives_back_every_descriptor(tmp_path: Path) -> None:
    root, _ = v2_machine(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        read_limits(root=root, environ={})
    assert len(os.listdir("/proc/self/fd")) == before


def test_words_for_a_constraint() -> None:
    assert describe(Constraint("--limit", "--limit", 1, 0, 0, False)) == "--limit"
    assert describe(Constraint("memory.max", "/a", 1, 0, 0, True)) == "memory.max of /a"


PROBE = """
import json, mmap, os, sys
from memguard.system.limits import LimitsReader
reader = LimitsReader()
def used():
    return next(c.used for c in reader.read(0) if c.kernel and c.source.endswith(sys.argv[1]))
readings = [used()]
block = b"x" * (64 << 20)
readings.append(used())
shared = mmap.mmap(-1, 32 << 20)
shared.write(b"y" * (32 << 20))
readings.append(used())
with open(sys.argv[2], "wb") as file:
    for _ in range(48):
        file.write(b"z" * (1 << 20))
readings.append(used())
print(json.dumps(readings))
"""


@pytest.mark.cgroup
def test_a_real_cgroup_counts_what_cannot_be_dropped(tmp_path: Path) -> None:
    """Anonymous and shared memory count in full; 48 MiB of page cache do not (1 MiB of buffer aside)."""
    import json

    with MemoryBox(512 * MIB) as box:
        name = os.path.basename(box.directory)
        result = box.run([sys.executable, "-c", PROBE, name, str(tmp_path / "written")])
        assert box.oom_kills == 0
    start, anonymous, shared, cached = json.loads(result.stdout)
    assert start < 40 * MIB
    assert 64 * MIB <= anonymous - start < 68 * MIB
    assert 32 * MIB <= shared - anonymous < 35 * MIB
    assert cached - shared < 6 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit of a real process")
def test_a_real_ulimit() -> None:
    code = "import sys; print('up', flush=True); sys.stdin.read()"

    def cap() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (GIB, GIB))

    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=cap
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        data = named(read_limits(pid=child.pid, environ={}), "RLIMIT_DATA")
        assert data.limit == GIB and MIB < data.used < 200 * MIB
