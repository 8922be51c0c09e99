"""Who made a cgroup, as its path tells, and how its memory limit is raised. Pure.

Paths as systemd, Docker, Podman, Kubernetes, Slurm and LXC write them under cgroup v1 and v2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from memguard.units import MIB

__all__ = ["Owner", "find_owner", "raise_limit"]

_DOCKER = re.compile(r"(?:/docker/|docker-)([0-9a-f]{12,64})")
_PODMAN = re.compile(r"libpod-([0-9a-f]{12,64})")
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
_SLURM_JOB = re.compile(r"/job_(\d{1,12})")
_LXC = re.compile(r"/lxc(?:\.payload)?[./]([\w-]{1,64})")
_USER_MANAGER = re.compile(r"/user@\d{1,10}\.service/")


@dataclass(frozen=True, slots=True)
class Owner:
    kind: str  # docker | podman | kubernetes | slurm | lxc | systemd-transient | systemd-user | systemd | cgroup
    name: str  # what the owner's own commands call it
    words: str  # for a sentence: "the Docker container 3f2a…"

    @property
    def container(self) -> bool:
        """Whether its processes usually have other pids inside than outside."""
        return self.kind in ("docker", "podman", "kubernetes", "lxc")


def find_owner(path: str) -> Owner:
    """`path` as the kernel prints it, relative to the cgroup mount; "/" is the root."""
    if path.startswith("pod "):
        return Owner("kubernetes", path[4:], f"the Kubernetes pod {path[4:]}")
    if "kubepods" in path:
        pod = _POD.search(path)
        uid = pod[1].replace("_", "-") if pod else ""
        return Owner("kubernetes", uid, f"the Kubernetes pod {uid}".rstrip())
    if match := _PODMAN.search(path):
        return Owner("podman", match[1][:12], f"the Podman container {match[1][:12]}")
    if match := _DOCKER.search(path):
        return Owner("docker", match[1][:12], f"the Docker container {match[1][:12]}")
    if "/slurm" in path or path.startswith("step "):
        job = _SLURM_JOB.search(path)
        number = job[1] if job else path.removeprefix("step ").split(".")[0]
        return Owner("slurm", number, f"the Slurm job {number}")
    last = path.rstrip("/").rpartition("/")[2]
    if last.endswith((".service", ".scope", ".slice")):
        if re.fullmatch(r"run-[\w-]{1,80}\.(?:service|scope)", last):
            return Owner("systemd-transient", last, f"the systemd unit {last}")
        kind = "systemd-user" if _USER_MANAGER.search(path) else "systemd"
        return Owner(kind, last, f"the systemd unit {last}")
    if match := _LXC.search(path):
        return Owner("lxc", match[1], f"the LXC container {match[1]}")
    return Owner("cgroup", path, f"the memory cgroup {path}")


def raise_limit(path: str, size: int, version: int | None) -> str:
    """How to set the limit of the cgroup at `path` to `size` bytes (whole MiB, rounded up); commands in backquotes."""
    owner, mib = find_owner(path), -(-size // MIB)
    if owner.kind in ("docker", "podman"):
        return f"`{owner.kind} update --memory {mib}m --memory-swap {mib}m {owner.name}`"
    if owner.kind == "kubernetes":
        return f"`resources.limits.memory: {mib}Mi` (and requests) in the pod's manifest, then apply it again"
    if owner.kind == "slurm":
        return f"`sbatch --mem={mib}M …` for the next job; a running step keeps its limit"
    if owner.kind == "lxc":
        return f"`lxc config set {owner.name} limits.memory {mib}MiB` (Proxmox: `pct set {owner.name} --memory {mib}`)"
    if owner.kind == "systemd-transient":
        user = "--user " if "/user@" in path else ""
        return f"start it again with `systemd-run {user}--scope -p MemoryMax={mib}M COMMAND`"
    if owner.kind == "systemd-user":
        return f"`systemctl --user set-property {owner.name} MemoryMax={mib}M`"
    if owner.kind == "systemd":
        return f"`sudo systemctl set-property {owner.name} MemoryMax={mib}M`"
    if version == 2:
        return f"`echo {mib}M | sudo tee /sys/fs/cgroup{path.rstrip('/')}/memory.max`"
    if version == 1:
        return f"`echo {mib}M | sudo tee /sys/fs/cgroup/memory{path.rstrip('/')}/memory.limit_in_bytes`"
    return f"write `{mib}M` to memory.max (cgroup v2) or memory.limit_in_bytes (v1) of the cgroup {path}"
