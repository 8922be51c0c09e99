"""Fake machines: a directory that looks like / to memguard.system, filled from recorded texts."""

from __future__ import annotations

import shutil
from pathlib import Path

DATA = Path(__file__).parent.parent / "data"


def text(name: str) -> str:
    return (DATA / name).read_text(encoding="utf-8")


def write_files(directory: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n" if not isinstance(content, str) else content, encoding="utf-8")


def bare_machine(root: Path) -> str:
    """A machine of 2 GiB without any cgroup mounted."""
    write_files(
        root,
        {
            "proc/meminfo": text("proc/v2/meminfo"),
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": "23 27 0:21 / /proc rw - proc proc rw\n",
            "proc/self/stat": text("proc/v2/stat"),
            "proc/self/status": text("proc/v2/status"),
            "proc/self/limits": text("proc/v2/limits"),
        },
    )
    return str(root)


def v2_machine(root: Path) -> tuple[str, Path]:
    """Recorded on Debian 12: a systemd user scope with memory.max 512 MiB and memory.high 480 MiB."""
    bare_machine(root)
    write_files(root, {f"proc/self/{name}": text(f"proc/v2/{name}") for name in ("cgroup", "mountinfo")})
    scope = root / "sys/fs/cgroup" / text("proc/v2/cgroup").strip().removeprefix("0::/")
    shutil.copytree(DATA / "cgroup/v2_scope", scope)
    for parent in list(scope.parents)[:4]:
        write_files(parent, {"memory.max": "max\n", "memory.high": "max\n", "memory.stat": "anon 5\n"})
    write_files(root / "sys/fs/cgroup", {"memory.stat": "anon 7\n"})
    return str(root), scope


def v1_machine(root: Path) -> tuple[str, Path]:
    """Recorded on Linux 6.18 with version 1 beside version 2: a cgroup with 512 MiB, two levels below the mount."""
    bare_machine(root)
    write_files(root, {f"proc/self/{name}": text(f"proc/v1/{name}") for name in ("cgroup", "mountinfo")})
    write_files(root, {"proc/meminfo": text("proc/v1/meminfo")})
    top = root / "sys/fs/cgroup/memory"
    own = top / "jobs/42"
    shutil.copytree(DATA / "cgroup/v1_box", own)
    for parent in (top / "jobs", top):
        write_files(
            parent,
            {
                "memory.limit_in_bytes": 9223372036854771712,
                "memory.usage_in_bytes": 300000000,
                "memory.kmem.usage_in_bytes": 0,
                "memory.stat": "total_rss 200000000\ntotal_shmem 0\ntotal_cache 0\n",
            },
        )
    (root / "sys/fs/cgroup/unified").mkdir()
    return str(root), own
