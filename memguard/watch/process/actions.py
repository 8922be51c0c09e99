"""What the guard does to a tree: stop it, ask where it is, look at it from outside, end it. Each step is time-boxed.

A signal is sent to a process only after its start time has been read again, so that a reused pid is never hit. SIGURG,
which asks for the stack, is sent only to a process that catches it and has the agent in it (agents/listening.py): a
program that exec'ed since, or a Python without the agent, never sees it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable

from memguard.system.memory_files import Filesystems, held_in_files, open_memory_files
from memguard.system.proc import Process, read_cmdline, read_stat, read_status, read_tree
from memguard.watch.agents.listening import listens
from memguard.watch.process.root import Root, excluded_pids
from memguard.watch.timing import Timing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ask_for_stack",
    "end_tree",
    "holders",
    "may_ask",
    "resume",
    "resume_all",
    "send",
    "shared_files",
    "size_of",
    "stack_of_stopped",
    "stop",
]

_ASLEEP = "STt"  # in an interruptible system call; stopped, perhaps in one
_STEP = 0.001
_SETTLED = 3  # steps without growth after which a dump is complete, where its last line does not show it
_OUTERMOST = (" in <module>\n", " in _run_module_as_main\n")
_held: set[Process] = set()  # what this watcher has stopped, and not continued yet
_STACK_HEADER = "# process "  # parsed in stacks.py, which is not loaded while the script runs
_TAIL = 1 << 16  # bytes of the stack file looked at


def send(process: Process, number: int, *, asleep: bool = True) -> bool:
    """`asleep=False`: not while its main thread waits in an interruptible system call (see may_ask)."""
    stat = read_stat(process.pid)
    if stat is None or stat.process != process or (stat.state in _ASLEEP and not asleep):
        return False
    if number == signal.SIGSTOP:
        _held.add(process)
    try:
        os.kill(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    if number == signal.SIGCONT:
        _held.discard(process)
    return True


def stop(root: Process, known: Iterable[Process], within: float) -> tuple[Process, ...]:
    """SIGSTOPs the whole tree, and again what was forked meanwhile, until a walk finds everything stopped."""
    stopped: dict[Process, None] = {}
    deadline, own = time.monotonic() + within, excluded_pids()
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


def resume_all() -> None:
    """Whatever has been stopped here and not been continued since: nothing stays frozen where the guard fails."""
    resume(_held)
    _held.clear()


def resume(processes: Iterable[Process]) -> None:
    """Each of them, whatever becomes of the others. SIGCONT does nothing to one that was not stopped, nor to a stranger
    that has got the pid.
    """
    for process in tuple(processes):
        try:
            send(process, signal.SIGCONT)
        except Exception:  # no descriptor, no memory to look who it is
            with contextlib.suppress(OSError):
                os.kill(process.pid, signal.SIGCONT)


def may_ask(process: Process) -> bool:
    """Whether a signal would interrupt no system call that its main thread sleeps in.

    Python takes such a call up again, and so does much of C; but sleep(3), poll or sem_wait called from C come back
    early, and not everybody who calls them looks. The kernel hands a process's signals to its main thread.
    """
    stat = read_stat(process.pid)
    return stat is not None and stat.process == process and stat.state not in _ASLEEP


def ask_for_stack(process: Process, stack_path: str, *, asleep: bool = True) -> bool:
    """Sends SIGURG where the agent listens; the dump appears in the stack file within milliseconds.

    `asleep=False`: not to a process that sleeps. The state is looked at once more just before the signal; between the
    two lie some 10 µs.
    """
    if not listens(process, stack_path) or not (asleep or may_ask(process)):
        return False
    _append(stack_path, f"{_STACK_HEADER}{process.pid}\n")
    return send(process, signal.SIGURG, asleep=asleep)


def stack_of_stopped(
    process: Process,
    stack_path: str,
    in_danger: Callable[[], bool],
    *,
    ask: Callable[[], object] | None = None,
    answered: Callable[[], bool] = lambda: True,
    within: float,
) -> bool:
    """The stack of a stopped process: queued first, so that the handler runs before any line of the script's does.

    `ask` asks for more with the same signal; it is waited for until `answered`. The process is stopped again as soon as
    all is there, the time is over, or memory gets short.
    """
    start = size_of(stack_path)
    if not (ask() if ask is not None else ask_for_stack(process, stack_path)):
        return False
    send(process, signal.SIGCONT)
    deadline = time.monotonic() + within
    size, settled, complete, heard = 0, 0, False, False
    while not (complete and heard) and time.monotonic() < deadline and not in_danger():
        time.sleep(_STEP)
        before, size = size, size_of(stack_path)
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


def size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _read_from(path: str, start: int) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(max(start, size_of(path) - _TAIL))
            return file.read(_TAIL).decode("ascii", "replace")
    except OSError:
        return ""


def holders(
    processes: Iterable[Process], held_by: Callable[[Process], int], within: float = 0.5
) -> list[dict[str, Any]]:
    """Who held what, largest first: records.run.Holder's fields. What cannot be looked at in time is left out.

    Files in memory count for the first process that has them open for writing.
    """
    deadline = time.monotonic() + within
    processes = tuple(processes)
    found: list[dict[str, Any]] = []
    statuses = ((process.pid, read_status(process.pid)) for process in processes)
    shmem = {pid: status.rss_shmem or 0 for pid, status in statuses if status is not None}
    in_files = held_in_files(processes, Filesystems(), shmem)
    for process in processes:
        stat = read_stat(process.pid)
        if stat is not None and stat.process == process:
            size = held_by(process) + in_files.get(process.pid, 0)
            held = {"pid": process.pid, "name": stat.name, "bytes": size}
            found.append({**held, "command": read_cmdline(process.pid)})
        if time.monotonic() > deadline:
            break
    return sorted(found, key=lambda holder: -holder["bytes"])


def shared_files(processes: Iterable[Process]) -> tuple[str, ...]:
    """The files in memory that the tree has open for writing: they outlive it unless somebody removes them."""
    filesystems = Filesystems()
    files = (file for process in processes for file in open_memory_files(process.pid, filesystems))
    return tuple(sorted({file.path for file in files if file.named and file.writable}))


def end_tree(
    root: Root,
    known: Iterable[Process],
    in_danger: Callable[[], bool],
    *,
    timing: Timing,
    grace: float,
    raising: Iterable[Process] = (),
) -> tuple[Process, ...]:
    """SIGTERM, so that a script's own clean-up may run; SIGKILL when the grace is over or memory gets short.

    `raising` have been asked to raise an exception: they get no signal for timing.raise_within seconds, unless memory
    gets short. `grace`: seconds between the two signals.
    multiprocessing's resource trackers come last: by themselves, when nobody else is left, and they take the semaphores
    and the shared memory of those who could not with them. Works on a stopped tree and on a running one. Returns what
    could not be ended (another user's; stuck in the kernel).
    """
    seen, asked = dict.fromkeys((*known, *raising)), frozenset(raising)
    tree = _living(root, seen)
    trackers = frozenset(filter(_is_tracker, tree))
    _signal_end(process for process in tree if process not in asked | trackers)
    resume(asked | trackers)
    if asked:
        tree = _wait(root, seen, timing.raise_within, lambda tree: not asked.isdisjoint(tree) and not in_danger())
        _signal_end(process for process in tree if process in asked)
    if tree or not root.ended:
        tree = _wait(root, seen, grace, lambda tree: not (tree and trackers.issuperset(tree)) and not in_danger())
    start = time.monotonic()
    # The root counts until its end is known: a process whose first thread has ended looks like a zombie.
    while (tree or not root.ended) and (lasted := time.monotonic() - start) < timing.gone_within:
        for process in (root.process, *tree):
            if process not in trackers or lasted > timing.tracker_within:
                send(process, signal.SIGKILL)
        time.sleep(2 * _STEP)
        tree = _living(root, seen)
    return tree


def _is_tracker(process: Process) -> bool:
    """Whether it is a resource tracker of multiprocessing's, or of joblib's loky, by its command line:
    python -c 'from multiprocessing.resource_tracker import main;main(5)'.
    """
    words = read_cmdline(process.pid)
    return len(words) > 2 and words[-2] == "-c" and "resource_tracker import main" in words[-1]


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
    tree = read_tree(root.process, seen, without=excluded_pids())
    seen.update(dict.fromkeys(tree))
    return tree
