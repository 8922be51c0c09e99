"""Whether a process has the agent in it that can be asked for its stack; and if it was silent, the reason, in words.

    listens(process, stack_path)      before SIGURG is sent
    why_silent(process, stack_path)   of a process that has been asked, is stopped again, and has written nothing

Read from outside, in /proc. What the agent does with the signal: inject/_memguard_agent.py.
"""

from __future__ import annotations

import os
import signal

from memguard.system.kernel_file import read_bytes
from memguard.system.open_files import find_descriptor
from memguard.system.proc import Process, Status, read_cmdline, read_status

__all__ = ["listens", "why_silent"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_DESCRIPTORS = range(240, 248)  # the agent's: _memguard_agent._STACK_DESCRIPTOR
_LOW = "low"  # the file by which an agent says that it had none of these
_TAKE_A_VALUE = "WX"  # python -W ignore, -X dev
_OLDEST = (3, 8)


def listens(process: Process, stack_path: str) -> bool:
    """Whether SIGURG will reach the agent, or do nothing at all.

    It goes where the stack file is open. Where the script has closed it and nothing else has its number, the C-level
    handler writes to no file, and the handler in Python opens it again.
    """
    status = read_status(process.pid)
    if status is None or not status.catches(signal.SIGURG):
        return False
    return find_descriptor(process.pid, stack_path) is not None or (
        not _other_files(process.pid)
        and not os.path.exists(os.path.join(os.path.dirname(stack_path), _LOW))
        and _started_with_agent(process.pid, stack_path)
    )


def _other_files(pid: int) -> dict[int, str]:
    """What is open under the agent's numbers, by number; all of them where nobody may look."""
    try:
        opened = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}.intersection(_DESCRIPTORS)
    except OSError:
        return dict.fromkeys(_DESCRIPTORS, "")
    return {number: _link(f"/proc/{pid}/fd/{number}") for number in sorted(opened)}


def _started_with_agent(pid: int, stack_path: str) -> bool:
    """By its command line and its environment: a Python that memguard.guard() runs in has started this watcher."""
    python, _ = _python(pid)
    return python and not _flags(read_cmdline(pid)) and (pid == os.getppid() or not _lacking(pid, stack_path))


def _lacking(pid: int, stack_path: str) -> list[str]:
    """The variables that bring the agent into a Python, and that this one was started without."""
    data = read_bytes(f"/proc/{pid}/environ") or b""
    variables = dict(entry.split(b"=", 1) for entry in data.split(b"\0") if b"=" in entry)
    inject = os.fsencode(os.path.join(_PACKAGE, "inject"))
    run = os.fsencode(os.path.dirname(stack_path))
    lacking = [] if os.path.realpath(variables.get(b"MEMGUARD_RUN_DIR", b"")) == run else ["MEMGUARD_RUN_DIR"]
    return lacking + ([] if inject in variables.get(b"PYTHONPATH", b"").split(b":") else ["PYTHONPATH"])


def _python(pid: int) -> tuple[bool, tuple[int, ...]]:
    """(whether it is CPython, its version as far as the program's name tells)."""
    name = os.path.basename(_link(f"/proc/{pid}/exe"))
    if name.startswith("python"):
        parts = name.removeprefix("python").split(".")
        return True, tuple(int(part) for part in parts if part.isdigit())
    return b"/libpython3" in (read_bytes(f"/proc/{pid}/maps") or b""), ()


def _flags(command: tuple[str, ...]) -> str:
    """Those of -I, -E and -S that Python was started with."""
    words = iter(command[1:])
    for word in words:
        if not word.startswith("-") or word in ("-", "--") or word.startswith("--"):
            break
        for position, letter in enumerate(word[1:], 2):
            if letter in "IES":
                return letter
            if letter in "cm":
                return ""
            if letter in _TAKE_A_VALUE:
                if position == len(word):
                    next(words, None)
                break
    return ""


def why_silent(process: Process, stack_path: str) -> str:
    pid = process.pid
    status = read_status(pid)
    if status is None or status.state in ("Z", "X"):
        return f"process {pid} had ended before it could be asked"
    is_python, version = _python(pid)
    if not is_python:
        if not _link(f"/proc/{pid}/exe"):
            return f"{status.name} (pid {pid}) is another user's process"
        return f"{status.name} (pid {pid}), which held most, is not Python"
    return f"Python (pid {pid}) did not answer: {_reason(pid, status, version, stack_path)}"


def _reason(pid: int, status: Status, version: tuple[int, ...], stack_path: str) -> str:
    flag, lacking = _flags(read_cmdline(pid)), [] if pid == os.getppid() else _lacking(pid, stack_path)
    has_stack = find_descriptor(pid, stack_path) is not None
    if not has_stack:
        if flag:
            return f"it was started with -{flag}, which keeps the agent out"
        if lacking:
            return f"it was started, or has called exec, with an environment without memguard's {' and '.join(lacking)}"
        if version and version < _OLDEST[: len(version)]:
            return f"it is Python {'.'.join(map(str, version))}, and the agent needs 3.8"
    if status.ignores(signal.SIGURG):
        return "it ignores SIGURG, the signal by which it is asked"
    if not status.catches(signal.SIGURG):
        if has_stack:
            return "it has taken off the handler of SIGURG, the signal by which it is asked"
        return "the agent is not in it: is it older than 3.8, or does it read no PYTHONPATH?"
    if _all_threads_block(pid):
        return "it blocks SIGURG, the signal by which it is asked, in all its threads"
    if not has_stack:
        return _without_descriptor(pid, stack_path)
    if status.state == "D":
        where = (read_bytes(f"/proc/{pid}/wchan") or b"").decode("ascii", "replace").strip("0\n")
        return "it was stuck in the kernel" + (f" ({where})" if where else "")
    if status.awaits(signal.SIGURG):
        return "it did not come to run in the time that was left"
    return "a handler of the script's own has taken the place of the agent's for SIGURG"


def _without_descriptor(pid: int, stack_path: str) -> str:
    others = _other_files(pid)
    if others:
        number, path = next(iter(others.items()))
        return f"descriptor {number}, to which the stack is written, is now {path or 'another file'}, and left alone"
    if os.path.exists(os.path.join(os.path.dirname(stack_path), _LOW)):
        return "it has closed the descriptor to which the stack is written"
    return (
        "it has closed the descriptor to which the stack is written, and was too long in a call into C to open it again"
    )


def _all_threads_block(pid: int) -> bool:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    states = [read_status(f"{pid}/task/{thread}") for thread in threads]
    return all(status.blocks(signal.SIGURG) for status in states if status is not None)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
