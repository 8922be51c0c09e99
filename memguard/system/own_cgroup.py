"""Where a memory cgroup of one's own could be made: a systemd scope, below or beside one's own cgroup, or nowhere.

    find_place("auto") -> Place | Missing

| kind  | who may                                                     | how                                         |
|-------|-------------------------------------------------------------|---------------------------------------------|
| scope | a user whose systemd runs (a desktop, ssh, lingering); root | the manager is asked over D-Bus (busctl)    |
| v2    | who may write to a cgroup that gives memory to its children | mkdir                                       |
| v1    | who may write to the own cgroup (root, as a rule)           | mkdir                                       |

No place outside of a limit that holds now is taken: there a script would escape the limit. Judged from permissions
and from what is there; nothing is made. Making the cgroup and its limits: watch/kernel/cgroup_limit.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from memguard.system.cgroup import cgroup_version, find_memory_cgroups, parse_limit
from memguard.system.kernel_file import read_bytes

__all__ = ["KINDS", "Missing", "Place", "find_place"]

KINDS = ("scope", "v2", "v1")  # best first: a scope is cleaned up by systemd, whatever happens

_LIMIT_FILES = ("memory.max", "memory.high", "memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Place:
    """`parent` is the directory that the new cgroup will lie in."""

    kind: str  # scope | v2 | v1
    parent: str
    bus: str = ""  # scope: D-Bus address of the manager that makes it
    slice: str = ""  # scope: the unit that `parent` belongs to


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no such place, and what to do about it, where anything can be done."""

    reason: str
    hint: str = ""


def find_place(kind: str = "auto", root: str = "/", environ: Mapping[str, str] | None = None) -> Place | Missing:
    """The place for `kind`, one of KINDS; with "auto" the first of them that is there, else the likeliest reason."""
    environ = os.environ if environ is None else environ
    cgroups = find_memory_cgroups(root=root)
    version = cgroup_version(cgroups[0]) if cgroups else None
    if version is None:
        return Missing("no memory cgroup here")
    if kind == "auto":
        found = [_find(kind, version, cgroups, root, environ) for kind in KINDS if (kind == "v1") == (version == 1)]
        return next((place for place in found if isinstance(place, Place)), found[0])
    return _find(kind, version, cgroups, root, environ)


def _find(kind: str, version: int, cgroups: tuple[str, ...], root: str, environ: Mapping[str, str]) -> Place | Missing:
    if (kind == "v1") != (version == 1):
        return Missing(f"memory is counted by cgroup v{version} here")
    if kind == "v1":
        return _below_v1(cgroups[0])
    place = _scope(cgroups[-1], root, environ) if kind == "scope" else _beside_v2(cgroups)
    if isinstance(place, Missing):
        return place
    for directory in cgroups:
        if place.parent != directory and not place.parent.startswith(directory + "/") and _is_limited(directory):
            return Missing(f"the script would escape the limit of {directory}, which holds now")
    return place


def _is_limited(directory: str) -> bool:
    return any(parse_limit(read_bytes(f"{directory}/{name}")) is not None for name in _LIMIT_FILES)


def _below_v1(own: str) -> Place | Missing:
    if not os.access(own, os.W_OK | os.X_OK):
        return Missing(f"only root may make a cgroup under {own}")
    if (read_bytes(f"{own}/memory.use_hierarchy") or b"1").strip() == b"0":
        return Missing(f"what is below {own} does not count in it (memory.use_hierarchy is 0)")
    return Place("v1", own)


def _beside_v2(cgroups: tuple[str, ...]) -> Place | Missing:
    """Below the own cgroup, or else beside it.

    A cgroup that holds processes cannot give memory to children of its own, the true root apart, so that a process in
    a delegated leaf has to look beside itself. Moving a process takes the right to write to the cgroup.procs of the
    directory that both cgroups lie in.
    """
    for parent in cgroups[:2]:
        control = (read_bytes(f"{parent}/cgroup.subtree_control") or b"").split()
        if b"memory" in control and _may_move(parent):
            return Place("v2", parent)
    own = cgroups[0]
    if _may_move(own):
        return Missing(f"{own} is ours, but its processes must leave it before a limit below it can be set")
    return Missing("only root may make a cgroup here")


def _may_move(parent: str) -> bool:
    return os.access(parent, os.W_OK | os.X_OK) and os.access(f"{parent}/cgroup.procs", os.W_OK)


def _scope(mount: str, root: str, environ: Mapping[str, str]) -> Place | Missing:
    """A manager's private socket exists exactly while it runs; busctl, a part of systemd, speaks over its bus."""
    base, uid = root.rstrip("/"), os.geteuid() if hasattr(os, "geteuid") else 0
    directories = environ.get("PATH", os.defpath).split(os.pathsep)
    if not os.path.isdir(f"{base}/run/systemd/system"):
        return Missing("systemd does not run this system")
    if not any(os.access(f"{directory}/busctl", os.X_OK) for directory in directories):
        return Missing("no busctl on PATH", "it belongs to systemd")
    if uid == 0:
        bus = f"{base}/run/dbus/system_bus_socket"
        if not os.path.exists(bus):
            return Missing(f"no system bus at {bus}")
        return Place("scope", f"{mount}/system.slice", f"unix:path={bus}", "system.slice")
    runtime = f"{base}/run/user/{uid}"
    if not os.path.exists(f"{runtime}/systemd/private"):
        hint = f"log in on a terminal or by ssh, or `sudo loginctl enable-linger {uid}`"
        return Missing("the user's own systemd does not run", hint)
    if not os.path.exists(f"{runtime}/bus"):
        return Missing(f"no session bus at {runtime}/bus", "install dbus-user-session, or dbus-broker")
    service = f"{mount}/user.slice/user-{uid}.slice/user@{uid}.service"
    if b"memory" not in (read_bytes(f"{service}/cgroup.controllers") or b"").split():
        hint = "set Delegate=memory pids in a drop-in of user@.service, then log in again"
        return Missing("the memory controller is not delegated to users' own systemd", hint)
    return Place("scope", f"{service}/app.slice", f"unix:path={runtime}/bus", "app.slice")
