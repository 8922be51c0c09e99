from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.system import cgroup
from memguard.system.cgroup import find_memory_cgroups, read_memory_cgroup
from memguard.units import MIB
from tests.system.machines import DATA, bare_machine, text, v1_machine, v2_machine, write_files


def test_membership_lines() -> None:
    hybrid = cgroup.parse_proc_cgroup(text("proc/v1/cgroup"))
    assert cgroup.CgroupEntry(("memory",), "/jobs/42") in hybrid
    assert cgroup.CgroupEntry((), "/") in hybrid
    (entry,) = cgroup.parse_proc_cgroup("0::/a b:c/x.scope (deleted)\n")
    assert entry == cgroup.CgroupEntry((), "/a b:c/x.scope")
    (joint,) = cgroup.parse_proc_cgroup("4:cpu,cpuacct,memory:/docker/0123\n")
    assert joint.controllers == ("cpu", "cpuacct", "memory")


def test_mountinfo_lines() -> None:
    mounts = cgroup.parse_mountinfo(text("proc/v1/mountinfo"))
    (memory,) = (mount for mount in mounts if "memory" in mount.controllers)
    assert memory == cgroup.Mount("/", "/sys/fs/cgroup/memory", 1, ("rw", "memory"), True)
    assert [m.mount_point for m in mounts if m.version == 2] == ["/sys/fs/cgroup/unified"]
    (unified,) = cgroup.parse_mountinfo(text("proc/v2/mountinfo"))
    assert (unified.root, unified.mount_point, unified.version) == ("/", "/sys/fs/cgroup", 2)
    odd = r"31 22 0:26 /a\040b /mnt/c\134d\011e ro,nosuid shared:9 master:2 - cgroup2 none rw"
    (mount,) = cgroup.parse_mountinfo(odd)
    assert mount == cgroup.Mount("/a b", "/mnt/c\\d\te", 2, (), False)


def test_v1_memory_that_counts() -> None:
    box = read_memory_cgroup(str(DATA / "cgroup/v1_box"))
    assert box is not None and box.version == 1
    assert (box.limit, box.high, box.swap_limit) == (512 * MIB, None, None)
    # 100 MiB of anonymous memory, 30 MiB shared, 75 MiB of a file read.
    assert (box.anon, box.shmem, box.kernel) == (106086400, 30 * MIB, 397312)
    assert box.file == 110161920 - 30 * MIB
    assert box.used == 106086400 + 30 * MIB + 397312
    assert box.usage is not None and box.usage - box.used >= 75 * MIB  # the page cache never counts
    assert (box.oom_kill, box.oom_kill_disabled, box.charges.hierarchical_limit) == (0, False, 512 * MIB)


def test_v2_memory_that_counts() -> None:
    scope = read_memory_cgroup(str(DATA / "cgroup/v2_scope"))
    assert scope is not None and scope.version == 2
    assert (scope.limit, scope.high, scope.swap_limit) == (512 * MIB, 480 * MIB, 0)
    assert (scope.anon, scope.shmem, scope.oom_kill) == (113512448, 30 * MIB, 0)
    assert scope.file == 108834816 - 30 * MIB
    assert scope.kernel == 27488256 - 20312672  # 6.5 MiB of it are full pipes


def test_v2_kernel_memory_before_linux_5_18() -> None:
    new = cgroup.parse_flat(text("cgroup/v2_scope/memory.stat"))
    old = {name: value for name, value in new.items() if name != "kernel"} | {"kernel_stack": 32768, "sock": 4096}
    assert cgroup.charges_v2(old).kernel == 32768 + 327680 + 262256 + 4096
    assert cgroup.charges_v2({}).kernel is None


def test_v1_slab_that_would_be_given_back_is_capped() -> None:
    stat = {"total_rss": 300, "total_shmem": 20, "total_cache": 50}
    assert cgroup.charges_v1(stat, kmem_usage=130, kernel_bound=46).used == 300 + 20 + 46
    assert cgroup.charges_v1(stat, kmem_usage=30, kernel_bound=46).used == 300 + 20 + 30
    assert cgroup.charges_v1(stat, kmem_usage=130).used == 300 + 20 + 130


def test_v1_without_hierarchy_counts_itself() -> None:
    assert cgroup.charges_v1({"rss": 3, "shmem": 2, "cache": 5}, 1).used == 6


@pytest.mark.parametrize(
    ("raw", "limit"),
    [
        ("max\n", None),
        ("9223372036854771712\n", None),
        ("9223372036854710272\n", None),  # pages of 64 KiB
        ("536870912\n", 536870912),
        ("0\n", 0),
        ("", None),
        ("-1\n", None),
        (None, None),
    ],
)
def test_limits(raw: str | None, limit: int | None) -> None:
    assert cgroup.parse_limit(raw) == limit


def test_v2_own_cgroup_and_every_ancestor(tmp_path: Path) -> None:
    root, scope = v2_machine(tmp_path)
    found = find_memory_cgroups(root=root)
    assert found[0] == str(scope) and found[-1] == f"{root}/sys/fs/cgroup"
    assert len(found) == 6
    assert all(found[i + 1] == found[i].rpartition("/")[0] for i in range(5))


def test_side_by_side_the_memory_controller_is_version_1(tmp_path: Path) -> None:
    root, own = v1_machine(tmp_path)
    top = f"{root}/sys/fs/cgroup/memory"
    assert find_memory_cgroups(root=root) == (str(own), f"{top}/jobs", top)


DOCKER = "/docker/5c3a"


@pytest.mark.parametrize(
    ("membership", "mountinfo", "expected"),
    [
        # Docker with its own cgroup namespace (the default with version 2).
        ("0::/\n", "30 29 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n", ""),
        # A container whose mount shows its own cgroup only, while the path is the host's (version 1, host namespace).
        (f"4:memory:{DOCKER}\n", f"30 29 0:26 {DOCKER} /sys/fs/cgroup ro - cgroup cgroup rw,memory\n", ""),
        # The same, one level deeper inside the container.
        (f"4:memory:{DOCKER}/job\n", f"30 29 0:26 {DOCKER} /sys/fs/cgroup ro - cgroup cgroup rw,memory\n", "/job"),
        # Docker in Docker: the host's path, and no such directory below the mount.
        (f"4:memory:{DOCKER}\n", "30 29 0:26 / /sys/fs/cgroup ro - cgroup cgroup rw,memory\n", ""),
        # A path that only begins like the mount's root is another cgroup.
        ("0::/docker/5c3abc\n", f"30 29 0:26 {DOCKER} /sys/fs/cgroup ro - cgroup2 cgroup rw\n", ""),
        # The process sits above our cgroup namespace's root.
        ("0::/../job\n", "30 29 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n", ""),
        # The mount was made from another namespace.
        ("0::/\n", "30 29 0:26 /../../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n", ""),
    ],
)
def test_in_containers(tmp_path: Path, membership: str, mountinfo: str, expected: str) -> None:
    root = bare_machine(tmp_path)
    write_files(tmp_path, {"proc/self/cgroup": membership, "proc/self/mountinfo": mountinfo})
    (tmp_path / "sys/fs/cgroup/job").mkdir(parents=True)
    assert find_memory_cgroups(root=root)[0] == f"{root}/sys/fs/cgroup{expected}"


def test_of_several_mounts_the_one_that_shows_the_process(tmp_path: Path) -> None:
    root = bare_machine(tmp_path)
    mounts = "30 29 0:26 /other /mnt/other rw - cgroup2 cgroup rw\n31 29 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
    write_files(tmp_path, {"proc/self/cgroup": "0::/job\n", "proc/self/mountinfo": mounts})
    for directory in ("mnt/other", "sys/fs/cgroup/job"):
        (tmp_path / directory).mkdir(parents=True)
    assert find_memory_cgroups(root=root) == (f"{root}/sys/fs/cgroup/job", f"{root}/sys/fs/cgroup")


def test_no_cgroup_is_a_value(tmp_path: Path) -> None:
    assert find_memory_cgroups(root=bare_machine(tmp_path)) == ()
    assert find_memory_cgroups(pid=4194305, root=str(tmp_path)) == ()
    assert read_memory_cgroup(str(tmp_path)) is None


PIECES = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.from_regex(r"\d{1,3}:(memory|cpu)?:/?\S{0,20}", fullmatch=True),
        st.from_regex(r"(\S+ ){0,6}- cgroup2?( \S+){0,2}", fullmatch=True),
        st.from_regex(r"total_[a-z]{1,9} \d{1,40}", fullmatch=True),
    ),
    max_size=8,
)


@given(PIECES)
def test_no_text_makes_a_parser_raise(pieces: list[str]) -> None:
    garbage = "\n".join(pieces)
    cgroup.parse_proc_cgroup(garbage)
    cgroup.parse_mountinfo(garbage)
    cgroup.parse_limit(garbage)
    stat = cgroup.parse_flat(garbage)
    assert cgroup.charges_v1(stat, None).used >= 0
    assert cgroup.charges_v2(stat).used >= 0
