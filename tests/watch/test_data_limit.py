from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.system.proc import Process, read_process
from memguard.units import GIB, MIB
from memguard.watch.kernel.data_limit import MARK, DataLimit, floor, is_fence, release_marked

DATA = resource.RLIMIT_DATA
INFINITY = resource.RLIM_INFINITY

# Evaluates one expression per line of its input.
OBEYS = """
import json, os, resource, sys
def vm(name="VmData"):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) << 10
def limit():
    return resource.getrlimit(resource.RLIMIT_DATA)
def burst(size):
    try:
        return len(bytearray(size))
    except MemoryError:
        return "MemoryError"
def fork_and(action):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, json.dumps(action()).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reader, 1000))
held = []
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""


class Obedient:
    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", OBEYS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.do("1") == 1
        process = read_process(self.popen.pid)
        assert process is not None
        self.process = process

    def do(self, expression: str) -> Any:
        assert self.popen.stdin is not None and self.popen.stdout is not None
        self.popen.stdin.write(expression + "\n")
        self.popen.stdin.flush()
        return json.loads(self.popen.stdout.readline())

    @property
    def limits(self) -> tuple[int, int]:
        return resource.prlimit(self.popen.pid, DATA)

    def end(self) -> None:
        self.popen.communicate()


@pytest.fixture
def script() -> Iterator[Obedient]:
    obedient = Obedient()
    yield obedient
    obedient.end()


@pytest.mark.parametrize(
    ("mode", "throttles", "active"),
    [("auto", False, True), ("auto", True, False), ("on", True, True), ("off", False, False)],
)
def test_auto_is_on_where_the_kernel_offers_no_throttle(
    script: Obedient, mode: str, throttles: bool, active: bool
) -> None:
    fence = DataLimit(mode, throttles=throttles)
    assert fence.active is active
    fence.move([script.process], 200 * MIB)
    assert is_fence(script.limits[0]) is active
    fence.close()


def test_a_burst_past_everything_left_fails_on_its_own_line(script: Obedient) -> None:
    fence = DataLimit("on", cores=1)
    fence.move([script.process], 200 * MIB)
    assert script.do("burst(300 << 20)") == "MemoryError"
    assert script.do("burst(150 << 20)") == 150 * MIB
    assert script.do("vm('VmHWM')") < 200 * MIB, "nothing of the refused burst was touched"
    fence.close()


def test_it_moves_with_what_the_process_has_and_what_is_left(script: Obedient) -> None:
    fence = DataLimit("on", cores=1)
    for headroom in (400 * MIB, 300 * MIB, 1 * GIB):
        fence.move([script.process], headroom)
        data = script.do("vm()")
        assert abs(script.limits[0] - data - headroom) < MIB
        script.do("held.append(bytearray(50 << 20))")
    fence.close()


@pytest.mark.parametrize("cores", [1, 2])
def test_numpy_may_be_imported_with_nothing_left(cores: int) -> None:
    """numpy's import maps 42 MiB and 40 more for each further BLAS thread, and touches 16."""
    code = (
        "import os, resource, sys\n"
        "sys.stdin.readline()\n"
        f"os.environ['OPENBLAS_NUM_THREADS'] = '{cores}'\n"
        "import numpy\n"
        "print(numpy.ones(1 << 20).sum())"
    )
    command = [sys.executable, "-c", code]
    popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process = read_process(popen.pid)
    assert process is not None
    fence = DataLimit("on", cores=cores)
    while not is_fence(resource.prlimit(popen.pid, DATA)[0]):
        fence.move([process], 0)
    out, _ = popen.communicate("\n", timeout=60)
    assert (popen.returncode, out) == (0, "1048576.0\n")
    fence.close()


def test_the_floor_grows_with_the_threads_that_a_library_would_start() -> None:
    assert floor(1) >= 67 * MIB  # eight idle threads
    assert floor(2) >= 83 * MIB
    assert floor(64) == floor(256)


def test_growing_processes_share_and_idle_ones_do_not_take_part() -> None:
    scripts = [Obedient() for _ in range(3)]
    fence = DataLimit("on", cores=1)
    processes = [script.process for script in scripts]
    fence.move(processes, GIB)
    for script in scripts[:2]:
        script.do("held.append(bytearray(20 << 20))")
    fence.move(processes, GIB)
    room = [script.limits[0] - script.do("vm()") for script in scripts]
    assert all(abs(left - GIB // 2) < MIB for left in room), room
    fence.move(processes, GIB)
    room = [script.limits[0] - script.do("vm()") for script in scripts]
    assert all(abs(left - GIB) < MIB for left in room), "nobody has grown since"
    fence.close()
    for script in scripts:
        script.end()


def test_released_each_process_has_its_own_limits_again(script: Obedient) -> None:
    script.do(f"resource.setrlimit(resource.RLIMIT_DATA, ({3 * GIB}, {4 * GIB}))")
    fence = DataLimit("on")
    fence.move([script.process], 200 * MIB)
    assert script.limits[0] < GIB and script.limits[1] == 4 * GIB
    fence.release(script.process)
    assert script.limits == (3 * GIB, 4 * GIB)
    fence.move([script.process], 200 * MIB)
    assert script.limits[0] < GIB
    fence.close()
    assert script.limits == (3 * GIB, 4 * GIB)


def test_a_limit_that_the_script_sets_itself_is_kept(script: Obedient) -> None:
    fence = DataLimit("on", cores=1)
    fence.move([script.process], 500 * MIB)
    script.do(f"resource.setrlimit(resource.RLIMIT_DATA, ({150 * MIB}, -1))")
    fence.move([script.process], 500 * MIB)
    assert script.limits[0] == 150 * MIB
    fence.move([script.process], 10 * MIB)
    assert is_fence(script.limits[0]) and script.limits[0] < 150 * MIB
    fence.close()
    assert script.limits == (150 * MIB, INFINITY)


def test_a_lowered_hard_limit_is_not_raised_again(script: Obedient) -> None:
    fence = DataLimit("on", cores=1)
    fence.move([script.process], 500 * MIB)
    script.do(f"resource.setrlimit(resource.RLIMIT_DATA, ({300 * MIB}, {300 * MIB}))")
    fence.move([script.process], 500 * MIB)
    assert script.limits == (300 * MIB, 300 * MIB)
    fence.close()
    assert script.limits == (300 * MIB, 300 * MIB)


def test_a_forked_child_does_not_take_its_parents_fence_for_its_own(script: Obedient) -> None:
    fence = DataLimit("on", cores=1)
    fence.move([script.process], 200 * MIB)
    inherited = script.do("fork_and(limit)")[0]
    assert is_fence(inherited)
    # The child at a limit that it has inherited, first seen now.
    resource.prlimit(script.popen.pid, DATA, (inherited, INFINITY))
    other = DataLimit("on", cores=1)
    other.move([script.process], 300 * MIB)
    other.close()
    assert script.limits == (INFINITY, INFINITY)


def test_whoever_finds_a_fence_may_take_it_off(script: Obedient) -> None:
    free = Obedient()
    DataLimit("on").move([script.process], 200 * MIB)
    reused = Process(script.popen.pid, script.process.start_time + 1)
    assert release_marked([reused, free.process]) == 0 and is_fence(script.limits[0])
    assert release_marked([script.process, free.process]) == 1
    assert script.limits == free.limits == (INFINITY, INFINITY)
    free.end()


def test_a_reused_pid_is_left_alone(script: Obedient) -> None:
    fence = DataLimit("on")
    fence.move([Process(script.popen.pid, script.process.start_time + 1)], 200 * MIB)
    assert script.limits == (INFINITY, INFINITY)
    assert not fence.caused(Process(script.popen.pid, script.process.start_time + 1))


def test_what_a_memory_error_is_put_down_to() -> None:
    script = Obedient()
    fence = DataLimit("on")
    assert not fence.caused(script.process)
    fence.move([script.process], 200 * MIB)
    script.end()
    fence.release()  # it has ended already: nothing to take off
    assert fence.caused(script.process)
    assert fence.misfired(script.process, used=100 * MIB, usable=400 * MIB)
    assert not fence.misfired(script.process, used=390 * MIB, usable=400 * MIB)


def test_an_end_after_the_release_is_not_the_fences(script: Obedient) -> None:
    fence = DataLimit("on")
    fence.move([script.process], 200 * MIB)
    fence.release()
    assert not fence.caused(script.process)
    assert not fence.misfired(script.process, used=0, usable=400 * MIB)


def test_an_ended_process_is_remembered_once_it_has_left_the_tree() -> None:
    script = Obedient()
    fence = DataLimit("on")
    fence.move([script.process], 200 * MIB)
    script.end()
    fence.move([], 200 * MIB)
    assert fence.caused(script.process)


@given(st.integers(0, 1 << 50))
def test_a_fence_is_told_by_its_mark(size: int) -> None:
    assert is_fence(size // 4096 * 4096 + MARK)
    assert not is_fence(size // 4096 * 4096)
    assert not is_fence(INFINITY)
