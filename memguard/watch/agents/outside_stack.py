"""The Python stack of a process that has no agent in it, read from outside: by py-spy, or by Python 3.14's own means.

    read_outside_stack(process, stack_path, in_danger, 2.0) -> why not, or None: then the stack file has it

py-spy (an extra: pip install 'memguard-prep[pyspy]') reads the memory of the stopped process and needs nothing of it.
sys.remote_exec has the process run a file of ours, for which it is continued for a moment; both Pythons must be of
version 3.14 or later and the same. Both take the right to trace it (ptrace(2)): root, or CAP_SYS_PTRACE, or the same
user where kernel.yama.ptrace_scope is 0.

What is written is what faulthandler would have written (stacks.py), so that the same rules find the line to blame.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

from memguard.system.kernel_file import read_bytes
from memguard.system.proc import Process, read_cmdline
from memguard.watch.process import actions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["HINT", "find_pyspy", "is_python", "may_trace", "read_outside_stack"]

HINT = "pip install 'memguard-prep[pyspy]' lets it name the line of such a job"
_REMOTE_WITHIN = 0.3
_MOST = 4 << 20  # bytes of py-spy's answer: a hundred threads of a hundred frames are 2 MiB
_DEEPEST = 100  # frames, as in faulthandler's dumps
_SCRIPT = "import faulthandler\nwith open({path!r}, 'a') as file: faulthandler.dump_traceback(file, all_threads=True)\n"


def is_python(process: Process) -> bool:
    """Whether its program or a library that it has mapped is Python's."""
    with contextlib.suppress(OSError):
        if "python" in os.path.basename(os.readlink(f"/proc/{process.pid}/exe")):
            return True
    return b"/libpython" in (read_bytes(f"/proc/{process.pid}/maps") or b"")


def find_pyspy(environ: Mapping[str, str]) -> str | None:
    """Beside memguard's own Python, where pip puts it, else on PATH."""
    beside = os.path.dirname(sys.executable) if sys.executable else ""
    for directory in (beside, *environ.get("PATH", os.defpath).split(os.pathsep)):
        path = os.path.join(directory, "py-spy")
        if directory and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def may_trace(proc: str = "/proc") -> bool:
    """Whether a process of the same user may be read here, as far as Yama tells; root's and a descendant's always."""
    scope = (read_bytes(f"{proc}/sys/kernel/yama/ptrace_scope") or b"0").strip()
    return scope == b"0" or os.geteuid() == 0


def read_outside_stack(
    process: Process, stack_path: str, in_danger: Callable[[], bool], pyspy_within: float
) -> str | None:
    """Appends the stack of the stopped `process` to the run's stack file. Returns why it could not, in a few words.

    Never raises; at most `pyspy_within` seconds.
    """
    if not is_python(process):
        return f"process {process.pid} is not Python"
    remote = _by_remote_exec(process, stack_path, in_danger)
    if remote is None:
        return None
    pyspy = find_pyspy(os.environ)
    if pyspy is None:
        return f"{remote}; {HINT}" if remote else HINT
    try:
        answer = _run((pyspy, "dump", "--json", "--nonblocking", "--pid", str(process.pid)), pyspy_within)
        text = as_dump(json.loads(answer), process.pid)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return f"py-spy could not read it: {error}" + ("" if may_trace() else _YAMA)
    with contextlib.suppress(OSError), open(stack_path, "a", encoding="ascii") as file:
        file.write(text)
    return None


_YAMA = " (kernel.yama.ptrace_scope forbids it: run memguard as root)"


def as_dump(threads: list[dict[str, Any]], pid: int) -> str:
    """py-spy's threads as faulthandler writes them; the one to look at, called current, comes last. Pure.

    That is the thread that holds Python's lock, else the main thread.
    """
    main = [thread for thread in threads if thread.get("os_thread_id") == pid]
    current = next((thread for thread in threads if thread.get("owns_gil")), main[0] if main else None)
    lines = [f"# process {pid}"]
    for thread in sorted(threads, key=lambda thread: thread is current):
        name = "Current thread" if thread is current else "Thread"
        lines.append(f"{name} 0x{int(thread['thread_id']):016x} (most recent call first):")
        for frame in thread["frames"][:_DEEPEST]:
            file, function = _escape(str(frame["filename"])), _escape(str(frame["name"]))
            lines.append(f'  File "{file}", line {int(frame["line"])} in {function}')
        lines.append("")
    return "\n".join(lines)


def _escape(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii").replace("\n", "?")


def _run(command: tuple[str, ...], within: float) -> bytes:
    """Its stdout. Raises OSError with the first line of its stderr where it fails or takes too long."""
    output, complaint = os.memfd_create("memguard-stack"), os.memfd_create("memguard-complaint")
    try:
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        dups = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in ((null, 0), (output, 1), (complaint, 2))]
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=dups, setsigmask=())
        os.close(null)
        status = _wait(pid, within)
        if status is None:
            raise OSError(f"no answer in {within:.0f} s")
        if status:
            words = os.pread(complaint, 4096, 0).decode("utf-8", "replace").split("\n")
            raise OSError(next((word for word in words if word.strip()), f"exit code {status}").strip()[:200])
        return os.pread(output, _MOST, 0)
    finally:
        os.close(output)
        os.close(complaint)


def _wait(pid: int, within: float) -> int | None:
    """Its exit code; None where it had to be killed."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _by_remote_exec(process: Process, stack_path: str, in_danger: Callable[[], bool]) -> str | None:
    """None where it has worked; else why not, empty where this Python or the process's is too old to try."""
    remote_exec = getattr(sys, "remote_exec", None)
    if remote_exec is None or f"python{sys.version_info[0]}.{sys.version_info[1]}" not in _version_words(process):
        return ""
    script, start = f"{stack_path}.py", actions.size_of(stack_path)
    refusal = "sys.remote_exec: it did not answer"

    def ask() -> bool:
        nonlocal refusal
        try:
            with open(script, "w", encoding="utf-8") as file:
                file.write(_SCRIPT.format(path=stack_path))
            with open(stack_path, "a", encoding="ascii") as file:
                file.write(f"# process {process.pid}\n")
            remote_exec(process.pid, script)
        except (OSError, RuntimeError, ValueError) as error:
            refusal = f"sys.remote_exec: {error}"
            return False
        return True

    actions.stack_of_stopped(process, stack_path, in_danger, ask=ask, within=_REMOTE_WITHIN)
    with contextlib.suppress(OSError):
        os.unlink(script)
    return None if _drop_own_frames(stack_path, start, script) else refusal


def _drop_own_frames(stack_path: str, start: int, script: str) -> bool:
    """Takes the frames of `script` out of what was written from `start` on; whether any others are there."""
    try:
        with open(stack_path, "r+b") as file:
            file.seek(start)
            lines = [line for line in file.readlines() if os.fsencode(script) not in line]
            file.seek(start)
            file.writelines(lines)
            file.truncate()
    except OSError:
        return False
    return any(line.startswith(b"  File ") for line in lines)


def _version_words(process: Process) -> str:
    """Program and library names that tell the version: python3.14, libpython3.14.so.1.0."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{process.pid}/exe") + " ".join(read_cmdline(process.pid)[:1])
    return ""
