"""Guards inside guards: the outer one's backstop is no limit to keep a margin from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.records.limits import Constraint
from memguard.system.limits import LimitsReader, read_limits
from memguard.system.outer_guard import OUTER_LIMIT, has_backstop_name, throttle_above, usable_below
from memguard.units import MIB
from memguard.watch.kernel.cgroup_limit import fit
from memguard.watch.kernel.data_limit import MARK
from tests.people import ROOT
from tests.system.machines import v1_machine, v2_machine, write_files

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
RUN = [sys.executable, "-m", "memguard", "run", "-q"]
# 145 MiB of 200, watchers aside: more than what a margin of 64 MiB would leave. In steps: to an outer fence, one
# burst of that size is more than what is left while the watcher of the inner one still starts.
HOLDS = "import time\nrows = [bytearray(b'x' * (1 << 20)) for _ in range(145) if not time.sleep(0.001)]\nprint('held')"
BLOCK = f"import memguard\nwith memguard.guard('400MiB'):\n    exec({HOLDS!r})"
POOL = """
import multiprocessing, sys, memguard
def work(_):
    with memguard.guard("400MiB"):
        block = bytearray(b"x") * (100 << 20)
        return memguard.headroom() < 100 << 20
if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        print(pool.map(work, [0, 1]))
"""


def run(*words: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([*RUN, *words], env=environment, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in result.stderr, result.stderr
    return result.returncode, result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("backstop", ["auto", "none"])
@pytest.mark.parametrize(
    "inner",
    [
        ["--", sys.executable, "-c", BLOCK],
        ["--", *RUN, "--limit", "300MiB", "--", sys.executable, "-c", HOLDS],
        ["--", "env", "-u", "MEMGUARD_LIMIT", *RUN, "--limit", "300MiB", "--", sys.executable, "-c", HOLDS],
    ],
)
def test_what_the_outer_limit_leaves_may_be_used(inner: list[str], backstop: str) -> None:
    assert run("--limit", "200MiB", "--backstop", backstop, *inner) == (0, "held\n")


def test_three_levels() -> None:
    middle = [*RUN, "--limit", "300MiB", "--", *RUN, "--limit", "400MiB", "--"]
    assert run("--limit", "220MiB", "--", *middle, sys.executable, "-c", HOLDS) == (0, "held\n")


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_guarded_block_in_a_pools_worker(start: str, tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    assert run("--limit", "200MiB", str(script), start) == (0, "[True, True]\n")


@pytest.mark.parametrize("backstop", ["auto", "none"])
def test_the_outer_limit_still_holds_for_an_inner_one_that_is_larger(backstop: str) -> None:
    grows = "block = [bytearray(b'x' * (1 << 20)) for _ in range(2000)]"
    code = (
        f"import memguard\ntry:\n    with memguard.guard('3GiB'): {grows}\nexcept MemoryError: print('no', flush=True)"
    )
    code, _ = run("--limit", "200MiB", "--backstop", backstop, "--", sys.executable, "-c", code), None
    assert code[0] in (0, 75)


@pytest.mark.slow
@pytest.mark.parametrize("backstop", ["auto", "none"])
def test_headroom_and_doctor_and_estimate_know_it(backstop: str, tmp_path: Path) -> None:
    outer = ["--limit", "200MiB", "--backstop", backstop, "--", sys.executable]
    code, out = run(*outer, "-c", "import memguard; print(memguard.headroom())")
    assert code == 0 and 170 * MIB < int(out) < 200 * MIB
    code, out = run(*outer, "-m", "memguard", "doctor", "--json")
    limits = json.loads(out)["limits"]
    assert limits["source"].startswith(OUTER_LIMIT) and 150 * MIB < limits["effective"] < 200 * MIB
    text = tmp_path / "text.txt"
    text.write_text("some text to be read\n" * 1000)
    code, out = run(*outer, "-m", "memguard", "estimate", "--json", str(text))
    assert json.loads(out)["limits"]["source"].startswith(OUTER_LIMIT)


def outer_on(machine: tuple[str, Path], files: dict[str, object], name: str = "memguard-123") -> tuple[str, Path]:
    """The recorded machine with a guard's backstop as the process's own cgroup."""
    root, own = machine
    backstop = own / name
    write_files(backstop, files)
    membership = Path(root) / "proc/self/cgroup"
    below = str(own).rpartition("/sys/fs/cgroup/")[2].removeprefix("memory/")
    membership.write_text(membership.read_text().replace(f"/{below}\n", f"/{below}/{name}\n"))
    return root, backstop


V2 = {"memory.max": 268 * MIB, "memory.high": throttle_above(200 * MIB), "memory.stat": f"anon {150 * MIB}\n"}


def outer_limits(root: str, **options: object) -> list[Constraint]:
    return [c for c in read_limits(root=root, environ={}, **options).constraints if "memguard-" in c.source]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["memguard-123", "memguard-123.4", "memguard-123-0a1b2c.scope"])
def test_version_2s_throttle_tells_a_guard(name: str, tmp_path: Path) -> None:
    root, backstop = outer_on(v2_machine(tmp_path), V2, name)
    assert outer_limits(root) == [Constraint(OUTER_LIMIT, str(backstop), 200 * MIB, 150 * MIB, 0, False)]


def test_a_guard_that_has_gone_leaves_a_limit_of_the_kernels(tmp_path: Path) -> None:
    root, backstop = outer_on(v2_machine(tmp_path), {**V2, "memory.high": "max\n"})
    assert outer_limits(root) == [Constraint("memory.max", str(backstop), 268 * MIB, 150 * MIB, 64 * MIB, True)]


@pytest.mark.parametrize(("held", "expected"), [(1, OUTER_LIMIT), (0, "memory.limit_in_bytes")])
def test_version_1s_switched_off_killer_tells_a_guard(held: int, expected: str, tmp_path: Path) -> None:
    limit = throttle_above(200 * MIB)
    files = {
        "memory.limit_in_bytes": limit,
        "memory.usage_in_bytes": 1,
        "memory.oom_control": f"oom_kill_disable {held}\nunder_oom 0\n",
        "memory.stat": f"total_rss {150 * MIB}\nhierarchical_memory_limit {limit}\n",
    }
    root, backstop = outer_on(v1_machine(tmp_path), files)
    (found,) = outer_limits(root)
    assert found.name == expected and found.used == 150 * MIB
    assert (found.limit, found.margin) == ((200 * MIB, 0) if held else (limit, 64 * MIB))
    assert "hierarchical_memory_limit" not in [c.name for c in read_limits(root=root, environ={}).constraints]
    reader = LimitsReader(root=root, environ={}, ignore=(str(backstop),))
    assert not [c for c in reader.read(0) if "memguard-" in c.source], "the guard's own is left out"
    reader.close()


def test_other_peoples_cgroups_are_no_guards() -> None:
    for name in ("memguard", "memguard-x", "my-memguard-1", "memguard-1-job", "memguard_test_1_0"):
        assert not has_backstop_name(f"/sys/fs/cgroup/{name}")


def test_without_a_cgroup_the_environment_tells(tmp_path: Path) -> None:
    root, _ = v2_machine(tmp_path)
    reader = LimitsReader(root=root, environ={"MEMGUARD_LIMIT": str(200 * MIB)})
    assert Constraint(OUTER_LIMIT, "MEMGUARD_LIMIT", 200 * MIB, 50 * MIB, 0, False) in reader.read(50 * MIB)
    assert Constraint(OUTER_LIMIT, "MEMGUARD_LIMIT", 200 * MIB, 90 * MIB, 0, False) in reader.read(0, around=90 * MIB)
    reader.close()


def test_a_fence_is_no_limit_of_its_own(tmp_path: Path) -> None:
    root, _ = v2_machine(tmp_path)
    limits = Path(root) / "proc/self/limits"
    recorded = limits.read_text()
    line = next(line for line in recorded.splitlines() if line.startswith("Max data size"))
    for size, seen in ((300 * MIB + MARK, False), (300 * MIB, True)):
        limits.write_text(recorded.replace(line, line.replace("unlimited", str(size), 1)))
        names = [c.name for c in read_limits(root=root, environ={}).constraints]
        assert ("RLIMIT_DATA" in names) is seen


def test_throttle_and_usable_are_each_others_inverse() -> None:
    for usable in (64 * MIB, 128 * MIB, 200 * MIB, 1 << 34):
        assert abs(usable_below(throttle_above(usable)) - usable) <= 65


def test_a_backstop_inside_one_leaves_the_kernel_out_of_it() -> None:
    """Its own kill lies above what the outer guard leaves: that guard, or this one, comes first."""
    outer = Constraint(OUTER_LIMIT, "/cg/memguard-1", 200 * MIB, 40 * MIB, 0, False)
    size = fit([outer], used=30 * MIB)
    assert size is not None and 190 * MIB < size[0] < 196 * MIB and size[1] == (190 + 64) * MIB
