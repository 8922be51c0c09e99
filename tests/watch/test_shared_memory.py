"""Files in memory against real files of this very process and of its children, and whole guarded runs."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.system.memory_files import Filesystems, mapped_files, open_memory_files
from memguard.system.proc import Process, read_process, read_status
from memguard.units import MIB
from memguard.watch.measure.shared_memory import SharedMemory, started_at
from memguard.watch.options import Options
from memguard.watch.process import actions
from memguard.watch.process.launch import Command
from memguard.watch.run import run_guarded
from tests.boxes import MemoryBox
from tests.people import ROOT

pytestmark = pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no /dev/shm")
BLOCK = b"x" * MIB


@pytest.fixture
def me() -> Process:
    found = read_process(os.getpid())
    assert found is not None
    return found


@pytest.fixture
def path() -> Iterator[Path]:
    name = Path(f"/dev/shm/memguard-test-{os.getpid()}")
    yield name
    name.unlink(missing_ok=True)


def shmem(process: Process) -> dict[Process, int]:
    status = read_status(process.pid)
    return {process: (status.rss_shmem or 0) if status else 0}


def held(shared: SharedMemory, process: Process) -> int:
    """It looks each time: the machine's counter lags a little, and others write and remove beside this test."""
    shared._due, shared._looked_at = 0.0, None
    return shared.unmapped(shmem(process))


def test_a_files_bytes_count_while_it_is_there(me: Process, path: Path) -> None:
    shared = SharedMemory()
    assert held(shared, me) == 0
    with path.open("wb") as file:
        file.write(BLOCK * 3)
        file.flush()
        assert shared.growth() >= 2 * MIB
        assert held(shared, me) == 3 * MIB
    assert held(shared, me) == 3 * MIB, "closing it gives nothing back"
    path.unlink()
    assert held(shared, me) == 0


def memfd() -> int:
    return os.memfd_create("memguard-test")


def deleted() -> int:
    name = f"/dev/shm/memguard-test-deleted-{os.getpid()}"
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT)
    os.unlink(name)
    return descriptor


def unnamed() -> int:
    return os.open("/dev/shm", os.O_RDWR | os.O_TMPFILE)


@pytest.mark.parametrize("make", [memfd, deleted, unnamed])
def test_without_a_name(make: object, me: Process) -> None:
    shared = SharedMemory()
    assert held(shared, me) == 0
    descriptor = make()  # type: ignore[operator]
    os.write(descriptor, BLOCK * 3)
    assert held(shared, me) == 3 * MIB
    os.posix_fallocate(descriptor, 3 * MIB, 2 * MIB)
    assert held(shared, me) == 5 * MIB, "taken, though never written"
    os.ftruncate(descriptor, 200 * MIB)
    assert held(shared, me) == 5 * MIB, "a hole takes nothing"
    twice = os.dup(descriptor)
    os.close(descriptor)
    os.write(twice, BLOCK * 2)
    assert held(shared, me) == 5 * MIB, "each file once"
    os.close(twice)
    assert held(shared, me) == 0


def test_what_is_mapped_and_touched_is_in_the_process(me: Process) -> None:
    descriptor = memfd()
    os.write(descriptor, BLOCK * 4)
    shared = SharedMemory()
    assert held(shared, me) == 4 * MIB
    with mmap.mmap(descriptor, 4 * MIB) as block:
        assert held(shared, me) == 4 * MIB, "mapped, not touched"
        for at in range(0, 4 * MIB, mmap.PAGESIZE):
            block[at] = 1
        assert shmem(me)[me] >= 4 * MIB
        assert held(shared, me) == 0, "counted once"
    os.close(descriptor)


def test_other_shared_memory_hides_nothing(me: Process) -> None:
    """Touched anonymous shared memory is in RssShmem, too, and is no page of the file."""
    shared = SharedMemory()
    with mmap.mmap(-1, 8 * MIB) as block:
        for at in range(0, 8 * MIB, mmap.PAGESIZE):
            block[at] = 1
        descriptor = memfd()
        os.write(descriptor, BLOCK * 4)
        assert held(shared, me) == 4 * MIB
        os.close(descriptor)


MAPPED = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
fd = os.memfd_create("mapped")
os.write(fd, b"x" * (4 << 20))
libc.mmap(None, 4 << 20, 3, 1, fd, 0)
print("open", flush=True)
input()
os.close(fd)
print("closed", flush=True)
input()
"""


def test_a_mapping_without_a_descriptor() -> None:
    child = subprocess.Popen([sys.executable, "-c", MAPPED], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None and child.stdout.readline() == "open\n"
    process = read_process(child.pid)
    assert process is not None
    seen, late = SharedMemory(), SharedMemory()
    assert held(seen, process) == 4 * MIB
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "closed\n"
    assert held(seen, process) == 4 * MIB, "known from when it was open"
    if os.geteuid() == 0:
        assert held(late, process) == 4 * MIB, "only root may look through a mapping"
    (mapping,) = mapped_files(child.pid, Filesystems()).values()
    assert mapping.bytes == 4 * MIB and mapping.writable
    child.communicate("\n")
    assert held(seen, process) == 0


def test_other_peoples_files_do_not_count(me: Process, path: Path) -> None:
    shared = SharedMemory()
    assert held(shared, me) == 0
    path.write_bytes(BLOCK * 3)  # closed again: nobody's of those looked at
    assert held(shared, me) == 0
    with path.open("rb") as file:
        os.write(unused := memfd(), BLOCK * 2)  # what makes it look
        assert held(shared, me) == 2 * MIB, "one that is only read is somebody else's"
        os.close(unused)
        assert file.readable()


def test_what_was_there_before_the_job_is_not_its_own(me: Process, path: Path) -> None:
    path.write_bytes(BLOCK * 3)
    os.utime(path, (1, 1))
    shared = SharedMemory(since=started_at(me))
    with path.open("r+b") as file:
        assert held(shared, me) == 0
        file.seek(0, os.SEEK_END)
        file.write(BLOCK * 2)
        file.flush()
        assert held(shared, me) == 2 * MIB, "what it adds is"


def test_the_start_of_a_process() -> None:
    before = time.time()
    with subprocess.Popen(["sleep", "60"]) as child:
        process = read_process(child.pid)
        assert process is not None and before - 0.02 <= started_at(process) <= time.time() + 0.02
        child.kill()


def test_nobodys_descriptors_are_read_while_shared_memory_stands_still(
    me: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = SharedMemory()
    held(shared, me)
    monkeypatch.setattr(shared._used, "read", lambda: shared._looked_at)
    place = "memguard.watch.measure.shared_memory.open_memory_files"
    monkeypatch.setattr(place, lambda *_: pytest.fail("it has looked"))
    assert shared.unmapped(shmem(me)) == 0 and shared.growth() == 0


def test_a_file_on_disk_is_no_memory(me: Process) -> None:
    with open(__file__, "rb") as file:
        files = open_memory_files(me.pid, Filesystems())
        assert (os.fstat(file.fileno()).st_dev, os.fstat(file.fileno()).st_ino) not in [found.key for found in files]


def test_who_holds_it_and_what_outlives_it(me: Process, path: Path) -> None:
    descriptor = memfd()
    os.write(descriptor, BLOCK * 5)
    with path.open("wb") as file:
        file.write(BLOCK)
        file.flush()
        (holder,) = actions.holders([me], lambda process: 7)
        assert holder["bytes"] == 7 + 6 * MIB
        assert actions.shared_files([me]) == (str(path),)
    with path.open("rb"):
        assert actions.shared_files([me]) == (), "a dataset that somebody has put there is not left by a reader"
    os.close(descriptor)


WRITES = """
import os, sys, time
with open(sys.argv[1], "wb") as file:
    for _ in range(200):
        file.write(b"x" * (1 << 20))
        file.flush()
        time.sleep(0.005)
"""


def test_a_script_that_fills_it_is_stopped_without_a_cgroup(tmp_path: Path, path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WRITES)
    command = Command(sys.executable, (sys.executable, str(script), str(path)), str(script))
    record = run_guarded(command, Options(limit=64 * MIB, backstop="none"))
    assert record.exit_code == 75 and record.termination_reason == "memory"
    assert record.decisions[-1].used < 72 * MIB
    assert list(record.left) == [str(path)]


SHARES = """
from multiprocessing import Process, shared_memory
def touch(name):
    block = shared_memory.SharedMemory(name)
    assert sum(block.buf[at] for at in range(0, 40 << 20, 4096)) == 10240
    block.close()
if __name__ == "__main__":
    block = shared_memory.SharedMemory(create=True, size=40 << 20)
    for at in range(0, 40 << 20, 4096):
        block.buf[at] = 1
    workers = [Process(target=touch, args=(block.name,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    block.close()
    block.unlink()
"""


def test_shared_memory_of_several_workers_counts_once(tmp_path: Path) -> None:
    """40 MiB, mapped and touched by four processes, within 110 MiB: four times 40 would be too much."""
    script = tmp_path / "script.py"
    script.write_text(SHARES)
    command = Command(sys.executable, (sys.executable, str(script)), str(script))
    record = run_guarded(command, Options(limit=110 * MIB, backstop="none"))
    assert record.exit_code == 0 and record.termination_reason is None


@pytest.mark.slow
@pytest.mark.cgroup
@pytest.mark.parametrize("kind", ["memfd", "shm"])
@pytest.mark.parametrize("limit", [["--limit", "100MiB"], []])
def test_the_guard_comes_before_the_kernel(kind: str, limit: list[str]) -> None:
    program = str(ROOT / "tests/programs/guard_memory_file.py")
    with MemoryBox(240 * MIB) as box:
        command = [sys.executable, "-m", "memguard", "run", "--backstop", "none", *limit, program, kind]
        result = box.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (result.returncode, box.oom_kills) == (75, 0), result.stderr
    assert "guard_memory_file.py:" in result.stderr


def test_the_script_is_the_kernels_first_choice(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys; sys.exit(int(open('/proc/self/oom_score_adj').read()) // 10)")
    before = int(Path("/proc/self/oom_score_adj").read_text())
    record = run_guarded(Command(sys.executable, (sys.executable, str(script)), str(script)), Options())
    assert record.exit_code == min(1000, max(before, 0) + 300) // 10
