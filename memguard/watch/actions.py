"""What the guard does to a tree: stop it, ask where it is, look at it from outside, end it. Each step is time-boxed.

A signal is sent to a process only after its start time has been read again, so that a reused pid is never hit. SIGURG,
which asks for the stack, is sent only to a process that catches it and has the agent in it (agents.py): a program that
exec'ed since, or a Python without the agent, never sees it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable

from memguard.system.open_files import read_open_files
from memguard.system.proc import Process, read_cmdline, read_stat, read_status, read_tree
from memguard.watch.agents import listens
from memguard.watch.root import Root, watchers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ask_for_stack",
    "end_tree",
    "holders",
    "resume",
    "send",
    "shared_files",
    "stack_of_stopped",
    "stop",
]

STOP_WITHIN = 0.1  # seconds; a process inside one long system call stops when that returns
STACK_WITHIN = 0.1  # 0.7–7 ms were measured
GRACE = 1.0  # between SIGTERM and SIGKILL
GONE_WITHIN = 10.0  # a large process takes its time to give its memory back
_STEP = 0.001
_SETTLED = 3  # steps without growth after which a dump is complete, where its last line does not show it
_OUTERMOST = (" in <module>\n", " in _run_module_as_main\n")
_STACK_HEADER = "# process "  # parsed in stacks.py, which is not loaded while the script runs
_TAIL = 1 << 16  # bytes of the stack file looked at


def send(process: Process, number: int) -> bool:
    stat = read_stat(process.pid)
    if stat is None or stat.process != process:
        return False
    try:
        os.kill(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def stop(root: Process, known: Iterable[Process], within: float = STOP_WITHIN) -> tuple[Process, ...]:
    """SIGSTOPs the whole tree, and again what was forked meanwhile, until a walk finds everything stopped."""
    stopped: dict[Process, None] = {}
    deadline, own = time.monotonic() + within, watchers()
    for process in known:  # at once; the walk below takes its time
        if send(process, signal.SIGSTOP):
            stopped[process] = None
    while True:
        tree = read_tree(root, (*known, *stopped), without=own)
        for process in tree:
            if process not in stopped:
                send(process, signal.SIGSTOP)
                stopped[process] = None
        states = [stat.state for process in tree if (stat := read_stat(process.pid)) is not None]
        if all(state in "TtZX" for state in states) and len(tree) == len(read_tree(root, stopped, without=own)):
            return tree
        if time.monotonic() > deadline:
            return tree
        time.sleep(_STEP)


def resume(processes: Iterable[Process]) -> None:
    for process in processes:
        send(process, signal.SIGCONT)


def ask_for_stack(process: Process, stack_path: str) -> bool:
    """Sends SIGURG where the agent listens; the dump appears in the stack file within milliseconds."""
    if not listens(process, stack_path):
        return False
    _append(stack_path, f"{_STACK_HEADER}{process.pid}\n")
    return send(process, signal.SIGURG)


def stack_of_stopped(
    process: Process,
    stack_path: str,
    in_danger: Callable[[], bool],
    *,
    ask: Callable[[], object] | None = None,
    answered: Callable[[], bool] = lambda: True,
    within: float = STACK_WITHIN,
) -> bool:
    """The stack of a stopped process: queued first, so that the handler runs before any line of the script's does.

    `ask` asks for more with the same signal; it is waited for until `answered`. The process is stopped again as soon as
    all is there, the time is over, or memory gets short.
    """
    start = _size(stack_path)
    if not (ask() if ask is not None else ask_for_stack(process, stack_path)):
        return False
    send(process, signal.SIGCONT)
    deadline = time.monotonic() + within
    size, settled, complete, heard = 0, 0, False, False
    while not (complete and heard) and time.monotonic() < deadline and not in_danger():
        time.sleep(_STEP)
        before, size = size, _size(stack_path)
        settled = settled + 1 if size == before else 0
        complete = complete or _dump_complete(_read_from(stack_path, start), settled)
        heard = answered()
    send(process, signal.SIGSTOP)
    return complete or (ask is not None and heard)


def _dump_complete(text: str, settled: int) -> bool:
    """Whether the dump has reached the current thread, which faulthandler writes last, and its outermost frame.

    Called from C that embeds Python, the outermost frame may be any, and a thread that has released Python's lock, as
    tiktoken's calls do, is not called current: then, when the file has not grown for a while.
    """
    current = text.rfind("Current thread 0x")
    if not text.endswith("\n") or "\n  File " not in text[max(0, current) :]:
        return False
    return (current >= 0 and text.endswith(_OUTERMOST)) or settled >= _SETTLED


def _append(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError:
        pass


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _read_from(path: str, start: int) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(max(start, _size(path) - _TAIL))
            return file.read(_TAIL).decode("ascii", "replace")
    except OSError:
        return ""


def holders(
    processes: Iterable[Process], held_by: Callable[[Process], int], within: float = 0.5
) -> list[dict[str, Any]]:
    """Who held what, largest first: records.run.Holder's fields. What cannot be looked at in time is left out."""
    deadline = time.monotonic() + within
    found: list[dict[str, Any]] = []
    for process in processes:
        stat = read_stat(process.pid)
        if stat is not None and stat.process == process:
            held = {"pid": process.pid, "name": stat.name, "bytes": held_by(process)}
            found.append({**held, "command": read_cmdline(process.pid)})
        if time.monotonic() > deadline:
            break
    return sorted(found, key=lambda holder: -holder["bytes"])


def shared_files(processes: Iterable[Process]) -> tuple[str, ...]:
    """The files that the tree has open in /dev/shm: memory that outlives it unless somebody removes them."""
    paths = (file.path for p in processes for file in read_open_files(p.pid) if not file.deleted)
    return tuple(sorted({path for path in paths if path.startswith("/dev/shm/")}))


def end_tree(
    root: Root,
    known: Iterable[Process],
    in_danger: Callable[[], bool],
    *,
    speakers: Iterable[Process] = (),
    speech: float = 0.0,
    grace: float = GRACE,
) -> tuple[Process, ...]:
    """SIGTERM, so that a script's own clean-up may run; SIGKILL when the grace is over or memory gets short.

    `speakers` have been asked to raise an exception: they get no signal for `speech` seconds, unless memory gets short.
    Works on a stopped tree and on a running one. Returns what could not be ended (another user's; stuck in the kernel).
    """
    seen, speaking = dict.fromkeys((*known, *speakers)), frozenset(speakers)
    tree = _living(root, seen)
    _signal_end(process for process in tree if process not in speaking)
    resume(speaking)
    if speaking:
        tree = _wait(root, seen, speech, lambda tree: not speaking.isdisjoint(tree) and not in_danger())
        _signal_end(process for process in tree if process in speaking)
    if tree or not root.ended:
        tree = _wait(root, seen, grace, lambda tree: not in_danger())
    deadline = time.monotonic() + GONE_WITHIN
    # The root counts until its end is known: a process whose first thread has ended looks like a zombie.
    while (tree or not root.ended) and time.monotonic() < deadline:
        for process in (root.process, *tree):
            send(process, signal.SIGKILL)
        time.sleep(2 * _STEP)
        tree = _living(root, seen)
    return tree


def _signal_end(processes: Iterable[Process]) -> None:
    """SIGABRT to what catches it (faulthandler.enable, a crash reporter): by default it writes a core file of all the
    memory that is short. Then SIGTERM; and SIGCONT, without which a stopped process gets neither."""
    for process in tuple(processes):
        status = read_status(process.pid)
        if status is not None and status.catches(signal.SIGABRT):
            send(process, signal.SIGABRT)
        for number in (signal.SIGTERM, signal.SIGCONT):
            send(process, number)


def _wait(
    root: Root, seen: dict[Process, None], within: float, longer: Callable[[tuple[Process, ...]], bool]
) -> tuple[Process, ...]:
    """The tree once it has gone, the time is over, or `longer` says no."""
    deadline = time.monotonic() + within
    tree = _living(root, seen)
    while (tree or not root.ended) and time.monotonic() < deadline and longer(tree):
        time.sleep(2 * _STEP)
        tree = _living(root, seen)
    return tree


def _living(root: Root, seen: dict[Process, None]) -> tuple[Process, ...]:
    root.poll()
    tree = read_tree(root.process, seen, without=watchers())
    seen.update(dict.fromkeys(tree))
    return tree
