from __future__ import annotations

import os
import subprocess
import sys

import pytest

from memguard.system.memory_lock import may_lock

HEADER = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
SWAP = HEADER + b"/swapfile                               file\t\t2097148\t\t0\t\t-2\n"


@pytest.mark.parametrize(
    ("swaps", "user", "limit", "may"),
    [
        (SWAP, 0, 8 << 20, True),
        (SWAP, 1000, 8 << 20, False),
        (SWAP, 1000, -1, True),
        (HEADER, 0, -1, False),
        (b"", 0, -1, False),
        (None, 0, -1, False),
    ],
)
def test_only_where_there_is_swap_and_every_page_may_be_locked(
    swaps: bytes | None, user: int, limit: int, may: bool
) -> None:
    assert may_lock(swaps, user, limit) is may


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="root on Linux may lock memory")
def test_what_is_touched_is_locked_and_a_child_is_free() -> None:
    code = """
import os
from memguard.system import memory_lock
memory_lock.read_bytes = lambda path: b"header\\n/swapfile\\n"
kib = lambda name: int(open("/proc/self/status").read().split(name + ":")[1].split()[0])
before = kib("VmRSS")
assert memory_lock.lock_memory()
held = bytearray(8 << 20)
print(kib("VmLck") >= 8 << 10, kib("VmRSS") - before < 11 << 10, flush=True)
if os.fork() == 0:
    print(kib("VmLck"), flush=True)
    os._exit(0)
os.wait()
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "AssertionError" in result.stderr and "lock_memory" in result.stderr:
        pytest.skip("this root has no CAP_IPC_LOCK")
    assert result.stdout.split() == ["True", "True", "0"], result.stderr
