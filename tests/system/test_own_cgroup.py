from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from memguard.system.own_cgroup import Missing, Place, find_place
from tests.system.machines import bare_machine, v1_machine, v2_machine, write_files

SERVICE = "sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A normal user who may write nothing."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.X_OK and os.path.exists(path))


def with_systemd(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """v2_machine, its limits taken away, with a manager for user 1000 and its bus; returns the environment."""
    _, scope = v2_machine(root)
    write_files(scope, {"memory.max": "max\n", "memory.high": "max\n"})
    (root / "run/systemd/system").mkdir(parents=True)
    write_files(root, {"bin/busctl": ""})
    (root / "bin/busctl").chmod(0o755)
    write_files(root, {f"{SERVICE}/cgroup.controllers": "cpu memory pids\n"})
    (root / "run/user/1000/systemd").mkdir(parents=True)
    for directory, name in (("systemd", "private"), ("", "bus")):
        with socket.socket(socket.AF_UNIX) as listener:
            monkeypatch.chdir(root / "run/user/1000" / directory)  # the name of a socket may have 107 bytes at most
            listener.bind(name)
    return {"PATH": str(root / "bin")}


@pytest.mark.usefixtures("user")
def test_a_user_with_systemd_gets_a_scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = with_systemd(tmp_path, monkeypatch)
    bus = f"unix:path={tmp_path}/run/user/1000/bus"
    expected = Place("scope", f"{tmp_path}/{SERVICE}/app.slice", bus, "app.slice")
    assert find_place("auto", str(tmp_path), environ) == find_place("scope", str(tmp_path), environ) == expected


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        ("run/systemd/system", "systemd does not run this system"),
        ("bin/busctl", "no busctl on PATH"),
        ("run/user/1000/systemd/private", "the user's own systemd does not run"),
        ("run/user/1000/bus", "no session bus"),
        (f"{SERVICE}/cgroup.controllers", "not delegated"),
    ],
)
def test_what_a_scope_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str, reason: str) -> None:
    environ = with_systemd(tmp_path, monkeypatch)
    path = tmp_path / gone
    path.rmdir() if path.is_dir() else path.unlink()
    found = find_place("auto", str(tmp_path), environ)
    assert isinstance(found, Missing) and reason in found.reason


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("name", ["memory.max", "memory.high"])
def test_no_scope_outside_of_a_limit_that_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    environ = with_systemd(tmp_path, monkeypatch)
    own = tmp_path / "sys/fs/cgroup" / (tmp_path / "proc/self/cgroup").read_text().strip().removeprefix("0::/")
    write_files(own, {name: "536870912\n"})
    found = find_place("scope", str(tmp_path), environ)
    assert isinstance(found, Missing) and f"escape the limit of {own}" in found.reason
    # A limit that the scope would be under, too, does no harm.
    write_files(own, {name: "max\n"})
    write_files(tmp_path / SERVICE, {name: "536870912\n"})
    assert isinstance(find_place("scope", str(tmp_path), environ), Place)


def test_root_asks_the_system_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = with_systemd(tmp_path, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert isinstance(find_place("scope", str(tmp_path), environ), Missing)
    write_files(tmp_path, {"run/dbus/system_bus_socket": ""})
    found = find_place("scope", str(tmp_path), environ)
    assert isinstance(found, Place) and found.slice == "system.slice"


def test_a_delegated_cgroup_gives_memory_to_its_children(tmp_path: Path) -> None:
    root, own = v2_machine(tmp_path)
    write_files(own, {"cgroup.procs": "", "cgroup.subtree_control": "\n"})
    found = find_place("v2", root, {})
    assert isinstance(found, Missing) and "must leave it before" in found.reason
    write_files(own, {"cgroup.subtree_control": "cpu memory\n"})
    assert find_place("v2", root, {}) == Place("v2", str(own))


def test_beside_the_own_cgroup_unless_that_has_a_limit(tmp_path: Path) -> None:
    root, own = v2_machine(tmp_path)
    write_files(own, {"cgroup.procs": "", "cgroup.subtree_control": "\n"})
    write_files(own.parent, {"cgroup.procs": "", "cgroup.subtree_control": "memory\n"})
    found = find_place("v2", root, {})
    assert isinstance(found, Missing) and "escape" in found.reason
    write_files(own, {"memory.max": "max\n", "memory.high": "max\n"})
    assert find_place("v2", root, {}) == find_place("auto", root, {}) == Place("v2", str(own.parent))


def test_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, own = v1_machine(tmp_path)
    assert find_place("v1", root, {}) == find_place("auto", root, {}) == Place("v1", str(own))
    for kind in ("scope", "v2"):
        assert find_place(kind, root, {}) == Missing("memory is counted by cgroup v1 here")
    write_files(own, {"memory.use_hierarchy": "0\n"})
    assert isinstance(find_place("v1", root, {}), Missing)
    write_files(own, {"memory.use_hierarchy": "1\n"})
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert find_place("auto", root, {}) == Missing(f"only root may make a cgroup under {own}")


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    assert find_place("auto", bare_machine(tmp_path), {}) == Missing("no memory cgroup here")
