from __future__ import annotations

import pytest

from memguard.diagnose.cgroups import find_owner, raise_limit

MIB = 1 << 20
ID = "0011223344556677" * 4
POD = "3f1e2d4c_aaaa_bbbb_cccc_0123456789ab"


@pytest.mark.parametrize(
    ("path", "kind", "name", "command"),
    [
        (f"/docker/{ID}", "docker", ID[:12], f"docker update --memory 512m --memory-swap 512m {ID[:12]}"),
        (f"/system.slice/docker-{ID}.scope", "docker", ID[:12], "docker update"),
        (f"/machine.slice/libpod-{ID}.scope", "podman", ID[:12], "podman update"),
        (
            f"/kubepods.slice/kubepods-pod{POD}.slice/x.scope",
            "kubernetes",
            POD.replace("_", "-"),
            "limits.memory: 512Mi",
        ),
        ("/slurm/uid_1000/job_3756240/step_0", "slurm", "3756240", "sbatch --mem=512M"),
        ("/system.slice/slurmstepd.scope/job_12/step_0/user", "slurm", "12", "sbatch --mem=512M"),
        ("step 191.batch", "slurm", "191", "sbatch --mem=512M"),
        ("/lxc/39004", "lxc", "39004", "pct set 39004 --memory 512"),
        ("/lxc.payload.web/ns", "lxc", "web", "lxc config set web limits.memory 512MiB"),
        (
            "/system.slice/prep.service",
            "systemd",
            "prep.service",
            "sudo systemctl set-property prep.service MemoryMax=512M",
        ),
        (
            "/system.slice/run-u5.service",
            "systemd-transient",
            "run-u5.service",
            "systemd-run --scope -p MemoryMax=512M",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope",
            "systemd-transient",
            "run-r1.scope",
            "systemd-run --user --scope",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/term.scope",
            "systemd-user",
            "term.scope",
            "systemctl --user set-property term.scope MemoryMax=512M",
        ),
        ("/user.slice/user-1000.slice", "systemd", "user-1000.slice", "set-property user-1000.slice"),
    ],
)
def test_owners_and_their_commands(path: str, kind: str, name: str, command: str) -> None:
    owner = find_owner(path)
    assert (owner.kind, owner.name) == (kind, name)
    assert command in raise_limit(path, 512 * MIB, 2)


def test_a_plain_cgroup_by_version() -> None:
    assert find_owner("/team/job").kind == "cgroup"
    assert raise_limit("/a", 3 * MIB - 1, 2) == "`echo 3M | sudo tee /sys/fs/cgroup/a/memory.max`"
    assert raise_limit("/a", MIB, 1) == "`echo 1M | sudo tee /sys/fs/cgroup/memory/a/memory.limit_in_bytes`"
    assert "memory.max (cgroup v2)" in raise_limit("/a", MIB, None)
