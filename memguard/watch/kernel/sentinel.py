"""The guard's own guard: a small process that outlives a watcher that was killed, and sees to the tree that it left.

    sentinel = start(directory, mark, plan.path, "leave" | "stop" | None)     before the script is started
    sentinel.tell(root, cgroup.path)                                          once it is known
    sentinel.let_go()                                                         where the watcher fails, and cannot
    sentinel.goodbye()                                                        in every orderly ending

It holds the reading end of a pipe whose only writing end is the watcher's. The end of the file without a goodbye means
that the watcher was killed (kill -9, the OOM killer). Then it

    - takes the fences off, and continues what was frozen
    - ends the tree (SIGTERM, a second, SIGKILL), or leaves it: by default what a cgroup of its own holds is left, since
      there the kernel is the guard; from then on it kills at that limit, because nobody is left to wake a sleeper
    - writes into the run's journal what became of it, and one line on stderr
    - removes that cgroup with the last process in it

Asked to let go, it takes the guard's hands off the tree as the watcher would have: fences, cgroup, what is stopped. It
has descriptors and memory of its own, which the watcher may have run out of.

The tree is found below the root, in its cgroup, and by its mark (system/run_mark.py). The sentinel is forked, not
executed: it shares the watcher's pages. It has a session of its own, so that what a terminal sends to the script's
group passes it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import time
from collections.abc import Iterator

from memguard.records.visible import printable
from memguard.system.cgroup import find_memory_cgroups, parse_flat
from memguard.system.descriptors import forget_kept
from memguard.system.kernel_file import read_bytes
from memguard.system.proc import Process, read_tree
from memguard.system.run_mark import find_marked
from memguard.units import format_size
from memguard.watch.journal import RunDirectory
from memguard.watch.kernel.cgroup_limit import hand_over, remove
from memguard.watch.kernel.data_limit import own_data_limit, release_marked
from memguard.watch.process import actions
from memguard.watch.process.root import AttachedProcess, excluded_pids, members_of
from memguard.watch.process.signals import FORWARDED
from memguard.watch.timing import TIMING

__all__ = ["Sentinel", "standing_by", "start"]

_GONE_WITHIN = 0.5  # seconds that the sentinel gets to end after the goodbye
_WATCH_PERIOD = 0.5  # seconds between looks at a tree that was left alone
_GOODBYE, _LET_GO = b"goodbye", b"let go"
_EXIT_KILLED = 128 + signal.SIGKILL  # what the watcher's own parent has seen


class Sentinel:
    """The watcher's end."""

    def __init__(self, pid: int, writer: int) -> None:
        self.pid = pid
        self._writer: int | None = writer

    def tell(self, root: Process, cgroup_path: str | None) -> None:
        """Who the root of the tree is, and where its cgroup has come to lie (None: there is none)."""
        self._send(f"{root.pid} {root.start_time} {cgroup_path or ''}\n".encode("utf-8", "surrogateescape"))

    def let_go(self) -> None:
        """Has it free the tree of everything that the guard holds it by, and end."""
        self._end(_LET_GO)

    def goodbye(self) -> None:
        """Ends it; what is left of the tree is left alone."""
        self._end(_GOODBYE)

    def _end(self, word: bytes) -> None:
        if self._writer is None:
            return
        self._send(word + b"\n")
        with contextlib.suppress(OSError):
            os.close(self._writer)
        self._writer = None
        deadline = time.monotonic() + _GONE_WITHIN
        with contextlib.suppress(ChildProcessError):
            # Bounded: a debugger, or an outer guard, may have stopped it.
            while not os.waitpid(self.pid, os.WNOHANG)[0] and time.monotonic() < deadline:
                time.sleep(0.001)

    def _send(self, line: bytes) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):  # somebody has ended it
                os.write(self._writer, line)


def start(
    directory: RunDirectory, mark: tuple[str, str], cgroup_path: str | None, on_death: str | None = None
) -> Sentinel:
    """`mark` is the variable of the tree's environment and its value; `on_death` is --on-watcher-death: stop | leave,
    None: leave what is inside a cgroup of its own, stop everything else.

    Called while the watcher has no child that holds the pipe; pipes are closed by exec.
    """
    reader, writer = os.pipe()
    watcher = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # for good in the sentinel, from its first moment on
    pid = os.fork()
    if pid == 0:
        try:
            _detach(reader)
            _Watch(directory, mark, cgroup_path, on_death, watcher).serve(reader)
        finally:
            os._exit(0)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(reader)
    return Sentinel(pid, writer)


@contextlib.contextmanager
def standing_by(directory: RunDirectory, root: Process) -> Iterator[None]:
    """A sentinel for as long as a tree is frozen that nothing else holds (guard(), `watch`): a watcher that is killed
    just then would leave it frozen for ever. It leaves the tree to itself."""
    sentinel = None
    with contextlib.suppress(OSError):  # no process or descriptor for it: then without
        sentinel = start(directory, ("MEMGUARD_RUN_DIR", directory.path), None, "leave")
        sentinel.tell(root, None)
    try:
        yield
    finally:
        if sentinel is not None:
            sentinel.goodbye()


def _detach(reader: int) -> None:
    """Nothing of the watcher's is kept open but stderr, and nothing that a terminal sends is heard."""
    gc.disable()  # a collection would touch, and so copy, every page
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    forget_kept()
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in (0, 1, 2, reader):
            with contextlib.suppress(OSError):
                os.close(int(name))
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as comm:
        comm.write("memguard-sentry")  # 15 bytes at most


class _Watch:
    """The sentinel's own life."""

    def __init__(
        self,
        directory: RunDirectory,
        mark: tuple[str, str],
        cgroup_path: str | None,
        on_death: str | None,
        watcher: int,
    ) -> None:
        self._directory, self._mark = directory, mark
        self._cgroup, self._on_death, self._watcher = cgroup_path, on_death, watcher
        self._root: Process | None = None
        self._start = time.monotonic()

    def serve(self, reader: int) -> None:
        heard = b""
        while part := os.read(reader, 4096):
            heard += part
            *lines, heard = heard.split(b"\n")
            for line in lines:
                if line == _LET_GO:
                    self._let_go()
                if line in (_GOODBYE, _LET_GO):
                    return
                pid, started, path = os.fsdecode(line).split(" ", 2)
                self._root, self._cgroup = Process(int(pid), int(started)), path or None
        self._on_watcher_death()

    def _let_go(self) -> None:
        tree = self._tree()
        release_marked(tree, own_data_limit())
        actions.resume(tree)
        if self._cgroup:
            remove(self._cgroup, next(iter(find_memory_cgroups()), None))

    def _on_watcher_death(self) -> None:
        tree = self._tree()
        release_marked(tree, own_data_limit())
        inside = (read_bytes(f"{self._cgroup}/cgroup.procs") or b"").strip() if self._cgroup else b""
        leave = self._on_death == "leave" or (self._on_death is None and bool(inside))
        if not tree:
            self._record("it had ended already")
        elif leave:
            self._leave(tree, held=bool(inside))
        else:
            rest = actions.end_tree(
                AttachedProcess(self._root or tree[0]), tree, lambda: False, timing=TIMING, grace=TIMING.grace
            )
            left = [f"process {process.pid}" for process in rest]
            self._record("it was stopped", seconds=self._now(), **({"left": left} if left else {}))
            self._say("the script was stopped")
        if self._cgroup:
            remove(self._cgroup, within=1.0)

    def _leave(self, tree: tuple[Process, ...], *, held: bool) -> None:
        """The tree goes on, and this process stays as long, only to clean up."""
        where = "without a guard"
        if held and self._cgroup:
            hand_over(self._cgroup)
            size = _limit(self._cgroup)
            where = f"inside the kernel's limit of {format_size(size)}" if size else "inside the kernel's limit"
        actions.resume(tree)
        self._record(f"it was left {where}")
        self._say(f"the script goes on {where}")
        before = _kills("/proc/vmstat") or 0
        # Without itself: it is a child of the watcher, and so in the tree, until that has ended for good.
        while tree := read_tree(tree[0], tree, without=excluded_pids()):
            time.sleep(_WATCH_PERIOD)
        kills = _kills(f"{self._cgroup}/memory.events", f"{self._cgroup}/memory.oom_control")
        if kills is None:  # a scope vanishes with its last process; the machine's counter stays
            kills = (_kills("/proc/vmstat") or 0) - before
        self._record(f"it was left {where}", seconds=self._now(), **({"kernel_kills": kills} if held else {}))

    def _tree(self) -> tuple[Process, ...]:
        inside = members_of(self._cgroup) if self._cgroup else ()
        marked = (*inside, *find_marked(*self._mark))
        root = self._root or (marked[0] if marked else None)
        return read_tree(root, marked, without=excluded_pids()) if root is not None else ()

    def _now(self) -> float:
        return round(time.monotonic() - self._start, 3)

    def _record(self, became: str, **fields: object) -> None:
        """One more line of the journal, in journal.py's format. Fields of RunRecord."""
        values = {"watcher_death": became, "exit_code": _EXIT_KILLED, **fields}
        line = {"event": "watcher died", "time": self._now(), "watcher": self._watcher, "set": values}
        with contextlib.suppress(OSError):
            descriptor = os.open(self._directory.journal, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            # A line that the watcher could not finish is not continued: it would spoil this one.
            os.write(descriptor, b"\n" + json.dumps(line).encode("ascii") + b"\n")
            os.close(descriptor)

    def _say(self, what: str) -> None:
        text = f"memguard: the guard itself (process {self._watcher}) died; {what} (see: memguard diagnose)\n"
        with contextlib.suppress(OSError):
            os.write(2, printable(text).encode())


def _kills(*paths: str) -> int | None:
    """The count of the first file that is there and has one."""
    counts = (parse_flat(read_bytes(path) or b"").get("oom_kill") for path in paths)
    return next((count for count in counts if count is not None), None)


def _limit(path: str) -> int | None:
    data = read_bytes(f"{path}/memory.max") or read_bytes(f"{path}/memory.limit_in_bytes") or b""
    return int(data) if data.strip().isdigit() else None
