"""A real memory cgroup for one test: the kernel's own limit, the kernel's own kill.

    with MemoryBox(512 * MIB) as box:
        result = box.run(["python", "prepare.py"])
    box.oom_kills        # kills the kernel counted in this box

Works as root under cgroup v1 and v2. `MemoryBox.missing()` says why not, elsewhere. Everything is undone on exit:
processes left in the box are ended by pid, the directory is removed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

_number = itertools.count()


def _parent() -> tuple[Path, int] | None:
    """The directory that may hold a child memory cgroup of ours, and its version; None where there is none."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            for base in (Path("/sys/fs/cgroup/memory" + path), Path("/sys/fs/cgroup/memory")):
                if base.is_dir() and os.access(base, os.W_OK):
                    return base, 1
    root = Path("/sys/fs/cgroup")
    control = root / "cgroup.subtree_control"
    if control.exists() and "memory" in control.read_text().split() and os.access(root, os.W_OK):
        return root, 2
    return None


class MemoryBox:
    """One child memory cgroup with `limit` bytes and no swap; a context manager."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.oom_kills = 0
        self.peak = 0

    @staticmethod
    def missing() -> str:
        """Why no box can be made here; empty where it can."""
        if os.name != "posix" or not os.path.isdir("/sys/fs/cgroup"):
            return "no cgroups on this system"
        if os.geteuid() != 0:
            return "only root may make a memory cgroup here"
        return "" if _parent() else "no writable memory cgroup here"

    def __enter__(self) -> MemoryBox:
        found = _parent()
        assert found, self.missing()
        parent, self.version = found
        self.directory = parent / f"memguard_test_{os.getpid()}_{next(_number)}"
        self.directory.mkdir()
        if self.version == 1:
            self._write("memory.limit_in_bytes", self.limit)
            with contextlib.suppress(OSError):  # swap accounting may be off
                self._write("memory.memsw.limit_in_bytes", self.limit)
        else:
            self._write("memory.max", self.limit)
            with contextlib.suppress(OSError):
                self._write("memory.swap.max", 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._count()
        for _ in range(100):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                self.directory.rmdir()
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.directory} could not be removed")

    def processes(self) -> list[int]:
        return [int(pid) for pid in (self.directory / "cgroup.procs").read_text().split()]

    def start(self, command: list[str], *, user: str | None = None, **options: Any) -> subprocess.Popen[str]:
        """Starts `command` inside the box; with `user`, through `su` to that user, the environment kept."""
        procs = str(self.directory / "cgroup.procs")
        if user is not None:
            command = ["su", "-m", "-s", "/bin/sh", user, "-c", "exec " + shlex.join(command)]

        def enter() -> None:
            with open(procs, "w") as file:
                file.write("0")

        return subprocess.Popen(command, text=True, preexec_fn=enter, **options)

    def run(
        self, command: list[str], *, user: str | None = None, timeout: float = 120, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Like subprocess.run(capture_output=True), inside the box."""
        options = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        }
        process = self.start(command, user=user, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        self._count()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def _write(self, name: str, value: int) -> None:
        (self.directory / name).write_text(str(value))

    def _count(self) -> None:
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        for line in (self.directory / name).read_text().splitlines():
            if line.startswith("oom_kill "):
                self.oom_kills = int(line.split()[1])
        peak = self.directory / ("memory.max_usage_in_bytes" if self.version == 1 else "memory.peak")
        if peak.exists():
            self.peak = int(peak.read_text())


def machine_oom_kills() -> int:
    """Kills by the kernel since boot, whole machine (`oom_kill` of /proc/vmstat)."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    raise RuntimeError("no oom_kill in /proc/vmstat")
