"""A transient systemd scope around the calling process: what `systemd-run --scope` does, without being started by it.

systemd-run would stand between the guard and the script: a program that cannot be executed would show as systemd-run's
own failure, and where systemd refuses, the script would not start at all. So the child of `memguard run` asks for its
scope itself, through busctl, just before it executes the script; refused, it goes on without one.

Manager.StartTransientUnit: org.freedesktop.systemd1(5). The properties: systemd.resource-control(5), systemd.scope(5).
"""

from __future__ import annotations

import os
import signal
import time

from memguard.system.kernel_file import read_bytes
from memguard.system.own_cgroup import Place

__all__ = ["busctl_command", "enter_scope"]

_WITHIN = 5.0  # seconds; a manager answers within some 20 ms
_STEP = 0.002
_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


def busctl_command(place: Place, unit: str, pid: int, *, maximum: int, high: int) -> tuple[str, ...]:
    """The command that moves `pid` into a new scope `unit` with MemoryMax and MemoryHigh in bytes, and no swap.

    CollectMode removes the unit, and its cgroup, once it is empty, also where it has failed.
    """
    properties: tuple[tuple[str, ...], ...] = (
        ("Description", "s", "a script under memguard run"),
        ("Slice", "s", place.slice),
        ("CollectMode", "s", "inactive-or-failed"),
        ("MemoryMax", "t", str(maximum)),
        ("MemoryHigh", "t", str(high)),
        ("MemorySwapMax", "t", "0"),
        ("PIDs", "au", "1", str(pid)),
    )
    words = [word for one in properties for word in one]
    call = ("StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", str(len(properties)), *words, "0")
    options = (f"--address={place.bus}", "--quiet", f"--timeout={_WITHIN:.0f}")
    return ("busctl", *options, "call", *_MANAGER, *call)


def enter_scope(command: tuple[str, ...], errors: int) -> None:
    """Runs `command` and waits until it has moved the calling process; its words of refusal go to `errors`.

    Called between fork and exec. Never waits for more than two times five seconds, never raises.
    """
    before = read_bytes("/proc/self/cgroup")
    try:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, errors, 2)]
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions, setsigmask=())
    except OSError as error:
        os.write(errors, f"{command[0]}: {error.strerror}".encode())
        return
    deadline = time.monotonic() + 2 * _WITHIN
    status: int | None = None
    while time.monotonic() < deadline:
        if status is None:
            ended, value = os.waitpid(pid, os.WNOHANG)
            status = value if ended else None
        if status or (status == 0 and read_bytes("/proc/self/cgroup") != before):
            break
        time.sleep(_STEP)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
