from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.records.doctor import GROUPS, STATES, Ability
from memguard.system import abilities
from memguard.system.abilities import read_abilities
from memguard.system.kernel_log import KernelLog, Refusal
from memguard.system.machine import read_cores, read_machine
from memguard.units import MIB
from tests.system.machines import bare_machine, v1_machine, v2_machine, write_files


def found(root: str, name: str, environ: dict[str, str] | None = None) -> Ability:
    (ability,) = (a for a in read_abilities(root, environ or {}) if a.name == name)
    return ability


@pytest.fixture(autouse=True)
def _no_kernel_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(refused: list[Refusal]) -> Iterator[KernelLog]:
        refused.append(Refusal("/dev/kmsg", "only root may read it here"))
        return iter(())

    monkeypatch.setattr(abilities, "kernel_logs", refusing)


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A normal user who may write nothing."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.X_OK)


def test_every_ability_has_a_group_a_state_and_a_reason(tmp_path: Path) -> None:
    for machine in (bare_machine, v1_machine, v2_machine):
        directory = tmp_path / machine.__name__
        directory.mkdir()
        machine(directory)
        for ability in read_abilities(str(directory), {}):
            assert ability.group in GROUPS and ability.state in STATES and ability.reason and ability.name


def test_nothing_to_read_is_reported_and_never_raises(tmp_path: Path) -> None:
    states = {a.name: a.state for a in read_abilities(str(tmp_path), {})}
    assert states["limits of containers and jobs"] == "unavailable"
    assert states["shared pages counted once"] == "unavailable"
    assert states["memory pressure"] == "unavailable"
    assert states["a kernel limit for one job"] == "unavailable"


def test_how_many_levels_set_a_limit(tmp_path: Path) -> None:
    root, _ = v2_machine(tmp_path)
    ability = found(root, "limits of containers and jobs")
    assert ability.state == "ok"
    assert ability.reason == "cgroup v2; 1 of 6 levels up to the mount set a limit"


def test_inside_a_container_of_version_2_the_ancestors_are_hidden(tmp_path: Path) -> None:
    root, _ = v2_machine(tmp_path)
    write_files(tmp_path, {"sys/fs/cgroup/memory.max": "max\n", "proc/self/cgroup": "0::/\n"})
    ability = found(root, "limits of containers and jobs")
    assert ability.state == "partial" and "--limit" in ability.mend


def test_a_memory_controller_that_is_switched_off(tmp_path: Path) -> None:
    root, _ = v2_machine(tmp_path)
    write_files(tmp_path, {"proc/self/cgroup": "0::/plain\n"})
    (tmp_path / "sys/fs/cgroup/memory.stat").unlink()
    (tmp_path / "sys/fs/cgroup/plain").mkdir()
    ability = found(root, "limits of containers and jobs")
    assert ability.state == "unavailable" and "cgroup_enable=memory" in ability.mend


def with_systemd(root: Path, *, running: bool = True, controllers: str = "cpu memory pids") -> dict[str, str]:
    """A machine whose systemd has a manager for user 1000; returns its environment."""
    (root / "run/systemd/system").mkdir(parents=True)
    write_files(root, {"bin/systemd-run": ""})
    (root / "bin/systemd-run").chmod(0o755)
    service = "sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"
    write_files(root, {f"{service}/cgroup.controllers": f"{controllers}\n"})
    if running:
        (root / "run/user/1000/systemd").mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listener:
            os.chdir(root / "run/user/1000/systemd")  # the name of a socket may have 107 bytes at most
            listener.bind("private")
    return {"PATH": str(root / "bin"), "XDG_RUNTIME_DIR": "/run/user/1000"}


@pytest.mark.usefixtures("user")
def test_systemd_run_for_a_normal_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, _ = v2_machine(tmp_path)
    monkeypatch.chdir(tmp_path)
    environ = with_systemd(tmp_path)
    ability = found(root, "a kernel limit for one job", environ)
    assert ability.state == "ok" and "systemd-run --user --scope -p MemoryMax=8G" in ability.reason
    del environ["XDG_RUNTIME_DIR"]
    ability = found(root, "a kernel limit for one job", environ)
    assert ability.state == "unavailable" and ability.mend == "export XDG_RUNTIME_DIR=/run/user/1000"


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("running", "controllers", "hint"), [(False, "memory", "enable-linger 1000"), (True, "pids", "Delegate=memory")]
)
def test_systemd_run_that_would_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: bool, controllers: str, hint: str
) -> None:
    root, _ = v2_machine(tmp_path)
    monkeypatch.chdir(tmp_path)
    environ = with_systemd(tmp_path, running=running, controllers=controllers)
    ability = found(root, "a kernel limit for one job", environ)
    assert ability.state == "unavailable" and hint in ability.mend


def test_the_backstop_and_what_it_does_to_the_fence(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    root, own = v1_machine(tmp_path / "one")
    assert found(root, "a backstop for the guard").reason.startswith(f"a cgroup v1 made in {own}")
    assert "with --fence on" in found(root, "turn a burst into MemoryError").reason
    root, scope = v2_machine(tmp_path / "two")
    write_files(scope, {"cgroup.subtree_control": "\n", "cgroup.procs": ""})
    ability = found(root, "a backstop for the guard")
    assert ability.state == "unavailable" and ability.reason == "systemd does not run this system"
    assert found(root, "turn a burst into MemoryError").reason.endswith("used, since there is no backstop")


def test_an_own_cgroup_by_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    v1_root, own = v1_machine(tmp_path / "one")
    v2_root, scope = v2_machine(tmp_path / "two")
    name = "a kernel limit for one job"
    assert found(v1_root, name).reason == f"a cgroup can be made under {own}"
    write_files(scope, {"cgroup.subtree_control": "\n"})
    assert found(v2_root, name).state == "partial"
    write_files(scope, {"cgroup.subtree_control": "memory pids\n"})
    assert found(v2_root, name).state == "ok"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for root in (v1_root, v2_root):
        assert found(root, name).state == "unavailable"


def test_other_killers_are_named(tmp_path: Path) -> None:
    root = bare_machine(tmp_path)
    assert found(root, "nobody else kills first").state == "ok"
    write_files(tmp_path, {"proc/512/comm": "earlyoom\n", "proc/700/comm": "systemd-oomd\n"})
    ability = found(root, "nobody else kills first")
    assert ability.state == "partial"
    assert "earlyoom runs" in ability.reason and "systemd-oomd runs" in ability.reason


@pytest.mark.parametrize(("capabilities", "state"), [("000001ffffffffff", "ok"), ("0000000000000000", "partial")])
def test_lowering_oom_score_adj_takes_a_capability(tmp_path: Path, capabilities: str, state: str) -> None:
    root = bare_machine(tmp_path)
    write_files(tmp_path, {"proc/self/oom_score_adj": "0\n", "proc/self/status": f"CapEff:\t{capabilities}\n"})
    assert found(root, "choose the kernel's victim").state == state


def test_the_kernel_log_with_its_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = bare_machine(tmp_path)
    ability = found(root, "kernel log")
    assert ability.state == "unavailable" and ability.reason == "/dev/kmsg: only root may read it here"
    assert "usermod -aG systemd-journal" in ability.mend
    monkeypatch.setattr(abilities, "kernel_logs", lambda refused: iter((KernelLog("dmesg", iter(())),)))
    assert found(root, "kernel log").state == "ok"


def test_the_machine_in_figures(tmp_path: Path) -> None:
    root, scope = v2_machine(tmp_path)
    machine = read_machine(root, script_python="/usr/bin/python3")
    assert (machine.cgroup_version, machine.cgroup) == (2, str(scope))
    assert machine.total is not None and machine.total > 1900 * MIB and machine.swap_total == 0
    assert machine.executable == sys.executable and machine.cores == read_cores() >= 1
    assert machine.pressure is None and machine.script_python == "/usr/bin/python3"
