"""The machine in a few figures: kernel, Python, cores, memory, swap, cgroup, pressure. Read at each call.

Not here: what may still be used (limits.py), what memguard can do with it (abilities.py).
"""

from __future__ import annotations

import os
import platform
import sys

from memguard.records.doctor import Machine
from memguard.system.cgroup import cgroup_version, find_memory_cgroups
from memguard.system.proc import read_meminfo
from memguard.system.psi import read_pressure

__all__ = ["read_cores", "read_machine"]


def read_cores() -> int:
    """The cores that this process may run on (taskset, cpusets); a container's CPU quota is not in it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_machine(root: str = "/", script_python: str | None = None) -> Machine:
    base = root.rstrip("/")
    memory = read_meminfo(f"{base}/proc")
    own = next(iter(find_memory_cgroups(root=root)), None)
    pressure = read_pressure(f"{base}/proc/pressure/memory")
    shm = _filesystem(f"{base}/dev/shm")
    return Machine(
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        executable=sys.executable,
        cores=read_cores(),
        total=memory.total if memory else None,
        available=memory.available if memory else None,
        swap_total=memory.swap_total if memory else None,
        swap_free=memory.swap_free if memory else None,
        shm_size=shm[0] if shm else None,
        shm_free=shm[1] if shm else None,
        cgroup_version=cgroup_version(own) if own else None,
        cgroup=own,
        pressure=pressure.some.avg60 if pressure and pressure.some else None,
        script_python=script_python,
    )


def _filesystem(path: str) -> tuple[int, int] | None:
    """(size, free for this user) in bytes."""
    try:
        status = os.statvfs(path)
    except (OSError, AttributeError):
        return None
    return status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
