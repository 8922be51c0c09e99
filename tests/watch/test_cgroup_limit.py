from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.records.limits import Constraint
from memguard.system.limits import LimitsReader, kernel_margin
from memguard.system.own_cgroup import Missing, Place
from memguard.units import MIB
from memguard.watch.kernel import cgroup_plan as module
from memguard.watch.kernel.cgroup_limit import CgroupLimit, NoCgroup, fit, hand_over, remove
from memguard.watch.kernel.cgroup_plan import DirectoryPlan, ScopePlan, choose
from memguard.watch.kernel.scope import busctl_command, enter_scope
from tests.boxes import MemoryBox
from tests.waiting import until

cgroup = pytest.mark.cgroup
root_only = pytest.mark.skipif(bool(MemoryBox.missing()), reason=MemoryBox.missing())
ROOT = str(Path(__file__).resolve().parents[2])

# Grows by a MiB at a time until something stops it; SIGURG dumps its stack.
GROWS = """
import faulthandler, signal, sys
faulthandler.register(signal.SIGURG, file=sys.stderr)
held = []
while True:
    held.append(bytearray(b"x") * (1 << 20))
"""


def limit(size: int, used: int = 0) -> Constraint:
    return Constraint("--limit", "--limit", size, used, 0, False)


def memory_max(size: int, used: int) -> Constraint:
    return Constraint("memory.max", "/sys/fs/cgroup/a", size, used, kernel_margin(size), True)


def test_without_any_constraint_there_is_nothing_to_fit() -> None:
    assert fit([]) is None


def test_a_limit_of_the_users_own() -> None:
    high, maximum = fit([limit(1000 * MIB)]) or (0, 0)
    assert maximum == 1000 * MIB + 100 * MIB
    assert high == 1000 * MIB + 1000 * MIB // 64


def test_an_outer_limit_is_never_reached() -> None:
    """Half of the margin below it stays, whatever others use and the tree has taken already."""
    others, ours, margin = 100 * MIB, 300 * MIB, 100 * MIB
    outer = memory_max(1000 * MIB, used=others + ours)
    _, maximum = fit([outer, limit(4000 * MIB)], used=ours) or (0, 0)
    assert maximum == 1000 * MIB - others - margin // 2


sizes = st.integers(64 * MIB, 1 << 42)


@given(limit=sizes, outer=sizes, others=sizes, used=st.integers(0, 1 << 42), kernel=st.integers(0, 1 << 30))
def test_the_order_of_the_limits(limit: int, outer: int, others: int, used: int, kernel: int) -> None:
    """The guard first, then the throttle, then memory.max, and only then the outer limit."""
    constraints = [
        Constraint("--limit", "--limit", limit, used, 0, False),
        memory_max(outer, used=others + used),
    ]
    high, maximum = fit(constraints, used=used, kernel=kernel) or (0, 0)
    usable = min(limit + kernel, outer - kernel_margin(outer) - others)
    assert usable <= high <= maximum or usable > maximum
    assert high <= maximum
    assert maximum <= limit + kernel + kernel_margin(limit)
    assert maximum + others <= outer - kernel_margin(outer) // 2 + 1


def test_switched_off_or_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_place", lambda kind: Missing("nowhere"))
    said: list[str] = []
    off = choose("none", 512 * MIB, notify=said.append)
    auto = choose("auto", 512 * MIB, notify=said.append)
    assert (off.kind, off.reason, auto.kind, auto.reason, said) == ("none", "switched off", "none", "nowhere", [])
    asked = choose("v2", 512 * MIB, notify=said.append)
    assert (asked.kind, asked.path, asked.limit, asked.throttles) == ("none", None, None, False)
    assert said == ["no v2 backstop: nowhere"]
    assert isinstance(asked, NoCgroup) and asked.entered(os.getpid()) is asked
    for step in (asked.enter, asked.loosen, asked.close):
        step()
    asked.follow([limit(MIB)])


def test_what_busctl_is_asked_for() -> None:
    place = Place("scope", "/sys/fs/cgroup/x/app.slice", "unix:path=/run/user/1/bus", "app.slice")
    words = busctl_command(place, "memguard-1.scope", 42, maximum=600, high=500)
    assert words[:2] == ("busctl", "--address=unix:path=/run/user/1/bus")
    call = words[words.index("StartTransientUnit") :]
    assert call[1:4] == ("ssa(sv)a(sa(sv))", "memguard-1.scope", "fail") and call[-1] == "0"
    text = " ".join(call)
    for part in ("MemoryMax t 600", "MemoryHigh t 500", "MemorySwapMax t 0", "PIDs au 1 42", "Slice s app.slice"):
        assert part in text
    # one count, then name, signature and value of each
    assert int(call[4]) == 7


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("sh", "-c", "echo no such method >&2; exit 1"), "no such method"),
        (("/nonexistent/busctl",), "No such file or directory"),
    ],
)
def test_a_manager_that_refuses_is_quoted(command: tuple[str, ...], words: str) -> None:
    reader, writer = os.pipe()
    enter_scope(command, writer)
    os.close(writer)
    with open(reader) as pipe:
        assert words in pipe.read()


def test_a_refused_scope_leaves_the_script_alone_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place("scope", "/sys/fs/cgroup/x/app.slice", "unix:path=/nonexistent", "app.slice")
    monkeypatch.setattr(module, "find_place", lambda kind: place)
    monkeypatch.setattr(module, "busctl_command", lambda *a, **k: ("sh", "-c", "echo refused >&2; exit 1"))
    plan = choose("auto", 256 * MIB, notify=print)
    assert isinstance(plan, ScopePlan) and plan.path.startswith(place.parent)
    process = start(plan, "import sys; sys.stdin.read()")
    refused = plan.entered(process.pid)
    assert isinstance(refused, NoCgroup) and refused.reason == "refused"
    process.communicate()
    assert process.returncode == 0
    refused.close()


def start(plan: DirectoryPlan | ScopePlan | NoCgroup, code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        preexec_fn=plan.enter,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read(path: str, name: str) -> str:
    return Path(f"{path}/{name}").read_text()


def number(path: str, name: str) -> int:
    return int(read(path, name))


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def v1() -> Iterator[DirectoryPlan]:
    plan = choose("v1", 64 * MIB, notify=lambda line: pytest.skip(line))
    assert isinstance(plan, DirectoryPlan)
    yield plan
    plan.close()
    assert not os.path.exists(plan.path)


def enter(plan: DirectoryPlan, code: str) -> tuple[subprocess.Popen[bytes], CgroupLimit]:
    """A process in the cgroup, and that one's limit."""
    process = start(plan, code)
    held = plan.entered(process.pid)
    assert isinstance(held, CgroupLimit), held
    return process, held


@cgroup
@root_only
def test_growth_sleeps_and_signals_arrive_once_it_is_loosened(v1: DirectoryPlan) -> None:
    assert (v1.kind, v1.throttles, v1.limit) == ("v1", True, 66 * MIB)
    process, held = enter(v1, GROWS)
    assert held.kind == "v1" and f"{process.pid}\n" == read(v1.path, "cgroup.procs")
    until(lambda: "under_oom 1" in read(v1.path, "memory.oom_control"))
    assert state(process.pid) == "D"
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.05)
    assert state(process.pid) == "D"
    held.loosen()
    until(lambda: state(process.pid) == "T")
    assert held.limit > 66 * MIB
    process.send_signal(signal.SIGURG)
    process.send_signal(signal.SIGCONT)
    until(lambda: number(v1.path, "memory.usage_in_bytes") > 70 * MIB)
    process.terminate()
    _, stack = process.communicate(timeout=5)
    assert b"in <module>" in stack and process.returncode == -signal.SIGTERM
    assert "oom_kill 0" in read(v1.path, "memory.oom_control")


@cgroup
@root_only
def test_nothing_sleeps_while_the_guard_sees_room(v1: DirectoryPlan) -> None:
    process, held = enter(v1, GROWS)
    until(lambda: "under_oom 1" in read(v1.path, "memory.oom_control"))
    held.follow([limit(64 * MIB, used=70 * MIB)])
    assert held.limit == 66 * MIB
    held.follow([limit(64 * MIB, used=10 * MIB)])
    assert held.limit == number(v1.path, "memory.limit_in_bytes") == 70 * MIB
    until(lambda: number(v1.path, "memory.usage_in_bytes") > 68 * MIB)
    process.kill()
    process.communicate(timeout=5)


@cgroup
@root_only
def test_handed_over_the_kernel_kills_again(v1: DirectoryPlan) -> None:
    process, _ = enter(v1, GROWS)
    until(lambda: "under_oom 1" in read(v1.path, "memory.oom_control"))
    hand_over(v1.path)
    process.communicate(timeout=5)
    assert process.returncode == -signal.SIGKILL


@cgroup
@root_only
def test_the_limit_follows_what_the_outer_limits_leave(v1: DirectoryPlan) -> None:
    process, held = enter(v1, "import sys; x = bytearray(b'x') * (40 << 20); print(flush=True); sys.stdin.read()")
    assert process.stdout is not None
    process.stdout.readline()
    ours = number(v1.path, "memory.usage_in_bytes")
    assert ours > 40 * MIB
    held.follow([limit(200 * MIB)])
    assert held.limit == number(v1.path, "memory.limit_in_bytes")
    assert 203 * MIB <= held.limit < 210 * MIB  # the kernel's own memory comes on top
    held.follow([limit(200 * MIB), memory_max(1000 * MIB, used=870 * MIB)])  # 30 MiB usable
    assert 70 * MIB < held.limit < 90 * MIB
    before = held.limit
    held.follow([limit(10 * MIB), memory_max(1000 * MIB, used=990 * MIB)])
    assert held.limit == before, "never below what is in use: the kernel would reclaim or kill"
    process.communicate()


@cgroup
@root_only
def test_what_still_lives_inside_is_moved_out(v1: DirectoryPlan) -> None:
    process, held = enter(v1, "import sys; sys.stdin.read()")
    held.close()
    assert not os.path.exists(v1.path)
    process.communicate()
    assert process.returncode == 0


@cgroup
@root_only
def test_the_backstop_is_no_limit_to_the_guard(v1: DirectoryPlan) -> None:
    process, _ = enter(v1, "import sys; sys.stdin.read()")
    for ignore, there in (((), True), ((v1.path,), False)):
        reader = LimitsReader(process.pid, ignore=ignore)
        assert any(c.source == v1.path for c in reader.read(0)) is there
        reader.close()
    process.communicate()


@cgroup
@root_only
def test_inside_a_limited_cgroup_it_lies_below_that_limit() -> None:
    """Half of what is kept free below the box: with --limit or without."""
    code = (
        "from memguard.watch.kernel.cgroup_plan import choose\n"
        "for limit in (None, 1 << 30):\n"
        "    b = choose('auto', limit, notify=print); print(b.kind, b.limit, b.path); b.close()"
    )
    with MemoryBox(300 * MIB) as box:
        result = box.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": ROOT})
        assert result.returncode == 0, result.stderr
        for line in result.stdout.splitlines():
            kind, size, path = line.split()
            assert kind == "v1" and path.startswith(str(box.directory))
            assert 220 * MIB < int(size) < 266 * MIB  # 300 − 64 ÷ 2 − the process itself


@cgroup
@root_only
def test_a_directory_left_over_by_a_killed_guard_is_taken_again(v1: DirectoryPlan) -> None:
    first = v1.path
    v1.close()
    os.mkdir(first)
    again = choose("v1", 64 * MIB, notify=print)
    assert again.path == first
    again.close()


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert remove(str(tmp_path / "gone"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    assert not remove(str(tmp_path / "full"), within=0.0)
