"""Asks an interpreter something before it runs the script: one start of it, 12 ms.

ask_python("/usr/bin/python3.12", "print(1 + 1)") -> "2\n"
"""

from __future__ import annotations

import os
import select

__all__ = ["ask_python"]

_WITHIN = 5.0  # seconds


def ask_python(executable: str, program: str) -> str | None:
    """What `program` prints, where `executable` (a path, or a name on PATH) runs it; None where it cannot be started.

    Empty where it fails, or says nothing in five seconds.
    """
    reader, writer = os.pipe()
    try:
        null = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((null, writer, null))]
        pid = os.posix_spawnp(executable, [executable, "-c", program], os.environ, file_actions=actions)
    except OSError:  # the start itself says best what is wrong with it
        os.close(reader)
        os.close(writer)
        return None
    os.close(null)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answered = select.select([pipe], [], [], _WITHIN)[0]
        text = pipe.read() if answered else b""
    if not answered:
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    return text.decode("ascii", "replace")
